package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// auditTimeout is how long the last messages of a test may take to have their
// effect.
const auditTimeout = 2 * time.Minute

// unsettledQuery finds the customer's orders that are still on their way: each
// must be RESERVED, PAID or CLOSED, with a reservation that fits and that the
// order has learned of. (Statuses: orders 2 RESERVED, 3 PAID, 4 CLOSED;
// reservations and stock_state 1 RESERVED, 2 REJECTED, 3 RELEASED, 4 SOLD.) After a
// restore of inventory's database versions have begun anew.
const unsettledQuery = `SELECT o.id, o.status, o.stock_state, COALESCE(r.status, 0), o.stock_version, COALESCE(r.version, 0)
FROM {order}.orders o LEFT JOIN {inventory}.reservations r ON r.order_id = o.id
WHERE o.customer_id = ? AND NOT (
	o.stock_state = COALESCE(r.status, 0) AND (o.stock_version = COALESCE(r.version, 0) OR ? AND o.stock_version > r.version) AND (
		o.status = 2 AND r.status = 1 OR o.status = 3 AND r.status = 4 OR o.status = 4 AND r.status IN (2, 3)))`

// booksQuery compares a SKU's stock with its receipts, adjustments and reservations. One
// statement reads one moment, so it holds while others work, too.
const booksQuery = `SELECT s.sku, s.available, s.reserved, s.sold, s.received,
	COALESCE(r.units, 0) + COALESCE(a.units, 0), COALESCE(h.units, 0), COALESCE(b.units, 0)
FROM {inventory}.stocks s
LEFT JOIN (SELECT sku, SUM(quantity) AS units FROM {inventory}.receipts GROUP BY sku) r ON r.sku = s.sku
LEFT JOIN (SELECT sku, SUM(difference) AS units FROM {inventory}.adjustments GROUP BY sku) a ON a.sku = s.sku
LEFT JOIN (SELECT l.sku, SUM(l.quantity) AS units FROM {inventory}.reservation_lines l
	JOIN {inventory}.reservations o ON o.order_id = l.order_id WHERE o.status = 1 GROUP BY l.sku) h ON h.sku = s.sku
LEFT JOIN (SELECT l.sku, SUM(l.quantity) AS units FROM {inventory}.reservation_lines l
	JOIN {inventory}.reservations o ON o.order_id = l.order_id WHERE o.status = 4 GROUP BY l.sku) b ON b.sku = s.sku`

const orphansQuery = `SELECT r.order_id FROM {inventory}.reservations r
LEFT JOIN {order}.orders o ON o.id = r.order_id WHERE o.id IS NULL`

// linesQuery finds reservations that hold or sold something else than what was ordered.
const linesQuery = `SELECT o.id FROM {order}.orders o JOIN {inventory}.reservations r ON r.order_id = o.id
WHERE o.customer_id = ? AND r.status IN (1, 4) AND (
	EXISTS (SELECT 1 FROM {order}.order_lines l WHERE l.order_id = o.id AND NOT EXISTS (
		SELECT 1 FROM {inventory}.reservation_lines i WHERE i.order_id = o.id AND i.sku = l.sku AND i.quantity = l.quantity))
	OR (SELECT COUNT(*) FROM {order}.order_lines l WHERE l.order_id = o.id) <>
	   (SELECT COUNT(*) FROM {inventory}.reservation_lines i WHERE i.order_id = o.id))`

// paymentsQuery finds orders that were paid by another number of payments than
// their status says.
const paymentsQuery = `SELECT o.id FROM {order}.orders o WHERE o.customer_id = ? AND
	(SELECT COUNT(*) FROM {order}.payments p WHERE p.order_id = o.id AND p.outcome = 1) <> CASE o.status WHEN 3 THEN 1 ELSE 0 END`

const parkedQuery = `SELECT order_id, reason FROM {order}.parked_messages
UNION ALL SELECT order_id, reason FROM {inventory}.parked_messages`

// audit waits until all orders of the test have come to rest, and then checks
// that nothing was lost, sold twice or left behind. It looks into the databases
// and asks no service. Then the product's audit has its turn, on a system of the
// test's own whose services run.
func (s *system) audit() {
	s.t.Helper()
	s.eventually(auditTimeout, s.unsettled)
	s.auditBooks()
	s.auditOrders()
	s.auditParked()
	if !s.isShared() && s.order.runs() && s.inventory.runs() {
		s.judge()
	}
}

func (s *system) unsettled() string {
	var waiting []string
	s.query(unsettledQuery, []any{s.customer, s.restored}, func(scan func(...any) error) error {
		var id string
		var status, stockState, reservation, known, version int
		err := scan(&id, &status, &stockState, &reservation, &known, &version)
		waiting = append(waiting, fmt.Sprintf("order %s: status %d, knows stock state %d version %d, reservation is %d version %d",
			id, status, stockState, known, reservation, version))
		return err
	})
	if len(waiting) > 5 {
		waiting = append(waiting[:5], fmt.Sprintf("and %d more", len(waiting)-5))
	}
	return strings.Join(waiting, "\n")
}

