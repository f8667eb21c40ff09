package order

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm/clause"

	"orderflow/internal/database"
	"orderflow/internal/mq/message"
)

// The room between the answers to check-backs and the timeline.
const (
	maxCheckBacksWaiting = 8192
	checkBacksAtOnce     = 100             // by one statement
	checkBacksTimeout    = 5 * time.Second // of one statement, and of all at the end
	checkBacksPause      = time.Second     // while there is no database
)

// checkBacks brings check-backs into the timelines of their orders. While run runs it
// does so behind the answers: the client library asks for those one after the other,
// and a COMMIT for each would let the broker, which waits for no answer, ask faster
// than it is answered. Before run and after it, a line is written at once. What does
// not fit is left out and counted in the log: nothing depends on these lines.
type checkBacks struct {
	store *Store
	log   *slog.Logger
	wake  chan struct{} // holds a token if something may wait
	room  int           // how many may wait

	mu      sync.Mutex
	running bool
	waiting []Entry // rows, the oldest first
	lost    int
}

func newCheckBacks(store *Store, log *slog.Logger) *checkBacks {
	return &checkBacks{store: store, log: log, wake: make(chan struct{}, 1), room: maxCheckBacksWaiting}
}

// tell says in the timelines of the half message's orders that the broker asked.
func (c *checkBacks) tell(ctx context.Context, m message.Message, answer message.TransactionState) {
	entries := make([]Entry, 0, len(m.Keys))
	for _, id := range m.Keys {
		entries = append(entries, receivedIn(m, ByBroker).because("%s", answer).of(KindCheckBack, id))
	}
	rows, err := rowsOf(entries, c.store.clock.Now().UnixMilli())
	if err == nil && !c.queue(rows) {
		err = insertEntries(c.store.db.With(ctx), rows)
	}
	if err != nil {
		c.log.WarnContext(ctx, missing, m.LogAttr(), "answer", answer, "error", err)
	}
}

// missing is what the log says of lines that were not written.
const missing = "check-backs are not in the timeline"

// queue takes rows, if run runs.
func (c *checkBacks) queue(rows []Entry) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running {
		return false
	}
	if len(c.waiting)+len(rows) > c.room {
		c.lost += len(rows)
		return true
	}
	c.waiting = append(c.waiting, rows...)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return true
}

// run writes what waits, until ctx ends.
func (c *checkBacks) run(ctx context.Context) {
	c.mu.Lock()
	c.running = true
	c.mu.Unlock()
	defer c.end(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		for left := 1; left > 0 && ctx.Err() == nil; {
			var err error
			if left, err = c.write(ctx); err != nil {
				select {
				case <-ctx.Done():
				case <-c.store.clock.After(checkBacksPause):
				}
			}
		}
	}
}

// end writes what still waits; whatever comes later writes for itself.
func (c *checkBacks) end(ctx context.Context) {
	c.mu.Lock()
	c.running = false
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkBacksTimeout)
	defer cancel()
	for left := 1; left > 0; {
		var err error
		if left, err = c.write(ctx); err != nil {
			c.log.WarnContext(ctx, missing, "reason", "the process ends", "count", left, "error", err)
			return
		}
	}
}

// write writes the next rows and returns how many are left. They wait on, with an
// error, while the database is not available; rows that it refuses are left out.
func (c *checkBacks) write(ctx context.Context) (left int, err error) {
	batch, lost := c.next()
	if lost > 0 {
		c.log.WarnContext(ctx, missing, "reason", "too many waited", "count", lost)
	}
	ctx, cancel := context.WithTimeout(ctx, checkBacksTimeout)
	defer cancel()
	// Rows of a statement whose outcome is not known are there already, or not.
	err = insertEntries(c.store.db.With(ctx).Clauses(clause.OnConflict{DoNothing: true}), batch)
	if err != nil && ctx.Err() == nil && !database.IsUnavailable(err) {
		c.log.WarnContext(ctx, missing, "count", len(batch), "error", err)
		err = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.waiting = slices.Delete(c.waiting, 0, len(batch))
	}
	return len(c.waiting), err
}

// next is what is to be written next, and how many rows found no room since.
func (c *checkBacks) next() (batch []Entry, lost int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lost, c.lost = c.lost, 0
	return slices.Clone(c.waiting[:min(len(c.waiting), checkBacksAtOnce)]), lost
}
