package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/audit"
)

// judge has the product's own audit compare the books of both services, which must agree
// with the suite's: all is well but for what tests have caused on purpose.
func (s *system) judge() {
	s.t.Helper()
	orders, stock := s.dial(s.order.GRPC()), s.dial(s.inventory.GRPC())
	services := audit.Services{
		Orders: orderv1.NewAuditServiceClient(orders), Inventory: inventoryv1.NewAuditServiceClient(stock),
		Parked: []audit.Parked{
			{Service: "order-srv", Client: parkedv1.NewParkedServiceClient(orders)},
			{Service: "inventory-srv", Client: parkedv1.NewParkedServiceClient(stock)},
		},
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), waitTimeout)
	defer cancel()
	own := map[string]bool{} // by id: a repeated call is answered with the same order
	for _, id := range s.orderIDs() {
		own[id] = true
	}
	report, err := audit.Audit(ctx, services, audit.Config{
		OverdueAfter: waitTimeout, Grace: time.Second, CallTimeout: callTimeout, MaxViolations: 1000,
	}, s.clock())
	s.must(err)
	if report.Summary.Orders < int64(len(own)) || report.Summary.SKUs < int64(len(s.skus)) {
		s.t.Errorf("the product's audit has read %d orders and %d SKUs, want at least the test's own, %d and %d",
			report.Summary.Orders, report.Summary.SKUs, len(own), len(s.skus))
	}
	for _, v := range report.Violations {
		switch {
		case v.Code == audit.MessageParked: // auditParked knows which of them are expected
		case v.Code == audit.ReservationWithoutOrder && s.isGhost(v.OrderID):
		default:
			s.t.Errorf("the product's audit finds %s, order %q, SKU %q: %s instead of %s", v.Code, v.OrderID, v.SKU, v.Actual, v.Expected)
		}
	}
}

// isShared tells whether other tests work on the system, too.
func (s *system) isShared() bool { return s.deployment == run.shared[s.on].made }

// The product's audit runs again and again while this test and others place orders, pay
// them and let them expire: it gives no false alarm.
func TestTheAuditGivesNoFalseAlarm(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 1000)
		ctx, cancel := context.WithCancel(t.Context())
		var buyers sync.WaitGroup
		defer buyers.Wait()
		defer cancel()
		for i := range 4 {
			buyers.Go(func() {
				for ctx.Err() == nil {
					o, err := s.insist(s.request(expiring, line(tea, 1)))
					if err != nil {
						t.Errorf("an order is not taken: %v", err)
						return
					}
					if i%2 == 0 {
						p := payment(o)
						_, _ = repeat(ctx, func(ctx context.Context) (*orderv1.PayOrderResponse, error) { return s.orderClient.PayOrder(ctx, p) })
					}
				}
			})
		}
		for range 5 {
			s.judge()
		}
		cancel()
		buyers.Wait()
		// What is RESERVED now will still expire.
		s.eventually(waitTimeout, func() string {
			if s.count("SELECT COUNT(*) FROM {order}.orders WHERE customer_id = ? AND status IN (1, 2)", s.customer) > 0 {
				return "some orders are neither paid nor closed"
			}
			return ""
		})
		s.audit()
	})
}
