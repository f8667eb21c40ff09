package devbroker_test

import (
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// replies sends the answer to what the broker has asked.
func (p *peer) replies(asked remoting.Command, code int, remark string, body string) {
	p.t.Helper()
	answer := asked.Response(code, remark)
	answer.Body = []byte(body)
	if err := remoting.WriteCommand(p.nc, answer); err != nil {
		p.t.Fatal(err)
	}
}

// member starts a client of the group readers that subscribes to orders.
func member(t *testing.T, b *devbroker.Broker, clientID string) *peer {
	t.Helper()
	p := dial(t, b)
	p.joins(clientID, "readers", "orders")
	p.next(remoting.RequestNotifyConsumers)
	return p
}

func TestAQuestionIsPassedOnToAConsumer(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	client, admin := member(t, b, "c1"), dial(t, b)
	question := ext("consumerGroup", "readers", "clientId", "c1", "jstackEnable", "true")
	first := admin.ask(remoting.RequestConsumerRunningInfo, question, nil)
	asked := client.next(remoting.RequestConsumerRunningInfo)
	if !maps.Equal(asked.Ext, question) || asked.IsOneWay() || asked.IsResponse() {
		t.Errorf("the client is asked %+v", asked)
	}
	// Answers may come in any order, and the client may do other things meanwhile.
	second := admin.ask(remoting.RequestConsumerRunningInfo, question, nil)
	again := client.next(remoting.RequestConsumerRunningInfo)
	client.store("orders", "x")
	client.replies(again, 7, "not today", "")
	answersWith(t, "the second answer", admin.await(second), 7, "not today")
	client.replies(asked, remoting.ResponseSuccess, "", `{"properties":{}}`)
	client.replies(asked, remoting.ResponseSuccess, "", "twice") // is ignored
	answer := admin.await(first)
	answersWith(t, "the first answer", answer, remoting.ResponseSuccess, "")
	if string(answer.Body) != `{"properties":{}}` {
		t.Errorf("the answer is %q", answer.Body)
	}
	client.quiet()
	admin.quiet()
	if len(first)+len(second) > 0 {
		t.Error("a question was answered twice")
	}

	for _, pairs := range [][]any{{"clientId", "c2"}, {"consumerGroup", "nobody"}} {
		answersWith(t, "nobody there", admin.try(remoting.RequestConsumerRunningInfo, but(question, pairs...), nil),
			remoting.ResponseSystemError, "not online")
	}
}

func TestAMessageIsGivenToAConsumer(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	client, admin := member(t, b, "c1"), dial(t, b)
	admin.store("orders", "before")
	id := admin.store("orders", "this one", "TAGS", "t")["msgId"]
	question := ext("consumerGroup", "readers", "clientId", "c1", "msgId", id, "topic", "orders")
	pending := admin.ask(remoting.RequestConsumeDirectly, question, nil)
	asked := client.next(remoting.RequestConsumeDirectly)
	if got := messages(t, asked); len(got) != 1 || string(got[0].Body) != "this one" {
		t.Errorf("the client is given %+v", got)
	}
	if asked.Ext["brokerName"] != "devbroker" || asked.Ext["topicSysFlag"] != "0" || asked.Ext["groupSysFlag"] != "0" || asked.Ext["msgId"] != id {
		t.Errorf("the client is asked %v", asked.Ext)
	}
	client.replies(asked, remoting.ResponseSuccess, "", `{"consumeResult":"CR_SUCCESS"}`)
	if answer := admin.await(pending); string(answer.Body) != `{"consumeResult":"CR_SUCCESS"}` {
		t.Errorf("%+v", answer)
	}
	host, physical, err := remoting.ParseOffsetMessageID(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, id, remark string }{
		{"no id", "x", "message id"},
		{"nothing there", remoting.OffsetMessageID(host, physical+1), "can not find message"},
		{"far away", strings.Repeat("F", 32), "message id"},
	} {
		answersWith(t, c.what, admin.try(remoting.RequestConsumeDirectly, but(question, "msgId", c.id), nil),
			remoting.ResponseSystemError, c.remark)
	}
	answersWith(t, "nobody there", admin.try(remoting.RequestConsumeDirectly, but(question, "clientId", "c2"), nil),
		remoting.ResponseSystemError, "not online")
}

func TestAllMembersAreAskedHowFarTheyAre(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	b.SetForwardTime(time.Minute)
	admin := dial(t, b)
	question := ext("topic", "orders", "group", "readers")
	answersWith(t, "nobody", admin.try(remoting.RequestInvokeConsumerStatus, question, nil), remoting.ResponseSystemError, "No Any Consumer")
	one := member(t, b, "c1")
	two := member(t, b, "c2")
	one.next(remoting.RequestNotifyConsumers)
	three := member(t, b, "c3")
	one.next(remoting.RequestNotifyConsumers)
	two.next(remoting.RequestNotifyConsumers)
	ask := func(pairs ...any) <-chan remoting.Command {
		return admin.ask(remoting.RequestInvokeConsumerStatus, but(question, pairs...), nil)
	}
	clients := func(answer remoting.Command) map[string]remoting.OffsetTable[int64] {
		var status remoting.ConsumerStatus
		if err := remoting.DecodeBody(answer.Body, &status); err != nil || answer.Code != remoting.ResponseSuccess {
			t.Fatalf("%+v: %v", answer, err)
		}
		return status.Clients
	}
	queue := remoting.MessageQueue{Topic: "orders", Broker: "devbroker", ID: 0}
	state := func(offset int64) string {
		return string(remoting.ConsumerStatus{Queues: remoting.OffsetTable[int64]{queue: offset}}.Encode())
	}
	pending := ask()
	for i, p := range []*peer{one, two, three} {
		asked := p.next(remoting.RequestConsumerStatus)
		if !maps.Equal(asked.Ext, question) {
			t.Errorf("asked with %v", asked.Ext)
		}
		switch i {
		case 0:
			p.replies(asked, remoting.ResponseSuccess, "", state(7))
		case 1:
			p.replies(asked, remoting.ResponseSystemError, "no", "")
		case 2:
			p.replies(asked, remoting.ResponseSuccess, "", "junk")
		}
	}
	if got := clients(admin.await(pending)); len(got) != 1 || got["c1"][queue] != 7 {
		t.Errorf("%v", got)
	}
	pending = ask("clientAddr", "c2")
	two.replies(two.next(remoting.RequestConsumerStatus), remoting.ResponseSuccess, "", state(9))
	if got := clients(admin.await(pending)); len(got) != 1 || got["c2"][queue] != 9 {
		t.Errorf("one of them: %v", got)
	}
	one.quiet()
	if got := clients(admin.await(ask("clientAddr", "c9"))); len(got) != 0 {
		t.Errorf("one who is not there: %v", got)
	}
	pending = ask() // two of them go away
	one.replies(one.next(remoting.RequestConsumerStatus), remoting.ResponseSuccess, "", state(8))
	two.close()
	three.close()
	if got := clients(admin.await(pending)); len(got) != 1 || got["c1"][queue] != 8 {
		t.Errorf("who is left: %v", got)
	}
}

func TestAConsumerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	b.SetForwardTime(time.Millisecond)
	slow := member(t, b, "slow")
	b.SetForwardTime(time.Minute)
	going, admin := dial(t, b), dial(t, b)
	going.joins("going", "readers", "orders")
	question := ext("consumerGroup", "readers", "clientId", "slow")
	answersWith(t, "too slow", admin.try(remoting.RequestConsumerRunningInfo, question, nil), remoting.ResponseConsumeTimeout, "has not answered")
	slow.next(remoting.RequestNotifyConsumers)
	slow.replies(slow.next(remoting.RequestConsumerRunningInfo), remoting.ResponseSuccess, "", "too late")
	slow.quiet()

	question["clientId"] = "going"
	oneWay := remoting.NewRequest(remoting.RequestConsumerRunningInfo, question, nil)
	oneWay.Flag |= remoting.FlagOneWay
	unanswered := admin.send(oneWay)
	pending := make([]<-chan remoting.Command, devbroker.MaxForwards-1)
	for i := range pending {
		pending[i] = admin.ask(remoting.RequestConsumerRunningInfo, question, nil)
	}
	answersWith(t, "one more", admin.try(remoting.RequestConsumerRunningInfo, question, nil),
		remoting.ResponseSystemBusy, strconv.Itoa(devbroker.MaxForwards))
	going.close()
	for _, answers := range pending {
		answersWith(t, "gone", admin.await(answers), remoting.ResponseSystemError, "has ended")
	}
	admin.quiet()
	if len(unanswered) > 0 {
		t.Error("a one-way request was answered")
	}
}

func TestNobodyWaitsForAnAnswerAnyMore(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	client, admin := member(t, b, "c1"), dial(t, b)
	admin.ask(remoting.RequestConsumerRunningInfo, ext("consumerGroup", "readers", "clientId", "c1"), nil)
	asked := client.next(remoting.RequestConsumerRunningInfo)
	admin.close()
	client.replies(asked, remoting.ResponseSuccess, "", "x")
	client.quiet() // and lives on
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	member(t, b, "c1")
}
