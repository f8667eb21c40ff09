package order

import (
	"time"

	"orderflow/internal/sweep"
)

// Schedule says when the sweeper has to look at an order, whatever becomes of the
// messages about it. Every change of an order writes that into its row.
type Schedule struct {
	// ResendAfter is how long inventory may take to confirm what an order's status
	// asks for, before its event is sent again.
	ResendAfter time.Duration
	// CloseGrace is how long after the end of its payment window an unpaid order is
	// closed here, if its timer has not done so.
	CloseGrace time.Duration
}

// plan notes in an order as it was changed at now, in milliseconds since the Unix
// epoch, what its stock should come to, and when the sweeper has to look at it.
func (s Schedule) plan(o Order, now int64) Order {
	o.StockWanted, o.SweepAt = o.Status.stockWanted(), s.next(o, now)
	return o
}

// next is when the sweeper has to look at o, as it was changed at now: when its
// stock should be confirmed, and when it should be closed, whichever comes first.
// Both times are milliseconds since the Unix epoch.
func (s Schedule) next(o Order, now int64) int64 {
	if o.settled() {
		return s.overdueAt(o)
	}
	return min(now+s.ResendAfter.Milliseconds(), s.overdueAt(o))
}

// overdueAt is when an order that is still unpaid must be closed here.
func (s Schedule) overdueAt(o Order) int64 {
	if o.Status == Paid || o.Status == Closed || o.ExpiresAt == NoTimeout {
		return sweep.Never
	}
	return o.ExpiresAt + s.CloseGrace.Milliseconds()
}
