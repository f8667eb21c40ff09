package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "orderflow/api/proto/order/v1"
)

// forgetful are parts whose broker can be made to lose a message, and whose clock can
// be pushed.
type forgetful interface {
	pushable
	// LoseEvent has the broker lose the event of the next order that is placed,
	// although order-srv has committed it. The function that it returns waits until that
	// has happened.
	LoseEvent() (lost func(ctx context.Context) error)
}

// resendAfter is how long the sweeper waits for inventory at first: the default of
// --resend-after, and the quarter by which its rounds drift.
const resendAfter = time.Minute * 5 / 4

// tooLate is what the customer of the scene "unpaid" does in the end.
func tooLate(ctx context.Context, s *stage) error {
	o := s.expired
	answer, err := s.orders.PayOrder(ctx, &orderv1.PayOrderRequest{
		OrderId: o.GetOrderId(), PaymentId: "late-" + o.GetOrderId(), Amount: o.GetTotal(),
	})
	if err != nil {
		return err
	}
	if answer.GetOutcome() != orderv1.PaymentOutcome_PAYMENT_OUTCOME_REFUND_DUE {
		return fmt.Errorf("a payment of a closed order ended as %s", answer.GetOutcome())
	}
	s.story.step("PayOrder of the order of scene 2, which is closed", fmt.Sprintf("REFUND_DUE (%s), order %s",
		strings.TrimPrefix(answer.GetRefundReason().String(), "REFUND_REASON_"), status(answer.GetOrder())))
	due, err := s.orders.ListRefundsDue(ctx, &orderv1.ListRefundsDueRequest{})
	if err != nil {
		return err
	}
	s.story.step("ListRefundsDue", fmt.Sprintf("%d due", len(due.GetPayments())))
	resolved, err := s.orders.ResolveRefund(ctx, &orderv1.ResolveRefundRequest{
		PaymentId: "late-" + o.GetOrderId(), RefundId: "refund-" + s.run,
	})
	if err != nil {
		return err
	}
	s.story.step("the money goes back; ResolveRefund", "refunded as "+resolved.GetPayment().GetRefundId())
	return nil
}

// healed shows the sweeper at work.
func healed(f forgetful) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		sku := s.sku("speaker")
		if err := s.receive(ctx, sku, 6, 2); err != nil {
			return err
		}
		lost := f.LoseEvent()
		o, err := s.place(ctx, sku, 2, func(r *orderv1.CreateOrderRequest) { r.PaymentWindow = durationpb.New(halfHour) })
		if err != nil {
			return err
		}
		if err := lost(ctx); err != nil {
			return err
		}
		s.story.say("the broker has lost the order's event: inventory will never hear of it")
		if err := s.stillPlaced(ctx, o.GetOrderId(), "the order waits for an answer that cannot come"); err != nil {
			return err
		}
		s.story.say("a minute passes without an answer; the sweeper sends the event again")
		f.Advance(resendAfter)
		if o, err = s.await(ctx, o.GetOrderId(), "inventory reserves", isReserved); err != nil {
			return err
		}
		if err := s.pay(ctx, o); err != nil {
			return err
		}
		if _, err := s.await(ctx, o.GetOrderId(), "inventory sells", isSold); err != nil {
			return err
		}
		if err := s.showTimeline(ctx, o.GetOrderId()); err != nil {
			return err
		}
		return s.showStock(ctx, sku)
	}
}

// showTimeline tells what has happened to an order.
func (s *stage) showTimeline(ctx context.Context, id string) error {
	answer, err := s.orders.GetTimeline(ctx, &orderv1.GetTimelineRequest{OrderId: id})
	if err != nil {
		return err
	}
	s.story.say("its timeline:")
	for _, e := range answer.GetEntries() {
		s.story.entry(e)
	}
	return nil
}
