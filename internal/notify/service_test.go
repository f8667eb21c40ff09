package notify_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/notify"
)

const timeout = eventv1.CloseReason_CLOSE_REASON_TIMEOUT

// What a customer is told of each event, field by field.
func TestPayloads(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		created, paid, closed, exempt := newEvent(), newEvent(), closedEvent(eventv1.CloseReason_CLOSE_REASON_OUT_OF_STOCK), newEvent()
		paid.PaymentId = "pay-1"
		exempt.ExpiresAtMs = 253_402_300_799_000 // the end of 9999: it was exempted, and `created` is sent again
		w.mustDeliver(event.TagCreated, created, exempt)
		w.mustDeliver(event.TagPaid, paid)
		w.mustDeliver(event.TagClosed, closed)
		head := func(e *eventv1.OrderEvent, tag string) string {
			return fmt.Sprintf(`{"event_id":"%[1]s/%[2]s","type":"order.%[2]s","order_id":"%[1]s","customer_id":"ann","occurred_at":"2023-11-14T22:13:20Z"`, e.GetOrderId(), tag)
		}
		const lines = `,"lines":[{"sku":"apple","quantity":2},{"sku":"pear","quantity":1}]}`
		for _, c := range []struct {
			e    *eventv1.OrderEvent
			tag  event.Tag
			want string
		}{
			{created, event.TagCreated, head(created, "created") + `,"expires_at":"2023-11-14T22:43:20Z"` + lines},
			{exempt, event.TagCreated, head(exempt, "created") + lines},
			{paid, event.TagPaid, head(paid, "paid") + `,"payment_id":"pay-1"` + lines},
			{closed, event.TagClosed, head(closed, "closed") + `,"close_reason":"OUT_OF_STOCK"` + lines},
		} {
			w.wantSent(c.e, c.tag, 1)
			if got := strings.Join(w.post.bodies(notify.EventID(c.e.GetOrderId(), c.tag)), "\n"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		}
	})
}

// A redelivery, and an event that the sweeper sends again with another time, are
// absorbed; the other events of the order are events of their own.
func TestEachEventIsToldOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		e, other := closedEvent(timeout), closedEvent(timeout)
		w.mustDeliver(event.TagCreated, e, e) // twice in one envelope
		w.clock.Advance(time.Hour)
		e.OccurredAtMs = w.clock.Now().UnixMilli()
		w.mustDeliver(event.TagCreated, other, e)
		w.mustDeliver(event.TagClosed, e)
		w.mustDeliver(event.TagClosed, e)
		w.wantSent(e, event.TagCreated, 1)
		w.wantSent(other, event.TagCreated, 1)
		w.wantSent(e, event.TagClosed, 1)
		w.wantParked(nil)
	})
}

// What fails is sent by the next delivery, without waiting for the end of a lease: the
// same bytes, even if the event was sent again with others. Its neighbours are not sent
// again.
func TestFailedSendComesAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		e, neighbour := newEvent(), newEvent()
		w.post.fails = func(id string, try int) error {
			if id == notify.EventID(e.GetOrderId(), event.TagCreated) && try < 3 {
				return errInjected
			}
			return nil
		}
		for range 2 {
			if err := w.deliver(event.TagCreated, e, neighbour); !errors.Is(err, errInjected) {
				t.Fatalf("got %v", err)
			}
			e.OccurredAtMs += 5000
		}
		w.mustDeliver(event.TagCreated, e, neighbour)
		w.wantSent(e, event.TagCreated, 1)
		w.wantSent(neighbour, event.TagCreated, 1)
		first := w.post.bodies(notify.EventID(e.GetOrderId(), event.TagCreated))[0]
		if at := payload(t, first).OccurredAt; !at.Equal(start) {
			t.Errorf("the body is of %v, want that of the first delivery", at)
		}
	})
}

// A receiver's no parks the event alone, as often as it comes; a replay after the mend is
// sent.
func TestRefusedIsParked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		e, neighbour := newEvent(), newEvent()
		refused := true
		w.post.fails = func(id string, _ int) error {
			if refused && strings.HasPrefix(id, e.GetOrderId()) {
				return message.Permanent(notify.ReasonRefused, "the receiver answered 422")
			}
			return nil
		}
		w.mustDeliver(event.TagPaid, e, neighbour)
		w.mustDeliver(event.TagPaid, e, neighbour)
		w.wantParked(map[string]string{e.GetOrderId(): notify.ReasonRefused})
		w.wantSent(neighbour, event.TagPaid, 1)
		w.wantSent(e, event.TagPaid, 0)
		refused = false
		entries, err := w.parked.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.service.Handle(t.Context(), entries[0].Parked.Message); err != nil {
			t.Fatal(err)
		}
		w.wantSent(e, event.TagPaid, 1)
	})
}

