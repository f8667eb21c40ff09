package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// parkedAt is a client of an instance's parked messages.
func (s *system) parkedAt(i *instance) parkedv1.ParkedServiceClient {
	s.t.Helper()
	return parkedv1.NewParkedServiceClient(s.dial(i.GRPC()))
}

// findParked waits until messages of the order are parked at a service, and returns
// them, the oldest first. It reads them one to a page.
func (s *system) findParked(at parkedv1.ParkedServiceClient, orderID string, reasons ...string) (all []*parkedv1.ParkedMessage) {
	s.t.Helper()
	s.eventually(waitTimeout, func() string {
		all = nil
		s.readAll(1, func(ctx context.Context, size int32, token string) (ids []string, next string, err error) {
			answer, err := at.ListParked(ctx, &parkedv1.ListParkedRequest{OrderId: orderID, PageSize: size, PageToken: token})
			for _, m := range answer.GetMessages() {
				all, ids = append(all, m), append(ids, m.GetId())
			}
			return ids, answer.GetNextPageToken(), err
		}, func() {})
		if len(all) != len(reasons) {
			return fmt.Sprintf("of %s %d messages are parked, want %d: %v", orderID, len(all), len(reasons), all)
		}
		return ""
	})
	for i, m := range all {
		if m.GetReason() != reasons[i] || m.GetOrderId() != orderID || m.GetMessageId() == "" || m.GetBody() != nil {
			s.t.Errorf("parked is %v, want %s of order %s, without its body", m, reasons[i], orderID)
		}
	}
	return all
}

// A reservation of an order that nobody knows: its timer is parked, and so is what
// order-srv is told. The timer cannot be handled again before the stock was given back;
// then it can. What nobody can handle is discarded.
func TestParkedMessagesAreReplayedAndDiscarded(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 10)
		const unknown, noOrder = reasonUnknownOrder, "RESERVATION_NO_ORDER"
		id := s.ghost()
		s.expectParked(id, unknown)
		s.expectParked(id, noOrder)
		ghost := &orderv1.Order{OrderId: id, ExpiresAt: timestamppb.New(s.now().Add(-time.Second))}
		e := orderEvent(id, s.now().Add(tenMinutes), &eventv1.Line{Sku: tea, Quantity: 4})
		s.inject(s.orderEvents(event.TagCreated, e))
		atOrder, atInventory := s.parkedAt(s.order), s.parkedAt(s.inventory)
		told := s.findParked(atOrder, id, unknown)[0]
		overdue := s.timer(ghost)
		overdue.Properties = map[string]string{"sender": "e2e"}
		s.inject(overdue)
		timer := s.findParked(atInventory, id, noOrder)[0]
		s.wantShown(timer, ghost)

		ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
		defer cancel()
		_, err := atInventory.ReplayParked(ctx, &parkedv1.ReplayParkedRequest{Id: timer.GetId()})
		wantReason(t, err, codes.FailedPrecondition, "STILL_PARKED")
		_, err = atOrder.ReplayParked(ctx, &parkedv1.ReplayParkedRequest{Id: told.GetId()})
		wantReason(t, err, codes.FailedPrecondition, "REPLAY_REFUSED")
		if again := s.findParked(atInventory, id, noOrder)[0]; again.GetTimes() != timer.GetTimes()+1 || again.GetId() != timer.GetId() {
			t.Errorf("after a replay that failed it is %v, it was %v", again, timer)
		}

		s.inject(s.orderEvents(event.TagClosed, e))
		s.waitStock(tea, 10, 0, 0)
		done, err := atInventory.ReplayParked(ctx, &parkedv1.ReplayParkedRequest{Id: timer.GetId()})
		s.must(err)
		if done.GetMessage().GetId() != timer.GetId() || len(done.GetMessage().GetBody()) == 0 {
			t.Errorf("replayed was %v", done)
		}
		s.findParked(atInventory, id)
		_, err = atInventory.ReplayParked(ctx, &parkedv1.ReplayParkedRequest{Id: timer.GetId()})
		wantReason(t, err, codes.NotFound, "PARKED_NOT_FOUND")
		_, err = atInventory.DiscardParked(ctx, &parkedv1.DiscardParkedRequest{Id: uuid.NewString(), Reason: "not there"})
		wantReason(t, err, codes.NotFound, "PARKED_NOT_FOUND")

		for _, m := range s.findParked(atOrder, id, unknown, unknown) { // reserved and released
			_, err = atOrder.DiscardParked(ctx, &parkedv1.DiscardParkedRequest{Id: m.GetId(), Reason: "injected by a test"})
			s.must(err)
			_, err = atOrder.GetParked(ctx, &parkedv1.GetParkedRequest{Id: m.GetId()})
			wantReason(t, err, codes.NotFound, "PARKED_NOT_FOUND")
		}
		s.findParked(atOrder, id)
		s.wantReservation(ghost, givenBack, 2)
		s.waitStock(tea, 10, 0, 0)
		s.audit()
	})
}

