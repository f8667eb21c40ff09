package order

import (
	"context"
	"fmt"
	"time"

	"orderflow/internal/database"
)

// barrierAge is how long barrier rows are kept. It must be longer than the broker
// keeps half messages (fileReservedTime, 72 h by default): a check-back for a
// purged row would be answered Rollback.
const barrierAge = 7 * 24 * time.Hour

// purgeInterval is how often old barrier rows are removed, purgeBatch how many
// rows one statement removes.
const (
	purgeInterval = time.Hour
	purgeBatch    = 500
)

// outcome is what became of a half message's local transaction. The numbers are
// stored.
type outcome int16

const (
	committed outcome = 1 // the local transaction committed, and this row with it
	aborted   outcome = 2 // a check-back came first; the local transaction must not commit any more
)

// barrier is the row that fences a half message. Its id is that of the half
// message, and whoever inserts it first has decided: the local transaction, or a
// check-back (the dtm barrier, https://en.dtm.pub/practice/barrier.html).
type barrier struct {
	ID        string `gorm:"primaryKey"`
	Outcome   outcome
	CreatedAt int64 `gorm:"autoCreateTime:false"`
}

// TableName is the table of the rows.
func (barrier) TableName() string { return "barriers" }

// insertBarrier must be the first statement of a local transaction: a duplicate
// then means that a check-back has aborted it. While the transaction is open, a
// check-back's insert waits for it.
func (tx *Tx) insertBarrier(id string) error {
	err := tx.db.Create(&barrier{ID: id, Outcome: committed, CreatedAt: tx.now}).Error
	if database.IsDuplicate(err, keyID()) {
		return errAborted
	}
	if err != nil {
		return fmt.Errorf("insert barrier: %w", err)
	}
	return nil
}

// resolveBarrier finds out what became of a local transaction, and makes sure
// that it stays so: it inserts the row as aborted, and if that fails on the key,
// the row that is there says it. Two statements of their own, on the primary: in
// one transaction the read could miss what the insert has just run into. On an
// error nothing is known.
func (s *Store) resolveBarrier(ctx context.Context, id string) (outcome, error) {
	row := barrier{ID: id, Outcome: aborted, CreatedAt: s.clock.Now().UnixMilli()}
	err := s.db.With(ctx).Create(&row).Error
	if err == nil {
		return aborted, nil
	}
	if !database.IsDuplicate(err, keyID()) {
		return 0, fmt.Errorf("fence half message: %w", err)
	}
	var there barrier
	if err := s.db.With(ctx).Where("id = ?", id).Take(&there).Error; err != nil {
		return 0, fmt.Errorf("read barrier: %w", err)
	}
	return there.Outcome, nil
}

// PurgeBarriers removes old barrier rows, at once and then every hour, until ctx
// ends. An error is returned to report only: the next round tries again.
func (s *Store) PurgeBarriers(ctx context.Context, report func(error)) {
	for {
		if err := s.purgeBarriers(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.clock.After(purgeInterval):
		}
	}
}

func (s *Store) purgeBarriers(ctx context.Context) error {
	before := s.clock.Now().Add(-barrierAge).UnixMilli()
	for {
		var ids []string
		err := s.db.With(ctx).Table("barriers").Where("created_at < ?", before).
			Order("created_at").Limit(purgeBatch).Pluck("id", &ids).Error
		if err != nil {
			return fmt.Errorf("find old barriers: %w", err)
		}
		if len(ids) == 0 {
			return nil
		}
		if err := s.db.With(ctx).Where("id IN ?", ids).Delete(&barrier{}).Error; err != nil {
			return fmt.Errorf("purge barriers: %w", err)
		}
	}
}
