package mq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/realbroker"
	"orderflow/internal/mq/remoting"
)

func realAdmin(t *testing.T) (*Admin, context.Context) {
	t.Helper()
	addr := realbroker.NameServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	a := NewAdmin([]string{addr})
	t.Cleanup(func() { cancel(); _ = a.Close() })
	return a, ctx
}

// unique makes a name that no other run has.
func unique(kind string) string {
	return fmt.Sprintf("admintest-%s-%s-%x", kind, time.Now().Format("150405"), rand.Uint32())
}

func realTopic(t *testing.T, a *Admin, kind string) string {
	t.Helper()
	name := unique("topic")
	t.Cleanup(func() {
		if err := a.DeleteTopic(context.WithoutCancel(t.Context()), name); err != nil {
			t.Error(err)
		}
	})
	if kind != "" {
		mustCreate(t, a, TopicSpec{Name: name, Type: kind, Queues: 2})
	}
	return name
}

func mustCreate(t *testing.T, a *Admin, spec TopicSpec) {
	t.Helper()
	created, err := a.EnsureTopic(t.Context(), spec)
	if err != nil || !created {
		t.Fatalf("EnsureTopic(%+v) = %v, %v; want created", spec, created, err)
	}
}

func realGroup(t *testing.T, a *Admin, attempts int) string {
	t.Helper()
	name := unique("group")
	t.Cleanup(func() {
		if err := a.DeleteGroup(context.WithoutCancel(t.Context()), name); err != nil {
			t.Error(err)
		}
	})
	created, err := a.EnsureGroup(t.Context(), GroupSpec{Name: name, MaxAttempts: attempts})
	if err != nil || !created {
		t.Fatalf("EnsureGroup = %v, %v; want created", created, err)
	}
	return name
}

func TestAdminRealTopicTwice(t *testing.T) {
	a, ctx := realAdmin(t)
	for _, kind := range []string{"NORMAL", "DELAY", "TRANSACTION", "FIFO"} {
		name := realTopic(t, a, kind)
		created, err := a.EnsureTopic(ctx, TopicSpec{Name: name, Type: kind, Queues: 2})
		if err != nil || created {
			t.Errorf("%s again = %v, %v; want false, nil", kind, created, err)
		}
		if err := a.CheckTopic(ctx, name); err != nil {
			t.Errorf("CheckTopic: %v", err)
		}
		offsets, err := a.TopicMaxOffsets(ctx, name)
		if err != nil || len(offsets) != 2 {
			t.Errorf("TopicMaxOffsets = %v, %v; want 2 queues", offsets, err)
		}
	}
}

func TestAdminRealTypeStays(t *testing.T) {
	a, ctx := realAdmin(t)
	name := realTopic(t, a, "DELAY")
	var mismatch *MismatchError
	_, err := a.EnsureTopic(ctx, TopicSpec{Name: name, Type: "TRANSACTION", Queues: 2})
	if !errors.As(err, &mismatch) || mismatch.Got != `"DELAY"` {
		t.Fatalf("err = %v, want a *MismatchError", err)
	}
	if _, err := a.EnsureTopic(ctx, TopicSpec{Name: name, Type: "DELAY", Queues: 2}); err != nil {
		t.Errorf("the type did not stay: %v", err)
	}
}

