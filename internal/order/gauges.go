package order

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/sweep"
)

// The bounds of what the gauges read at a time, so that a table of any size costs the
// same. What is more shows as that many.
const (
	maxCounted  = 100_000 // entries of an index, that are counted
	maxLooked   = 10_000  // rows that are looked at
	maxSuspects = 500     // rows that are remembered
)

// What is the oldest of its kind.
const (
	agePlaced      = "placed"      // PLACED
	ageOverdue     = "overdue"     // RESERVED past its payment window
	ageUnconfirmed = "unconfirmed" // in a status that inventory has not confirmed
	ageRefund      = "refund_due"  // a payment that has to be refunded
)

// Gauges say how the orders stand that something can still happen to: those that
// ended are most of them, and counted when they do. Every process says the same.
type Gauges struct {
	store   *Store
	open    *prometheus.GaugeVec
	oldest  *prometheus.GaugeVec
	refunds prometheus.Gauge
}

// NewGauges registers the gauges with r. Poll brings them up to date.
func NewGauges(r prometheus.Registerer, store *Store) *Gauges {
	g := &Gauges{
		store: store,
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "orders_open",
			Help: fmt.Sprintf("Orders that can still be paid or closed, by status (PLACED, RESERVED), in all; %d: that many or more.", maxCounted),
		}, []string{"status"}),
		oldest: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "order_oldest_age_seconds",
			Help: "Age of the oldest: placed (since it was placed), overdue (RESERVED, since its payment window ended)," +
				" unconfirmed (stock not confirmed, since its last change), refund_due (since it was recorded); 0: there is none.",
		}, []string{"what"}),
		refunds: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "order_refunds_due", Help: fmt.Sprintf("Payments that have to be refunded and are not; %d: that many or more.", maxCounted),
		}),
	}
	r.MustRegister(g.open, g.oldest, g.refunds)
	for _, status := range []Status{Placed, Reserved} {
		g.open.WithLabelValues(status.String())
	}
	for _, what := range []string{agePlaced, ageOverdue, ageUnconfirmed, ageRefund} {
		g.oldest.WithLabelValues(what)
	}
	return g
}

// Poll asks the database. It counts in indexes, and looks at few rows: none of its
// statements grows with the table.
func (g *Gauges) Poll(ctx context.Context) error {
	return errors.Join(g.pollOpen(ctx), g.pollAges(ctx), g.pollRefunds(ctx))
}

// pollOpen counts in the index of status.
func (g *Gauges) pollOpen(ctx context.Context) error {
	for _, status := range []Status{Placed, Reserved} {
		var n int64
		err := g.store.db.With(ctx).Raw("SELECT COUNT(*) FROM (SELECT 1 FROM orders WHERE status = ? LIMIT ?) AS counted",
			status, maxCounted).Scan(&n).Error
		if err != nil {
			return fmt.Errorf("count %s orders: %w", status, err)
		}
		g.open.WithLabelValues(status.String()).Set(float64(n))
	}
	return nil
}

// pollAges finds the oldest. PLACED is an index, and none of its orders is confirmed.
// No index knows the others; but the sweeper has to look at every one of them, so they
// are among the rows that it comes to next. Where so many orders are open that they
// are not, those that it has looked at in vain before are remembered.
func (g *Gauges) pollAges(ctx context.Context) error {
	placed, err := g.store.oldestPlaced(ctx)
	if err != nil {
		return err
	}
	overdue, unconfirmed, err := g.store.oldestNext(ctx)
	if err != nil {
		return err
	}
	suspect, err := g.store.oldestSuspect(ctx)
	if err != nil {
		return err
	}
	g.setAge(agePlaced, placed)
	g.setAge(ageOverdue, overdue)
	g.setAge(ageUnconfirmed, earliest(placed, unconfirmed, suspect))
	return nil
}

