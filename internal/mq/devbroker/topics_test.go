package devbroker_test

import (
	"fmt"
	"strconv"
	"testing"

	"orderflow/internal/mq/remoting"
)

// settingTopic are the fields of a request that creates or changes a topic.
func settingTopic(name string, queues int) map[string]string {
	return map[string]string{
		"topic": name, "readQueueNums": strconv.Itoa(queues), "writeQueueNums": strconv.Itoa(queues), "perm": "6",
		"topicFilterType": "SINGLE_TAG",
	}
}

// Small requests cannot fill the memory with queues.
func TestBoundsOfTopics(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	const most = 262_144 / 4096
	n := 0
	for ; n <= most; n++ {
		if p.try(remoting.RequestUpdateTopic, settingTopic(fmt.Sprint("t", n), 4096), nil).Code != remoting.ResponseSuccess {
			break
		}
	}
	if n != most-1 { // the broker has some of its own
		t.Errorf("%d topics with 4096 queues", n)
	}
	p.call(remoting.RequestUpdateTopic, settingTopic("t0", 4096), nil) // no more than it has
	p.refused(remoting.ResponseInvalidParameter, remoting.RequestUpdateTopic, settingTopic("t0", 4097), nil)
	p.call(remoting.RequestUpdateTopic, settingTopic("rest", 4096-100), nil)
	for i := range 100 {
		if answer := p.try(remoting.RequestSendMessage, sending(fmt.Sprint("used", i)), []byte("m")); answer.Code != 0 {
			break
		}
	}
	p.refused(remoting.ResponseTopicNotExist, remoting.RequestSendMessage, sending("more"), []byte("m"))
	p.refused(remoting.ResponseInvalidParameter, remoting.RequestUpdateGroup, nil, []byte(`{"groupName":"g","retryQueueNums":4096}`))
	for i := range 100 {
		p.join("c1", fmt.Sprint("g", i))
	}
	if n := len(b.Inspect().Groups); n == 0 || n == 100 {
		t.Errorf("%d groups have been created", n)
	}
	p.call(remoting.RequestDeleteTopic, map[string]string{"topic": "t1"}, nil)
	p.call(remoting.RequestUpdateTopic, settingTopic("another", 4096), nil)
}
