package devbroker_test

import (
	"encoding/binary"
	"maps"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/devbroker/wal"
	"orderflow/internal/mq/remoting"
)

// startToFuzz starts a broker that has one of everything, at the same offsets each
// time, and returns the fields that decide about its half message.
func startToFuzz(t testing.TB, options ...devbroker.Option) (*devbroker.Broker, map[string]string) {
	t.Helper()
	b, _ := startManual(t, options...)
	b.SetPatience(0, 0, 0, time.Millisecond, 0)
	p := dial(t, b)
	p.call(remoting.RequestUpdateTopic, settingTopic("orders", 2), nil)
	p.store("orders", "m", "KEYS", "k", "UNIQ_KEY", "u", "TAGS", "t")
	half := p.prepare("orders", "half")
	p.store("orders", "later", "DELAY", "1", "UNIQ_KEY", "v")
	p.join("c", "readers", "orders")
	p.close()
	return b, half
}

// request is one that most often succeeds.
type request struct {
	code int
	ext  map[string]string
	body string
}

func (r request) frame(t testing.TB) []byte {
	t.Helper()
	data, err := remoting.AppendCommand(nil, remoting.NewRequest(r.code, r.ext, []byte(r.body)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// requestsOfAllCodes are about what startToFuzz has made.
func requestsOfAllCodes(t testing.TB, half map[string]string) []request {
	t.Helper()
	var all []request
	add := func(code int, ext map[string]string, body string) { all = append(all, request{code, ext, body}) }
	for _, c := range fieldCases() {
		add(c.code, c.fields, c.body)
	}
	beats := `{"clientID":"c","producerDataSet":[{"groupName":"producers"}],"consumerDataSet":[{"groupName":"readers",` +
		`"consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionDataSet":[{"topic":"orders","subString":"a > 1","expressionType":"SQL92","subVersion":1}]}]}`
	queues := `{"consumerGroup":"readers","clientId":"c","mqSet":[{"topic":"orders","brokerName":"devbroker","queueId":0}]}`
	offset := map[string]string{"consumerGroup": "readers", "topic": "orders", "queueId": "0", "commitOffset": "1"}
	member := map[string]string{"consumerGroup": "readers", "clientId": "c", "topic": "orders", "group": "readers", "clientAddr": "c", "msgId": ""}
	batch := string(batch(t, "KEYS\x01k\x02", "one", "two"))
	short := letters("orders")
	delete(short, "m")
	add(remoting.RequestHeartbeat, nil, beats)
	add(remoting.RequestUnregisterClient, map[string]string{"clientID": "c", "producerGroup": "producers", "consumerGroup": "readers"}, "")
	add(remoting.RequestLockQueues, nil, queues)
	add(remoting.RequestUnlockQueues, nil, queues)
	add(remoting.RequestConsumerList, member, "")
	add(remoting.RequestUpdateOffset, offset, "")
	add(remoting.RequestQueryConsumerOffset, offset, "")
	for _, properties := range [][]string{
		{"UNIQ_KEY", "w"}, {"DELAY", "2"}, {"TIMER_DELAY_MS", "1"}, {"TIMER_DELIVER_MS", "1800000000009"}, {"TIMER_DELAY_SEC", "1", "TIMER_OUT_MS", "1"},
		{"TRAN_MSG", "true", "PGROUP", "producers", "TRANSACTION_CHECK_TIMES", "9", "TRAN_PREPARED_QUEUE_OFFSET", "0"},
		{"TRAN_MSG", "true", "REAL_TOPIC", "other", "REAL_QID", "-1", "CHECK_IMMUNITY_TIME_IN_SECONDS", "9999999"},
	} {
		add(remoting.RequestSendMessage, sending("orders", properties...), "m")
	}
	anywhere := sending("new")
	anywhere["queueId"], anywhere["defaultTopicQueueNums"] = "-1", "2147483647"
	add(remoting.RequestSendMessage, anywhere, "m")
	add(remoting.RequestSendMessage, sending("%RETRY%readers", "DELAY", "3"), "again")
	add(remoting.RequestSendMessageV2, short, "m")
	add(remoting.RequestSendBatch, letters("orders"), batch)
	add(remoting.RequestPullMessage, pulling("readers", "orders", 0, 0), "")
	add(remoting.RequestPullMessage, waiting(pulling("readers", "orders", 1, 0), time.Minute), "")
	add(remoting.RequestLitePullMessage, pulling("readers", "orders", 0, 1), "")
	add(remoting.RequestSendBack, map[string]string{"group": "readers", "offset": "0", "delayLevel": "0", "maxReconsumeTimes": "3"}, "")
	add(remoting.RequestSendBack, map[string]string{"group": "readers", "offset": "0", "delayLevel": "-1"}, "")
	for _, decision := range []int{remoting.SysCommit, remoting.SysRollback, 0} {
		add(remoting.RequestEndTransaction, deciding(half, decision), "")
	}
	add(remoting.RequestUpdateBrokerConfig, nil, "transactionCheckMax=1\ntransactionCheckInterval=1000\n")
	add(remoting.RequestCheckClientConfig, nil, `{"clientId":"c","group":"readers","subscriptionData":{"topic":"orders","expressionType":"SQL92","subString":"a"}}`)
	add(remoting.RequestDeleteTopic, map[string]string{"topic": "orders"}, "")
	add(remoting.RequestDeleteGroup, map[string]string{"groupName": "readers"}, "")
	for _, code := range []int{
		remoting.RequestGetAllTopicConfig, remoting.RequestGetBrokerConfig, remoting.RequestGetBrokerRuntime, remoting.RequestClusterInfo,
		remoting.RequestGetAllGroups, remoting.RequestGetAllTopics, remoting.RequestGetSystemTopics, remoting.RequestGetBrokerSystemTopics,
		remoting.RequestInvokeConsumerStatus, remoting.RequestConsumerRunningInfo, remoting.RequestConsumeDirectly, 9999, -1,
	} {
		add(code, member, "")
	}
	return all
}

// hostileFrames are valid ones that somebody has spoilt.
func hostileFrames(t testing.TB, valid [][]byte) [][]byte {
	t.Helper()
	var spoilt [][]byte
	for _, word := range []uint32{0, 3, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 6 << 20} {
		for _, at := range []int{0, 4} {
			data := slices.Clone(valid[0])
			binary.BigEndian.PutUint32(data[at:], word)
			spoilt = append(spoilt, data)
		}
	}
	for _, change := range []struct{ old, fresh string }{
		{`"extFields"`, `"extField!"`}, {`"code":`, `"code" `}, {`:"0"`, `:"-"`}, {`:"orders"`, `:"......"`}, {`:"1"`, `:"\"`}, {`{"clientID":"c"`, `{"clientID":"\u`},
	} {
		for _, data := range valid {
			if text := string(data); strings.Contains(text, change.old) {
				spoilt = append(spoilt, []byte(strings.Replace(text, change.old, change.fresh, 1)))
			}
		}
	}
	for _, n := range []string{"-1", "2147483647", "2147483648", "9223372036854775807", "-9223372036854775808"} {
		for _, ext := range []map[string]string{
			sending("orders"), pulling("readers", "orders", 0, 0), {"group": "readers", "offset": "0", "delayLevel": "0"}, settingTopic("orders", 2),
		} {
			for _, field := range slices.Sorted(maps.Keys(ext)) {
				if ext[field] >= "0" && ext[field] <= "9" {
					changed := maps.Clone(ext)
					changed[field] = n
					spoilt = append(spoilt, request{codeOf(ext), changed, "m"}.frame(t))
				}
			}
		}
	}
	return append(spoilt, slices.Concat(valid...), slices.Concat(slices.Concat(valid...), valid[0][:9]))
}

// codeOf tells a request by its fields.
func codeOf(ext map[string]string) int {
	switch {
	case ext["bornTimestamp"] != "":
		return remoting.RequestSendMessage
	case ext["suspendTimeoutMillis"] != "":
		return remoting.RequestPullMessage
	case ext["delayLevel"] != "":
		return remoting.RequestSendBack
	}
	return remoting.RequestUpdateTopic
}

// offer writes bytes to a connection of the broker and waits until it has ended.
func offer(t *testing.T, b *devbroker.Broker, data []byte) {
	t.Helper()
	nc := dialRaw(t, b)
	go func() {
		_, _ = nc.Write(data)              // it may be ended before
		_ = nc.(*net.TCPConn).CloseWrite() // likewise
	}()
	ends(t, nc)
}

// FuzzServe gives a broker any bytes. No handler panics, the memory is bounded, and
// the broker serves others afterwards.
func FuzzServe(f *testing.F) {
	_, half := startToFuzz(f)
	var valid [][]byte
	for _, r := range requestsOfAllCodes(f, half) {
		valid = append(valid, r.frame(f))
	}
	for _, data := range append(slices.Clone(valid), hostileFrames(f, valid)...) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, _ := startToFuzz(t)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		offer(t, b, data)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20+2000*uint64(len(data)) {
			t.Errorf("%d bytes cost %d bytes of memory", len(data), grown)
		}
		b.Advance(30 * time.Minute)
		b.Inspect()
		p := dial(t, b)
		p.call(remoting.RequestUpdateBrokerConfig, nil, []byte("brokerPermission=6\nautoCreateSubscriptionGroup=true\n"))
		p.call(remoting.RequestUpdateTopic, settingTopic("another", 1), nil)
		p.store("another", "m")
		if got := messages(t, p.call(remoting.RequestPullMessage, pulling("others", "another", 0, 0), nil)); len(got) != 1 {
			t.Errorf("got %v", got)
		}
		closeNow(t, b)
	})
}

// encodeFields and decodeFields have a field in each line, name=value.
func encodeFields(ext map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(ext)) {
		text.WriteString(name + "=" + ext[name] + "\n")
	}
	return text.String()
}

