package event_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// Split and Each park the same events under the same ids with the same bodies: a
// dead letter does not become another row than the event that was parked before.
func TestSplitIsAsEachParks(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"many": envelope(stock(id), `{"orderId":"`+id2+`"}`, stock(id3)), "one": envelope(stock(id)),
		"no ids": envelope(`{"orderId":7}`, `"x"`), "original name": envelope(`{"order_id":"` + id + `","version":"1"}`),
		"odd": envelope(`{"version":"1"}`),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s shelf
			if _, err := handleAll(t, body, &s, func(string) error { return message.Permanent("NO", "no") }); err != nil {
				t.Fatal(err)
			}
			m := message.Message{Topic: "stock-events", Tag: "sold", Body: []byte(body), ID: "7F01",
				Properties: map[string]string{"traceparent": "00-1"}, Keys: []string{id, id2, id3}}
			var want []event.Part
			for _, p := range s.parked {
				want = append(want, event.Part{OrderID: p.OrderID, Message: p.Message})
			}
			if diff := cmp.Diff(want, event.Split(m)); diff != "" || len(want) == 0 {
				t.Error(diff)
			}
		})
	}
}

// A part stays what it is when it is taken apart again, whatever it is known by.
func TestSplitOfAPartIsThePart(t *testing.T) {
	t.Parallel()
	m := message.Message{Tag: "sold", ID: "7F01", Body: []byte(envelope(stock(id), `{"version":"1"}`, `"x"`))}
	for _, part := range event.Split(m) {
		if diff := cmp.Diff([]event.Part{part}, event.Split(part.Message)); diff != "" {
			t.Error(diff)
		}
	}
}

// What cannot be taken apart is one part, known by its keys, or by its body.
func TestSplitOfWhatIsNoEnvelope(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "nonsense", "null", `{"events":[]}`, `{"schemaVersion":2,"events":[{"orderId":"a"}]}`} {
		m := message.Message{Body: []byte(body), Keys: []string{"a", "b"}, ID: "7F01"}
		if parts := event.Split(m); len(parts) != 1 || parts[0].OrderID != "a b" || string(parts[0].Message.Body) != body ||
			!slices.Equal(parts[0].Message.Keys, m.Keys) {
			t.Errorf("%q: %+v", body, parts)
		}
	}
	one, other := event.Split(message.Message{ID: "7F01", Body: []byte("1")}), event.Split(message.Message{ID: "7F01", Body: []byte("2")})
	if one[0].OrderID == other[0].OrderID {
		t.Errorf("two messages are one: %q", one[0].OrderID)
	}
}
