package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/crashpoint"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/tracing"
)

const (
	// lanes is how many events of one envelope are sent at once.
	lanes = 8
	// leaseSlack is how much longer an event is held than sending may take: for the
	// record, and for clocks that differ.
	leaseSlack = 10 * time.Second
	// recordTimeout bounds how long it may take to note what became of an event; it has
	// to be noted even if the handler's time is up.
	recordTimeout = 5 * time.Second
)

// HandlerTimeout is how long the handler of an envelope may take when sending one
// notification may take so long: each event has its full time, even if all those before
// it ran into theirs. One that hangs for ever thus keeps no other from being sent.
func HandlerTimeout(send time.Duration) time.Duration {
	return (event.MaxEvents+lanes-1)/lanes*send + leaseSlack
}

// Deps is what a Service works with. All of it must be safe for concurrent use.
type Deps struct {
	Store       *Store
	Sender      Sender
	Parker      message.Parker    // where events go that nobody can be told of
	Group       string            // the consumer group
	SendTimeout time.Duration     // how long sending one notification may take
	Metrics     *Metrics          // nil: nothing is counted
	Crash       *crashpoint.Point // nil: nothing is armed
	Log         *slog.Logger
}

// Service turns events into notifications. It is safe for concurrent use.
type Service struct {
	store       *Store
	sender      Sender
	parker      message.Parker
	group       string
	sendTimeout time.Duration
	metrics     *Metrics
	crash       *crashpoint.Point
	log         *slog.Logger
}

// New returns the service. It starts nothing: Handle is for a consumer of order-events.
func New(d Deps) *Service {
	return &Service{
		store: d.Store, sender: d.Sender, parker: d.Parker, group: d.Group, sendTimeout: d.SendTimeout,
		metrics: d.Metrics, crash: d.Crash, log: d.Log,
	}
}

// Handle is the message.Handler of the topic order-events. It returns nil when every
// event of the envelope is sent, was sent before, or is parked; a
// *message.PermanentError if the body cannot be read at all; and any other error if the
// message must come again.
func (s *Service) Handle(ctx context.Context, m message.Message) error {
	tag := event.Tag(m.Tag)
	items, err := event.DecodeOrderEvents(tag, m.Body)
	if err != nil {
		return event.Permanent(err)
	}
	results := s.notifyAll(ctx, tag, items)
	return event.Each(ctx, s.group, m, items, s.parker, func(_ context.Context, e *eventv1.OrderEvent) error {
		return results[e.GetOrderId()]
	})
}

// notifyAll sends the events of an envelope side by side, and returns what became of
// each, by order id. An order that stands twice in it is told once.
func (s *Service) notifyAll(ctx context.Context, tag event.Tag, items []event.Item[*eventv1.OrderEvent]) map[string]error {
	seen := map[string]bool{}
	errs := make([]error, len(items))
	var all errgroup.Group
	all.SetLimit(lanes)
	for i, item := range items {
		if item.Err != nil || seen[item.OrderID] {
			continue
		}
		seen[item.OrderID] = true
		all.Go(func() error {
			errs[i] = s.notify(ctx, tag, item.Event)
			return nil
		})
	}
	_ = all.Wait() // each error is in its place
	results := make(map[string]error, len(items))
	for i, err := range errs {
		if err != nil {
			results[items[i].OrderID] = err
		}
	}
	return results
}

// notify tells of one event, unless that is done, and counts what became of it.
func (s *Service) notify(ctx context.Context, tag event.Tag, e *eventv1.OrderEvent) (err error) {
	outcome := outcomeFailed
	ctx, span := tracing.Start(ctx, "notify", e.GetOrderId())
	defer func() {
		if p := recover(); p != nil { // it would end the process: no handler's goroutine
			err = fmt.Errorf("notification of order %s panicked: %v\n%s", e.GetOrderId(), p, debug.Stack())
		}
		s.metrics.count(string(tag), outcome)
		tracing.End(span, err)
	}()
	n, broken := newNotification(tag, e)
	if broken != nil {
		outcome = outcomeRefused
		return broken
	}
	c, err := s.store.claim(ctx, n, s.sendTimeout+leaseSlack)
	switch {
	case err != nil:
		return err
	case c.state == alreadySent:
		outcome = outcomeAgain
		return nil
	case c.state == heldByOther:
		outcome = outcomeHeld
		return fmt.Errorf("another instance sends %s, until %s at most", c.EventID, c.heldUntil.Format(time.RFC3339))
	}
	if err := s.send(ctx, c.Notification); err != nil {
		if isPermanent(err) {
			outcome = outcomeRefused
		}
		return errors.Join(err, s.release(ctx, c))
	}
	s.crash.Hit(crashpoint.NotifyAfterSend)
	outcome = outcomeSent
	return s.record(ctx, c)
}

func (s *Service) send(ctx context.Context, n Notification) error {
	ctx, cancel := context.WithTimeout(ctx, s.sendTimeout)
	defer cancel()
	return s.sender.Send(ctx, n)
}

// record notes that a notification is sent. If it cannot be noted, the message comes
// again, and so does the notification, under the same id.
func (s *Service) record(ctx context.Context, c claim) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	first, err := s.store.sent(ctx, c.EventID)
	if err == nil && !first {
		s.log.WarnContext(ctx, "a notification was sent by two instances: the first took longer than its claim",
			message.LogOrder, c.orderID(), "event_id", c.EventID)
	}
	return err
}

func (s *Service) release(ctx context.Context, c claim) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return s.store.release(ctx, c)
}
