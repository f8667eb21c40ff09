package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/internal/database"
	"orderflow/internal/sweep"
	"orderflow/internal/tracing"
)

// rowTimeout bounds what the sweeper does about one order; it is well within the
// lease.
const rowTimeout = sweep.Lease / 3

// Sweep drives on what has got stuck, in rounds, until ctx ends: an order that is past
// its payment window by more than the grace is closed, and the event of one whose
// stock is not confirmed is sent again, at twice the time each time. So orders end
// and stock goes where it belongs although a half message was given up, a timer or a
// stock event was lost, or the broker's store was wiped. It may run at any number of
// replicas. Errors are reported, and the rows come up again.
func (s *Service) Sweep(ctx context.Context, interval time.Duration, report func(error)) {
	sweep.Run(ctx, s.clock, interval, s.sweepOnce, report)
}

// sweepOnce is one round.
func (s *Service) sweepOnce(ctx context.Context) (full bool, err error) {
	began := s.clock.Now()
	orders, err := s.store.lease(ctx)
	if err != nil {
		return false, err
	}
	errs := forEach(orders, func(_ int, o Order) (err error) {
		ctx, cancel := context.WithTimeout(ctx, rowTimeout)
		defer cancel()
		ctx, span := tracing.Root(ctx, s.tracer, "sweep order", o.ID, tracing.Stored(o.Traceparent))
		defer func() { tracing.End(span, err) }()
		err = s.sweepOrder(ctx, o)
		if errors.Is(err, errStale) { // it has moved on by itself
			return nil
		}
		if err != nil {
			s.metrics.countFailed(s.stuck(o))
			return sweep.Unhealed(ctx, errors.Join(err, s.giveBack(ctx, o)), o.ID)
		}
		return nil
	})
	s.metrics.observeRound(s.clock.Now().Sub(began))
	return len(orders) == sweep.Batch, errors.Join(errs...)
}

// sweepOrder looks at one order that was leased.
func (s *Service) sweepOrder(ctx context.Context, o Order) error {
	now, what := s.clock.Now().UnixMilli(), s.stuck(o)
	s.metrics.countFound(what)
	switch what {
	case foundOverdue:
		err := s.expire(ctx, o, BySweeper)
		if err == nil {
			s.metrics.countClosed()
		}
		return err
	case foundSettled: // a program that knows no sweeper has written the row, or it is early
		return s.store.inTx(ctx, func(tx *Tx) error {
			return tx.reschedule(o, s.store.schedule.next(o, now), 0)
		})
	default:
		if o.Status != Placed { // of which the gauges know by themselves
			s.store.suspects.add(o.ID)
		}
		next := now + sweep.Backoff(s.store.schedule.ResendAfter, o.SweepCount+1).Milliseconds()
		return s.resend(ctx, o, BySweeper, func(tx *Tx) error {
			return tx.reschedule(o, min(next, s.store.schedule.overdueAt(o)), o.SweepCount+1)
		})
	}
}

// stuck is what the sweeper has found about an order, for its metrics.
func (s *Service) stuck(o Order) string {
	switch {
	case s.store.schedule.overdueAt(o) <= s.clock.Now().UnixMilli():
		return foundOverdue
	case o.settled():
		return foundSettled
	default:
		return foundUnconfirmed(o)
	}
}

// giveBack has an order about which nothing could be done looked at again before its
// lease ends, if that is longer than it would have waited at first.
func (s *Service) giveBack(ctx context.Context, o Order) error {
	next := s.clock.Now().Add(sweep.Backoff(s.store.schedule.ResendAfter, o.SweepCount)).UnixMilli()
	if next >= o.SweepAt {
		return nil
	}
	err := s.store.inTx(ctx, func(tx *Tx) error { return tx.reschedule(o, next, o.SweepCount) })
	if errors.Is(err, errStale) { // it has moved on
		return nil
	}
	return wrapped("give an order back", err)
}

// lease takes the orders that somebody has to look at by now: for the time of the
// lease no other round sees them, and if this one does not come to it they come up
// again. They are as they were then, with their lines.
func (s *Store) lease(ctx context.Context) ([]Order, error) {
	now := s.clock.Now().UnixMilli()
	var due int64 // a look that takes no locks, for most rounds find nothing
	err := s.db.With(ctx).Raw("SELECT COUNT(*) FROM (SELECT 1 FROM orders WHERE sweep_at <= ? LIMIT 1) due", now).Scan(&due).Error
	if err != nil || due == 0 {
		return nil, wrapped("look for orders to sweep", err)
	}
	var orders []Order
	err = s.inTx(ctx, func(tx *Tx) error {
		orders = nil
		err := tx.db.Clauses(database.SkipLocked()).Where("sweep_at <= ?", tx.now).Order("sweep_at").Limit(sweep.Batch).Find(&orders).Error
		if err != nil || len(orders) == 0 {
			return wrapped("find orders to sweep", err)
		}
		return tx.lease(orders)
	})
	if err != nil || len(orders) == 0 {
		return nil, err
	}
	return orders, s.readLines(ctx, orders)
}

// lease moves the time to look of rows that are locked.
func (tx *Tx) lease(orders []Order) error {
	ids, until := make([]string, len(orders)), tx.now+sweep.Lease.Milliseconds()
	for i := range orders {
		ids[i], orders[i].SweepAt = orders[i].ID, until
	}
	result := tx.db.Exec("UPDATE orders SET sweep_at = ? WHERE id IN ? AND sweep_at <= ?", until, ids, tx.now)
	if result.Error == nil && result.RowsAffected != int64(len(ids)) {
		return fmt.Errorf("lease %d orders: %w", len(ids), errStale)
	}
	return wrapped("lease orders", result.Error)
}

// reschedule says when the sweeper has to look at the order again. It changes nothing
// that a client could see, and so makes no version. The error is errStale if the order
// has changed, or another has leased it.
func (tx *Tx) reschedule(o Order, at, count int64) error {
	result := tx.db.Exec("UPDATE orders SET sweep_at = ?, sweep_count = ?, stock_wanted = ? WHERE id = ? AND version = ? AND sweep_at = ?",
		at, count, o.Status.stockWanted(), o.ID, o.Version, o.SweepAt)
	if result.Error != nil {
		return fmt.Errorf("reschedule order: %w", result.Error)
	}
	if result.RowsAffected != 1 {
		return errStale
	}
	return nil
}

// wrapped is err with what failed; nil stays nil.
func wrapped(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
