package orderctl

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/cli"
)

// at is so many milliseconds after a moment.
func at(ms int) *timestamppb.Timestamp {
	return timestamppb.New(time.Date(2026, 1, 31, 12, 0, 0, ms*1e6, time.UTC))
}

func (s *services) GetTimeline(_ context.Context, in *orderv1.GetTimelineRequest) (*orderv1.GetTimelineResponse, error) {
	if s.err != nil {
		return nil, s.err
	}
	if in.GetOrderId() == "unknown" {
		return nil, apierror.NotFound("ORDER_NOT_FOUND", "no order")
	}
	return &orderv1.GetTimelineResponse{Truncated: true, Entries: []*orderv1.TimelineEntry{
		{
			At: at(10), Kind: orderv1.TimelineKind_TIMELINE_KIND_CHANGED, Cause: orderv1.Cause_CAUSE_CLIENT, Version: 1,
			Status: orderv1.OrderStatus_ORDER_STATUS_PLACED, Tag: "created", MessageId: "0A01",
		},
		{At: at(20), Kind: orderv1.TimelineKind_TIMELINE_KIND_CHECK_BACK, Cause: orderv1.Cause_CAUSE_BROKER, Detail: "committed\tsaid\nso"},
		{
			At: at(40), Kind: orderv1.TimelineKind_TIMELINE_KIND_CHANGED, Cause: orderv1.Cause_CAUSE_INVENTORY, Version: 2,
			Status: orderv1.OrderStatus_ORDER_STATUS_CLOSED, CloseReason: orderv1.CloseReason_CLOSE_REASON_OUT_OF_STOCK,
			StockState: orderv1.StockState_STOCK_STATE_REJECTED, Tag: "rejected", MessageId: "0A02", Attempt: 2,
		},
		// Written by a replica whose clock is behind.
		{At: at(35), Kind: orderv1.TimelineKind_TIMELINE_KIND_RECEIVED, Cause: orderv1.Cause_CAUSE_INVENTORY, Tag: "rejected", MessageId: "0A02", Attempt: 3},
	}}, nil
}

func (s *services) GetReservationTimeline(
	_ context.Context, in *inventoryv1.GetReservationTimelineRequest,
) (*inventoryv1.GetReservationTimelineResponse, error) {
	if s.err != nil {
		return nil, s.err
	}
	if in.GetOrderId() == "unknown" || in.GetOrderId() == "new" {
		return nil, apierror.NotFound("RESERVATION_NOT_FOUND", "no reservation")
	}
	rejected := inventoryv1.ReservationStatus_RESERVATION_STATUS_REJECTED
	return &inventoryv1.GetReservationTimelineResponse{Entries: []*inventoryv1.ReservationEntry{
		{At: at(30), Trigger: "created", Changed: true, Version: 1, Status: rejected, MessageId: "0A01", Attempt: 1},
		{At: at(40), Trigger: "timeout", Version: 1, Status: rejected, MessageId: "0A03", Attempt: 1},
		{At: at(50), Trigger: "sweep", Version: 1, Status: rejected},
		{At: at(60), Trigger: "parked", Detail: "PAID_AFTER_REJECTED"},
	}}, nil
}

// cells are the columns behind the time.
func cells(stdout string) []string {
	var all []string
	for line := range strings.Lines(stdout) {
		_, rest, _ := strings.Cut(squeeze(strings.TrimSpace(line)), " ")
		all = append(all, rest)
	}
	return all
}

func ofOrders() []string {
	return []string{
		"order-srv PLACED (version 1) client created 0A01",
		"order-srv check back broker - committed said so",
		"order-srv CLOSED (OUT_OF_STOCK), stock REJECTED (version 2) inventory rejected 0A02 #2",
		"order-srv received inventory rejected 0A02 #3",
	}
}

func ofInventory() []string {
	return []string{
		"inventory-srv REJECTED (version 1) order-srv created 0A01 #1",
		"inventory-srv received, nothing changed timer timeout 0A03 #1",
		"inventory-srv swept, nothing changed sweeper -",
		"inventory-srv parked - - PAID_AFTER_REJECTED",
	}
}

