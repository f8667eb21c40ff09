package orderctl

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/cli"
)

// OrderTimeline shows what happened to an order, as both services tell it.
type OrderTimeline struct {
	Both
	OrderID string `arg:"" help:"The order."`
}

// Help is more about it.
func (OrderTimeline) Help() string {
	return `Changes and who made them, messages with their ids and attempts, check-backs,
payments, and what is parked; sorted by the clocks of the two services, which need not
agree to the millisecond. If one service does not answer, the other's part is shown.

  orderctl order timeline 01a1fd7d-c416-767a-b6d3-dd402129614f`
}

// Run is the command.
func (c OrderTimeline) Run(ctx context.Context, out cli.Output) error {
	a := c.ask(ctx)
	if a.orderErr != nil && a.reservationErr != nil {
		if explain(a.reservationErr) != explain(a.orderErr) {
			fmt.Fprintf(out.Stderr, "inventory-srv: %s\n", explain(a.reservationErr))
		}
		return a.orderErr
	}
	a.remark(out)
	if c.Output == "json" {
		return a.json(out)
	}
	return drawTable(out, func(t *table) { t.timeline(merge(orderEvents(a.order), reservationEvents(a.reservation))) })
}

// answers are what the two services know of an order.
type answers struct {
	order          *orderv1.GetTimelineResponse
	reservation    *inventoryv1.GetReservationTimelineResponse
	orderErr       error
	reservationErr error
}

// ask asks both at once, so that one that hangs does not delay the other.
func (c OrderTimeline) ask(ctx context.Context) (a answers) {
	var both sync.WaitGroup
	both.Go(func() {
		a.orderErr = c.call(ctx, func(ctx context.Context, orders orderv1.OrderServiceClient) (err error) {
			a.order, err = orders.GetTimeline(ctx, &orderv1.GetTimelineRequest{OrderId: c.OrderID})
			return err
		})
	})
	both.Go(func() {
		a.reservationErr = c.inventory().call(ctx, func(ctx context.Context, inventory inventoryv1.InventoryServiceClient) (err error) {
			a.reservation, err = inventory.GetReservationTimeline(ctx, &inventoryv1.GetReservationTimelineRequest{OrderId: c.OrderID})
			return err
		})
	})
	both.Wait()
	return a
}

// remark says what is missing in what is shown.
func (a answers) remark(out cli.Output) {
	for _, s := range []struct {
		service   string
		err       error
		truncated bool
	}{
		{"order-srv", a.orderErr, a.order.GetTruncated()},
		{"inventory-srv", a.reservationErr, a.reservation.GetTruncated()},
	} {
		switch {
		case status.Code(s.err) == codes.NotFound:
			fmt.Fprintf(out.Stderr, "%s has not heard of this order\n", s.service)
		case s.err != nil:
			fmt.Fprintf(out.Stderr, "without what %s knows: %s\n", s.service, explain(s.err))
		case s.truncated:
			fmt.Fprintf(out.Stderr, "%s knows more than it may answer; the newest are left out\n", s.service)
		}
	}
}

// json writes both answers as they are; null stands for one that there is not.
func (a answers) json(out cli.Output) error {
	order, err := document(a.order, a.orderErr)
	if err != nil {
		return err
	}
	reservation, err := document(a.reservation, a.reservationErr)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(struct {
		Order       json.RawMessage `json:"order"`
		Reservation json.RawMessage `json:"reservation"`
	}{order, reservation}, "", "  ")
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	_, err = fmt.Fprintln(out.Stdout, string(text))
	return err
}

// document is an answer in JSON; nothing if the call has failed.
func document(answer proto.Message, failure error) (json.RawMessage, error) {
	if failure != nil {
		return nil, nil
	}
	text, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("write answer: %w", err)
	}
	return text, nil
}

// happening is a line of the timeline, whoever tells it.
type happening struct {
	at                             time.Time
	where, what, who, mail, detail string
}

// merge puts both lists in the order of time. Each keeps its own order, because that
// is how its service knows it, also where its replicas' clocks differ.
func merge(a, b []happening) []happening {
	all := make([]happening, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if b[0].at.Before(a[0].at) {
			all, b = append(all, b[0]), b[1:]
		} else {
			all, a = append(all, a[0]), a[1:]
		}
	}
	return append(append(all, a...), b...)
}

func orderEvents(resp *orderv1.GetTimelineResponse) []happening {
	var all []happening
	for _, e := range resp.GetEntries() {
		what := words(e.GetKind(), "TIMELINE_KIND_")
		if e.GetKind() == orderv1.TimelineKind_TIMELINE_KIND_CHANGED {
			what = state(e.GetStatus(), e.GetCloseReason())
			if e.GetStockState() != orderv1.StockState_STOCK_STATE_UNSPECIFIED {
				what += ", stock " + name(e.GetStockState(), "STOCK_STATE_")
			}
			what += fmt.Sprintf(" (version %d)", e.GetVersion())
		}
		all = append(all, happening{
			at: e.GetAt().AsTime(), where: "order-srv", what: what, who: words(e.GetCause(), "CAUSE_"),
			mail: mail(e.GetTag(), e.GetMessageId(), e.GetAttempt()), detail: e.GetDetail(),
		})
	}
	return all
}

func reservationEvents(resp *inventoryv1.GetReservationTimelineResponse) []happening {
	var all []happening
	for _, e := range resp.GetEntries() {
		what, who, tag := "received, nothing changed", "order-srv", e.GetTrigger()
		switch e.GetTrigger() {
		case "timeout":
			who = "timer"
		case "sweep":
			what, who, tag = "swept, nothing changed", "sweeper", ""
		case "parked":
			what, who, tag = "parked", "-", ""
		}
		if e.GetChanged() {
			what = fmt.Sprintf("%s (version %d)", name(e.GetStatus(), "RESERVATION_STATUS_"), e.GetVersion())
		}
		all = append(all, happening{
			at: e.GetAt().AsTime(), where: "inventory-srv", what: what, who: who,
			mail: mail(tag, e.GetMessageId(), e.GetAttempt()), detail: e.GetDetail(),
		})
	}
	return all
}

// mail is a message in one cell: its tag, its id, and which delivery it was.
func mail(tag, id string, attempt int32) string {
	parts := make([]string, 0, 3)
	for _, part := range []string{tag, id} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if attempt > 0 {
		parts = append(parts, fmt.Sprintf("#%d", attempt))
	}
	return strings.Join(parts, " ")
}
