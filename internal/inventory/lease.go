package inventory

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"orderflow/internal/database"
	"orderflow/internal/sweep"
)

// sweepAt is when the sweeper has to look at a reservation: when its payment window
// has ended and neither timer nor event came within the grace. All but RESERVED are
// as they should be. A due time that is too far away to add to is never swept.
func (s *Store) sweepAt(status Status, expiresAt int64) int64 {
	if status != StatusReserved || expiresAt > sweep.Never-s.grace.Milliseconds() {
		return sweep.Never
	}
	return expiresAt + s.grace.Milliseconds()
}

// catch is what a sweeper has got from the database.
type catch struct {
	overdue   []Reservation // leased, without their lines
	corrected int           // rows of an old program, put right
}

// full tells whether there may be more.
func (c catch) full() bool { return len(c.overdue)+c.corrected == sweep.Batch }

// lease takes reservations whose time to be looked at has come, by moving that time:
// nobody else gets them until the lease ends, and if we die, they come back then. It
// puts right those that need nothing but that: an old program neither sets the time
// of new reservations nor takes it away from those that it ends.
//
// The rows are locked in the order of the index, and not of their ids; but it waits
// for no row (see SkipLocked), and takes no other locks, so that it deadlocks with
// nobody. When there is nothing to do it is one read.
func (s *Store) lease(ctx context.Context) (catch, error) {
	now := s.clock.Now()
	var due int64
	probe := "SELECT COUNT(*) FROM (SELECT 1 FROM reservations WHERE sweep_at <= ? LIMIT 1) due"
	if err := s.db.With(ctx).Raw(probe, now.UnixMilli()).Scan(&due).Error; err != nil {
		return catch{}, fmt.Errorf("look for overdue reservations: %w", err)
	}
	if due == 0 {
		return catch{}, nil
	}
	var got catch
	err := s.db.InTx(ctx, func(tx *gorm.DB) error {
		got = catch{}
		var rows []Reservation
		err := tx.Clauses(database.SkipLocked()).Where("sweep_at <= ?", now.UnixMilli()).
			Order("sweep_at").Limit(sweep.Batch).Find(&rows).Error
		if err != nil {
			return fmt.Errorf("lock overdue reservations: %w", err)
		}
		return s.takeEach(tx, rows, now, &got)
	})
	if err != nil {
		return catch{}, fmt.Errorf("lease overdue reservations: %w", err)
	}
	return got, nil
}

// takeEach leases or puts right rows that are locked.
func (s *Store) takeEach(tx *gorm.DB, rows []Reservation, now time.Time, got *catch) error {
	var ended, overdue []string
	until := now.Add(sweep.Lease).UnixMilli()
	for _, r := range rows {
		right := s.sweepAt(r.Status, r.ExpiresAt)
		switch {
		case right == sweep.Never:
			ended = append(ended, r.OrderID)
		case right > now.UnixMilli():
			if err := moveSweep(tx, []string{r.OrderID}, now, right); err != nil {
				return err
			}
			got.corrected++
		default:
			overdue = append(overdue, r.OrderID)
			r.SweepAt = until
			got.overdue = append(got.overdue, r)
		}
	}
	got.corrected += len(ended)
	if err := moveSweep(tx, ended, now, sweep.Never); err != nil {
		return err
	}
	return moveSweep(tx, overdue, now, until)
}

// moveSweep moves the time to look of rows that are locked and due.
func moveSweep(tx *gorm.DB, ids []string, now time.Time, to int64) error {
	if len(ids) == 0 {
		return nil
	}
	result := tx.Exec("UPDATE reservations SET sweep_at = ? WHERE order_id IN ? AND sweep_at <= ?", to, ids, now.UnixMilli())
	if result.Error != nil {
		return fmt.Errorf("move the time of the sweeper: %w", result.Error)
	}
	if result.RowsAffected != int64(len(ids)) {
		return fmt.Errorf("move the time of the sweeper: %d rows of %d", result.RowsAffected, len(ids))
	}
	return nil
}

// leased is the condition that a reservation is as it was leased: after the lease it
// may be another sweeper's, and at any time an event can end it.
const leased = " WHERE order_id = ? AND status = ? AND version = ? AND sweep_at = ?"

// postpone has a leased reservation looked at again at a later time. It is false if
// the reservation is not as it was leased: then it needs nothing of us.
func (s *Store) postpone(ctx context.Context, r Reservation, to time.Time) (bool, error) {
	result := s.db.With(ctx).Exec("UPDATE reservations SET sweep_at = ?, sweep_count = ?"+leased,
		to.UnixMilli(), r.SweepCount+1, r.OrderID, r.Status, r.Version, r.SweepAt)
	if result.Error != nil {
		return false, fmt.Errorf("order %s: postpone: %w", r.OrderID, result.Error)
	}
	return result.RowsAffected == 1, nil
}

// extend gives a leased reservation the due time that its order has by now, and says
// so in the timeline. It is false if the reservation is not as it was leased.
func (s *Store) extend(ctx context.Context, r Reservation, in incident) (extended bool, err error) {
	err = s.db.InTx(ctx, func(tx *gorm.DB) error {
		result := tx.Exec("UPDATE reservations SET expires_at = ?, sweep_at = ?, sweep_count = 0"+leased,
			in.expiresAt, s.sweepAt(r.Status, in.expiresAt), r.OrderID, r.Status, r.Version, r.SweepAt)
		if result.Error != nil {
			return result.Error
		}
		if extended = result.RowsAffected == 1; !extended {
			return nil
		}
		return s.note(tx, s.entryOf(in, r, nil))
	})
	if err != nil {
		return false, fmt.Errorf("order %s: extend: %w", r.OrderID, err)
	}
	return extended, nil
}
