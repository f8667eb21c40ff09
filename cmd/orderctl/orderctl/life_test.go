package orderctl

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/cli"
)

func (s *services) CancelOrder(_ context.Context, in *orderv1.CancelOrderRequest) (*orderv1.CancelOrderResponse, error) {
	s.last = in
	o := anOrder()
	o.CloseReason, o.CancelReason = orderv1.CloseReason_CLOSE_REASON_CANCELLED, in.GetReason()
	return &orderv1.CancelOrderResponse{Order: o}, s.err
}

func (s *services) ExtendPayment(_ context.Context, in *orderv1.ExtendPaymentRequest) (*orderv1.ExtendPaymentResponse, error) {
	s.last = in
	return &orderv1.ExtendPaymentResponse{Order: anOrder()}, s.err
}

func (s *services) ExemptFromTimeout(_ context.Context, in *orderv1.ExemptFromTimeoutRequest) (*orderv1.ExemptFromTimeoutResponse, error) {
	s.last = in
	o := anOrder()
	o.TimeoutExempt = true
	return &orderv1.ExemptFromTimeoutResponse{Order: o}, s.err
}

func (s *services) RedriveOrders(_ context.Context, in *orderv1.RedriveOrdersRequest) (*orderv1.RedriveOrdersResponse, error) {
	s.last = in
	resp := &orderv1.RedriveOrdersResponse{}
	for _, id := range in.GetOrderIds() {
		action := orderv1.RedriveAction_REDRIVE_ACTION_PAID
		switch id {
		case "busy":
			action = orderv1.RedriveAction_REDRIVE_ACTION_UNSPECIFIED
		case "unknown":
			action = orderv1.RedriveAction_REDRIVE_ACTION_UNKNOWN_ORDER
		}
		resp.Results = append(resp.Results, &orderv1.RedriveResult{OrderId: id, Action: action})
	}
	return resp, s.err
}

// secondPage is the token of the second and last page of every list. A service
// answers the first with it; the second fails if err is set.
const secondPage = "second"

func (s *services) page(token string) (next string, err error) {
	if token == secondPage {
		return "", s.err
	}
	return secondPage, nil
}

func (s *services) ListOrders(_ context.Context, in *orderv1.ListOrdersRequest) (*orderv1.ListOrdersResponse, error) {
	s.last = in
	next, err := s.page(in.GetPageToken())
	o := anOrder()
	o.OrderId = "order-of-page-" + in.GetPageToken()
	resp := &orderv1.ListOrdersResponse{Orders: []*orderv1.Order{o}, NextPageToken: next}
	if in.GetCustomerId() == "largest" {
		for range 100 {
			o.Lines = append(o.Lines, &orderv1.Line{Sku: strings.Repeat("x", 64), Quantity: 1e6, UnitPriceMinor: 1e12, Shortage: &orderv1.Shortage{Available: 1e6}})
		}
		resp.Orders = slices.Repeat(resp.Orders, largestPage)
	}
	return resp, err
}

func aPayment() *orderv1.Payment {
	return &orderv1.Payment{
		PaymentId: "pay", OrderId: "the-order", Amount: &orderv1.Money{CurrencyCode: "EUR", MinorUnits: 5},
		RefundReason: orderv1.RefundReason_REFUND_REASON_ORDER_CLOSED,
	}
}

func (s *services) ListRefundsDue(_ context.Context, in *orderv1.ListRefundsDueRequest) (*orderv1.ListRefundsDueResponse, error) {
	s.last = in
	next, err := s.page(in.GetPageToken())
	return &orderv1.ListRefundsDueResponse{Payments: []*orderv1.Payment{aPayment()}, NextPageToken: next}, err
}

func (s *services) ResolveRefund(_ context.Context, in *orderv1.ResolveRefundRequest) (*orderv1.ResolveRefundResponse, error) {
	s.last = in
	p := aPayment()
	p.RefundId = in.GetRefundId()
	return &orderv1.ResolveRefundResponse{Payment: p}, s.err
}

func (s *services) AdjustStock(_ context.Context, in *inventoryv1.AdjustStockRequest) (*inventoryv1.AdjustStockResponse, error) {
	s.last = in
	return &inventoryv1.AdjustStockResponse{Stock: &inventoryv1.Stock{Sku: "a", Available: 2, Received: 2}}, s.err
}

func (s *services) ListStock(_ context.Context, in *inventoryv1.ListStockRequest) (*inventoryv1.ListStockResponse, error) {
	s.last = in
	next, err := s.page(in.GetPageToken())
	return &inventoryv1.ListStockResponse{Stocks: []*inventoryv1.Stock{{Sku: "a", Sold: 5, Received: 5}}, NextPageToken: next}, err
}