// What nobody can be told of is parked, not dropped: the whole message where nothing of it
// can be read, such as one of a kind that this program does not know.
func TestUnreadableIsParked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for tag, body := range map[string]string{
			"refunded": `{"schemaVersion":1,"events":[{}]}`, "created": `{"schemaVersion":2,"events":[{}]}`, "paid": `no JSON`,
		} {
			var permanent *message.PermanentError
			if err := w.service.Handle(t.Context(), message.Message{Tag: tag, Body: []byte(body)}); !errors.As(err, &permanent) {
				t.Errorf("%s: %v, want a permanent error", tag, err)
			}
		}
		nobody, never, why, future, wrong := newEvent(), newEvent(), newEvent(), closedEvent(99), newEvent()
		nobody.CustomerId, never.OccurredAtMs, wrong.OccurredAtMs = "", 0, 1<<62
		w.mustDeliver(event.TagCreated, nobody, never, wrong)
		w.mustDeliver(event.TagClosed, why, future)
		w.wantParked(map[string]string{
			nobody.GetOrderId(): event.ReasonBadEvent, never.GetOrderId(): event.ReasonBadEvent, wrong.GetOrderId(): event.ReasonBadEvent,
			why.GetOrderId(): notify.ReasonUnknownCloseReason, future.GetOrderId(): notify.ReasonUnknownCloseReason,
		})
		if len(w.post.sent) > 0 || w.rows() > 0 {
			t.Errorf("sent %v, %d rows", w.post.sent, w.rows())
		}
	})
}

// While one instance sends, another leaves the event alone and has its message come again.
func TestOneOfTwoInstancesSends(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		e := newEvent()
		begun, leave, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		w.post.hold = func(context.Context, string) { close(begun); <-leave }
		go func() { done <- w.deliver(event.TagCreated, e) }()
		receive(t, "the first send", begun)
		second := w.instance(w.post, nil)
		w.clock.Advance(sendTimeout) // the first may take so long, and is given more
		var permanent *message.PermanentError
		if err := second.Handle(t.Context(), of(t, event.TagCreated, e)); err == nil || errors.As(err, &permanent) {
			t.Errorf("the second instance: %v, want that the message comes again", err)
		}
		close(leave)
		if err := receive(t, "the first instance", done); err != nil {
			t.Error(err)
		}
		if err := second.Handle(t.Context(), of(t, event.TagCreated, e)); err != nil {
			t.Error(err)
		}
		w.wantSent(e, event.TagCreated, 1)
	})
}

// Whoever comes at the same moment, on however many instances: each event is sent once.
func TestManyInstancesAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		events := make([]*eventv1.OrderEvent, 20)
		for i := range events {
			events[i] = newEvent()
		}
		var sent sync.WaitGroup
		for range 4 {
			instance := w.instance(w.post, nil)
			sent.Go(func() {
				for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
					if instance.Handle(t.Context(), of(t, event.TagPaid, events...)) == nil {
						return
					}
				}
				t.Error("a message is never handled")
			})
		}
		sent.Wait()
		for _, e := range events {
			w.wantSent(e, event.TagPaid, 1)
		}
	})
}

// A sender that hangs is cut after the send timeout, and an event that hangs keeps no
// other of its envelope waiting. (The clock of the deadline is the machine's.)
func TestHangingSendHoldsUpNobody(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		events := make([]*eventv1.OrderEvent, 8)
		for i := range events {
			events[i] = newEvent()
		}
		hanging := notify.EventID(events[0].GetOrderId(), event.TagCreated)
		ctx, cancel := context.WithCancel(t.Context())
		var others atomic.Int32
		hangs := make(chan struct{}) // closed when it does: before, the end of ctx would meet its claim
		w.post.hold = func(sending context.Context, id string) {
			if deadline, ok := sending.Deadline(); !ok || time.Until(deadline) > sendTimeout {
				t.Errorf("sending may take until %v, %v", deadline, ok)
			}
			if id == hanging {
				close(hangs)
				<-sending.Done()
				if n := others.Load(); n != 7 {
					t.Errorf("%d others were sent meanwhile", n)
				}
				return
			}
			<-hangs
			if others.Add(1) == 7 {
				cancel() // as the deadline would
			}
		}
		w.post.fails = func(id string, _ int) error {
			if id == hanging {
				return context.Canceled
			}
			return nil
		}
		if err := w.service.Handle(ctx, of(t, event.TagCreated, events...)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		for _, e := range events[1:] {
			w.wantSent(e, event.TagCreated, 1) // and recorded, though the handler's time is up
		}
		w.post.hold, w.post.fails = nil, nil
		w.mustDeliver(event.TagCreated, events...)
		for _, e := range events {
			w.wantSent(e, event.TagCreated, 1)
		}
	})
}

// A sender that panics takes neither the process nor its neighbours with it.
func TestPanicOfASender(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		e, neighbour := newEvent(), newEvent()
		w.post.fails = func(id string, try int) error {
			if strings.HasPrefix(id, e.GetOrderId()) && try == 1 {
				panic("boom")
			}
			return nil
		}
		if err := w.deliver(event.TagCreated, e, neighbour); err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("got %v", err)
		}
		w.wantSent(neighbour, event.TagCreated, 1)
		w.clock.Advance(sendTimeout + time.Minute)
		w.mustDeliver(event.TagCreated, e, neighbour)
		w.wantSent(e, event.TagCreated, 1)
	})
}

// Without its database it tells nobody anything: it would not know that it did.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var permanent *message.PermanentError
		if err := w.service.Handle(ctx, of(t, event.TagCreated, newEvent())); err == nil || errors.As(err, &permanent) {
			t.Errorf("got %v", err)
		}
		if len(w.post.sent) > 0 {
			t.Errorf("sent %v", w.post.sent)
		}
	})
}
