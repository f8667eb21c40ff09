package devbroker_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// ext makes the fields of a request: name and value in turn.
func ext(pairs ...any) map[string]string {
	fields := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		fields[pairs[i].(string)] = fmt.Sprint(pairs[i+1])
	}
	return fields
}

// but returns fields with some of them changed; "" takes one away.
func but(fields map[string]string, pairs ...any) map[string]string {
	fields = maps.Clone(fields)
	for name, value := range ext(pairs...) {
		if value == "" {
			delete(fields, name)
		} else {
			fields[name] = value
		}
	}
	return fields
}

// topicFields are the fields that create a topic.
func topicFields(name string, queues int) map[string]string {
	return ext("topic", name, "readQueueNums", queues, "writeQueueNums", queues, "perm", 6,
		"topicFilterType", "SINGLE_TAG", "defaultTopic", "TBW102", "topicSysFlag", 0, "order", false)
}

// body decodes the answer to a request that must succeed.
func (p *peer) body(into any, code int, fields map[string]string) {
	p.t.Helper()
	if err := remoting.DecodeBody(p.call(code, fields, nil).Body, into); err != nil {
		p.t.Fatalf("request %d: %v", code, err)
	}
}

// field makes a request that must succeed and returns a field of its answer.
func (p *peer) field(name string, code int, fields map[string]string) string {
	p.t.Helper()
	return p.call(code, fields, nil).Ext[name]
}

// joins makes a member of a group that subscribes to topics.
func (p *peer) joins(clientID, group string, topics ...string) {
	p.t.Helper()
	beat := remoting.Heartbeat{ClientID: clientID, Consumers: []remoting.ConsumerGroup{{
		Name: group, ConsumeType: remoting.ConsumePassively, MessageModel: remoting.ModelClustering,
		ConsumeFrom: remoting.ConsumeFromFirst,
	}}}
	for _, topic := range topics {
		beat.Consumers[0].Subscriptions = append(beat.Consumers[0].Subscriptions, remoting.Subscription{
			Topic: topic, Expression: "*", Version: 1, ExpressionType: remoting.ExpressionTag,
		})
	}
	text, err := json.Marshal(beat)
	if err != nil {
		p.t.Fatal(err)
	}
	p.call(remoting.RequestHeartbeat, nil, text)
}

// commits sets the offset of a group in a queue, and creates the group if need be.
func (p *peer) commits(group, topic string, queue int, offset int64) {
	p.t.Helper()
	fields := ext("consumerGroup", group, "topic", topic, "queueId", queue, "commitOffset", offset)
	if p.try(remoting.RequestUpdateOffset, fields, nil).Code == remoting.ResponseGroupNotExist {
		p.createGroup(group)
	}
	p.call(remoting.RequestUpdateOffset, fields, nil)
}

// answersWith tells whether an answer has the code and its remark the text.
func answersWith(t *testing.T, what string, answer remoting.Command, code int, remark string) {
	t.Helper()
	if answer.Code != code || !strings.Contains(answer.Remark, remark) {
		t.Errorf("%s: code %d (%s), want %d with %q", what, answer.Code, answer.Remark, code, remark)
	}
}

// heldPulls is how many pulls wait for a message of a topic.
func heldPulls(s devbroker.Snapshot, topic string) (held int) {
	for _, state := range s.Topics {
		if state.Name == topic {
			for _, q := range state.Queues {
				held += q.Held
			}
		}
	}
	return held
}