func (s *services) ListReservations(_ context.Context, in *inventoryv1.ListReservationsRequest) (*inventoryv1.ListReservationsResponse, error) {
	s.last = in
	next, err := s.page(in.GetPageToken())
	return &inventoryv1.ListReservationsResponse{NextPageToken: next, Reservations: []*inventoryv1.Reservation{{
		OrderId: "the-order", Status: inventoryv1.ReservationStatus_RESERVATION_STATUS_RELEASED,
		Lines: []*inventoryv1.ReservationLine{{Sku: "a", Quantity: 9}},
	}}}, err
}

func TestRequestsAndTablesOfTheWholeLife(t *testing.T) {
	day := timestamppb.New(time.Date(2026, 1, 31, 0, 0, 0, 0, time.Local))
	second := timestamppb.New(time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC))
	for _, c := range []call{
		{
			[]string{"order", "create", "--customer=c", "--currency=EUR", "--line=a:1:250", "--key=k", "--wait"},
			&orderv1.CreateOrderRequest{
				IdempotencyKey: "k", CustomerId: "c", CurrencyCode: "EUR", WaitForStock: true,
				Lines: []*orderv1.OrderLine{{Sku: "a", Quantity: 1, UnitPriceMinor: 250}},
			},
			[]string{"order the-order"},
		},
		{
			[]string{"order", "cancel", "the-order", "--reason=too late"},
			&orderv1.CancelOrderRequest{OrderId: "the-order", Reason: "too late"},
			[]string{"status CLOSED (CANCELLED)", "cancelled too late"},
		},
		{[]string{"order", "cancel", "the-order"}, &orderv1.CancelOrderRequest{OrderId: "the-order"}, []string{"order the-order"}},
		{
			[]string{"order", "extend", "the-order", "--window=2h", "--request-id=r"},
			&orderv1.ExtendPaymentRequest{OrderId: "the-order", RequestId: "r", PaymentWindow: durationpb.New(2 * time.Hour)},
			[]string{"order the-order"},
		},
		{
			[]string{"order", "exempt", "the-order", "--reason=pays cash"},
			&orderv1.ExemptFromTimeoutRequest{OrderId: "the-order", Reason: "pays cash"}, []string{"expires never"},
		},
		{
			[]string{"order", "redrive", "one", "two"},
			&orderv1.RedriveOrdersRequest{OrderIds: []string{"one", "two"}}, []string{"ORDER ACTION", "one PAID", "two PAID"},
		},
		{
			[]string{
				"order", "list", "--customer=c", "--status=placed", "--status=RESERVED", "--from=2026-01-31",
				"--before=2026-02-01T12:00:00Z", "--page-size=7", "--page-token=second",
			},
			&orderv1.ListOrdersRequest{
				CustomerId: "c", Statuses: []orderv1.OrderStatus{orderv1.OrderStatus_ORDER_STATUS_PLACED, orderv1.OrderStatus_ORDER_STATUS_RESERVED},
				CreatedFrom: day, CreatedBefore: second, PageSize: 7, PageToken: "second",
			},
			[]string{"ORDER CUSTOMER STATUS STOCK MINOR UNITS EXPIRES CREATED", "order-of-page-second CLOSED (OUT_OF_STOCK) - 1234 EUR"},
		},
		{[]string{"order", "list"}, &orderv1.ListOrdersRequest{}, []string{"order-of-page-"}},
		{
			[]string{"refund", "list"}, &orderv1.ListRefundsDueRequest{},
			[]string{"PAYMENT ORDER MINOR UNITS REASON", "pay the-order 5 EUR ORDER_CLOSED - - -"},
		},
		{
			[]string{"refund", "resolve", "pay", "--refund-id=ref"},
			&orderv1.ResolveRefundRequest{PaymentId: "pay", RefundId: "ref"}, []string{"pay the-order 5 EUR ORDER_CLOSED - ref"},
		},
		{
			[]string{"stock", "adjust", "a", "-5", "--reason=broken", "--adjustment-id=adj"},
			&inventoryv1.AdjustStockRequest{AdjustmentId: "adj", Sku: "a", Difference: -5, Reason: "broken"}, []string{"a 2 0 0 2"},
		},
		{
			[]string{"stock", "list", "--prefix=sh", "--page-token=second"},
			&inventoryv1.ListStockRequest{SkuPrefix: "sh", PageToken: "second"}, []string{"SKU AVAILABLE", "a 0 0 5 5"},
		},
		{
			[]string{"reservation", "list", "--customer=c", "--status=rejected,sold", "--from=2026-01-31"},
			&inventoryv1.ListReservationsRequest{CustomerId: "c", CreatedFrom: day, Statuses: []inventoryv1.ReservationStatus{
				inventoryv1.ReservationStatus_RESERVATION_STATUS_REJECTED, inventoryv1.ReservationStatus_RESERVATION_STATUS_SOLD,
			}},
			[]string{"ORDER CUSTOMER STATUS LINES", "the-order - RELEASED 1"},
		},
	} {
		t.Run(strings.Join(c.args, " "), c.check)
	}
}

