package notify

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"orderflow/internal/clock"
	"orderflow/internal/database"
	"orderflow/internal/sweep"
)

// keptFor is how long a row outlives the last sight of its event. It must be longer than
// the broker keeps messages (fileReservedTime, 72 h by default) and than a sweeper waits
// before it sends an event again: whoever comes after it is told anew.
const keptFor = 30 * 24 * time.Hour

// purgeInterval is how often old rows are removed, purgeBatch how many one statement
// removes.
const (
	purgeInterval = time.Hour
	purgeBatch    = 500
)

// maxOvertaken is how often a claim begins anew because the row that it met is gone.
const maxOvertaken = 3

// row is a row of notifications.
type row struct {
	EventID   string `gorm:"primaryKey"`
	Body      []byte // as it was sent first; empty when it is sent
	Attempts  int64  // counts claims; also the token of the present one
	HeldUntil int64  // until then nobody else sends it
	SentAt    int64  // 0: it is not sent
	CreatedAt int64  `gorm:"autoCreateTime:false"`
	SeenAt    int64
}

// TableName is the table of the rows.
func (row) TableName() string { return "notifications" }

func keyEventID() database.Key {
	return database.Key{Index: "PRIMARY", Columns: []string{"event_id"}}
}

// claimState says whose an event is.
type claimState int

const (
	claimed     claimState = iota // ours: we send it
	heldByOther                   // somebody sends it at the moment, or has died over it
	alreadySent                   // there is nothing to do
)

// claim is what a claim has found.
type claim struct {
	Notification // as it was claimed first: the same id always has the same body
	state        claimState
	attempt      int64
	heldUntil    time.Time // by the other
}

// Store is the notifier's table of events. It is safe for concurrent use, and any number
// of instances can share the database.
type Store struct {
	db    *database.DB
	clock clock.Clock
}

// NewStore returns the store on the notifier's database.
func NewStore(db *database.DB, clk clock.Clock) *Store { return &Store{db: db, clock: clk} }

// claim takes an event for as long as the lease, unless it is sent or held. A plain
// INSERT decides about a new event, and one conditional UPDATE about one that was
// claimed before.
func (s *Store) claim(ctx context.Context, n Notification, lease time.Duration) (claim, error) {
	now := s.clock.Now()
	until := now.Add(lease).UnixMilli()
	for range maxOvertaken {
		err := s.db.With(ctx).Create(&row{
			EventID: n.EventID, Body: n.Body, Attempts: 1, HeldUntil: until,
			CreatedAt: now.UnixMilli(), SeenAt: now.UnixMilli(),
		}).Error
		if err == nil {
			return claim{Notification: n, attempt: 1}, nil
		}
		if !database.IsDuplicate(err, keyEventID()) {
			return claim{}, fmt.Errorf("claim %s: %w", n.EventID, err)
		}
		c, found, err := s.claimAgain(ctx, n.EventID, now, until)
		if err != nil || found {
			return c, err
		}
	}
	return claim{}, fmt.Errorf("claim %s: the row came and went %d times", n.EventID, maxOvertaken)
}

// claimAgain takes an event that was claimed before. It is not found if it was purged
// since the insert has met it.
func (s *Store) claimAgain(ctx context.Context, id string, now time.Time, until int64) (c claim, found bool, err error) {
	result := s.db.With(ctx).Exec("UPDATE notifications SET attempts = attempts + 1, held_until = ?, seen_at = ?"+
		" WHERE event_id = ? AND sent_at = 0 AND held_until <= ?", until, now.UnixMilli(), id, now.UnixMilli())
	if result.Error != nil {
		return claim{}, false, fmt.Errorf("claim %s again: %w", id, result.Error)
	}
	var r row
	read := s.db.With(ctx).Where("event_id = ?", id).Limit(1).Find(&r)
	if read.Error != nil || read.RowsAffected == 0 {
		return claim{}, false, read.Error
	}
	c = claim{Notification: Notification{EventID: id, Body: r.Body}, attempt: r.Attempts, heldUntil: timeOf(r.HeldUntil)}
	switch {
	case result.RowsAffected == 1:
		c.state = claimed
	case r.SentAt == 0:
		c.state = heldByOther
	default:
		c.state = alreadySent
		err = s.see(ctx, id, now)
	}
	return c, true, err
}

// see keeps the row of a sent event from being purged while it still comes again.
func (s *Store) see(ctx context.Context, id string, now time.Time) error {
	err := s.db.With(ctx).Exec("UPDATE notifications SET seen_at = ? WHERE event_id = ? AND seen_at < ?",
		now.UnixMilli(), id, now.UnixMilli()).Error
	if err != nil {
		return fmt.Errorf("see %s: %w", id, err)
	}
	return nil
}

// sent records that the event is sent: by whoever holds it, because what was sent was
// sent. It is false if that is recorded already: a claim ran out, and another instance
// has sent it, too.
func (s *Store) sent(ctx context.Context, id string) (first bool, err error) {
	err = s.db.InTx(ctx, func(tx *gorm.DB) error { // which repeats what the database asks to repeat
		result := tx.Exec("UPDATE notifications SET sent_at = ?, body = ?, held_until = 0 WHERE event_id = ? AND sent_at = 0",
			s.clock.Now().UnixMilli(), []byte{}, id)
		first = result.RowsAffected == 1
		return result.Error
	})
	if err != nil {
		return false, fmt.Errorf("record that %s is sent: %w", id, err)
	}
	return first, nil
}

// release gives an event back that was not sent, so that the next delivery need not wait
// for the end of the lease. A claim that somebody else has by now is not touched.
func (s *Store) release(ctx context.Context, c claim) error {
	err := s.db.With(ctx).Exec("UPDATE notifications SET held_until = 0 WHERE event_id = ? AND attempts = ? AND sent_at = 0",
		c.EventID, c.attempt).Error
	if err != nil {
		return fmt.Errorf("release %s: %w", c.EventID, err)
	}
	return nil
}

// Purge removes the rows of events that were not seen for long, at once and then every
// hour, until ctx ends. An error is returned to report only: the next round tries again.
func (s *Store) Purge(ctx context.Context, report func(error)) {
	sweep.Run(ctx, s.clock, purgeInterval, s.purge, report)
}

// purge is a sweep.Round. Events that nobody could send go as well: what is to be known
// of them lies among the parked messages.
func (s *Store) purge(ctx context.Context) (full bool, err error) {
	before := s.clock.Now().Add(-keptFor).UnixMilli()
	var ids []string
	err = s.db.With(ctx).Table("notifications").Where("seen_at < ?", before).
		Order("seen_at").Limit(purgeBatch).Pluck("event_id", &ids).Error
	if err != nil {
		return false, fmt.Errorf("find old notifications: %w", err)
	}
	if len(ids) == 0 {
		return false, nil
	}
	// The condition again: one may have been seen by now.
	err = s.db.With(ctx).Where("event_id IN ? AND seen_at < ?", ids, before).Delete(&row{}).Error
	if err != nil {
		return false, fmt.Errorf("purge notifications: %w", err)
	}
	return len(ids) == purgeBatch, nil
}
