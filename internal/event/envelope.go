package event

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	eventv1 "orderflow/api/proto/event/v1"
)

// SchemaVersion is the version of the envelopes that this code writes and reads.
const SchemaVersion = 1

// MaxEvents is the most events that an envelope may hold.
const MaxEvents = 64

// Reasons for which an envelope, or one event of it, is parked.
const (
	ReasonBadBody        = "BAD_BODY"          // not the JSON of an envelope
	ReasonUnknownVersion = "UNKNOWN_VERSION"   // a schema version from the future, or none
	ReasonBadEvent       = "BAD_EVENT"         // one event does not parse, or lacks what it needs
	ReasonUnknownTag     = "UNKNOWN_TAG"       // a tag that the topic does not have
	ReasonEnvelopeSize   = "BAD_ENVELOPE_SIZE" // no events, or more than MaxEvents
)

// ParkReasons are all of them: every consumer of envelopes may park for each.
func ParkReasons() []string {
	return []string{ReasonBadBody, ReasonUnknownVersion, ReasonBadEvent, ReasonUnknownTag, ReasonEnvelopeSize}
}

// DecodeError says why a body, or one event of it, cannot be read. No
// redelivery mends it.
type DecodeError struct {
	Reason string
	Detail string
}

// Error gives the reason and the detail.
func (e *DecodeError) Error() string { return e.Reason + ": " + e.Detail }

