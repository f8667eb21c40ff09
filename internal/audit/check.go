package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// pair is an order and its reservation, as far as they are there.
type pair struct {
	order       *orderv1.AuditedOrder
	reservation *inventoryv1.AuditedReservation
}

// id is the order's id, whichever of the two is there.
func (p pair) id() string {
	if p.order != nil {
		return p.order.GetOrderId()
	}
	return p.reservation.GetOrderId()
}

// rules say how late an order may be.
type rules struct {
	overdueAfter time.Duration // how long behind the end of its window an order may be open
	waitAtMost   time.Duration // how long order-srv may wait for what inventory has to say
}

// What a reservation holds, as the rules see it.
const (
	none     = inventoryv1.ReservationStatus_RESERVATION_STATUS_UNSPECIFIED // there is no reservation
	reserved = inventoryv1.ReservationStatus_RESERVATION_STATUS_RESERVED
	rejected = inventoryv1.ReservationStatus_RESERVATION_STATUS_REJECTED
	released = inventoryv1.ReservationStatus_RESERVATION_STATUS_RELEASED
	sold     = inventoryv1.ReservationStatus_RESERVATION_STATUS_SOLD
)

// Where an order stands.
const (
	placed        = orderv1.OrderStatus_ORDER_STATUS_PLACED
	awaitsPayment = orderv1.OrderStatus_ORDER_STATUS_RESERVED
	paid          = orderv1.OrderStatus_ORDER_STATUS_PAID
	closed        = orderv1.OrderStatus_ORDER_STATUS_CLOSED
	stockHeld     = orderv1.StockState_STOCK_STATE_RESERVED
)

// check compares an order with its reservation, and both with the time: that of
// order-srv, which decides what is overdue; now only where an old one does not say it.
func (r rules) check(p pair, now time.Time) []Violation {
	if p.order == nil {
		return checkOrphan(p.reservation)
	}
	if at := p.order.GetReadAtMs(); at > 0 {
		now = time.UnixMilli(at)
	}
	if !isKnown(p) {
		return []Violation{ofOrder(StatusUnknown, p.id(), false, "a status that this orderctl knows", p.String())}
	}
	var found []Violation
	if r.isOverdue(p.order, now) {
		found = append(found, ofOrder(OrderOverdue, p.id(), true,
			fmt.Sprintf("paid or closed at %s", moment(p.order.GetExpiresAtMs())), p.String()))
	}
	// A late answer is no news of an order that is overdue: closing it asks again.
	late := len(found) == 0 && r.isLate(p.order, now)
	if v, bad := checkStock(p, late); bad {
		found = append(found, v)
	}
	return append(found, checkLines(p)...)
}

// isOverdue tells whether an open order should have been closed. One without a timer
// never is.
func (r rules) isOverdue(o *orderv1.AuditedOrder, now time.Time) bool {
	return isOpen(o) && o.GetExpiresAtMs() > 0 && now.Sub(time.UnixMilli(o.GetExpiresAtMs())) > r.overdueAfter
}

// isLate tells whether order-srv has waited too long for what inventory has to say.
func (r rules) isLate(o *orderv1.AuditedOrder, now time.Time) bool {
	return waits(o) && (r.waitAtMost <= 0 || now.Sub(time.UnixMilli(o.GetUpdatedAtMs())) > r.waitAtMost)
}

func isOpen(o *orderv1.AuditedOrder) bool {
	return o.GetStatus() == placed || o.GetStatus() == awaitsPayment
}

// waits tells whether order-srv waits for inventory: messages are on their way, or
// should be.
func waits(o *orderv1.AuditedOrder) bool { return !o.GetSettled() || o.GetStatus() == placed }

