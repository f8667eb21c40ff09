package mq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/producer"

	"orderflow/internal/mq/message"
)

// lines is a log whose warnings a test can wait for.
type lines chan string

func (l lines) Enabled(context.Context, slog.Level) bool { return true }
func (l lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l lines) WithGroup(string) slog.Handler            { return l }
func (l lines) Handle(_ context.Context, r slog.Record) error {
	select {
	case l <- r.Message:
	default: // nobody waits any more
	}
	return nil
}

// wait waits for n lines that contain the text.
func (l lines) wait(t *testing.T, n int, text string) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for n > 0 {
		select {
		case line := <-l:
			if strings.Contains(line, text) {
				n--
			}
		case <-timeout:
			t.Fatalf("the log lacks %d lines with %q", n, text)
		}
	}
}

// T11: two producers of one group in one process do not get in each other's way,
// and a producer whose start has failed can be started.
func TestT11ProducersOfOneGroupAndStartAfterAFailedStart(t *testing.T) {
	r := newNames(t)
	commit := &listener{execute: func(context.Context, message.Message, any) (message.TransactionState, error) {
		return message.StateCommit, nil
	}}
	first, second := NewProducer(r.client, r.group+"-p", r.topic), NewProducer(r.client, r.group+"-p", r.topic)
	a := NewTransactionProducer(r.client, r.group+"-tx", commit, r.topic)
	b := NewTransactionProducer(r.client, r.group+"-tx", commit, r.topic)
	box := newInbox()
	k := NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Handler: box.handle})
	for _, s := range []startStopper{first, second, a, b, k} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if err := s.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("started without a topic: %v", err)
		}
		cancel()
	}
	r.ensureTopic(t, "", 4)
	r.ensureGroup(t)
	for _, s := range []startStopper{first, second, a, b, k} {
		start(t, s)
	}
	for i, p := range []*Producer{first, second} {
		if err := p.Send(t.Context(), text(r.topic, fmt.Sprint("plain", i))); err != nil {
			t.Error(err)
		}
	}
	for i, p := range []*TransactionProducer{a, b} {
		if _, err := p.SendInTransaction(t.Context(), text(r.topic, fmt.Sprint("half", i)), nil); err != nil {
			t.Error(err)
		}
	}
	for _, key := range []string{"plain0", "plain1", "half0", "half1"} {
		box.wait(t, key, withKey(key))
	}
}

// blackHole accepts connections and never says anything.
func blackHole(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String() // the kernel accepts
}

// T17: with a name server that refuses connections, or hangs, no local
// transaction runs, and the caller hears so in time.
func TestT17NameServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{"refuses": "127.0.0.1:1", "hangs": blackHole(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := quiet()
			log := make(lines, 100)
			c.NameServers, c.Logger = []string{address}, slog.New(log)
			p := NewTransactionProducer(c, "group-"+name, forbidden(t), "topic")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			started := make(chan error)
			go func() { started <- p.Start(ctx) }()
			if name == "refuses" {
				log.wait(t, 1, "cannot start yet")
			}
			state, err := p.SendInTransaction(t.Context(), half(), nil)
			notBegun(t, state, err)
			cancel()
			if err := <-started; !errors.Is(err, context.Canceled) || p.Ready() == nil {
				t.Errorf("Start = %v, Ready = %v", err, p.Ready())
			}

			// The same with a client that had started before the name server went.
			library, err := producer.NewTransactionProducer(libraryListener{p}, producer.WithGroupName("group-"+name),
				producer.WithInstanceName(c.instance("test")), producer.WithNsResolver(c.resolver()))
			if err != nil {
				t.Fatal(err)
			}
			if err := library.Start(); err != nil {
				t.Fatal(err)
			}
			p.library = library
			in, cancelIn := context.WithTimeout(t.Context(), time.Second)
			defer cancelIn()
			state, err = p.SendInTransaction(in, half(), nil)
			notBegun(t, state, err)
			if name == "hangs" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("err = %v; is it the library's own time that is up?", err)
			}
			_ = p.Stop(in) // the library may hang for 24 seconds
		})
	}
}

// T60: a new group begins with the oldest message.
func TestT60MessagesFromBeforeTheFirstStartAreDelivered(t *testing.T) {
	r := newReal(t, "NORMAL")
	var keys []string
	for i := range 40 {
		keys = append(keys, fmt.Sprint("k", i))
	}
	r.send(t, keys...)
	box := newInbox()
	r.consume(t, box.handle)
	for _, key := range keys {
		box.wait(t, key, withKey(key))
	}
}

// T61: the consumer waits for its topic and its group, and then consumes.
func TestT61ConsumerWaitsForItsTopic(t *testing.T) {
	r := newNames(t)
	log := make(lines, 100)
	r.client.Logger = slog.New(log)
	box := newInbox()
	k := NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Handler: box.handle})
	started := make(chan error, 1)
	go func() { started <- k.Start(t.Context()) }()
	log.wait(t, 1, "cannot start yet") // there is neither
	if k.Ready() == nil || len(started) != 0 {
		t.Errorf("ready without a topic: %v", k.Ready())
	}
	r.ensureTopic(t, "NORMAL", 4)
	log.wait(t, 1, "cannot start yet") // there is no group
	r.ensureGroup(t)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Stop(context.Background()) })
	if err := k.Ready(); err != nil {
		t.Errorf("Ready = %v", err)
	}
	r.send(t, "k")
	box.wait(t, "the message", withKey("k"))
}

// T67: a member that consumes something else than its group waits until the others
// have gone; let in, it would have the broker skip messages for both.
func TestT67OneGroupConsumesOneThing(t *testing.T) {
	r := newReal(t, "NORMAL")
	box := newInbox()
	first := r.consume(t, box.handle)

	log := make(lines, 100)
	r.client.Logger = slog.New(log)
	other := NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Tags: []string{"paid"}, Handler: box.handle})
	t.Cleanup(func() { _ = other.Stop(context.Background()) })
	started := make(chan error, 1)
	go func() { started <- other.Start(t.Context()) }()
	log.wait(t, 1, "cannot start yet")
	var conflict *SubscriptionConflictError
	if err := other.check(t.Context()); !errors.As(err, &conflict) || other.Ready() == nil || len(started) != 0 {
		t.Errorf("a member with another subscription is let in: %v, %v", err, other.Ready())
	}
	r.send(t, "untagged")
	box.wait(t, "a message that the other one would skip", withKey("untagged"))

	same := NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Handler: box.handle})
	t.Cleanup(func() { _ = same.Stop(context.Background()) })
	if err := same.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, k := range []*Consumer{first, same} {
		if err := k.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := <-started; err != nil {
		t.Errorf("the other one does not come in when the group is empty: %v", err)
	}
}
