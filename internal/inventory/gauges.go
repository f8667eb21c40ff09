package inventory

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/sweep"
)

// The bounds of what the gauges read at a time, so that a table of any size costs the
// same. What is more shows as that many.
const (
	maxCounted   = 100_000 // entries of an index that are counted, and reservations that are added up
	maxLooked    = 10_000  // rows that are looked at
	maxDriftSKUs = 10_000  // SKUs of one slice of a pass
)

// What the stock is compared with.
const (
	driftSum  = "sum"  // its own parts
	driftHeld = "held" // the lines of RESERVED reservations
)

// Gauges say how much is held, and whether the stock is as it must be. Every process
// says the same.
type Gauges struct {
	store  *Store
	open   prometheus.Gauge
	oldest prometheus.Gauge
	drift  *prometheus.GaugeVec
	skus   prometheus.Gauge

	pass pass // Poll's alone
}

// pass is one look at all SKUs, slice by slice.
type pass struct {
	after     string // the last SKU of the slice before
	sum, held int64  // what was found so far
	skus      int64
	unheld    bool // too much is held to be added up
}

// NewGauges registers the gauges with r. Poll brings them up to date.
func NewGauges(r prometheus.Registerer, store *Store) *Gauges {
	g := &Gauges{
		store: store,
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "inventory_reservations_open", Help: fmt.Sprintf("Reservations that hold stock; %d: that many or more.", maxCounted),
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "inventory_oldest_overdue_age_seconds",
			Help: "How long the payment window of the oldest reservation that still holds stock has been over; 0: there is none.",
		}),
		drift: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "inventory_stock_drift_units",
			Help: fmt.Sprintf("Units by which stock is not as it must be, which is 0, in the last pass: received - available - reserved - sold (sum),"+
				" and reserved - the lines of RESERVED reservations (held; absent while there are over %d of them).", maxCounted),
		}, []string{"what"}),
		skus: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "inventory_stock_drift_skus", Help: "SKUs of the last pass that looked for drift.",
		}),
	}
	r.MustRegister(g.open, g.oldest, g.drift, g.skus)
	g.drift.WithLabelValues(driftSum)
	g.drift.WithLabelValues(driftHeld)
	return g
}

// Poll asks the database. It counts in indexes and looks at few rows; only what is held
// at the moment is added up, and only while that is little.
func (g *Gauges) Poll(ctx context.Context) error {
	open, err := g.store.countOpen(ctx)
	if err != nil {
		return err
	}
	g.open.Set(float64(open))
	return errors.Join(g.pollOldest(ctx), g.pollDrift(ctx, open < maxCounted))
}

func (g *Gauges) pollOldest(ctx context.Context) error {
	now := g.store.clock.Now().UnixMilli()
	dueAt, err := g.store.oldestOverdue(ctx, now)
	if err != nil {
		return err
	}
	age := 0.0
	if dueAt > 0 {
		age = float64(now-dueAt) / 1000
	}
	g.oldest.Set(age)
	return nil
}

// pollDrift looks at the next slice of SKUs; the gauges change at the end of a pass.
func (g *Gauges) pollDrift(ctx context.Context, withHeld bool) error {
	slice, last, err := g.store.drift(ctx, g.pass.after, withHeld)
	if err != nil {
		return err
	}
	p := &g.pass
	p.sum, p.held, p.skus = p.sum+slice.SumUnits, p.held+slice.HeldUnits, p.skus+slice.SKUs
	p.unheld = p.unheld || !withHeld
	if p.after = last; last != "" {
		return nil
	}
	g.drift.WithLabelValues(driftSum).Set(float64(p.sum))
	if p.unheld {
		g.drift.DeleteLabelValues(driftHeld)
	} else {
		g.drift.WithLabelValues(driftHeld).Set(float64(p.held))
	}
	g.skus.Set(float64(p.skus))
	*p = pass{}
	return nil
}

// countOpen counts in the index of status.
func (s *Store) countOpen(ctx context.Context) (n int64, err error) {
	err = s.db.With(ctx).Raw("SELECT COUNT(*) FROM (SELECT 1 FROM reservations WHERE status = ? LIMIT ?) AS counted",
		StatusReserved, maxCounted).Scan(&n).Error
	if err != nil {
		return 0, fmt.Errorf("count open reservations: %w", err)
	}
	return n, nil
}

// oldestOverdue finds the end of the oldest payment window among the reservations that
// the sweeper comes to next, which are those that are due; 0 if none has ended.
func (s *Store) oldestOverdue(ctx context.Context, now int64) (dueAt int64, err error) {
	err = s.db.With(ctx).Raw("SELECT COALESCE(MIN(CASE WHEN status = ? AND expires_at <= ? THEN expires_at END), 0) FROM"+
		" (SELECT status, expires_at FROM reservations WHERE sweep_at < ? ORDER BY sweep_at LIMIT ?) AS coming",
		StatusReserved, now, int64(sweep.Never), maxLooked).Scan(&dueAt).Error
	if err != nil {
		return 0, fmt.Errorf("find the oldest overdue reservation: %w", err)
	}
	return dueAt, nil
}

// slice is what was found about some SKUs.
type slice struct {
	SumUnits, HeldUnits int64
	SKUs                int64  `gorm:"column:skus"`
	LastSKU             string `gorm:"column:last_sku"`
}

// One statement reads one moment, also while orders are running. The join of lines is a
// left one, so that databases begin with what is held, and not with all lines.
const (
	heldQuery = "SELECT l.sku, SUM(l.quantity) AS units FROM reservations o" +
		" LEFT JOIN reservation_lines l ON l.order_id = o.order_id WHERE o.status = ? GROUP BY l.sku"
	driftQuery = "SELECT COALESCE(SUM(ABS(s.received - s.available - s.reserved - s.sold)), 0) AS sum_units," +
		" COUNT(*) AS skus, COALESCE(MAX(s.sku), '') AS last_sku"
	sliceQuery = " FROM (SELECT * FROM stocks WHERE sku > ? ORDER BY sku LIMIT ?) AS s"
)

// drift compares the next SKUs behind a SKU, and says which one was the last; "" if
// there are no more.
func (s *Store) drift(ctx context.Context, after string, withHeld bool) (found slice, last string, err error) {
	query, args := driftQuery+sliceQuery, []any{after, maxDriftSKUs}
	if withHeld {
		query = driftQuery + ", COALESCE(SUM(ABS(s.reserved - COALESCE(h.units, 0))), 0) AS held_units" + sliceQuery +
			" LEFT JOIN (" + heldQuery + ") AS h ON h.sku = s.sku"
		args = append(args, StatusReserved)
	}
	if err := s.db.With(ctx).Raw(query, args...).Scan(&found).Error; err != nil {
		return slice{}, "", fmt.Errorf("look for drift of stock: %w", err)
	}
	if found.SKUs < maxDriftSKUs {
		return found, "", nil
	}
	return found, found.LastSKU, nil
}