func undecodable(reason, format string, args ...any) *DecodeError {
	return &DecodeError{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Item is one event of a received envelope: the event, or why it is broken.
type Item[E proto.Message] struct {
	Event   E
	OrderID string // as far as it could be read
	Raw     []byte // the event's JSON, to park it alone
	Err     *DecodeError
}

// EncodeOrderEvents makes the body of an order-events message.
func EncodeOrderEvents(events ...*eventv1.OrderEvent) ([]byte, error) {
	return encode(&eventv1.OrderEvents{SchemaVersion: SchemaVersion, Events: events}, len(events))
}

// EncodePaymentTimeouts makes the body of an order-timeouts message; dueAt is in
// milliseconds since the Unix epoch.
func EncodePaymentTimeouts(dueAt int64, events ...*eventv1.PaymentTimeout) ([]byte, error) {
	return encode(&eventv1.PaymentTimeouts{SchemaVersion: SchemaVersion, DueAtMs: dueAt, Events: events}, len(events))
}

// EncodeStockEvents makes the body of a stock-events message.
func EncodeStockEvents(events ...*eventv1.StockEvent) ([]byte, error) {
	return encode(&eventv1.StockEvents{SchemaVersion: SchemaVersion, Events: events}, len(events))
}

func encode(envelope proto.Message, events int) ([]byte, error) {
	if events < 1 || events > MaxEvents {
		return nil, fmt.Errorf("an envelope holds 1 to %d events, not %d", MaxEvents, events)
	}
	body, err := protojson.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("encode envelope: %w", err)
	}
	return body, nil
}

// DecodeOrderEvents takes the body of an order-events message apart. The error
// is a *DecodeError if nothing of it can be read; broken events are in the items.
func DecodeOrderEvents(tag Tag, body []byte) ([]Item[*eventv1.OrderEvent], error) {
	items, _, err := decode(tag, orderTags(), body, func() *eventv1.OrderEvent { return &eventv1.OrderEvent{} })
	if err != nil {
		return nil, err
	}
	for i := range items {
		if items[i].Err == nil {
			items[i].Err = checkOrderEvent(items[i].Event)
		}
	}
	return items, nil
}

// DecodePaymentTimeouts takes the body of an order-timeouts message apart.
func DecodePaymentTimeouts(tag Tag, body []byte) (items []Item[*eventv1.PaymentTimeout], dueAt int64, err error) {
	items, envelope, err := decode(tag, []Tag{TagTimeout}, body, func() *eventv1.PaymentTimeout { return &eventv1.PaymentTimeout{} })
	if err != nil {
		return nil, 0, err
	}
	dueAt, numberErr := envelope.DueAtMs.Int64()
	if numberErr != nil || dueAt <= 0 {
		return nil, 0, undecodable(ReasonBadBody, "dueAtMs must be a positive number of milliseconds")
	}
	return items, dueAt, nil
}

// DecodeStockEvents takes the body of a stock-events message apart.
func DecodeStockEvents(tag Tag, body []byte) ([]Item[*eventv1.StockEvent], error) {
	items, _, err := decode(tag, stockTags(), body, func() *eventv1.StockEvent { return &eventv1.StockEvent{} })
	if err != nil {
		return nil, err
	}
	for i := range items {
		if items[i].Err == nil && items[i].Event.GetVersion() < 1 {
			items[i].Err = undecodable(ReasonBadEvent, "version must be 1 or more")
		}
	}
	return items, nil
}

// rawEnvelope is the frame of every envelope. Its events stay raw, so that one
// that is broken does not take its neighbours with it.
type rawEnvelope struct {
	SchemaVersion json.Number       `json:"schemaVersion"` // protobuf JSON allows every number as a string,
	DueAtMs       json.Number       `json:"dueAtMs"`       // and writes an int64 as one
	Events        []json.RawMessage `json:"events"`
}

type identified interface {
	proto.Message
	GetOrderId() string
}

func decode[E identified](tag Tag, tags []Tag, body []byte, empty func() E) ([]Item[E], rawEnvelope, error) {
	var envelope rawEnvelope
	if !slices.Contains(tags, tag) {
		return nil, envelope, undecodable(ReasonUnknownTag, "tag %q is none of %v", tag, tags)
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, envelope, undecodable(ReasonBadBody, "%v", err)
	}
	if version, err := envelope.SchemaVersion.Int64(); err != nil || version != SchemaVersion {
		return nil, envelope, undecodable(ReasonUnknownVersion, "this program reads schemaVersion %d only", SchemaVersion)
	}
	if len(envelope.Events) < 1 || len(envelope.Events) > MaxEvents {
		return nil, envelope, undecodable(ReasonEnvelopeSize, "%d events, must be 1 to %d", len(envelope.Events), MaxEvents)
	}
	items := make([]Item[E], len(envelope.Events))
	for i, raw := range envelope.Events {
		items[i] = decodeEvent(raw, empty())
	}
	return items, envelope, nil
}

func decodeEvent[E identified](raw json.RawMessage, event E) Item[E] {
	item := Item[E]{Event: event, Raw: raw}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, event); err != nil {
		item.Err = undecodable(ReasonBadEvent, "%v", err)
		item.OrderID = orderIDOf(raw)
		return item
	}
	item.OrderID = event.GetOrderId()
	if !IsOrderID(item.OrderID) {
		item.Err = undecodable(ReasonBadEvent, "orderId %q is not a UUID in canonical form", item.OrderID)
	}
	return item
}

// IsOrderID tells whether id is a UUID in its canonical form.
func IsOrderID(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}

// checkOrderEvent refuses an event that a receiver could not act on. What a
// receiver does not need (why it was closed, which payment) is not looked at.
func checkOrderEvent(e *eventv1.OrderEvent) *DecodeError {
	if e.GetExpiresAtMs() <= 0 {
		return undecodable(ReasonBadEvent, "expiresAtMs must be positive")
	}
	if len(e.GetLines()) < 1 || len(e.GetLines()) > MaxLines {
		return undecodable(ReasonBadEvent, "%d lines, must be 1 to %d", len(e.GetLines()), MaxLines)
	}
	seen := make(map[string]bool, len(e.GetLines()))
	for i, line := range e.GetLines() {
		switch {
		case !IsSKU(line.GetSku()):
			return undecodable(ReasonBadEvent, "lines[%d].sku is not a SKU", i)
		case line.GetQuantity() < 1 || line.GetQuantity() > MaxQuantity:
			return undecodable(ReasonBadEvent, "lines[%d].quantity must be 1 to %d", i, MaxQuantity)
		case seen[line.GetSku()]:
			return undecodable(ReasonBadEvent, "lines[%d].sku stands twice", i)
		}
		seen[line.GetSku()] = true
	}
	return nil
}
