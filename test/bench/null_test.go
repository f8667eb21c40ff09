package bench

import (
	"bufio"
	"encoding/json"
	"net"
	"strconv"
	"sync"
	"testing"

	"orderflow/internal/mq/remoting"
)

// nullBroker answers at once and stores nothing: what is measured on it is the
// client library and the wire. It says yes to everything, and every pull gets 32
// messages.
type nullBroker struct {
	listener net.Listener
	frame    []byte // the message that every pull gets

	mu       sync.Mutex
	clientID string // who has sent the last heartbeat
}

const pulledAtOnce = 32

// nullTopic is the topic of all its messages.
const nullTopic = "bench"

func startNull(b *testing.B) *nullBroker {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(b, err)
	n := &nullBroker{listener: listener}
	n.frame, err = remoting.AppendMessage(nil, remoting.StoredMessage{
		Topic: nullTopic, Body: payload(), Properties: remoting.EncodeProperties(map[string]string{
			remoting.PropertyKeys: "order-1", remoting.PropertyUniqueKey: "0123456789ABCDEF0123456789ABCDEF",
		}),
	})
	check(b, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { n.serve(conn) })
		}
	})
	b.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return n
}

func (n *nullBroker) addr() string { return n.listener.Addr().String() }

func (n *nullBroker) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	reader, writer := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriterSize(conn, 64<<10)
	for {
		request, err := remoting.ReadCommand(reader, remoting.Limits{})
		if err != nil {
			return
		}
		frame, err := remoting.AppendCommand(writer.AvailableBuffer(), n.answer(request))
		if err != nil {
			return
		}
		if _, err := writer.Write(frame); err != nil {
			return
		}
		if reader.Buffered() == 0 && writer.Flush() != nil {
			return
		}
	}
}

func (n *nullBroker) answer(request remoting.Command) remoting.Command {
	answer := request.Response(remoting.ResponseSuccess, "")
	switch request.Code {
	case remoting.RequestGetRoute:
		answer.Body, _ = json.Marshal(remoting.Route{
			Brokers: []remoting.BrokerData{{Cluster: "null", Name: "null", Addrs: map[string]string{remoting.MasterID: n.addr()}}},
			Filters: map[string][]string{},
			Queues:  []remoting.QueueData{{Broker: "null", ReadQueues: 4, WriteQueues: 4, Perm: remoting.PermRead | remoting.PermWrite}},
		})
	case remoting.RequestHeartbeat:
		var beat remoting.Heartbeat
		if json.Unmarshal(request.Body, &beat) == nil {
			n.mu.Lock()
			n.clientID = beat.ClientID
			n.mu.Unlock()
		}
	case remoting.RequestConsumerList:
		n.mu.Lock()
		answer.Body, _ = json.Marshal(remoting.ConsumerList{ClientIDs: []string{n.clientID}})
		n.mu.Unlock()
	case remoting.RequestSendMessage:
		answer.Ext = map[string]string{"msgId": "7F00000100002A9F0000000000000000", "queueId": "0", "queueOffset": "0"}
	case remoting.RequestQueryConsumerOffset, remoting.RequestGetMaxOffset:
		answer.Ext = map[string]string{"offset": "0"}
	case remoting.RequestPullMessage:
		offset, _ := strconv.ParseInt(request.Ext["queueOffset"], 10, 64)
		for i := range int64(pulledAtOnce) {
			at := len(answer.Body)
			answer.Body = append(answer.Body, n.frame...)
			remoting.SetOffsets(answer.Body[at:], offset+i, offset+i)
		}
		answer.Ext = map[string]string{
			"nextBeginOffset": strconv.FormatInt(offset+pulledAtOnce, 10), "minOffset": "0",
			"maxOffset": strconv.FormatInt(offset+1<<20, 10), "suggestWhichBrokerId": "0",
		}
	}
	return answer
}
