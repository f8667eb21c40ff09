// Package message is what the domain knows of the broker: messages, handlers and
// what their errors mean, local transactions and their outcomes. It knows nothing
// of the client library, so that the domain and its tests link none of it.
package message

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"time"
)

// Message is a message to send or one that was received.
type Message struct {
	Topic      string
	Tag        string            // what kind of event; consumers can filter by it
	Keys       []string          // ids by which the broker's index finds the message
	Body       []byte            // at most 4 MiB with the broker's defaults
	Properties map[string]string // own headers; a value must not be empty

	// The rest is set on received messages only; a half message that was sent has its
	// ID in ExecuteLocalTransaction.

	// ID is the unique id that the sending client gave the message. Ids repeat
	// under load (the client's counter has 16 bits): never dedupe by it.
	ID string
	// Attempt is 1 for the first delivery and grows with each redelivery.
	Attempt int
	// Delayed says that it was sent to be delivered later.
	Delayed bool
	// BornAt is when the sender made the message, by the sender's clock.
	BornAt time.Time
	// StoredAt is when the broker stored it, by the broker's clock.
	StoredAt time.Time
	// Origin says where the broker has it from, if it was not sent to this topic.
	Origin Origin
}

// Origin is where a message comes from that the broker moved: one that is
// redelivered, a dead letter, a half message that nobody decided about.
type Origin struct {
	Topic         string // the topic that it was sent to
	ProducerGroup string // the group that sent it as a half message
}

// Subject is what the message is about, for who parks it whole: its keys. Without
// any it is known by its id and a hash of its body: ids repeat, and two messages
// must not be one to a Parker.
func (m Message) Subject() string {
	if len(m.Keys) > 0 {
		return strings.Join(m.Keys, " ")
	}
	hash := fnv.New32a()
	_, _ = hash.Write(m.Body)
	return fmt.Sprintf("message %s/%08x", m.ID, hash.Sum32())
}

// LogAttr says in a log what the message is about: its keys, which are order ids.
func (m Message) LogAttr() slog.Attr { return OrderAttr(m.Keys) }

// OrderAttr says in a log which order a line is about, or which orders.
func OrderAttr(ids []string) slog.Attr {
	if len(ids) == 1 {
		return slog.String(LogOrder, ids[0])
	}
	return slog.Any(LogOrder, ids)
}

// LogOrder is where every line about orders has their ids.
const LogOrder = "order_id"

// Handler handles one message. What it returns decides about the message:
//
//	nil                  it is acknowledged
//	a *PermanentError    it is parked with the reason and acknowledged: no
//	                     redelivery can help
//	any other error      it is redelivered, later and later, until it is handled
//
// ctx ends when the handler's time is up. A panic counts as an error.
type Handler func(ctx context.Context, m Message) error

// Middleware wraps a Handler.
type Middleware func(Handler) Handler

// Chain wraps h so that the first middleware is the outermost.
func Chain(h Handler, middleware ...Middleware) Handler {
	for i := len(middleware) - 1; i >= 0; i-- {
		h = middleware[i](h)
	}
	return h
}

// PermanentError is a failure that no redelivery can mend: a body that is not
// JSON, an unknown schema version, a contradiction. The message is parked.
type PermanentError struct {
	Reason string // UPPER_SNAKE_CASE, stable, for metrics and tools
	Err    error
}

// Permanent makes a PermanentError.
func Permanent(reason, format string, args ...any) *PermanentError {
	return &PermanentError{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// Error gives the reason and the cause.
func (e *PermanentError) Error() string { return e.Reason + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *PermanentError) Unwrap() error { return e.Err }

// ErrorType is the reason, which is what the error is called in traces.
func (e *PermanentError) ErrorType() string { return e.Reason }

// Parked is a message, or one event of it, that could not be handled and was
// put aside.
type Parked struct {
	Group   string // the consumer group that could not handle it
	OrderID string // the event's order id; where there is none, the message's keys or id
	Message Message
	Reason  string // PermanentError.Reason
	Detail  string // the whole error
}

// Parker stores parked messages. Park must be idempotent by (group, tag, order
// id), and an error means that the message was not stored: it will come again.
type Parker interface {
	Park(ctx context.Context, p Parked) error
}

// TransactionState is what becomes of a half message.
type TransactionState int

const (
	// StateUnknown leaves the decision to a later check-back. It is the zero
	// value: who says nothing has decided nothing.
	StateUnknown TransactionState = iota
	// StateCommit delivers the message.
	StateCommit
	// StateRollback drops the message.
	StateRollback
)

// String is the state's name in logs and metrics.
func (s TransactionState) String() string {
	switch s {
	case StateCommit:
		return "commit"
	case StateRollback:
		return "rollback"
	default:
		return "unknown"
	}
}

// TransactionListener decides about half messages. It is shared by all sends of
// a TransactionProducer and must be safe for concurrent use.
type TransactionListener interface {
	// ExecuteLocalTransaction runs the local transaction of a half message that
	// the broker has acknowledged. arg is what the caller gave to
	// SendInTransaction, and ctx the caller's context, which ends at its
	// deadline but not when the caller goes away. The error goes back to the
	// caller; the state goes to the broker.
	ExecuteLocalTransaction(ctx context.Context, m Message, arg any) (TransactionState, error)

	// CheckLocalTransaction answers the broker's question what became of the
	// local transaction. It may be asked of any process of the producer group,
	// so it decides by the message and the database alone; in doubt the answer
	// is StateUnknown, and the broker asks again.
	CheckLocalTransaction(ctx context.Context, m Message) TransactionState
}

// ErrNotSent is in the chain of a send's error if the message is certainly not
// on the broker, or will certainly never be delivered.
var ErrNotSent = errors.New("message not sent")

// ErrUnavailable is in the chain of a send's error if the broker or the name
// server did not take the message; whether it is stored may be unknown.
var ErrUnavailable = errors.New("broker not available")