// checkStock is the table of what may be held for an order. What a message on its way
// can put right is a violation only once it is late, or if nobody waits for one.
func checkStock(p pair, late bool) (Violation, bool) {
	is := p.reservation.GetStatus()
	stuck := late || !waits(p.order)
	yes := func(code Code, redrive bool, expected string) (Violation, bool) {
		return ofOrder(code, p.id(), redrive, expected, p.String()), true
	}
	switch status := p.order.GetStatus(); {
	case isOpen(p.order) && is == sold:
		return yes(OpenButSold, false, "stock that is sold is that of a PAID order")
	case isOpen(p.order) && (is == released || is == rejected && heardOfStock(p.order)):
		v, bad := yes(OpenWithoutStock, false, "reservation RESERVED")
		v.Mend = personMust("orderctl order cancel " + p.id())
		return v, bad
	case isOpen(p.order) && is == none && stuck:
		return yes(ReservationMissing, true, "a reservation")
	case status == paid && (is == rejected || is == released):
		return yes(PaidWithoutStock, false, "reservation SOLD")
	case status == paid && is == none && stuck:
		return yes(ReservationMissing, true, "reservation SOLD")
	case status == paid && is == reserved && stuck:
		return yes(PaidNotSold, true, "reservation SOLD")
	case status == closed && is == sold:
		return yes(ClosedButSold, false, "nothing held or sold")
	case status == closed && is == reserved && stuck:
		return yes(ClosedStillHolds, true, "nothing held")
	case late:
		return yes(OrderUnsettled, true, "order-srv knows what became of the stock")
	}
	return Violation{}, false
}

// heardOfStock tells whether inventory had confirmed to order-srv that it holds the
// stock of an open order.
func heardOfStock(o *orderv1.AuditedOrder) bool {
	return o.GetStatus() == awaitsPayment || o.GetStockState() == stockHeld
}

// checkLines compares what is held or sold with what was ordered.
func checkLines(p pair) []Violation {
	if is := p.reservation.GetStatus(); is != reserved && is != sold {
		return nil
	}
	ordered, held := p.order.GetLines(), p.reservation.GetLines()
	if slices.EqualFunc(ordered, held, func(o *orderv1.AuditedLine, h *inventoryv1.AuditedLine) bool {
		return o.GetSku() == h.GetSku() && o.GetQuantity() == h.GetQuantity()
	}) {
		return nil
	}
	// The first lines may be the same: say only what follows them.
	same := 0
	for same < len(ordered) && same < len(held) &&
		ordered[same].GetSku() == held[same].GetSku() && ordered[same].GetQuantity() == held[same].GetQuantity() {
		same++
	}
	return []Violation{ofOrder(LinesDiffer, p.id(), false,
		"as ordered: "+describeLines(ordered[same:]), name(p.reservation.GetStatus())+": "+describeLines(held[same:]))}
}

// checkOrphan is about a reservation without an order. One that holds nothing does no
// harm: it may be the memory of an event that nobody can make undone.
func checkOrphan(v *inventoryv1.AuditedReservation) []Violation {
	if is := v.GetStatus(); is != reserved && is != sold {
		return nil
	}
	p := pair{reservation: v}
	return []Violation{ofOrder(ReservationWithoutOrder, p.id(), false, "an order", p.String()+": "+describeLines(v.GetLines()))}
}

func isKnown(p pair) bool {
	return slices.Contains([]orderv1.OrderStatus{placed, awaitsPayment, paid, closed}, p.order.GetStatus()) &&
		(p.reservation == nil || slices.Contains([]inventoryv1.ReservationStatus{reserved, rejected, released, sold}, p.reservation.GetStatus()))
}

// String is how both stand, for people.
func (p pair) String() string {
	return p.orderText() + "; " + p.reservationText()
}

func (p pair) orderText() string {
	o := p.order
	if o == nil {
		return "no order"
	}
	text := "order " + name(o.GetStatus())
	if o.GetStatus() == closed {
		text += " (" + name(o.GetCloseReason()) + ")"
	}
	return fmt.Sprintf("%s since %s, stock %s", text, moment(o.GetUpdatedAtMs()), name(o.GetStockState()))
}

func (p pair) reservationText() string {
	if p.reservation == nil {
		return "no reservation"
	}
	return fmt.Sprintf("reservation %s since %s", name(p.reservation.GetStatus()), moment(p.reservation.GetUpdatedAtMs()))
}

// name is an enum value without its prefix, as everywhere in orderctl.
func name(value fmt.Stringer) string {
	text := value.String()
	for _, prefix := range []string{"ORDER_STATUS_", "CLOSE_REASON_", "STOCK_STATE_", "RESERVATION_STATUS_"} {
		text = strings.TrimPrefix(text, prefix)
	}
	if text == "UNSPECIFIED" {
		return "-"
	}
	return text
}

func moment(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
