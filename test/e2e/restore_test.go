package e2e

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/assembly"
	"orderflow/internal/audit"
	"orderflow/internal/inventory"
)

// The inventory's database is restored from a backup that is older than what order-srv
// has been told. No message is missing, so nobody sends one: the audit finds what is gone,
// and its repair has it done once more. A paid order without reservation is sold in one
// step (T34).
func TestT34TheInventoryDatabaseIsRestored(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		tea := s.stocked("tea", 100)
		var bought, called []*orderv1.Order // reserved in the backup
		for range 2 {
			bought = append(bought, s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved))
			called = append(called, s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved))
		}
		restore := s.backup(assembly.InventoryService)

		var held, sold []*orderv1.Order // not in the backup
		for range 2 {
			held = append(held, s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved))
			sold = append(sold, s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved))
		}
		for _, o := range slices.Concat(bought, sold) {
			s.wantPaid(s.pay(o))
		}
		for _, o := range called {
			s.callOff(o)
		}
		s.eventually(waitTimeout, s.unsettled)
		s.orderctlAudit(0)
		s.waitLag(s.names.InventoryOrderEvents, s.names.OrderEvents) // so that nothing comes again by itself

		restore()
		report := s.orderctlAudit(1)
		repaired := s.orderctlAudit(0, "--repair")
		if on.has(singleDelivery) {
			s.wantFound(report, map[audit.Code]int{
				audit.ReservationMissing: len(held) + len(sold), audit.PaidNotSold: len(bought), audit.ClosedStillHolds: len(called),
			})
			s.wantFound(repaired, map[audit.Code]int{
				audit.ReservationMissing: len(held) + len(sold), audit.PaidNotSold: len(bought), audit.ClosedStillHolds: len(called),
			})
			s.wantReservation(sold[0], soldForGood, 1)
		}
		if repaired.Summary.Mended == 0 || repaired.Summary.Left() > 0 {
			t.Errorf("the repair has mended %d violations, and left %d", repaired.Summary.Mended, repaired.Summary.Left())
		}
		s.waitStock(tea, 94, 2, 4)
		s.wantReservation(held[0], heldNow, 1)
		s.wantReservation(bought[0], soldForGood, 2)
		s.wantReservation(called[0], givenBack, 2)
		s.wantNothingParked()
		s.orderctlAudit(0)
		s.audit()
	})
}

// After such a restore others get the stock of an order that is paid. That is parked, and
// no repair can help; when there is stock again, a replay does (T63).
func TestT63APaidOrderWaitsForStock(t *testing.T) {
	onStacks(t, needs{singleDelivery}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		cup := s.stocked("cup", 4)
		restore := s.backup(assembly.InventoryService)
		unlucky := s.waitStatus(s.place(tenMinutes, line(cup, 4)), reserved)
		s.wantPaid(s.pay(unlucky))
		s.eventually(waitTimeout, s.unsettled)
		s.waitLag(s.names.InventoryOrderEvents, s.names.OrderEvents)

		restore()
		quick := s.waitStatus(s.place(tenMinutes, line(cup, 4)), reserved)
		s.expectParked(unlucky.GetOrderId(), inventory.ReasonPaidButShort)
		left := s.orderctlAudit(1, "--repair", "--repair-wait=1s")
		if left.Summary.Mended != 0 || len(left.Violations) != 1 || left.Violations[0].Repair != audit.Left {
			t.Errorf("the repair is %+v", left)
		}
		s.waitParked(unlucky.GetOrderId(), inventory.ReasonPaidButShort)
		s.wantFound(s.orderctlAudit(1), map[audit.Code]int{audit.ReservationMissing: 1, audit.MessageParked: 1})

		s.orderctl(0, "stock", "add", cup, "4", "--receipt", s.customer)
		s.skus[cup] += 4
		wantRow(t, s.orderctl(0, "parked", "replay", s.parkedID(unlucky)), "now", "replayed,", "and", "removed")
		s.waitStock(cup, 0, 4, 4)
		s.wantReservation(unlucky, soldForGood, 1)
		s.wantReservation(quick, heldNow, 1)
		s.wantNothingParked()
		s.orderctlAudit(0)
		s.audit()
	})
}

