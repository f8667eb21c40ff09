package e2e

import (
	"fmt"
	"sync"
	"testing"

	orderv1 "orderflow/api/proto/order/v1"
)

// callers is how many goroutines place orders at once.
const callers = 32

// Five hundred buyers want one of a hundred units.
func TestT47FiveHundredBuyersForAHundredUnits(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on) // the load would delay the others
		tea := s.stocked("tea", 100)
		s.placeMany(500, func(int) []*orderv1.OrderLine { return []*orderv1.OrderLine{line(tea, 1)} })

		s.waitStock(tea, 0, 100, 0)
		s.audit()
		s.wantOrders(100, reserved, 400, outOfStock)
	})
}

// Orders want two SKUs in both orders at once: no deadlock, and all lines or none.
func TestT43OppositeLinesInParallel(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on) // the load would delay the others
		tea, cup := s.stocked("tea", 200), s.stocked("cup", 250)
		s.placeMany(300, func(i int) []*orderv1.OrderLine {
			lines := []*orderv1.OrderLine{line(tea, 1), line(cup, 1)}
			if i%2 == 1 {
				lines[0], lines[1] = lines[1], lines[0]
			}
			return lines
		})
		s.waitStock(tea, 0, 200, 0)
		s.waitStock(cup, 50, 200, 0)
		s.audit()
		s.wantOrders(200, reserved, 100, outOfStock)
	})
}

// placeMany places n orders from many goroutines; each must succeed.
func (s *system) placeMany(n int, lines func(i int) []*orderv1.OrderLine) {
	s.t.Helper()
	next := make(chan int)
	failed := make(chan error, n)
	var workers sync.WaitGroup
	for range callers {
		workers.Go(func() {
			for i := range next {
				if _, err := s.insist(s.request(tenMinutes, lines(i)...)); err != nil {
					failed <- fmt.Errorf("order %d: %w", i, err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	close(failed)
	for err := range failed {
		s.t.Error(err)
	}
}

// wantOrders checks how many of the test's orders have the status, and how many
// are closed for the reason.
func (s *system) wantOrders(n int, status orderv1.OrderStatus, m int, why orderv1.CloseReason) {
	s.t.Helper()
	const query = "SELECT COUNT(*) FROM {order}.orders WHERE customer_id = ? AND status = ? AND close_reason = ?"
	if got := s.count(query, s.customer, int(status), 0); got != n {
		s.t.Errorf("%d orders are %s, want %d", got, status, n)
	}
	if got := s.count(query, s.customer, int(closed), int(why)); got != m {
		s.t.Errorf("%d orders are closed for %s, want %d", got, why, m)
	}
}