func decodeFields(text string) map[string]string {
	ext := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		ext[name] = value
	}
	return ext
}

// FuzzRequests makes any two requests of a broker with a folder and starts it again:
// no handler panics, and all that the broker keeps is as it was.
func FuzzRequests(f *testing.F) {
	_, half := startToFuzz(f)
	all := requestsOfAllCodes(f, half)
	for i, first := range all {
		for _, second := range []request{first, all[(i+7)%len(all)]} {
			f.Add(first.code, encodeFields(first.ext), []byte(first.body), second.code, encodeFields(second.ext), []byte(second.body))
		}
	}
	f.Fuzz(func(t *testing.T, code int, fields string, body []byte, code2 int, fields2 string, body2 []byte) {
		if code == remoting.RequestUpdateBrokerConfig || code2 == remoting.RequestUpdateBrokerConfig {
			t.Skip("settings that are changed while a broker runs end with it")
		}
		dir, manual := t.TempDir(), clock.NewManual(start())
		options := []devbroker.Option{devbroker.WithClock(manual), devbroker.WithDataDir(dir), devbroker.WithFsync(wal.Never)}
		b, _ := startToFuzz(t, options...)
		var data []byte
		for _, r := range []request{{code, decodeFields(fields), string(body)}, {code2, decodeFields(fields2), string(body2)}} {
			data = append(data, r.frame(t)...)
		}
		offer(t, b, data)
		b.Advance(30 * time.Minute)
		before := kept(b)
		closeNow(t, b)
		b = devbroker.RunT(t, append(options, devbroker.WithAutoCreateTopics(true), devbroker.WithLogger(strictLog(t)))...)
		if after := kept(b); !reflect.DeepEqual(after, before) {
			t.Errorf("after a start: %+v\nbefore: %+v", after, before)
		}
		closeNow(t, b)
	})
}

// closeNow closes a broker whose folder is to be opened again or removed.
func closeNow(t *testing.T, b *devbroker.Broker) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