// The database of order-srv is restored from a backup: orders are gone that had been
// acknowledged. When they are due, inventory asks, learns that nobody knows them, and
// parks that; their stock is held until somebody has looked. The audit names each.
func TestTheOrderDatabaseIsRestored(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSweeping(t, on, plan{})
		tea := s.stocked("tea", 10)
		kept := s.waitStatus(s.place(tenMinutes, line(tea, 1)), reserved)
		s.eventually(waitTimeout, s.unsettled)
		restore := s.backup(assembly.OrderService)

		var gone []*orderv1.Order
		for range 2 {
			gone = append(gone, s.waitStatus(s.place(10*time.Second, line(tea, 2)), reserved))
		}
		s.wantPaid(s.pay(gone[1]))
		s.waitStock(tea, 5, 3, 2)
		s.eventually(waitTimeout, s.unsettled)
		for _, o := range gone {
			s.forget(o)
		}
		s.expectParked(gone[0].GetOrderId(), inventory.ReasonReservedNoOrder)
		s.expectParked(gone[1].GetOrderId(), inventory.ReasonSoldNoOrder)
		restore()

		s.waitParked(gone[0].GetOrderId(), inventory.ReasonReservedNoOrder)
		s.waitParked(gone[1].GetOrderId(), inventory.ReasonSoldNoOrder)
		report := s.orderctlAudit(1)
		for _, v := range report.Violations {
			if v.Code == audit.ReservationWithoutOrder && v.OrderID != gone[0].GetOrderId() && v.OrderID != gone[1].GetOrderId() {
				t.Errorf("order %s is without one, says the audit", v.OrderID)
			}
		}
		if n := report.Summary.ByCode[audit.ReservationWithoutOrder]; n != 2 {
			t.Errorf("the audit finds %v, want 2 reservations without order", report.Summary.ByCode)
		}
		s.waitStock(tea, 5, 3, 2)
		s.wantPaid(s.pay(kept))
		s.waitStock(tea, 5, 2, 3)
		s.wantTimeline(gone[0], inventory.ReasonReservedNoOrder)
		s.audit()
	})
}

// backup copies a service's database and returns what replaces the database by the copy:
// both while the service is stopped.
func (s *system) backup(service assembly.Service) (restore func()) {
	s.t.Helper()
	var put func(ctx context.Context) error
	s.whileStopped(service, func(ctx context.Context) (err error) {
		put, err = s.databases.backup(ctx, service)
		return err
	})
	return func() {
		s.t.Helper()
		s.whileStopped(service, put)
		s.restored = s.restored || service == assembly.InventoryService
	}
}

// whileStopped stops a service, does something, and starts it again.
func (s *system) whileStopped(service assembly.Service, do func(ctx context.Context) error) {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	if service == assembly.OrderService {
		s.stop(s.order)
		s.must(do(ctx))
		s.useOrder(s.restart(s.order))
	} else {
		s.stop(s.inventory)
		s.must(do(ctx))
		s.useInventory(s.restart(s.inventory))
	}
	s.waitReady(s.order, s.inventory)
}

// forget says that an order will be lost with the database of order-srv, although it was
// acknowledged.
func (s *system) forget(o *orderv1.Order) {
	s.orderIDs()
	s.known = slices.DeleteFunc(s.known, func(id string) bool { return id == o.GetOrderId() })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ghosts[o.GetOrderId()] = true
}

// orderctlAudit runs the operator's audit and returns its report.
func (s *system) orderctlAudit(code int, more ...string) *audit.Report {
	s.t.Helper()
	args := []string{"audit", "--grace=200ms", "--overdue-after=5s", "-o", "json"}
	text := s.orderctl(code, append(args, more...)...)
	report := &audit.Report{}
	// Behind the report the tool may say in words why it ends with 1.
	if err := json.NewDecoder(strings.NewReader(text)).Decode(report); err != nil {
		s.t.Fatalf("not a report: %v\n%s", err, text)
	}
	if !report.Summary.Complete {
		s.t.Errorf("the audit was not finished:\n%s", text)
	}
	return report
}

// wantFound checks how many violations of each kind the audit has found.
func (s *system) wantFound(r *audit.Report, want map[audit.Code]int) {
	s.t.Helper()
	got := map[audit.Code]int{}
	for code, n := range r.Summary.ByCode {
		got[code] = int(n)
	}
	if !maps.Equal(got, want) {
		s.t.Errorf("the audit finds %v, want %v: %+v", got, want, r.Violations)
	}
}
