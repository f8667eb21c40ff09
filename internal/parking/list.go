package parking

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Filter says which parked messages are meant; an empty field means all.
type Filter struct {
	Group   string
	Reason  string
	OrderID string
}

// Position is where in the list a message stands: the oldest are first.
type Position struct {
	FirstAt int64 // milliseconds since the Unix epoch
	ID      string
}

// Position is where the entry stands.
func (e Entry) Position() Position { return Position{FirstAt: e.FirstAt.UnixMilli(), ID: e.ID} }

// List returns everything that is parked, the oldest first.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	return s.list(s.db.With(ctx))
}

// Page returns the first messages behind after, of those that the filter lets
// through and at most limit, without their bodies and headers. The zero Position is
// before all.
func (s *Store) Page(ctx context.Context, f Filter, after Position, limit int) ([]Entry, error) {
	query := s.db.With(ctx).Limit(limit).
		Select("id, consumer, tag, order_id, topic, message_id, reason, detail, times, attempt, first_at, last_at").
		Where("(first_at > ? OR first_at = ? AND id > ?)", after.FirstAt, after.FirstAt, after.ID)
	for column, wanted := range map[string]string{"consumer": f.Group, "reason": f.Reason, "order_id": f.OrderID} {
		if wanted != "" {
			query = query.Where(column+" = ?", wanted)
		}
	}
	return s.list(query)
}

func (s *Store) list(query *gorm.DB) ([]Entry, error) {
	var rows []row
	if err := query.Order("first_at, id").Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("list parked messages: %w", err)
	}
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		entry, err := r.entry()
		if err != nil {
			return nil, err
		}
		entries[i] = entry
	}
	return entries, nil
}

// Count returns how many messages are parked.
func (s *Store) Count(ctx context.Context) (int64, error) {
	var n int64
	if err := s.db.With(ctx).Model(&row{}).Count(&n).Error; err != nil {
		return 0, fmt.Errorf("count parked messages: %w", err)
	}
	return n, nil
}

// Get returns a parked message; found is false if there is none with that id.
func (s *Store) Get(ctx context.Context, id string) (e Entry, found bool, err error) {
	var r row
	err = s.db.With(ctx).Where("id = ?", id).Take(&r).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return Entry{}, false, nil
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("find parked message: %w", err)
	}
	e, err = r.entry()
	return e, err == nil, err
}

// Remove removes a message that was parked so many times. It is false if there is no
// such row: the message was removed by somebody else, or has been parked again since
// it was looked at, and stays.
func (s *Store) Remove(ctx context.Context, id string, times int64) (bool, error) {
	result := s.db.With(ctx).Exec("DELETE FROM parked_messages WHERE id = ? AND times = ?", id, times)
	if result.Error != nil {
		return false, fmt.Errorf("remove parked message %s: %w", id, result.Error)
	}
	return result.RowsAffected == 1, nil
}

func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