func TestTimelineIsMergedByTime(t *testing.T) {
	serve(t, &services{})
	code, stdout, stderr := run(t, "order", "timeline", "the-order")
	o, i := ofOrders(), ofInventory()
	want := []string{"WHERE WHAT WHO MESSAGE DETAIL", o[0], o[1], i[0], o[2], o[3], i[1], i[2], i[3]}
	if got := cells(stdout); code != cli.ExitOK || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("exit code %d, got\n%s\nwant\n%s", code, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for line := range strings.Lines(stdout) { // the columns are aligned, also where a line has no detail
		if i := strings.Index(stdout, "DETAIL"); strings.Contains(line, "PAID_AFTER") && strings.Index(line, "PAID_AFTER") != i ||
			line != strings.TrimRight(line, " \n")+"\n" {
			t.Errorf("badly aligned:\n%s", stdout)
		}
	}
	if stderr != "order-srv knows more than it may answer; the newest are left out\n" {
		t.Errorf("stderr %q", stderr)
	}
	if moment := at(10).AsTime().Local().Format("15:04:05.000"); !strings.Contains(stdout, moment) {
		t.Errorf("%s is not in\n%s", moment, stdout)
	}
}

func TestTimelineWithOneServiceDown(t *testing.T) {
	for service, want := range map[string][]string{"order": ofInventory(), "inventory": ofOrders()} {
		t.Run(service, func(t *testing.T) {
			serve(t, &services{})
			down := "--" + service + "-service=127.0.0.1:1"
			code, stdout, stderr := run(t, "order", "timeline", "the-order", down)
			if got := cells(stdout)[1:]; code != cli.ExitOK || strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("exit code %d, got\n%s\nwant\n%s", code, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if !strings.Contains(stderr, "without what "+service+"-srv knows: Unavailable: the service does not answer") {
				t.Errorf("stderr %q", stderr)
			}

			_, stdout, _ = run(t, "order", "timeline", "the-order", down, "-o", "json")
			var both struct{ Order, Reservation *struct{ Entries []any } }
			if err := json.Unmarshal([]byte(stdout), &both); err != nil {
				t.Fatal(err)
			}
			if (both.Order == nil) != (service == "order") || (both.Reservation == nil) != (service == "inventory") {
				t.Errorf("got %s", stdout)
			}
		})
	}
}

func TestTimelineAsJSONHasBothAnswers(t *testing.T) {
	serve(t, &services{})
	_, stdout, _ := run(t, "order", "timeline", "the-order", "-o", "json")
	var both struct {
		Order       struct{ Entries []struct{ MessageID string } }
		Reservation struct{ Entries []struct{ Trigger string } }
	}
	if err := json.Unmarshal([]byte(stdout), &both); err != nil {
		t.Fatal(err)
	}
	if len(both.Order.Entries) != 4 || both.Order.Entries[0].MessageID != "0A01" ||
		len(both.Reservation.Entries) != 4 || both.Reservation.Entries[3].Trigger != "parked" {
		t.Errorf("got %s", stdout)
	}
}

func TestTimelineOfWhatInventoryHasNotHeardOf(t *testing.T) {
	serve(t, &services{})
	code, stdout, stderr := run(t, "order", "timeline", "new")
	if code != cli.ExitOK || len(cells(stdout)) != 5 || !strings.Contains(stderr, "inventory-srv has not heard of this order\n") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestTimelineThatNobodyKnows(t *testing.T) {
	serve(t, &services{})
	code, stdout, stderr := run(t, "order", "timeline", "unknown")
	if code != cli.ExitFailed || stdout != "" || !strings.Contains(stderr, "orderctl: NotFound (ORDER_NOT_FOUND): no order\n") ||
		!strings.Contains(stderr, "inventory-srv: NotFound (RESERVATION_NOT_FOUND): no reservation\n") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	code, stdout, stderr = run(t, "order", "timeline", "x", "--order-service=127.0.0.1:1", "--inventory-service=127.0.0.1:2")
	if code != cli.ExitFailed || stdout != "" || !strings.Contains(stderr, "127.0.0.1:1:") || !strings.Contains(stderr, "127.0.0.1:2:") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}
