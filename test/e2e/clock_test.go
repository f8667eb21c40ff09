package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/mq/devbroker"
)

// halfAnHour is the payment window of production.
const halfAnHour = 30 * time.Minute

// newProduction is a new system whose broker and payment window are those of
// production.
func newProduction(t *testing.T, on stack) *system {
	t.Helper()
	s := newDeployment(t, on, plan{brokerOptions: []devbroker.Option{
		devbroker.WithDelayLevels("1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"),
		devbroker.WithTransactionTimeout(6 * time.Second), devbroker.WithCheckInterval(30 * time.Second),
	}})
	s.useOrder(s.startOrder("--payment-window=" + halfAnHour.String()))
	s.useInventory(s.startInventory())
	return s
}

// The payment window at its length in production.
func TestThirtyMinutesToPay(t *testing.T) {
	onStacks(t, needs{aClockToPush}, func(t *testing.T, on stack) {
		s := newProduction(t, on)
		tea := s.stocked("tea", 10)
		began := time.Now()
		var orders []*orderv1.Order
		for range 4 {
			request := s.request(0, line(tea, 1))
			request.PaymentWindow = nil
			orders = append(orders, s.waitStatus(s.send(request), reserved))
		}
		inTime, justInTime, late, never := orders[0], orders[1], orders[2], orders[3]
		if window := never.GetExpiresAt().AsTime().Sub(never.GetCreatedAt().AsTime()); window != halfAnHour {
			t.Fatalf("the payment window is %s, want %s", window, halfAnHour)
		}

		s.pushTo(inTime.GetExpiresAt().AsTime().Add(-time.Minute))
		s.wantPaid(s.pay(inTime))
		s.pushTo(justInTime.GetExpiresAt().AsTime().Add(-callTimeout))
		s.wantPaid(s.pay(justInTime))
		for _, o := range []*orderv1.Order{late, never} {
			if now := s.get(o.GetOrderId()); now.GetStatus() != reserved {
				t.Errorf("order %s is %s before its window ends", o.GetOrderId(), now.GetStatus())
			}
		}
		s.waitStock(tea, 6, 2, 2)

		s.pushTo(never.GetExpiresAt().AsTime())
		for _, o := range []*orderv1.Order{late, never} {
			o = s.waitClosed(o, timedOut)
			if early := o.GetExpiresAt().AsTime().Sub(o.GetUpdatedAt().AsTime()); early > 0 {
				t.Errorf("closed %s before its payment window ended", early)
			}
		}
		s.waitStock(tea, 8, 0, 2)
		s.wantReservation(late, givenBack, 2)
		s.wantReservation(never, givenBack, 2)
		s.push(time.Minute)
		s.wantRefund(s.pay(late), orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED)
		s.audit()
		t.Logf("half an hour took %s", time.Since(began).Round(time.Millisecond))
	})
}

// A day of orders, some of which are paid sooner or later and some never.
func TestADayOfOrders(t *testing.T) {
	onStacks(t, needs{aClockToPush}, func(t *testing.T, on stack) {
		s := newProduction(t, on)
		tea := s.stocked("tea", 10_000)
		began := time.Now()
		seed := uint64(time.Now().UnixNano())
		random := rand.New(rand.NewPCG(seed, 0))
		t.Logf("seed %d", seed)

		// Each customer comes back when, by the clock, the time has come to pay.
		type customer struct {
			order *orderv1.Order
			comes time.Time
		}
		var waiting []customer
		var placed, sold int64
		for night := s.now().Add(24 * time.Hour); s.now().Before(night); {
			for range random.IntN(3) {
				o := s.waitStatus(s.place(halfAnHour, line(tea, 1)), reserved)
				placed++
				if after := time.Duration(random.Int64N(int64(halfAnHour * 3 / 2))); random.IntN(4) > 0 {
					waiting = append(waiting, customer{o, s.now().Add(after)})
				}
			}
			s.push(time.Duration(random.Int64N(int64(20 * time.Minute))))
			now, later := s.now(), waiting[:0]
			for _, c := range waiting {
				if c.comes.After(now) {
					later = append(later, c)
				} else if s.wantRightOutcome(c.order, s.pay(c.order)) {
					sold++
				}
			}
			waiting = later
		}
		t.Logf("the day took %s", time.Since(began).Round(time.Millisecond))
		s.push(halfAnHour)
		s.pushUntilEnded()
		s.waitStock(tea, 10_000-sold, 0, sold)
		s.audit()
		s.wantOrders(int(sold), paid, int(placed-sold), timedOut)
		t.Logf("%d of %d orders were paid", sold, placed)
	})
}

// wantRightOutcome checks that a payment that was made just now is in time exactly
// if the order's window has not ended, and tells which it is.
func (s *system) wantRightOutcome(o *orderv1.Order, p *orderv1.PayOrderResponse) (inTime bool) {
	s.t.Helper()
	inTime = p.GetOutcome() == orderv1.PaymentOutcome_PAYMENT_OUTCOME_PAID
	left := o.GetExpiresAt().AsTime().Sub(s.now())
	if (left > 0) != inTime && left.Abs() > callTimeout {
		s.t.Errorf("a payment %s before the end of the window is %s", left, p.GetOutcome())
	}
	return inTime
}

func (s *system) wantPaid(p *orderv1.PayOrderResponse) {
	s.t.Helper()
	if p.GetOutcome() != orderv1.PaymentOutcome_PAYMENT_OUTCOME_PAID {
		s.t.Errorf("payment is %s (%s), want PAID", p.GetOutcome(), p.GetRefundReason())
	}
}

// push pushes the clock of all parts.
func (s *system) push(d time.Duration) { s.embedded.Advance(d) }

// pushUntilEnded pushes the clock, by seconds, until each of the test's orders is
// paid or closed: what has failed on the way is redelivered after a while.
func (s *system) pushUntilEnded() {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		n := s.count("SELECT COUNT(*) FROM {order}.orders WHERE customer_id = ? AND status NOT IN (?, ?)",
			s.customer, int(paid), int(closed))
		if n > 0 {
			s.push(time.Second)
			return fmt.Sprintf("%d orders are neither paid nor closed", n)
		}
		return ""
	})
}

// pushTo pushes the clock until it shows a time.
func (s *system) pushTo(moment time.Time) { s.push(moment.Sub(s.now())) }
