package event

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"strings"

	"orderflow/internal/mq/message"
)

// Part is one event of an envelope as a message of its own.
type Part struct {
	OrderID string // what it is parked by
	Message message.Message
}

// Split takes a message apart into its events, each under the order id and with the
// body that Each parks it with. A message that cannot be taken apart is one part.
func Split(m message.Message) []Part {
	var envelope rawEnvelope
	err := json.Unmarshal(m.Body, &envelope)
	version, versionErr := envelope.SchemaVersion.Int64()
	n := len(envelope.Events)
	if err != nil || versionErr != nil || version != SchemaVersion || n < 1 || n > MaxEvents {
		return []Part{{OrderID: m.Subject(), Message: m}}
	}
	parts := make([]Part, n)
	for i, raw := range envelope.Events {
		id := subject(m, i, n, orderIDOf(raw), raw)
		parts[i] = Part{OrderID: id, Message: alone(m, id, raw)}
	}
	return parts
}

// subject is what the i-th of n events is parked by: its order id. One that does not
// say which order it is about is known by its message's key if it is alone there:
// by that it stays the same when it is replayed. Else it is known by its message, its
// place in it, and a hash of itself: message ids repeat.
func subject(m message.Message, i, n int, orderID string, raw []byte) string {
	switch {
	case orderID != "":
		return orderID
	case n == 1 && len(m.Keys) == 1:
		return m.Keys[0]
	}
	hash := fnv.New32a()
	_, _ = hash.Write(raw)
	return fmt.Sprintf("%s/%d/%08x", m.ID, i, hash.Sum32())
}

// alone is m with one event only, and everything else of its frame.
func alone(m message.Message, id string, raw []byte) message.Message {
	m.Keys = []string{id}
	var frame map[string]json.RawMessage
	if json.Unmarshal(m.Body, &frame) != nil || frame == nil {
		return m
	}
	maps.DeleteFunc(frame, func(name string, _ json.RawMessage) bool { return strings.EqualFold(name, "events") })
	frame["events"] = append(append([]byte{'['}, raw...), ']')
	if body, err := json.Marshal(frame); err == nil {
		m.Body = body
	}
	return m
}

// orderIDOf reads the order id of an event of any kind, under both names that
// protobuf JSON allows. It is a best effort: "" if there is none to be read.
func orderIDOf(raw []byte) string {
	var id struct {
		OrderID  string `json:"orderId"`
		Original string `json:"order_id"`
	}
	_ = json.Unmarshal(raw, &id) // what could be read is kept
	if id.OrderID == "" {
		return id.Original
	}
	return id.OrderID
}
