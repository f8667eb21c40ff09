package audit

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/clock"
)

// Services are the two services, as an audit sees them.
type Services struct {
	Orders    orderv1.AuditServiceClient
	Inventory inventoryv1.AuditServiceClient
	Parked    []Parked
}

// Parked is where a service has put messages aside.
type Parked struct {
	Service string
	Client  parkedv1.ParkedServiceClient
}

// Config says how to audit.
type Config struct {
	OverdueAfter  time.Duration // how late an order, or an answer about its stock, may be
	Grace         time.Duration // how long both rows of a suspect must stand still
	CallTimeout   time.Duration // how long a page, or another answer, may take
	MaxViolations int           // how many are kept; all are counted
	Repair        bool          // send the events of orders again that the other half lacks
	RepairWait    time.Duration // how long they may take to have their effect
}

// Report is what an audit has found.
type Report struct {
	Summary    Summary     `json:"summary"`
	Violations []Violation `json:"violations"` // the first Config.MaxViolations
}

// Summary is what an audit has read and found, in numbers.
type Summary struct {
	Complete     bool           `json:"complete"` // false: it ended with an error
	Orders       int64          `json:"orders"`
	Reservations int64          `json:"reservations"`
	SKUs         int64          `json:"skus"`
	Parked       int64          `json:"parked"`
	OrdersUntil  time.Time      `json:"ordersUntil"` // orders placed later are left to the next audit; see ClockSkew
	Suspects     int64          `json:"suspects"`    // orders that were read again
	StillMoving  int64          `json:"stillMoving"` // orders that disagreed, and changed, whenever they were read
	Retries      int64          `json:"retries"`     // calls made again, streams that broke included
	Found        int64          `json:"found"`       // violations
	ByCode       map[Code]int64 `json:"byCode"`
	Mended       int64          `json:"mended"`                // of them, by Config.Repair
	RepairError  string         `json:"repairError,omitempty"` // why the repair was given up
	Duration     Milliseconds   `json:"durationMs"`
}

// Left is how many violations are there still.
func (s Summary) Left() int64 { return s.Found - s.Mended }

// Milliseconds is a duration that JSON shows as a whole number of them.
type Milliseconds time.Duration

// MarshalJSON is the number: scripts compare it.
func (m Milliseconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%d", time.Duration(m).Milliseconds()), nil
}

// run is one audit.
type run struct {
	services Services
	config   Config
	clock    clock.Clock
	report   *Report
	suspects []suspect // the oldest first
	useless  int       // repairs in a row that mended nothing
	answered bool      // one of the services has answered before
}

// Audit compares the books. The error says why it could not be finished; the report
// is then what was found until there.
func Audit(ctx context.Context, services Services, config Config, clk clock.Clock) (*Report, error) {
	begun := clk.Now()
	r := &run{
		services: services, config: config, clock: clk,
		report: &Report{Summary: Summary{ByCode: map[Code]int64{}}, Violations: []Violation{}},
	}
	err := r.all(ctx, begun)
	r.report.Summary.Complete = err == nil
	r.report.Summary.Duration = Milliseconds(clk.Now().Sub(begun))
	return r.report, err
}

// ClockSkew is how far the clocks of those who make order ids may be ahead of ours: by so
// much Summary.OrdersUntil is later than the beginning.
const ClockSkew = time.Minute

// longest is the same for orders that are placed while an audit runs.
const longest = 24 * time.Hour

// all reads what there is: the orders that were there at the beginning, and whatever
// has an id that none will have for long. Those that are placed meanwhile would keep
// the audit busy with what it cannot judge yet.
func (r *run) all(ctx context.Context, begun time.Time) error {
	until := begun.Add(ClockSkew)
	r.report.Summary.OrdersUntil = until.UTC()
	for _, s := range []span{{until: lastID(until)}, {after: lastID(until.Add(longest))}} {
		if err := r.compare(ctx, s); err != nil {
			return err
		}
	}
	if err := r.readBooks(ctx); err != nil {
		return err
	}
	if err := r.readParked(ctx); err != nil {
		return err
	}
	return r.readAllSuspects(ctx)
}

// lastID is the last id that can be made at a time: order ids are UUIDv7, which begin
// with the milliseconds of when they were made.
func lastID(at time.Time) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(at.UnixMilli())<<16|0x7fff)
	for i := 8; i < len(id); i++ {
		id[i] = 0xff
	}
	id[8] = 0xbf
	return id.String()
}

// compare walks over orders and reservations side by side.
func (r *run) compare(ctx context.Context, s span) error {
	orders, reservations := r.ordersCursor(s), r.reservationsCursor(s)
	defer orders.close()
	defer reservations.close()
	for {
		p, more, err := nextPair(ctx, orders, reservations)
		if err != nil || !more {
			return err
		}
		if p.order != nil {
			r.report.Summary.Orders++
		}
		if p.reservation != nil {
			r.report.Summary.Reservations++
		}
		if len(r.rules().check(p, r.clock.Now())) == 0 {
			continue
		}
		if err := r.suspect(ctx, p); err != nil {
			return err
		}
	}
}

// nextPair takes the rows with the lowest id: an order, a reservation, or both.
func nextPair(
	ctx context.Context, orders *cursor[*orderv1.AuditedOrder], reservations *cursor[*inventoryv1.AuditedReservation],
) (p pair, more bool, err error) {
	o, haveOrder, err := orders.peek(ctx)
	if err != nil {
		return pair{}, false, err
	}
	v, haveReservation, err := reservations.peek(ctx)
	if err != nil {
		return pair{}, false, err
	}
	if haveOrder && (!haveReservation || o.GetOrderId() <= v.GetOrderId()) {
		p.order = o
		orders.next()
	}
	if haveReservation && (!haveOrder || v.GetOrderId() <= o.GetOrderId()) {
		p.reservation = v
		reservations.next()
	}
	return p, haveOrder || haveReservation, nil
}

// rules are those of the first look, and of the second.
func (r *run) rules() rules {
	return rules{overdueAfter: r.config.OverdueAfter, waitAtMost: r.config.OverdueAfter}
}

// add counts a violation, and keeps it if there is room.
func (r *run) add(v Violation) {
	s := &r.report.Summary
	s.Found++
	s.ByCode[v.Code]++
	if v.Repair == Mended {
		s.Mended++
	}
	if r.config.Repair && v.Repair == "" {
		v.Repair = Left
	}
	if len(r.report.Violations) < r.config.MaxViolations {
		r.report.Violations = append(r.report.Violations, v)
	}
}