func TestAdminRealQueuesGrow(t *testing.T) {
	a, ctx := realAdmin(t)
	name := realTopic(t, a, "")
	mustCreate(t, a, TopicSpec{Name: name, Queues: 1})
	for _, spec := range []TopicSpec{
		{Name: name, Queues: 3, Type: "NORMAL"}, // grows, declares the type
		{Name: name, Queues: 2},                 // does not shrink
	} {
		if created, err := a.EnsureTopic(ctx, spec); err != nil || created {
			t.Fatalf("EnsureTopic(%+v) = %v, %v", spec, created, err)
		}
	}
	masters, err := a.masters(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range masters {
		c, err := a.topicConfig(ctx, b.addr, name)
		if err != nil || c.WriteQueues != 3 || c.ReadQueues != 3 || c.Attributes[remoting.AttributeMessageType] != "NORMAL" {
			t.Errorf("%s: %+v, %v", b.name, c, err)
		}
	}
}

func TestAdminRealGroupTwice(t *testing.T) {
	a, ctx := realAdmin(t)
	name := realGroup(t, a, 6)
	for _, attempts := range []int{6, 0, 3} {
		if created, err := a.EnsureGroup(ctx, GroupSpec{Name: name, MaxAttempts: attempts}); err != nil || created {
			t.Fatalf("again with %d attempts = %v, %v; want false, nil", attempts, created, err)
		}
	}
	masters, err := a.masters(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range masters {
		c, _, err := a.groupConfig(ctx, b, name)
		if err != nil || c.RetryMaxTimes != 2 || !c.ConsumeEnable || c.RetryQueues != 1 {
			t.Errorf("%s: %+v, %v", b.name, c, err)
		}
	}
	if err := a.CheckGroup(ctx, name); err != nil {
		t.Error(err)
	}
	if err := a.CheckTopic(ctx, RetryTopic(name)); err != nil {
		t.Error(err)
	}
}

func TestAdminRealMissing(t *testing.T) {
	a, ctx := realAdmin(t)
	var missing *NotFoundError
	if err := a.CheckTopic(ctx, unique("topic")); !errors.As(err, &missing) || missing.Kind != KindTopic {
		t.Errorf("CheckTopic: %v", err)
	}
	missing = nil
	if err := a.CheckGroup(ctx, unique("group")); !errors.As(err, &missing) || missing.Kind != KindGroup {
		t.Errorf("CheckGroup: %v", err)
	}
	if err := a.DeleteTopic(ctx, unique("topic")); err != nil {
		t.Errorf("DeleteTopic: %v", err)
	}
	if err := a.DeleteGroup(ctx, unique("group")); err != nil {
		t.Errorf("DeleteGroup: %v", err)
	}
	if online, err := a.ConsumerOnline(ctx, unique("group"), "nobody"); online || err != nil {
		t.Errorf("ConsumerOnline = %v, %v", online, err)
	}
	topic := realTopic(t, a, "NORMAL")
	if online, err := a.ProducerOnline(ctx, unique("group"), topic, "nobody"); online || err != nil {
		t.Errorf("ProducerOnline = %v, %v", online, err)
	}
	if _, err := a.ProducerOnline(ctx, "g", unique("topic"), "nobody"); !errors.As(err, &missing) {
		t.Errorf("ProducerOnline of a missing topic: %v", err)
	}
}

func TestAdminRealDeleted(t *testing.T) {
	a, ctx := realAdmin(t)
	name := realTopic(t, a, "NORMAL")
	if err := a.DeleteTopic(ctx, name); err != nil {
		t.Fatal(err)
	}
	var missing *NotFoundError
	if err := a.CheckTopic(ctx, name); !errors.As(err, &missing) {
		t.Errorf("err = %v, want a *NotFoundError", err)
	}
}

func TestAdminRealDelayLevels(t *testing.T) {
	a, ctx := realAdmin(t)
	levels, err := a.DelayLevels(ctx)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile("../../deploy/stack/rocketmq/broker.conf.in")
	if err != nil {
		t.Skip("no broker.conf to compare with: ", err)
	}
	for line := range strings.Lines(string(conf)) {
		table, ok := strings.CutPrefix(line, "messageDelayLevel=")
		if !ok {
			continue
		}
		want, err := ParseDelayLevels(table)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(levels.Durations()) != fmt.Sprint(want.Durations()) {
			t.Errorf("broker has %v, broker.conf %v", levels.Durations(), want.Durations())
		}
		return
	}
	t.Error("broker.conf has no messageDelayLevel")
}

// TestAdminRealOnline joins groups with a heartbeat and asks for its own id.
func TestAdminRealOnline(t *testing.T) {
	a, ctx := realAdmin(t)
	topic, group, instance := realTopic(t, a, "NORMAL"), realGroup(t, a, 0), unique("client")
	client := "127.0.0.1@" + instance // as the client library makes it
	body, err := json.Marshal(map[string]any{
		"clientID":        client,
		"producerDataSet": []any{map[string]any{"groupName": group}},
		"consumerDataSet": []any{map[string]any{
			"groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
			"consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET", "subscriptionDataSet": []any{}, "unitMode": false,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	masters, _, err := a.routeMasters(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range masters {
		if _, err := a.send(ctx, b.addr, remoting.NewRequest(remoting.RequestHeartbeat, nil, body)); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]bool{client: true, instance: true, "somebody-else": false} {
		if got, err := a.ProducerOnline(ctx, group, topic, id); got != want || err != nil {
			t.Errorf("ProducerOnline(%s) = %v, %v", id, got, err)
		}
		if got, err := a.ConsumerOnline(ctx, group, id); got != want || err != nil {
			t.Errorf("ConsumerOnline(%s) = %v, %v", id, got, err)
		}
	}
}

// realMessage sends a message and returns what a consumer would know of it.
func realMessage(t *testing.T, a *Admin, topic string) SendBackRequest {
	t.Helper()
	return realMessageAfter(t, a, topic, 0)
}

// realMessageAfter sends a message that says it was redelivered so often already.
func realMessageAfter(t *testing.T, a *Admin, topic string, redeliveries int) SendBackRequest {
	t.Helper()
	masters, _, err := a.routeMasters(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := a.send(t.Context(), masters[0].addr, remoting.NewRequest(remoting.RequestSendMessage, map[string]string{
		"producerGroup": "admintest", "topic": topic, "queueId": "0", "defaultTopic": "TBW102",
		"defaultTopicQueueNums": "4", "sysFlag": "0", "flag": "0", "batch": "false", "unitMode": "false",
		"bornTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10), "reconsumeTimes": strconv.Itoa(redeliveries),
		"properties": "UNIQ_KEY\x01" + unique("id") + "\x02",
	}, []byte("a body")))
	if err != nil {
		t.Fatal(err)
	}
	id := answer.Ext["msgId"] // address and commit-log offset in hexadecimal
	offset, err := strconv.ParseInt(id[len(id)-16:], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return SendBackRequest{Topic: topic, BrokerName: masters[0].name, CommitLogOffset: offset, MessageID: id}
}

func total(offsets map[QueueID]int64) (sum int64) {
	for _, offset := range offsets {
		sum += offset
	}
	return sum
}

// waitForMessages waits until the topic has n messages.
func waitForMessages(ctx context.Context, t *testing.T, a *Admin, topic string, n int64) {
	t.Helper()
	err := poll(ctx, "no message", func() (bool, error) {
		offsets, err := a.TopicMaxOffsets(ctx, topic)
		var missing *NotFoundError
		if errors.As(err, &missing) { // dead-letter topics come into being with their first message
			return false, nil
		}
		return total(offsets) == n, err
	})
	if err != nil {
		t.Fatalf("%s: %v", topic, err)
	}
}

func TestAdminRealSendBack(t *testing.T) {
	a, ctx := realAdmin(t)
	topic, group := realTopic(t, a, "NORMAL"), realGroup(t, a, 0)
	message := realMessage(t, a, topic)
	waitForMessages(ctx, t, a, topic, 1)
	if lag, err := a.Lag(ctx, group, topic); lag != 1 || err != nil {
		t.Errorf("Lag = %d, %v; want 1", lag, err)
	}
	masters, _, err := a.routeMasters(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.call(ctx, masters[0].addr, remoting.RequestUpdateOffset, map[string]string{
		"consumerGroup": group, "topic": topic, "queueId": "0", "commitOffset": "1",
	}); err != nil {
		t.Fatal(err)
	}
	if lag, err := a.Lag(ctx, group, topic); lag != 0 || err != nil {
		t.Errorf("Lag = %d, %v; want 0 after the acknowledgement", lag, err)
	}

	message.Group = group
	message.DelayLevel = 1
	if err := a.SendBack(ctx, message); err != nil {
		t.Fatal(err)
	}
	waitForMessages(ctx, t, a, RetryTopic(group), 1)

	message.MaxAttempts = 1 // the first delivery was the last one
	if err := a.SendBack(ctx, message); err != nil {
		t.Fatal(err)
	}
	waitForMessages(ctx, t, a, DeadLetterTopic(group), 1)
	message.MaxAttempts, message.DelayLevel = 0, -1
	if err := a.SendBack(ctx, message); err != nil {
		t.Fatal(err)
	}
	waitForMessages(ctx, t, a, DeadLetterTopic(group), 2)
}

func TestAdminRealSendBackRefused(t *testing.T) {
	a, ctx := realAdmin(t)
	topic, group := realTopic(t, a, "NORMAL"), realGroup(t, a, 0)
	good := realMessage(t, a, topic)
	good.Group = group

	bad := good
	bad.Group = unique("group")
	if err := a.SendBack(ctx, bad); remoting.ResponseCode(err) != remoting.ResponseGroupNotExist {
		t.Errorf("a group that does not exist: %v", err)
	}
	bad = good
	bad.CommitLogOffset = 1 << 50
	if err := a.SendBack(ctx, bad); remoting.ResponseCode(err) != remoting.ResponseSystemError {
		t.Errorf("an offset without message: %v", err)
	}
	bad = good
	bad.BrokerName = "nowhere"
	if err := a.SendBack(ctx, bad); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("a broker that does not exist: %v", err)
	}
}
