// Package parking keeps the messages that a consumer could not handle, in the
// consumer's own database: nothing that arrived is ever dropped. Both services
// and the notifier use it; the table is the same in all schemas.
package parking

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"

	"orderflow/internal/clock"
	"orderflow/internal/database"
	"orderflow/internal/mq/message"
)

// The sizes of the columns, in bytes: a VARCHAR counts characters, of which
// there are never more.
const (
	maxConsumer  = 128
	maxTag       = 64
	maxOrderID   = 64
	maxTopic     = 128
	maxMessageID = 64
	maxReason    = 64
	maxDetail    = 65535
)

// maxAttempts bounds how often Park starts again because somebody discards the
// row at that very moment.
const maxAttempts = 5

// propertyKeys holds the message's keys among the stored properties, under the
// name that RocketMQ itself gives them.
const propertyKeys = "KEYS"

// row is a row of parked_messages.
type row struct {
	ID         string
	Consumer   string
	Tag        string
	OrderID    string
	Topic      string
	MessageID  string
	Body       []byte
	Properties []byte
	Reason     string
	Detail     string
	Times      int64
	Attempt    int64
	FirstAt    int64
	LastAt     int64
}

// TableName is the table's name for gorm.
func (row) TableName() string { return "parked_messages" }

// key is what a parked message is unique by.
func key() database.Key {
	return database.Key{Index: "parked_messages_key", Columns: []string{"consumer", "tag", "order_id"}}
}

// Entry is a parked message as it is stored: texts that were too long are cut.
type Entry struct {
	ID      string // UUIDv7 of the row
	Parked  message.Parked
	Times   int64     // how often it was parked
	FirstAt time.Time // when it was parked first
	LastAt  time.Time // when it was parked last; Reason, Detail and the message's Attempt are of that time
}

// Store is the table of parked messages of one service. It is safe for
// concurrent use.
type Store struct {
	db    *database.DB
	clock clock.Clock
}

var _ message.Parker = (*Store)(nil)

// NewStore returns the store on a service's database.
func NewStore(db *database.DB, clk clock.Clock) *Store { return &Store{db: db, clock: clk} }

// Park stores p. If the same consumer has parked the same tag of the same order
// before, that row is counted up and takes the new reason, detail and attempt; its
// body stays. Any error means that nothing is known to be stored, and Park can be
// repeated.
func (s *Store) Park(ctx context.Context, p message.Parked) error {
	r, err := newRow(p, s.clock.Now())
	if err != nil {
		return err
	}
	for range maxAttempts {
		err := s.db.With(ctx).Create(&r).Error
		if err == nil {
			return nil
		}
		if !database.IsDuplicate(err, key()) {
			return fmt.Errorf("park %s of %s: %w", r.Tag, r.OrderID, err)
		}
		counted, err := s.countUp(ctx, r)
		if err != nil || counted {
			return err
		}
	}
	return fmt.Errorf("park %s of %s: the row came and went %d times", r.Tag, r.OrderID, maxAttempts)
}

// countUp is false if the row was discarded since the insert met it.
func (s *Store) countUp(ctx context.Context, r row) (bool, error) {
	result := s.db.With(ctx).Exec("UPDATE parked_messages SET times = times + 1, last_at = ?, reason = ?, detail = ?, attempt = ?"+
		" WHERE consumer = ? AND tag = ? AND order_id = ?", r.LastAt, r.Reason, r.Detail, r.Attempt, r.Consumer, r.Tag, r.OrderID)
	if result.Error != nil {
		return false, fmt.Errorf("park %s of %s again: %w", r.Tag, r.OrderID, result.Error)
	}
	return result.RowsAffected == 1, nil
}

func newRow(p message.Parked, now time.Time) (row, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return row{}, fmt.Errorf("make an id for a parked message: %w", err)
	}
	properties := maps.Clone(p.Message.Properties)
	if len(p.Message.Keys) > 0 {
		if properties == nil {
			properties = map[string]string{}
		}
		properties[propertyKeys] = strings.Join(p.Message.Keys, " ")
	}
	encoded, err := json.Marshal(properties)
	if err != nil {
		return row{}, fmt.Errorf("encode properties of a parked message: %w", err)
	}
	body := p.Message.Body
	if body == nil {
		body = []byte{} // NULL is refused, and an empty body is a reason to park
	}
	return row{
		ID:         id.String(),
		Consumer:   database.Cut(p.Group, maxConsumer),
		Tag:        database.Cut(p.Message.Tag, maxTag),
		OrderID:    cutKey(p.OrderID, maxOrderID),
		Topic:      database.Cut(p.Message.Topic, maxTopic),
		MessageID:  database.Cut(p.Message.ID, maxMessageID),
		Body:       body,
		Properties: encoded,
		Reason:     database.Cut(p.Reason, maxReason),
		Detail:     database.Cut(p.Detail, maxDetail),
		Times:      1,
		Attempt:    int64(max(1, p.Message.Attempt)),
		FirstAt:    now.UnixMilli(),
		LastAt:     now.UnixMilli(),
	}, nil
}

func (r row) entry() (Entry, error) {
	var properties map[string]string
	if len(r.Properties) == 0 { // not read
		r.Properties = []byte("null")
	}
	if err := json.Unmarshal(r.Properties, &properties); err != nil {
		return Entry{}, errors.Join(fmt.Errorf("parked message %s: properties are not JSON", r.ID), err)
	}
	keys := strings.Fields(properties[propertyKeys])
	delete(properties, propertyKeys)
	return Entry{
		ID: r.ID,
		Parked: message.Parked{
			Group: r.Consumer, OrderID: r.OrderID, Reason: r.Reason, Detail: r.Detail,
			Message: message.Message{
				Topic: r.Topic, Tag: r.Tag, Keys: keys, Body: r.Body, Properties: properties, ID: r.MessageID,
				Attempt: int(r.Attempt),
			},
		},
		Times:   r.Times,
		FirstAt: timeOf(r.FirstAt),
		LastAt:  timeOf(r.LastAt),
	}, nil
}

// cutKey is database.Cut for a text that a row is unique by. What it changes ends in a
// hash of the original, so that two texts that begin alike do not become one
// row. MySQL compares without the spaces at the end, so they go as well.
func cutKey(text string, limit int) string {
	if short := strings.TrimRight(database.Cut(text, limit), " "); short == text {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	mark := "~" + hex.EncodeToString(sum[:8])
	return database.Cut(text, limit-len(mark)) + mark
}
