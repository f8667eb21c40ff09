package order

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

var errInjected = errors.New("injected: connection refused")

// half is a half message on the fake broker. It is pending until its end arrives
// or a check-back is answered.
type half struct {
	message message.Message
	state   message.TransactionState // what the broker knows
}

// timerMessage is a delay message on the fake broker.
type timerMessage struct {
	message message.Message
	delay   time.Duration
}

// fakeBroker takes half messages and timers, and calls the real listener as
// mq.TransactionProducer does. The zero value of each switch is the healthy broker.
type fakeBroker struct {
	t        testing.TB
	listener *Listener

	mu          sync.Mutex
	halves      []*half
	timers      []timerMessage
	halfFails   bool
	timerFails  bool
	delayFails  bool          // CheckDelay does not get an answer
	unsupported bool          // CheckDelay: the broker has no such delay
	loseEnd     bool          // commit and rollback of half messages get lost
	timerGate   chan struct{} // SendDelayed waits until it is closed
	execute     func(h *half, arg any, run func() (message.TransactionState, error)) (message.TransactionState, error)
}

// SendInTransaction stores the half message, runs the local transaction and ends
// the half message with what it says.
func (b *fakeBroker) SendInTransaction(ctx context.Context, m message.Message, arg any) (message.TransactionState, error) {
	b.mu.Lock()
	if b.halfFails {
		b.mu.Unlock()
		return message.StateRollback, fmt.Errorf("%w: %w: %w", message.ErrNotSent, message.ErrUnavailable, errInjected)
	}
	h := &half{message: m}
	b.halves = append(b.halves, h)
	execute := b.execute
	b.mu.Unlock()

	run := func() (message.TransactionState, error) {
		ctx, cancel := withoutCaller(ctx)
		defer cancel()
		return b.listener.ExecuteLocalTransaction(ctx, m, arg)
	}
	if execute == nil {
		execute = func(_ *half, _ any, run func() (message.TransactionState, error)) (message.TransactionState, error) {
			return run()
		}
	}
	state, err := execute(h, arg, run)
	if state != message.StateCommit && err == nil {
		b.t.Errorf("local transaction of %v ended as %s without an error", m.Keys, state)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.loseEnd {
		b.end(h, state)
	}
	return state, err
}

// withoutCaller keeps the deadline of a context and forgets that its owner may go
// away, as mq.TransactionProducer does.
func withoutCaller(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(context.WithoutCancel(ctx), deadline)
	}
	return context.WithoutCancel(ctx), func() {}
}

// end decides about a half message once; a later answer that differs is the bug
// that fences are for.
func (b *fakeBroker) end(h *half, state message.TransactionState) {
	if h.state != message.StateUnknown && state != message.StateUnknown && h.state != state {
		b.t.Errorf("half message %v was ended as %s and as %s", h.message.Keys, h.state, state)
	}
	if h.state == message.StateUnknown {
		h.state = state
	}
}

// checkBack asks a listener about a half message, as the broker does.
func (b *fakeBroker) checkBack(h *half, l *Listener) message.TransactionState {
	state := l.CheckLocalTransaction(context.WithoutCancel(b.t.Context()), h.message)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(h, state)
	return state
}

// checkBackAll asks about every half message that has not ended.
func (b *fakeBroker) checkBackAll(l *Listener) {
	for _, h := range b.pending() {
		b.checkBack(h, l)
	}
}

func (b *fakeBroker) pending() []*half {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*half
	for _, h := range b.halves {
		if h.state == message.StateUnknown {
			found = append(found, h)
		}
	}
	return found
}

// SendDelayed stores a timer.
func (b *fakeBroker) SendDelayed(ctx context.Context, m message.Message, d time.Duration) (id string, err error) {
	b.mu.Lock()
	gate := b.timerGate
	b.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %w", message.ErrUnavailable, ctx.Err())
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timerFails {
		return "", fmt.Errorf("%w: %w", message.ErrUnavailable, errInjected)
	}
	b.timers = append(b.timers, timerMessage{m, d})
	return fmt.Sprintf("timer-%d", len(b.timers)), nil
}

// CheckDelay knows three delays.
func (b *fakeBroker) CheckDelay(_ context.Context, d time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	supported := []time.Duration{time.Second, time.Minute, 30 * time.Minute}
	switch {
	case b.delayFails:
		return fmt.Errorf("%w: %w", message.ErrUnavailable, errInjected)
	case b.unsupported || !slices.Contains(supported, d):
		return fmt.Errorf("check delay: %w", &message.UnsupportedDelayError{Delay: d, Supported: supported})
	}
	return nil
}

// sent is how many messages of any kind reached the broker.
func (b *fakeBroker) sent() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.halves) + len(b.timers)
}

func (b *fakeBroker) lastHalf() *half {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.halves) == 0 {
		b.t.Fatal("no half message")
	}
	return b.halves[len(b.halves)-1]
}

// stateOf is what the broker knows of a half message.
func (b *fakeBroker) stateOf(h *half) message.TransactionState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return h.state
}

// delivered is the tags of the committed messages of an order, in the order of
// their half messages, with a check of each event.
func (b *fakeBroker) delivered(orderID string) []event.Tag {
	var tags []event.Tag
	for _, e := range b.deliveredEvents(orderID) {
		tags = append(tags, e.tag)
	}
	return tags
}

type deliveredEvent struct {
	tag   event.Tag
	event *eventv1.OrderEvent
}

func (b *fakeBroker) deliveredEvents(orderID string) []deliveredEvent {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []deliveredEvent
	for _, h := range b.halves {
		if h.state != message.StateCommit || !slices.Equal(h.message.Keys, []string{orderID}) {
			continue
		}
		items, err := event.DecodeOrderEvents(event.Tag(h.message.Tag), h.message.Body)
		if err != nil || len(items) != 1 || items[0].Err != nil || items[0].OrderID != orderID {
			b.t.Fatalf("committed message %v cannot be read: %v %+v", h.message.Keys, err, items)
		}
		found = append(found, deliveredEvent{event.Tag(h.message.Tag), items[0].Event})
	}
	return found
}

// committedTags counts the committed messages by tag.
func (b *fakeBroker) committedTags() map[event.Tag]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := map[event.Tag]int{}
	for _, h := range b.halves {
		if h.state == message.StateCommit {
			counts[event.Tag(h.message.Tag)]++
		}
	}
	return counts
}

// set changes switches while callers may be under way.
func (b *fakeBroker) set(change func(*fakeBroker)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}
