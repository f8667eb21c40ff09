package notify

import (
	"encoding/json"
	"strings"
	"time"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// ReasonUnknownCloseReason is why a closed order's event is parked whose reason is of a
// future that this program does not know: it could only say something wrong.
const ReasonUnknownCloseReason = "UNKNOWN_CLOSE_REASON"

// Group is the name of the notifier's consumer group in the deployment with the prefix,
// which may be empty.
func Group(prefix string) string { return prefix + "notify-order-events" }

// EventID identifies an event: each tag happens once in the life of an order.
func EventID(orderID string, tag event.Tag) string { return orderID + "/" + string(tag) }

// neverYear is the year in which the window of an order ends that is exempt from the
// timeout: its `created` may be sent again after the exemption.
const neverYear = 9999

// Notification is what a Sender sends: the same body under the same id, however often.
type Notification struct {
	EventID string
	Body    []byte // the JSON of a Payload
}

// orderID is the order that it is about: the first part of its id.
func (n Notification) orderID() string {
	id, _, _ := strings.Cut(n.EventID, "/")
	return id
}

// Payload is the body of a notification. Fields are only added.
type Payload struct {
	EventID     string     `json:"event_id"`
	Type        string     `json:"type"` // order.created, order.paid or order.closed
	OrderID     string     `json:"order_id"`
	CustomerID  string     `json:"customer_id"`
	OccurredAt  time.Time  `json:"occurred_at"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`   // of order.created: until when it can be paid; not there: no limit
	PaymentID   string     `json:"payment_id,omitempty"`   // of order.paid: the provider's
	CloseReason string     `json:"close_reason,omitempty"` // of order.closed: TIMEOUT, CANCELLED or OUT_OF_STOCK
	Lines       []Line     `json:"lines"`
}

// Line is one SKU of an order.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// newNotification makes the notification of an event. The error says that nobody can be
// told of it.
func newNotification(tag event.Tag, e *eventv1.OrderEvent) (Notification, *message.PermanentError) {
	if e.GetCustomerId() == "" || e.GetOccurredAtMs() <= 0 {
		return Notification{}, message.Permanent(event.ReasonBadEvent, "customerId and occurredAtMs must be there")
	}
	p := Payload{
		EventID: EventID(e.GetOrderId(), tag), Type: "order." + string(tag),
		OrderID: e.GetOrderId(), CustomerID: e.GetCustomerId(), OccurredAt: timeOf(e.GetOccurredAtMs()),
	}
	for _, l := range e.GetLines() {
		p.Lines = append(p.Lines, Line{SKU: l.GetSku(), Quantity: l.GetQuantity()})
	}
	switch tag {
	case event.TagCreated:
		if due := timeOf(e.GetExpiresAtMs()); due.Year() < neverYear {
			p.ExpiresAt = &due
		}
	case event.TagPaid:
		p.PaymentID = e.GetPaymentId()
	case event.TagClosed:
		name, known := eventv1.CloseReason_name[int32(e.GetCloseReason())]
		if !known || e.GetCloseReason() == eventv1.CloseReason_CLOSE_REASON_UNSPECIFIED {
			return Notification{}, message.Permanent(ReasonUnknownCloseReason, "this program does not know close reason %d", e.GetCloseReason())
		}
		p.CloseReason = strings.TrimPrefix(name, "CLOSE_REASON_")
	}
	body, err := json.Marshal(p)
	if err != nil { // a time that RFC 3339 cannot write
		return Notification{}, message.Permanent(event.ReasonBadEvent, "%w", err)
	}
	return Notification{EventID: p.EventID, Body: body}, nil
}

func timeOf(millis int64) time.Time { return time.UnixMilli(millis).UTC() }