// auditBooks checks every SKU of the system, and what this test has received.
func (s *system) auditBooks() {
	s.t.Helper()
	seen := map[string]int64{}
	s.query(booksQuery, nil, func(scan func(...any) error) error {
		var sku string
		var available, reserved, sold, received, receipts, held, bought int64
		err := scan(&sku, &available, &reserved, &sold, &received, &receipts, &held, &bought)
		text := fmt.Sprintf("%s: available %d, reserved %d, sold %d, received %d; receipts %d, held %d, bought %d",
			sku, available, reserved, sold, received, receipts, held, bought)
		switch {
		case available < 0 || reserved < 0 || sold < 0:
			s.t.Errorf("audit: negative stock: %s", text)
		case received != available+reserved+sold || received != receipts:
			s.t.Errorf("audit: the stock does not add up: %s", text)
		case reserved != held:
			s.t.Errorf("audit: reserved is not what RESERVED reservations hold: %s", text)
		case sold != bought:
			s.t.Errorf("audit: sold is not what SOLD reservations say: %s", text)
		}
		seen[sku] = received
		return err
	})
	for sku, received := range s.skus {
		if seen[sku] != received {
			s.t.Errorf("audit: %s: received %d, want %d", sku, seen[sku], received)
		}
	}
}

// auditOrders checks the test's orders, and that no reservation of the system is
// without one.
func (s *system) auditOrders() {
	s.t.Helper()
	stored := map[string]bool{}
	for _, id := range s.ids("SELECT id FROM {order}.orders WHERE customer_id = ?", s.customer) {
		stored[id] = true
	}
	for _, id := range s.orderIDs() {
		if !stored[id] {
			s.t.Errorf("audit: order %s was acknowledged and is not there", id)
		}
	}
	for _, id := range s.ids(linesQuery, s.customer) {
		s.t.Errorf("audit: the reservation of order %s has other lines than the order", id)
	}
	for _, id := range s.ids(paymentsQuery, s.customer) {
		s.t.Errorf("audit: order %s and its payments contradict each other", id)
	}
	for _, id := range s.ids(orphansQuery) {
		if !s.isGhost(id) {
			s.t.Errorf("audit: there is a reservation for order %s, but no such order", id)
		}
	}
}

// auditParked checks that only those messages are parked that a test expects,
// and all of this test's.
func (s *system) auditParked() {
	s.t.Helper()
	for _, p := range s.parked() {
		if !s.expects(p) {
			s.t.Errorf("audit: a message is parked that no test expects: %s", p)
		}
	}
}

// parked lists what is parked in both databases.
func (s *system) parked() []parkedMessage {
	s.t.Helper()
	var all []parkedMessage
	s.query(parkedQuery, nil, func(scan func(...any) error) error {
		var p parkedMessage
		err := scan(&p.orderID, &p.reason)
		all = append(all, p)
		return err
	})
	return all
}

// parkedMessage is one event that was put aside, and why.
type parkedMessage struct{ orderID, reason string }

// String is the message in failures.
func (p parkedMessage) String() string { return p.orderID + " " + p.reason }

// expectParked says that an event of the order will be parked for the reason:
// call it before the event is sent.
func (s *system) expectParked(orderID, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected[parkedMessage{orderID, reason}] = true
}

func (s *system) expects(p parkedMessage) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expected[p]
}

// waitParked waits until an event of the order is parked for the reason.
func (s *system) waitParked(orderID, reason string) {
	s.t.Helper()
	s.waitParkedFor(waitTimeout, orderID, reason)
}

func (s *system) waitParkedFor(timeout time.Duration, orderID, reason string) {
	s.t.Helper()
	want := parkedMessage{orderID, reason}
	s.eventually(timeout, func() string {
		if all := s.parked(); !slices.Contains(all, want) {
			return fmt.Sprintf("%s is not parked; parked are %v", want, all)
		}
		return ""
	})
}

// ghost makes up an order id that will be in injected messages only.
func (s *system) ghost() string {
	s.t.Helper()
	id, err := uuid.NewV7()
	s.must(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ghosts[id.String()] = true
	return id.String()
}

func (s *system) isGhost(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ghosts[id]
}

// ids runs a query for ids.
func (s *system) ids(query string, args ...any) []string {
	s.t.Helper()
	var all []string
	s.query(query, args, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		all = append(all, id)
		return err
	})
	return all
}

// count runs a query whose result is one number.
func (s *system) count(query string, args ...any) (n int) {
	s.t.Helper()
	s.query(query, args, func(scan func(...any) error) error { return scan(&n) })
	return n
}

// query reads both databases in one statement: {order} and {inventory} stand for
// their names.
func (s *system) query(query string, args []any, row func(scan func(...any) error) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), callTimeout)
	defer cancel()
	s.must(s.databases.query(ctx, query, args, row))
}
