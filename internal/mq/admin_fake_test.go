package mq

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"orderflow/internal/mq/remoting"
)

// fakeServer is a name server and a broker that does what its functions say, and
// a working one unless a test replaces some of them.
type fakeServer struct {
	addr string
	stop func()

	mu      sync.Mutex
	answers map[int]func(remoting.Command) remoting.Command
	asked   []remoting.Command
	topics  map[string]remoting.TopicConfig
	groups  map[string]json.RawMessage
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeServer{
		addr:   listener.Addr().String(),
		topics: make(map[string]remoting.TopicConfig),
		groups: make(map[string]json.RawMessage),
	}
	s.answers = map[int]func(remoting.Command) remoting.Command{
		remoting.RequestClusterInfo: func(r remoting.Command) remoting.Command {
			return withBody(r, `{"brokerAddrTable":{"b":{"brokerAddrs":{0:"%s"},"brokerName":"b"}}}`, s.addr)
		},
		remoting.RequestGetRoute:       s.route,
		remoting.RequestUpdateTopic:    s.updateTopic,
		remoting.RequestGetTopicConfig: s.topicConfig,
		remoting.RequestUpdateGroup:    s.updateGroup,
		remoting.RequestGetAllGroups: func(r remoting.Command) remoting.Command {
			return withJSON(r, remoting.GroupTable{Groups: s.groups})
		},
		remoting.RequestConsumerConnections: func(r remoting.Command) remoting.Command {
			return r.Response(remoting.ResponseConsumerNotOnline, "not online")
		},
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = nc.Close() })
			wg.Go(func() { s.serve(nc) })
		}
	})
	s.stop = func() { cancel(); _ = listener.Close(); wg.Wait() }
	t.Cleanup(s.stop)
	return s
}

func (s *fakeServer) serve(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReader(nc)
	for {
		request, err := remoting.ReadCommand(r, remoting.Limits{})
		if err != nil {
			return
		}
		s.mu.Lock()
		s.asked = append(s.asked, request)
		answer := request.Response(remoting.ResponseNotSupported, "not scripted")
		if f := s.answers[request.Code]; f != nil {
			answer = f(request)
		}
		s.mu.Unlock()
		if !answer.IsResponse() || remoting.WriteCommand(nc, answer) != nil {
			return
		}
	}
}

// on replaces what the server does about a request.
func (s *fakeServer) on(code int, f func(remoting.Command) remoting.Command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[code] = f
}

// refuse makes the server refuse a request.
func (s *fakeServer) refuse(code, with int, remark string) {
	s.on(code, func(r remoting.Command) remoting.Command { return r.Response(with, remark) })
}

// last returns the last request of the code.
func (s *fakeServer) last(t *testing.T, code int) remoting.Command {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.asked) - 1; i >= 0; i-- {
		if s.asked[i].Code == code {
			return s.asked[i]
		}
	}
	t.Fatalf("request %d was not asked", code)
	return remoting.Command{}
}

// hangUp is an answer that closes the connection instead.
func hangUp(remoting.Command) remoting.Command { return remoting.Command{} }

func withBody(r remoting.Command, format string, args ...any) remoting.Command {
	answer := r.Response(remoting.ResponseSuccess, "")
	answer.Body = fmt.Appendf(nil, format, args...)
	return answer
}

func withJSON(r remoting.Command, v any) remoting.Command {
	body, err := json.Marshal(v)
	if err != nil {
		return r.Response(remoting.ResponseSystemError, err.Error())
	}
	return withBody(r, "%s", body)
}

func (s *fakeServer) route(r remoting.Command) remoting.Command {
	c, ok := s.topics[r.Ext["topic"]]
	if !ok {
		return r.Response(remoting.ResponseTopicNotExist, "no route")
	}
	return withJSON(r, remoting.Route{
		Brokers: []remoting.BrokerData{{Name: "b", Addrs: map[string]string{"0": s.addr}}},
		Queues:  []remoting.QueueData{{Broker: "b", ReadQueues: c.ReadQueues, WriteQueues: c.WriteQueues, Perm: c.Perm}},
	})
}

func (s *fakeServer) updateTopic(r remoting.Command) remoting.Command {
	number := func(key string) int {
		n, _ := strconv.Atoi(r.Ext[key])
		return n
	}
	name := r.Ext["topic"]
	c := remoting.TopicConfig{
		Name: name, ReadQueues: number("readQueueNums"), WriteQueues: number("writeQueueNums"),
		Perm: number("perm"), FilterType: r.Ext["topicFilterType"], Attributes: map[string]string{},
	}
	maps.Copy(c.Attributes, s.topics[name].Attributes)
	if key, value, ok := strings.Cut(r.Ext["attributes"], "="); ok {
		c.Attributes[strings.TrimPrefix(key, "+")] = value
	}
	s.topics[name] = c
	return r.Response(remoting.ResponseSuccess, "")
}

func (s *fakeServer) topicConfig(r remoting.Command) remoting.Command {
	c, ok := s.topics[r.Ext["topic"]]
	if !ok {
		return r.Response(remoting.ResponseTopicNotExist, "no topic")
	}
	return withJSON(r, c)
}

func (s *fakeServer) updateGroup(r remoting.Command) remoting.Command {
	var c remoting.GroupConfig
	if err := json.Unmarshal(r.Body, &c); err != nil {
		return r.Response(remoting.ResponseSystemError, err.Error())
	}
	s.groups[c.Name] = r.Body
	return r.Response(remoting.ResponseSuccess, "")
}

func fakeAdmin(t *testing.T, nameServers ...string) *Admin {
	t.Helper()
	a := NewAdmin(nameServers)
	t.Cleanup(func() { _ = a.Close() })
	return a
}
