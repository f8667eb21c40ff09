package inventory

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"orderflow/internal/database"
)

// What happens to a reservation besides the messages whose tags name it.
const (
	arrivedSweep  = "sweep"  // the sweeper has found it past its due time
	arrivedParked = "parked" // a message of the order is parked; no row of the timeline
)

// The sizes of the columns of foreign texts, in bytes.
const (
	maxWhat      = 64
	maxMessageID = 64
	maxDetail    = 512
)

// Entry is one thing that happened to a reservation, and its row. It is written in
// the transaction of what it tells: what was rolled back has not happened, and a
// contradiction is told by the message that it parks.
type Entry struct {
	OrderID   string `gorm:"primaryKey"`
	ID        string `gorm:"primaryKey"` // UUIDv7
	At        int64
	What      string // created, paid, closed, timeout or sweep
	Changed   bool   // false: it was known already, or needed nothing
	Version   int64  // of the reservation afterwards; 0 if there is none
	Status    Status // where it stood afterwards
	MessageID string // empty without a message
	Attempt   int64  // which delivery of it; 0 without a message
	Detail    string
}

// TableName is the table's name for gorm.
func (Entry) TableName() string { return "reservation_timeline" }

// entryOf is what the timeline says of an incident which found the reservation as
// before and left it as after; nil: as it was.
func (s *Store) entryOf(in incident, before Reservation, after *Reservation) Entry {
	if after == nil {
		after = &before
	}
	e := Entry{
		OrderID: in.orderID, At: s.clock.Now().UnixMilli(), What: database.Cut(in.arrived.what, maxWhat),
		Changed: after.Version != before.Version, Version: after.Version, Status: after.Status,
		MessageID: database.Cut(in.arrived.messageID, maxMessageID), Attempt: int64(in.arrived.attempt),
	}
	detail := in.arrived.detail
	switch {
	case in.what == orderUnknown:
		detail = joinDetails(detail, "the order service does not know the order")
	case in.what != untouched && !e.Changed:
		detail = joinDetails(detail, "known already")
	case after.Status == StatusRejected:
		detail = joinDetails(detail, describeShortages(after.Lines))
	}
	e.Detail = database.Cut(detail, maxDetail)
	return e
}

// note writes entries into the timeline.
func (s *Store) note(tx *gorm.DB, entries ...Entry) error {
	for i := range entries {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make timeline id: %w", err)
		}
		entries[i].ID = id.String()
	}
	if err := tx.Create(&entries).Error; err != nil {
		return fmt.Errorf("write timeline: %w", err)
	}
	return nil
}

// noteAbsorbed writes incidents that need nothing: two statements for all orders of a
// message, and no transaction. So its version and status are those of a moment
// after the message came.
func (s *Store) noteAbsorbed(ctx context.Context, ins []incident) error {
	if len(ins) == 0 {
		return nil
	}
	ids := make([]string, len(ins))
	for i, in := range ins {
		ids[i] = in.orderID
	}
	var rows []Reservation
	if err := s.db.With(ctx).Where("order_id IN ?", ids).Find(&rows).Error; err != nil {
		return fmt.Errorf("read the reservations: %w", err)
	}
	found := make(map[string]Reservation, len(rows))
	for _, r := range rows {
		found[r.OrderID] = r
	}
	entries := make([]Entry, len(ins))
	for i, in := range ins {
		entries[i] = s.entryOf(in, found[in.orderID], nil)
	}
	return s.note(s.db.With(ctx), entries...)
}

// timeline reads up to limit entries of an order, the oldest first.
func (s *Store) timeline(ctx context.Context, orderID string, limit int) ([]Entry, error) {
	var entries []Entry
	err := s.db.With(ctx).Where("order_id = ?", orderID).Order("at, id").Limit(limit).Find(&entries).Error
	if err != nil {
		return nil, fmt.Errorf("read timeline: %w", err)
	}
	return entries, nil
}

// joinDetails puts details after each other; empty ones are left out.
func joinDetails(details ...string) string {
	var said []string
	for _, d := range details {
		if d != "" {
			said = append(said, d)
		}
	}
	return strings.Join(said, "; ")
}
