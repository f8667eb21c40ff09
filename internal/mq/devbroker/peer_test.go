package devbroker_test

import (
	"bufio"
	"context"
	"log/slog"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// start is when the manual clocks of these tests begin.
func start() time.Time { return time.UnixMilli(1_800_000_000_000) }

// startManual starts a broker whose clock stands still, and which creates topics
// by their use.
func startManual(t testing.TB, options ...devbroker.Option) (*devbroker.Broker, *clock.Manual) {
	t.Helper()
	manual := clock.NewManual(start())
	b := devbroker.RunT(t, append([]devbroker.Option{
		devbroker.WithClock(manual), devbroker.WithAutoCreateTopics(true), devbroker.WithLogger(strictLog(t)),
	}, options...)...)
	return b, manual
}

// strictLog fails the test when a handler panics or a message is lost.
func strictLog(t testing.TB) *slog.Logger { return slog.New(&strictHandler{t: t}) }

type strictHandler struct {
	slog.Handler
	t testing.TB
}

func (h *strictHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *strictHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *strictHandler) WithGroup(string) slog.Handler            { return h }

func (h *strictHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Level < slog.LevelError {
		return nil
	}
	var text strings.Builder
	r.Attrs(func(a slog.Attr) bool { text.WriteString(" " + a.String()); return true })
	h.t.Errorf("logged: %s%s", r.Message, text.String())
	return nil
}

// peer is a client on the wire. It sees what the broker sends by itself, too.
type peer struct {
	t      testing.TB
	nc     net.Conn
	pushed chan remoting.Command // what the broker asks
	ended  chan struct{}         // closed with the connection

	mu      sync.Mutex
	opaque  int32
	answers map[int32]chan remoting.Command
}

func dial(t testing.TB, b *devbroker.Broker) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{
		t: t, nc: nc, pushed: make(chan remoting.Command, 10_000), ended: make(chan struct{}),
		answers: map[int32]chan remoting.Command{},
	}
	go p.read()
	t.Cleanup(p.close)
	return p
}

func (p *peer) close() {
	_ = p.nc.Close() // it may have ended
	<-p.ended
}

func (p *peer) read() {
	defer close(p.ended)
	r := bufio.NewReader(p.nc)
	for {
		cmd, err := remoting.ReadCommand(r, remoting.Limits{})
		if err != nil {
			return
		}
		if !cmd.IsResponse() {
			p.pushed <- cmd
			continue
		}
		p.mu.Lock()
		if answer := p.answers[cmd.Opaque]; answer != nil {
			answer <- cmd
		}
		p.mu.Unlock()
	}
}

// send sends a request. The channel gets the answers, however many come.
func (p *peer) send(cmd remoting.Command) <-chan remoting.Command {
	p.t.Helper()
	answers := make(chan remoting.Command, 8)
	p.mu.Lock()
	p.opaque++
	cmd.Opaque = p.opaque
	p.answers[cmd.Opaque] = answers
	p.mu.Unlock()
	if err := remoting.WriteCommand(p.nc, cmd); err != nil {
		p.t.Fatalf("request %d: %v", cmd.Code, err)
	}
	return answers
}

// ask sends a request without waiting for the answer.
func (p *peer) ask(code int, ext map[string]string, body []byte) <-chan remoting.Command {
	p.t.Helper()
	return p.send(remoting.NewRequest(code, ext, body))
}

// await waits for an answer.
func (p *peer) await(answers <-chan remoting.Command) remoting.Command {
	p.t.Helper()
	select {
	case answer := <-answers:
		return answer
	case <-p.ended:
		select {
		case answer := <-answers:
			return answer
		default:
			p.t.Fatal("the connection ended without an answer")
		}
	case <-time.After(patience):
		p.t.Fatal("no answer")
	}
	return remoting.Command{}
}

// try makes a request and returns its answer.
func (p *peer) try(code int, ext map[string]string, body []byte) remoting.Command {
	p.t.Helper()
	return p.await(p.ask(code, ext, body))
}

