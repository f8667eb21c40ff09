package event_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

const (
	id2 = "0197a1b2-0000-7000-8000-000000000002"
	id3 = "0197a1b2-0000-7000-8000-000000000003"
)

// shelf keeps what is parked.
type shelf struct {
	parked []message.Parked
	err    error
}

func (s *shelf) Park(_ context.Context, p message.Parked) error {
	if s.err == nil {
		s.parked = append(s.parked, p)
	}
	return s.err
}

// handleAll decodes a body and hands each event to handle, by order id.
func handleAll(t *testing.T, body string, parker message.Parker, handle func(id string) error) ([]string, error) {
	t.Helper()
	m := message.Message{Topic: "stock-events", Tag: "sold", Body: []byte(body), ID: "7F01", Properties: map[string]string{"traceparent": "00-1"}, Keys: []string{id, id2, id3}}
	items, err := event.DecodeStockEvents(event.TagSold, m.Body)
	if err != nil {
		t.Fatal(err)
	}
	var handled []string
	err = event.Each(t.Context(), "group", m, items, parker, func(_ context.Context, e *eventv1.StockEvent) error {
		handled = append(handled, e.GetOrderId())
		return handle(e.GetOrderId())
	})
	return handled, err
}

func stock(id string) string {
	return `{"orderId":"` + id + `","version":"7","note":"from the future"}`
}

// T64: every event is handled, whatever became of the one before; if one may
// succeed later, the message comes again.
func TestEachHandlesAll(t *testing.T) {
	t.Parallel()
	var s shelf
	first, last := errors.New("deadlock"), errors.New("timeout")
	handled, err := handleAll(t, envelope(stock(id), stock(id2), stock(id3)), &s, func(order string) error {
		return map[string]error{id: first, id3: last}[order]
	})
	if !slices.Equal(handled, []string{id, id2, id3}) || !errors.Is(err, first) || !errors.Is(err, last) {
		t.Errorf("handled %v, %v", handled, err)
	}
	var permanent *message.PermanentError
	if errors.As(err, &permanent) || s.parked != nil {
		t.Errorf("an error that may pass is taken for a permanent one: %v, %v", err, s.parked)
	}
	if handled, err := handleAll(t, envelope(stock(id), stock(id2)), &s, func(string) error { return nil }); err != nil || len(handled) != 2 {
		t.Errorf("handled %v, %v", handled, err)
	}
}

// T63, T64: what is broken, or cannot succeed, is parked alone with its reason, as a
// message that can be replayed; the others are handled, and nothing comes again.
func TestEachParksAlone(t *testing.T) {
	t.Parallel()
	var s shelf
	handled, err := handleAll(t, envelope(stock(id), `{"orderId":"`+id2+`"}`, stock(id3)), &s, func(order string) error {
		if order == id {
			return errors.Join(errors.New("context"), message.Permanent("CONTRADICTION", "sold and released"))
		}
		return nil
	})
	if !slices.Equal(handled, []string{id, id3}) || err != nil || len(s.parked) != 2 {
		t.Fatalf("handled %v, %v, parked %+v", handled, err, s.parked)
	}
	for i, want := range []struct{ id, reason, body string }{{id, "CONTRADICTION", stock(id)}, {id2, event.ReasonBadEvent, `{"orderId":"` + id2 + `"}`}} {
		p := s.parked[i]
		if p.Group != "group" || p.OrderID != want.id || p.Reason != want.reason || !strings.HasPrefix(p.Detail, want.reason+": ") ||
			p.Message.Tag != "sold" || p.Message.Topic != "stock-events" || p.Message.ID != "7F01" ||
			p.Message.Properties["traceparent"] != "00-1" || !slices.Equal(p.Message.Keys, []string{want.id}) {
			t.Errorf("parked %+v", p)
		}
		items, err := event.DecodeStockEvents(event.TagSold, p.Message.Body)
		if err != nil || len(items) != 1 || string(items[0].Raw) != want.body || !strings.Contains(string(p.Message.Body), `"dueAtMs":"1800000000000"`) {
			t.Errorf("the parked body is %s: %v", p.Message.Body, err)
		}
	}
}

// Events whose order id cannot be read are told apart by what they say, so that
// none covers another; the same one again is the same.
func TestEachParksEventsWithoutID(t *testing.T) {
	t.Parallel()
	var s shelf
	for range 2 {
		if _, err := handleAll(t, envelope(`{"orderId":7}`, `"x"`), &s, func(string) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.parked) != 4 {
		t.Fatalf("parked %+v", s.parked)
	}
	ids := []string{s.parked[0].OrderID, s.parked[1].OrderID}
	if ids[0] == ids[1] || ids[0] == "" || len(ids[0]) > 64 || s.parked[2].OrderID != ids[0] || s.parked[3].OrderID != ids[1] {
		t.Errorf("parked as %v, then %s and %s", ids, s.parked[2].OrderID, s.parked[3].OrderID)
	}
}

// A frame that spells "events" otherwise does not smuggle its neighbours into the
// parked body.
func TestEachParksOneEventOfAnOddFrame(t *testing.T) {
	t.Parallel()
	var s shelf
	body := strings.Replace(envelope("{}", stock(id2)), `"events"`, `"Events"`, 1)
	if _, err := handleAll(t, body, &s, func(string) error { return nil }); err != nil || len(s.parked) != 1 {
		t.Fatalf("%v, parked %+v", err, s.parked)
	}
	if text := string(s.parked[0].Message.Body); strings.Contains(text, id2) || strings.Contains(text, "Events") {
		t.Errorf("parked %s", text)
	}
}

// What cannot be parked comes again: nothing is dropped.
func TestEachCannotPark(t *testing.T) {
	t.Parallel()
	s := shelf{err: errors.New("disk full")}
	handled, err := handleAll(t, envelope("{}", stock(id2)), &s, func(string) error { return nil })
	if !errors.Is(err, s.err) || !slices.Equal(handled, []string{id2}) {
		t.Errorf("handled %v, %v", handled, err)
	}
}

// A body that cannot be read at all is permanent, with its reason; other errors
// stay as they are.
func TestPermanent(t *testing.T) {
	t.Parallel()
	_, err := event.DecodeStockEvents(event.TagSold, nil)
	var permanent *message.PermanentError
	if !errors.As(event.Permanent(err), &permanent) || permanent.Reason != event.ReasonBadBody || !strings.HasPrefix(permanent.Error(), event.ReasonBadBody) {
		t.Errorf("%v", event.Permanent(err))
	}
	if other := errors.New("deadlock"); event.Permanent(other) != other || event.Permanent(nil) != nil {
		t.Error("another error became permanent")
	}
}