func (g *Gauges) pollRefunds(ctx context.Context) error {
	var due struct{ N, Oldest int64 }
	err := g.store.db.With(ctx).Raw("SELECT COUNT(*) AS n, COALESCE(MIN(recorded_at), 0) AS oldest FROM"+
		" (SELECT recorded_at FROM payments WHERE outcome = ? AND refunded_at = 0 ORDER BY recorded_at, id LIMIT ?) AS due",
		RefundDue, maxCounted).Scan(&due).Error
	if err != nil {
		return fmt.Errorf("count refunds due: %w", err)
	}
	g.refunds.Set(float64(due.N))
	g.setAge(ageRefund, due.Oldest)
	return nil
}

// setAge sets an age to the time since then, in milliseconds since the Unix epoch; 0
// stands for none.
func (g *Gauges) setAge(what string, since int64) {
	age := 0.0
	if since > 0 {
		age = float64(max(0, g.store.clock.Now().UnixMilli()-since)) / 1000
	}
	g.oldest.WithLabelValues(what).Set(age)
}

// earliest is the first of the times that are not 0.
func earliest(times ...int64) int64 {
	first := int64(0)
	for _, t := range times {
		if t > 0 && (first == 0 || t < first) {
			first = t
		}
	}
	return first
}

func (s *Store) oldestPlaced(ctx context.Context) (placedAt int64, err error) {
	err = s.db.With(ctx).Raw("SELECT created_at FROM orders WHERE status = ? ORDER BY created_at, id LIMIT 1", Placed).Scan(&placedAt).Error
	return placedAt, wrapped("find the oldest placed order", err)
}

// oldestNext looks at the rows that the sweeper comes to next: since when one is
// overdue, and since when paid or closed and not confirmed; 0 if none is.
func (s *Store) oldestNext(ctx context.Context) (overdue, unconfirmed int64, err error) {
	var found struct{ Overdue, Unconfirmed int64 }
	now := s.clock.Now().UnixMilli()
	err = s.db.With(ctx).Raw("SELECT COALESCE(MIN(CASE WHEN status = ? AND expires_at <= ? THEN expires_at END), 0) AS overdue,"+
		" COALESCE(MIN(CASE WHEN status = ? AND stock_state <> ? OR status = ? AND stock_state NOT IN ? THEN updated_at END), 0) AS unconfirmed"+
		" FROM (SELECT status, expires_at, stock_state, updated_at FROM orders WHERE sweep_at < ? ORDER BY sweep_at LIMIT ?) AS coming",
		Reserved, now, Paid, StockSold, Closed, []StockState{StockRejected, StockReleased}, int64(sweep.Never), maxLooked).Scan(&found).Error
	return found.Overdue, found.Unconfirmed, wrapped("find what the sweeper comes to next", err)
}

// suspects are orders that the sweeper has found unconfirmed: it looks at them again
// later and later, and they may be far behind meanwhile. The zero value has none.
type suspects struct {
	mu  sync.Mutex
	ids map[string]struct{}
}

// add remembers one more, if there is room: the first are the oldest.
func (s *suspects) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = map[string]struct{}{}
	}
	if len(s.ids) < maxSuspects {
		s.ids[id] = struct{}{}
	}
}

func (s *suspects) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.ids))
}

func (s *suspects) remove(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.ids, id)
	}
}

// oldestSuspect reads the suspects by their ids, forgets those that are confirmed by
// now, and says since when the oldest of the others is not; 0 if none is left.
func (s *Store) oldestSuspect(ctx context.Context) (since int64, err error) {
	ids := s.suspects.list()
	if len(ids) == 0 {
		return 0, nil
	}
	var orders []Order
	if err := s.db.With(ctx).Select("id, status, stock_state, updated_at").Where("id IN ?", ids).Find(&orders).Error; err != nil {
		return 0, fmt.Errorf("read orders that were not confirmed: %w", err)
	}
	cleared := map[string]struct{}{}
	for _, id := range ids { // also one that is gone
		cleared[id] = struct{}{}
	}
	for _, o := range orders {
		if !o.settled() {
			delete(cleared, o.ID)
			since = earliest(since, o.UpdatedAt)
		}
	}
	s.suspects.remove(slices.Collect(maps.Keys(cleared)))
	return since, nil
}
