package inventory_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/event"
	"orderflow/internal/inventory"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
)

// shownOrders is the order service as far as it shows orders.
type shownOrders struct {
	status map[string]orderv1.OrderStatus
	err    error
	asked  int
}

func (s *shownOrders) GetOrder(_ context.Context, in *orderv1.GetOrderRequest, _ ...grpc.CallOption) (*orderv1.GetOrderResponse, error) {
	s.asked++
	status, ok := s.status[in.GetOrderId()]
	if s.err != nil {
		return nil, s.err
	}
	if !ok {
		return nil, apierror.NotFound("ORDER_NOT_FOUND", "there is none").GRPCStatus().Err()
	}
	return &orderv1.GetOrderResponse{Order: &orderv1.Order{OrderId: in.GetOrderId(), Status: status}}, nil
}

// desk is what looks after the parked messages of a world.
type desk struct {
	*world
	shown  *shownOrders
	keeper *parking.Keeper
}

func newDesk(w *world) *desk {
	d := &desk{world: w, shown: &shownOrders{status: map[string]orderv1.OrderStatus{}}}
	d.keeper = parking.NewKeeper(w.parked, w.parked, w.service.Replays(d.shown), slog.New(slog.DiscardHandler))
	return d
}

// park parks a message of one order as a dead letter, and returns its row.
func (d *desk) park(group string, o *order, m message.Message) string {
	d.t.Helper()
	m.Keys = []string{o.id}
	p := message.Parked{Group: group, OrderID: o.id, Message: m, Reason: parking.ReasonDeadLetter, Detail: "dead"}
	if err := d.parked.Park(d.t.Context(), p); err != nil {
		d.t.Fatal(err)
	}
	entries, err := d.parked.Page(d.t.Context(), parking.Filter{OrderID: o.id}, parking.Position{}, 10)
	if err != nil || len(entries) != 1 {
		d.t.Fatalf("%d rows, %v", len(entries), err)
	}
	return entries[0].ID
}

// replay replays a row: reason is that of the error, and nothing if it is gone.
func (d *desk) replay(id string) (reason string) {
	d.t.Helper()
	_, err := d.keeper.Replay(d.t.Context(), id)
	_, stays, findErr := d.parked.Get(d.t.Context(), id)
	if findErr != nil || stays != (err != nil) {
		d.t.Errorf("replay: %v, but the row stays: %v, %v", err, stays, findErr)
	}
	return apierror.ReasonOf(err)
}

// What a replay makes of an event depends on the order as it is now.
func TestReplayFollowsTheOrder(t *testing.T) {
	t.Parallel()
	const refused, unknown = parking.ReasonReplayRefused, orderv1.OrderStatus_ORDER_STATUS_UNSPECIFIED
	placed, paid, closed := orderv1.OrderStatus_ORDER_STATUS_PLACED, orderv1.OrderStatus_ORDER_STATUS_PAID, orderv1.OrderStatus_ORDER_STATUS_CLOSED
	each(t, func(t *testing.T, w *world) {
		d := newDesk(w)
		w.receive("tea", 100)
		for _, test := range []struct {
			tag    event.Tag
			status orderv1.OrderStatus
			reason string
			leads  inventory.Status
		}{
			{event.TagCreated, placed, "", inventory.StatusReserved}, {event.TagCreated, paid, "", inventory.StatusReserved},
			{event.TagCreated, closed, refused, 0}, {event.TagCreated, unknown, refused, 0},
			{event.TagPaid, paid, "", inventory.StatusSold}, {event.TagPaid, placed, refused, 0},
			{event.TagPaid, closed, refused, 0}, {event.TagPaid, unknown, refused, 0},
			{event.TagClosed, closed, "", inventory.StatusReleased}, {event.TagClosed, placed, refused, 0},
			{event.TagClosed, paid, refused, 0}, {event.TagClosed, unknown, refused, 0},
		} {
			o := w.newOrder(line("tea", 1))
			if test.status != unknown {
				d.shown.status[o.id] = test.status
			}
			row := d.park(w.names.InventoryOrderEvents, o, w.orderEvents(test.tag, o))
			d.shown.err = apierror.Unavailable("database", nil).GRPCStatus().Err()
			if got := d.replay(row); got != "TEMPORARILY_UNAVAILABLE" {
				t.Errorf("order-srv down: got %q", got)
			}
			d.shown.err = nil
			if got := d.replay(row); got != test.reason {
				t.Errorf("%s of an order that is %s: got %q, want %q", test.tag, test.status, got, test.reason)
			}
			reservation, err := w.store.Reservation(t.Context(), o.id)
			if test.leads == 0 {
				if apierror.ReasonOf(err) != inventory.ReasonReservationNotFound {
					t.Errorf("%s of an order that is %s: reservation %+v, %v", test.tag, test.status, reservation, err)
				}
				continue
			}
			if err != nil || reservation.Status != test.leads {
				t.Errorf("%s of an order that is %s: reservation %+v, %v, want %s", test.tag, test.status, reservation, err, test.leads)
			}
		}
	})
}

// A timer is always replayed: its handler asks for itself.
func TestReplayOfATimer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		d := newDesk(w)
		w.receive("tea", 5)
		o := w.newOrder(line("tea", 2))
		w.must(w.orderEvents(event.TagCreated, o))
		w.clock.Advance(window)
		row := d.park(w.names.InventoryOrderTimeouts, o, w.timer(o))
		w.orders.failures = 1
		if got := d.replay(row); got != "TEMPORARILY_UNAVAILABLE" {
			t.Errorf("order-srv down: got %q", got)
		}
		if got := d.replay(row); got != "" || d.shown.asked != 0 {
			t.Errorf("got %q, and the guard has asked %d times", got, d.shown.asked)
		}
		w.expectStock("tea", 5, 0, 0)
	})
}

// What was parked for a lack of stock sells when there is some; until then it stays,
// with its newest reason.
func TestReplayOfAContradictionThatIsGone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		d := newDesk(w)
		o := w.newOrder(line("tea", 2))
		w.must(w.orderEvents(event.TagPaid, o))
		d.shown.status[o.id] = orderv1.OrderStatus_ORDER_STATUS_PAID
		row := w.expectParked(inventory.ReasonPaidButShort)[0]
		if got := d.replay(row.ID); got != parking.ReasonStillParked {
			t.Errorf("got %q", got)
		}
		if now := w.expectParked(inventory.ReasonPaidButShort)[0]; now.ID != row.ID || now.Times != 2 {
			t.Errorf("the row is %+v", now)
		}
		w.receive("tea", 2)
		if got := d.replay(row.ID); got != "" {
			t.Errorf("got %q", got)
		}
		w.expectStock("tea", 0, 0, 2)
	})
}

// What cannot be read is not the guard's matter.
func TestReplayOfNonsense(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		d := newDesk(w)
		o := w.newOrder(line("tea", 2))
		row := d.park(w.names.InventoryOrderEvents, &order{id: "a b"}, message.Message{Topic: w.names.OrderEvents, Tag: "created", Body: []byte("nonsense")})
		if got := d.replay(row); got != parking.ReasonStillParked || d.shown.asked != 0 {
			t.Errorf("got %q, asked %d times", got, d.shown.asked)
		}
		d.shown.err = errors.New("a bug: " + codes.Internal.String())
		row = d.park(w.names.InventoryOrderEvents, o, w.orderEvents(event.TagCreated, o))
		if got := d.replay(row); got != "TEMPORARILY_UNAVAILABLE" {
			t.Errorf("got %q", got)
		}
	})
}