// wantShown checks what is shown of a parked timer, by the service and by the
// reservation's timeline.
func (s *system) wantShown(timer *parkedv1.ParkedMessage, o *orderv1.Order) {
	s.t.Helper()
	ctx, cancel := s.call()
	defer cancel()
	answer, err := s.parkedAt(s.inventory).GetParked(ctx, &parkedv1.GetParkedRequest{Id: timer.GetId()})
	s.must(err)
	m := answer.GetMessage()
	if m.GetGroup() != s.names.InventoryOrderTimeouts || m.GetTopic() != s.names.OrderTimeouts || m.GetTag() != string(event.TagTimeout) ||
		m.GetAttempt() != 1 || !strings.Contains(string(m.GetBody()), o.GetOrderId()) || m.GetProperties()["sender"] != "e2e" {
		s.t.Errorf("shown is %v", m)
	}
	for _, e := range s.reservationTimeline(o) {
		if e.GetTrigger() == "parked" && e.GetMessageId() == m.GetMessageId() && e.GetStatus() == heldNow {
			return
		}
	}
	s.t.Errorf("the reservation's timeline does not tell of %v", m)
}

// An event of an order is parked because nobody can read it, and then the order ends: it
// is not tried again any more. orderctl does all that an operator can.
func TestOrderctlParked(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		tea := s.stocked("tea", 10)
		o := s.waitStatus(s.place(minute, line(tea, 4)), reserved)
		s.expectParked(o.GetOrderId(), event.ReasonUnknownVersion)
		s.inject(message.Message{
			Topic: s.names.OrderEvents, Tag: string(event.TagCreated), Keys: []string{o.GetOrderId()},
			Body: []byte(`{"schemaVersion":99,"events":[{"orderId":"` + o.GetOrderId() + `"}]}`),
		})
		m := s.findParked(s.parkedAt(s.inventory), o.GetOrderId(), event.ReasonUnknownVersion)[0]

		mine := []string{"parked", "list", "--order", o.GetOrderId()}
		wantRow(t, s.orderctl(0, mine...), "inventory", m.GetId(), m.GetGroup(), "created", o.GetOrderId(), event.ReasonUnknownVersion, "1")
		for _, other := range [][]string{{"--service", "order"}, {"--group", "nobody"}, {"--reason", "NONE"}} {
			if text := s.orderctl(0, append(mine, other...)...); strings.Contains(text, m.GetId()) {
				t.Errorf("%v lists it:\n%s", other, text)
			}
		}
		var list struct {
			Order, Inventory struct{ Messages []struct{ ID, Reason string } }
		}
		s.decode(s.orderctl(0, append(mine, "-o", "json")...), &list)
		if len(list.Order.Messages) != 0 || len(list.Inventory.Messages) != 1 || list.Inventory.Messages[0].ID != m.GetId() {
			t.Errorf("as JSON the list is %v", list)
		}
		shown := s.orderctl(0, "parked", "show", m.GetId())
		wantRow(t, shown, "topic", s.names.OrderEvents)
		wantRow(t, shown, `{"schemaVersion":99,"events":[{"orderId":"`+o.GetOrderId()+`"}]}`)

		if text := s.orderctl(1, "parked", "replay", m.GetId()); !strings.Contains(text, "STILL_PARKED") {
			t.Errorf("the replay of what nobody can read says %s", text)
		}
		_, err := s.cancel(o, "")
		s.must(err)
		if text := s.orderctl(1, "parked", "replay", m.GetId()); !strings.Contains(text, "REPLAY_REFUSED") || !strings.Contains(text, "CLOSED") {
			t.Errorf("the replay of created of a closed order says %s", text)
		}
		s.orderctl(2, "parked", "discard", m.GetId())
		wantRow(t, s.orderctl(0, "parked", "discard", m.GetId(), "--why", "the order is closed"), "now", "discarded")
		for _, again := range [][]string{{"show", m.GetId()}, {"replay", m.GetId()}, {"discard", m.GetId(), "--why", "again"}} {
			if text := s.orderctl(1, append([]string{"parked"}, again...)...); !strings.Contains(text, "PARKED_NOT_FOUND") {
				t.Errorf("%v says %s", again, text)
			}
		}
		s.waitStock(tea, 10, 0, 0)
		s.audit()
	})
}
