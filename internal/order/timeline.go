package order

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"orderflow/internal/database"
	"orderflow/internal/mq/message"
)

// Kind is what kind of thing the timeline says of an order. The numbers are stored,
// and those of the proto.
type Kind int16

// The kinds. What is parked is no row of the timeline: it is read from where it is
// parked.
const (
	KindChanged   Kind = 1 // the order changed: the row is the order as it was then
	KindSent      Kind = 2 // a message was sent that changed nothing
	KindReceived  Kind = 3 // a message arrived that changed nothing
	KindCheckBack Kind = 4 // the broker asked what became of a half message
	KindPayment   Kind = 5 // a payment that could not pay for the order, or its refund
	KindParked    Kind = 6 // a message of the order is parked
)

// Cause is who made something happen. The numbers are stored, and those of the proto.
type Cause int16

// The causes.
const (
	ByClient           Cause = 1
	ByInventory        Cause = 2 // what it said about the stock
	ByTimer            Cause = 3 // obeyed by inventory, which asked whether the order is unpaid
	ByLateEvent        Cause = 4 // `created` came to inventory after the due time
	BySweeper          Cause = 5 // ours
	ByInventorySweeper Cause = 6
	ByOperator         Cause = 7
	ByBroker           Cause = 8
)

// The sizes of the columns of foreign texts, in bytes.
const (
	maxMessageID = 64
	maxTag       = 64
	maxDetail    = 512
)

// Entry is one thing that happened to an order, and its row. With KindChanged it is
// what WatchOrder sends: the order as it was after that change.
type Entry struct {
	OrderID     string `gorm:"primaryKey"`
	ID          string `gorm:"primaryKey"` // UUIDv7
	At          int64  // milliseconds since the Unix epoch
	Kind        Kind
	Cause       Cause
	Version     int64 // of the order after the change; 0 if it did not change
	Status      Status
	CloseReason CloseReason
	StockState  StockState
	ExpiresAt   int64
	Tag         string // of the message; empty if there was none
	MessageID   string
	Attempt     int64 // with a message that was received: which delivery
	Detail      string
}

// TableName is the table of the rows.
func (Entry) TableName() string { return "order_timeline" }

// sentBy is the entry of a change that is the local transaction of the half message m.
func sentBy(cause Cause, m message.Message) Entry {
	return Entry{Cause: cause, Tag: m.Tag, MessageID: m.ID}
}

// receivedIn is the entry of what the received message m has brought about.
func receivedIn(m message.Message, cause Cause) Entry {
	return Entry{Cause: cause, Tag: m.Tag, MessageID: m.ID, Attempt: int64(m.Attempt)}
}

// because adds a detail for people.
func (e Entry) because(format string, args ...any) Entry {
	e.Detail = fmt.Sprintf(format, args...)
	return e
}

// changed is e as the entry of a change, which led to o.
func (e Entry) changed(o Order) Entry {
	e.Kind, e.OrderID, e.Version = KindChanged, o.ID, o.Version
	e.Status, e.CloseReason, e.StockState, e.ExpiresAt = o.Status, o.CloseReason, o.StockState, o.ExpiresAt
	return e
}

// of is e as an entry of another kind, about an order that did not change by it.
func (e Entry) of(kind Kind, orderID string) Entry {
	e.Kind, e.OrderID = kind, orderID
	return e
}

// note writes entries that tell of no change, in a statement of their own.
func (s *Store) note(ctx context.Context, entries ...Entry) error {
	tx := &Tx{db: s.db.With(ctx), now: s.clock.Now().UnixMilli()}
	return tx.note(entries...)
}

// note writes entries into the timeline of their orders, in the transaction that
// they tell of.
func (tx *Tx) note(entries ...Entry) error {
	rows, err := rowsOf(entries, tx.now)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Kind == KindChanged {
			tx.changed = append(tx.changed, e.OrderID)
		}
	}
	return insertEntries(tx.db, rows)
}

// rowsOf are the entries as of now, in milliseconds since the Unix epoch, with ids, and
// their texts as long as the columns are.
func rowsOf(entries []Entry, now int64) ([]Entry, error) {
	rows := make([]Entry, len(entries))
	for i, e := range entries {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make timeline id: %w", err)
		}
		e.ID, e.At = id.String(), now
		e.Tag, e.MessageID, e.Detail = database.Cut(e.Tag, maxTag), database.Cut(e.MessageID, maxMessageID), database.Cut(e.Detail, maxDetail)
		rows[i] = e
	}
	return rows, nil
}

func insertEntries(db *gorm.DB, rows []Entry) error {
	if len(rows) == 0 {
		return nil
	}
	if err := db.Create(&rows).Error; err != nil {
		return fmt.Errorf("write timeline: %w", err)
	}
	return nil
}
