package audit

import (
	"context"
	"time"
)

const (
	// maxSuspects bounds the memory of what waits for its second look.
	maxSuspects = 20_000
	// batch is how many orders are read by id at once.
	batch = 500
	// maxLooks is how often an order is read again that changes and disagrees still.
	maxLooks = 5
)

// suspect is an order that disagreed when it was read. What it was is remembered by
// versions only; a row that is not there has version 0.
type suspect struct {
	id                 string
	order, reservation int64 // versions
	since              time.Time
	looks              int // so many before
}

func (r *run) newSuspect(p pair, looks int) suspect {
	return suspect{
		id: p.id(), order: p.order.GetVersion(), reservation: p.reservation.GetVersion(), since: r.clock.Now(), looks: looks,
	}
}

// hasMoved tells whether one of the rows is another than it was.
func (s suspect) hasMoved(p pair) bool {
	return p.order.GetVersion() != s.order || p.reservation.GetVersion() != s.reservation
}

// suspect has an order read again after the grace period: at once if others have
// waited for that long, and at the latest when there is no room for more.
func (r *run) suspect(ctx context.Context, p pair) error {
	r.suspects = append(r.suspects, r.newSuspect(p, 0))
	for len(r.suspects) >= batch && (len(r.suspects) >= maxSuspects || r.graceLeft(r.suspects[batch-1]) <= 0) {
		if err := r.readSuspects(ctx); err != nil {
			return err
		}
	}
	return nil
}

// readAllSuspects reads again whatever waits for it.
func (r *run) readAllSuspects(ctx context.Context) error {
	for len(r.suspects) > 0 {
		if err := r.readSuspects(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) graceLeft(s suspect) time.Duration {
	return r.config.Grace - r.clock.Now().Sub(s.since)
}

// confirmed is an order whose rows have stood side by side as they should not.
type confirmed struct {
	id    string
	found []Violation
}

// readSuspects reads the oldest suspects again, once their grace period is over.
func (r *run) readSuspects(ctx context.Context) error {
	n := min(batch, len(r.suspects))
	if err := r.wait(ctx, r.graceLeft(r.suspects[n-1])); err != nil {
		return err
	}
	looked := append([]suspect(nil), r.suspects[:n]...)
	r.suspects = append(r.suspects[:0], r.suspects[n:]...)
	ids := make([]string, n)
	for i, s := range looked {
		ids[i] = s.id
	}
	pairs, err := r.read(ctx, ids)
	if err != nil {
		return err
	}
	r.report.Summary.Suspects += int64(n)
	var sure []confirmed
	for _, s := range looked {
		p := pairs[s.id]
		found := r.rules().check(p, r.clock.Now())
		switch {
		case len(found) == 0:
		case !s.hasMoved(p):
			sure = append(sure, confirmed{s.id, found})
		case s.looks+1 >= maxLooks:
			r.report.Summary.StillMoving++
		default:
			r.suspects = append(r.suspects, r.newSuspect(p, s.looks+1))
		}
	}
	return r.conclude(ctx, sure)
}
