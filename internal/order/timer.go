package order

import (
	"context"
	"fmt"
	"time"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// timer is the delay message of an order that is being placed: the broker will
// deliver it when the payment window ends, whatever becomes of this process.
type timer struct {
	cancel context.CancelFunc
	sent   chan struct{} // closed when id and err are valid
	id     string        // of the message
	err    error
}

// sendTimer starts to send the order's timer. It goes out before the database
// transaction opens: sent after it, a crash in between would leave an order that
// never expires. A timer whose order never came to be does nothing.
func (s *Service) sendTimer(ctx context.Context, o Order) *timer {
	ctx, cancel := context.WithCancel(ctx)
	t := &timer{cancel: cancel, sent: make(chan struct{})}
	go func() {
		defer close(t.sent)
		t.err = safely(func() (err error) {
			t.id, err = s.sendPaymentTimeout(ctx, o, time.Duration(o.WindowMs)*time.Millisecond)
			return err
		})
	}()
	return t
}

// sendPaymentTimeout sends the delay message, due after the window. Its due time is the order's
// expires_at, by which inventory recognises it. It returns the message's id.
func (s *Service) sendPaymentTimeout(ctx context.Context, o Order, window time.Duration) (id string, err error) {
	body, err := event.EncodePaymentTimeouts(o.ExpiresAt, &eventv1.PaymentTimeout{OrderId: o.ID})
	if err != nil {
		return "", err
	}
	id, err = s.timers.SendDelayed(ctx, message.Message{
		Topic: s.names.OrderTimeouts, Tag: string(event.TagTimeout), Keys: []string{o.ID}, Body: body,
	}, window)
	if err != nil {
		return "", fmt.Errorf("send timer: %w", err)
	}
	return id, nil
}

// acknowledged waits until the broker has the timer. Without it the order is
// refused.
func (t *timer) acknowledged(ctx context.Context) error {
	select {
	case <-t.sent:
		return t.err
	case <-ctx.Done():
		return fmt.Errorf("%w: timer: %w", message.ErrUnavailable, ctx.Err())
	}
}

// abandon ends the send if it is still under way, and waits for it.
func (t *timer) abandon() {
	t.cancel()
	<-t.sent
}