// call makes a request that must succeed.
func (p *peer) call(code int, ext map[string]string, body []byte) remoting.Command {
	p.t.Helper()
	answer := p.try(code, ext, body)
	if answer.Code != remoting.ResponseSuccess {
		p.t.Fatalf("request %d: code %d, %s", code, answer.Code, answer.Remark)
	}
	return answer
}

// refused makes a request that must be answered with the code.
func (p *peer) refused(want, code int, ext map[string]string, body []byte) {
	p.t.Helper()
	if answer := p.try(code, ext, body); answer.Code != want {
		p.t.Errorf("request %d: code %d (%s), want %d", code, answer.Code, answer.Remark, want)
	}
}

// sending are the fields of a message for queue 0; properties are name and value
// in turn.
func sending(topic string, properties ...string) map[string]string {
	encoded := map[string]string{}
	for i := 0; i+1 < len(properties); i += 2 {
		encoded[properties[i]] = properties[i+1]
	}
	return map[string]string{
		"producerGroup": "producers", "topic": topic, "defaultTopic": "TBW102", "defaultTopicQueueNums": "4",
		"queueId": "0", "sysFlag": "0", "bornTimestamp": strconv.FormatInt(start().UnixMilli(), 10), "flag": "0",
		"properties": remoting.EncodeProperties(encoded), "reconsumeTimes": "0", "unitMode": "false", "batch": "false",
	}
}

// store sends a message to queue 0 and returns the answer's fields.
func (p *peer) store(topic, body string, properties ...string) map[string]string {
	p.t.Helper()
	return p.call(remoting.RequestSendMessage, sending(topic, properties...), []byte(body)).Ext
}

// pulling are the fields of a pull of all messages with its own subscription.
func pulling(group, topic string, queue int, offset int64) map[string]string {
	const hasSubscription = 4
	return map[string]string{
		"consumerGroup": group, "topic": topic, "queueId": strconv.Itoa(queue),
		"queueOffset": strconv.FormatInt(offset, 10), "maxMsgNums": "32", "sysFlag": strconv.Itoa(hasSubscription),
		"commitOffset": "0", "suspendTimeoutMillis": "0", "subscription": "*", "subVersion": "0",
	}
}

// waiting makes a pull one that waits for a message.
func waiting(pull map[string]string, d time.Duration) map[string]string {
	const mayWait = 2
	pull = maps.Clone(pull)
	pull["sysFlag"] = strconv.Itoa(4 | mayWait)
	pull["suspendTimeoutMillis"] = strconv.FormatInt(d.Milliseconds(), 10)
	return pull
}

// messages takes an answer to a pull apart.
func messages(t testing.TB, answer remoting.Command) []remoting.StoredMessage {
	t.Helper()
	var all []remoting.StoredMessage
	for rest := answer.Body; len(rest) > 0; {
		m, next, err := remoting.ReadMessage(rest)
		if err != nil {
			t.Fatal(err)
		}
		all, rest = append(all, m), next
	}
	return all
}

// next receives what the broker pushes, which must be of the code.
func (p *peer) next(code int) remoting.Command {
	p.t.Helper()
	select {
	case cmd := <-p.pushed:
		if cmd.Code != code {
			p.t.Fatalf("the broker sent %d, want %d", cmd.Code, code)
		}
		return cmd
	case <-time.After(patience):
		p.t.Fatalf("the broker did not send %d", code)
	}
	return remoting.Command{}
}

// quiet fails if the broker has pushed something before it answers.
func (p *peer) quiet() {
	p.t.Helper()
	p.refused(remoting.ResponseNotSupported, 9999, nil, nil)
	select {
	case cmd := <-p.pushed:
		p.t.Errorf("the broker sent %d %v", cmd.Code, cmd.Ext)
	default:
	}
}

// bodies are the contents of the messages of a topic, in the order in which they
// were stored.
func bodies(b *devbroker.Broker, topic string) []string {
	all := []string{}
	for _, m := range b.Messages(topic, 0) {
		all = append(all, string(m.Body))
	}
	return all
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

// createGroup makes a consumer group without members.
func (p *peer) createGroup(name string) {
	p.t.Helper()
	p.call(remoting.RequestUpdateGroup, nil, []byte(`{"groupName":"`+name+`"}`))
}