func TestIdsAreMadeAndShown(t *testing.T) {
	for what, args := range map[string][]string{
		"request id: ":    {"order", "extend", "the-order", "--window=2h"},
		"adjustment id: ": {"stock", "adjust", "a", "5", "--reason=found"},
	} {
		s := &services{}
		serve(t, s)
		_, _, stderr := run(t, args...)
		var id string
		switch in := s.last.(type) {
		case *orderv1.ExtendPaymentRequest:
			id = in.GetRequestId()
		case *inventoryv1.AdjustStockRequest:
			id = in.GetAdjustmentId()
		}
		if id == "" || stderr != what+id+"\n" {
			t.Errorf("%v: %q on stderr, the id is %q", args, stderr, id)
		}
	}
}

func TestPagesOfAList(t *testing.T) {
	for _, list := range [][]string{{"order", "list"}, {"refund", "list"}, {"stock", "list"}, {"reservation", "list"}} {
		t.Run(strings.Join(list, " "), func(t *testing.T) {
			s := &services{}
			serve(t, s)
			code, one, stderr := run(t, list...)
			if code != cli.ExitOK || stderr != "there is more: --page-token=second, or --all\n" {
				t.Errorf("one page: exit code %d, %s", code, stderr)
			}
			code, all, stderr := run(t, append(list, "--all")...)
			if code != cli.ExitOK || stderr != "" || strings.Count(all, "\n") != 2*strings.Count(one, "\n") {
				t.Errorf("all pages: exit code %d, %s\n%s", code, stderr, all)
			}
			if size := s.last.(interface{ GetPageSize() int32 }).GetPageSize(); size != largestPage {
				t.Errorf("pages of %d, want %d", size, largestPage)
			}
			code, last, stderr := run(t, append(list, "--page-token=second", "-o", "json")...)
			if code != cli.ExitOK || stderr != "" || !strings.Contains(last, `"nextPageToken":`) {
				t.Errorf("the last page: exit code %d, %s\n%s", code, stderr, last)
			}

			s.err = apierror.NotFound("", "gone")
			code, _, stderr = run(t, append(list, "--all")...)
			if code != cli.ExitFailed || !strings.Contains(stderr, "go on with --page-token=second\norderctl: NotFound: gone") {
				t.Errorf("a page fails: exit code %d, %s", code, stderr)
			}
			code, _, stderr = run(t, append(list, "--page-token=second")...)
			if code != cli.ExitFailed || stderr != "orderctl: NotFound: gone\n" {
				t.Errorf("the first page fails: exit code %d, %s", code, stderr)
			}
		})
	}
}

func TestTheLargestPageIsShown(t *testing.T) {
	serve(t, &services{})
	code, stdout, stderr := run(t, "order", "list", "--customer=largest", "--page-token=second", "--page-size=500")
	if code != cli.ExitOK || strings.Count(stdout, "\n") != 1+largestPage {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestRedriveSaysWhatHasToBeRepeated(t *testing.T) {
	serve(t, &services{})
	code, stdout, stderr := run(t, "order", "redrive", "one", "busy")
	if code != cli.ExitFailed || !strings.Contains(squeeze(stdout), "busy -") || !strings.Contains(stderr, "1 of 2 orders") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestRedriveOfAnOrderThatDoesNotExistFails(t *testing.T) {
	serve(t, &services{})
	code, stdout, stderr := run(t, "order", "redrive", "one", "unknown")
	if code != cli.ExitFailed || !strings.Contains(squeeze(stdout), "unknown UNKNOWN_ORDER") || !strings.Contains(stderr, "1 of 2 orders do not exist") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestErrorsOfTheWholeLife(t *testing.T) {
	for _, args := range [][]string{
		{"order", "cancel", "x"},
		{"order", "extend", "x", "--window=1h", "--request-id=r"},
		{"order", "exempt", "x", "--reason=r"},
		{"order", "redrive", "x"},
		{"order", "watch", "x"},
		{"order", "timeline", "x"},
		{"refund", "resolve", "p", "--refund-id=r"},
		{"stock", "adjust", "a", "1", "--reason=r", "--adjustment-id=a"},
	} {
		serve(t, &services{err: apierror.FailedPrecondition("TOO_LATE", 0, "it is too late")})
		code, stdout, stderr := run(t, args...)
		if code != cli.ExitFailed || stdout != "" || stderr != "orderctl: FailedPrecondition (TOO_LATE): it is too late\n" {
			t.Errorf("%v: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}
