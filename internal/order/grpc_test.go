package order

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/event"
)

// Every call through the API once: what is asked arrives, and what is stored is
// shown.
func TestAPI(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		api := NewGRPC(w.service)
		r := request()
		r.Window = window
		created, err := api.CreateOrder(t.Context(), createRequest(r))
		if err != nil {
			t.Fatal(err)
		}
		id := created.GetOrder().GetOrderId()
		want := &orderv1.Order{
			OrderId: id, CustomerId: r.CustomerID, Status: orderv1.OrderStatus_ORDER_STATUS_PLACED,
			Lines: []*orderv1.Line{{Sku: "cup", Quantity: 1, UnitPriceMinor: 999}, {Sku: "tea", Quantity: 2, UnitPriceMinor: 250}},
			Total: &orderv1.Money{CurrencyCode: "EUR", MinorUnits: 1499}, PaymentWindow: durationpb.New(window),
			ExpiresAt: timestamppb.New(start.Add(window)), CreatedAt: timestamppb.New(start), UpdatedAt: timestamppb.New(start), Version: 1,
		}
		if diff := cmp.Diff(want, created.GetOrder(), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
		pay := &orderv1.PayOrderRequest{OrderId: id, PaymentId: "p-1", Amount: &orderv1.Money{CurrencyCode: "EUR", MinorUnits: 1}}
		w.stock(event.TagReserved, stockEvent(id, 1))
		refund, err := api.PayOrder(t.Context(), pay)
		if err != nil || refund.GetOutcome() != orderv1.PaymentOutcome_PAYMENT_OUTCOME_REFUND_DUE ||
			refund.GetRefundReason() != orderv1.RefundReason_REFUND_REASON_AMOUNT_MISMATCH {
			t.Errorf("%v, %v", refund, err)
		}
		pay.PaymentId, pay.Amount.MinorUnits = "p-2", 1499
		paid, err := api.PayOrder(t.Context(), pay)
		if err != nil || paid.GetOutcome() != orderv1.PaymentOutcome_PAYMENT_OUTCOME_PAID || paid.GetRefundReason() != 0 ||
			paid.GetOrder().GetStatus() != orderv1.OrderStatus_ORDER_STATUS_PAID {
			t.Errorf("%v, %v", paid, err)
		}
		short := w.place(request())
		e := stockEvent(short.ID, 1)
		e.Shortages = []*eventv1.Shortage{{Sku: "cup", UnknownSku: true}, {Sku: "tea", Available: 1}}
		w.stock(event.TagRejected, e)
		got, err := api.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: short.ID})
		lines := got.GetOrder().GetLines()
		if err != nil || got.GetOrder().GetCloseReason() != orderv1.CloseReason_CLOSE_REASON_OUT_OF_STOCK ||
			!lines[0].GetShortage().GetUnknownSku() || lines[1].GetShortage().GetAvailable() != 1 || got.GetOrder().GetStockState() != orderv1.StockState_STOCK_STATE_REJECTED {
			t.Errorf("%v, %v", got, err)
		}
		late := w.reserved()
		unknown := uuid.NewString()
		closed, err := api.CloseIfUnpaid(t.Context(), &orderv1.CloseIfUnpaidRequest{OrderIds: []string{id, short.ID, late.ID, unknown}})
		due := timestamppb.New(start.Add(window))
		wantClosed := &orderv1.CloseIfUnpaidResponse{Results: []*orderv1.CloseIfUnpaidResult{
			{OrderId: id, Outcome: orderv1.CloseOutcome_CLOSE_OUTCOME_PAID, DueAt: due},
			{OrderId: short.ID, Outcome: orderv1.CloseOutcome_CLOSE_OUTCOME_CLOSED, CloseReason: orderv1.CloseReason_CLOSE_REASON_OUT_OF_STOCK, DueAt: due},
			{OrderId: late.ID, Outcome: orderv1.CloseOutcome_CLOSE_OUTCOME_NOT_DUE, DueAt: due},
			{OrderId: unknown, Outcome: orderv1.CloseOutcome_CLOSE_OUTCOME_UNKNOWN},
		}}
		if diff := cmp.Diff(wantClosed, closed, protocmp.Transform()); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	})
}

// The stored numbers are those of the proto.
func TestNumbersAreThoseOfTheProto(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		orderv1.OrderStatus(Placed).String(): "ORDER_STATUS_PLACED", orderv1.OrderStatus(Reserved).String(): "ORDER_STATUS_RESERVED",
		orderv1.OrderStatus(Paid).String(): "ORDER_STATUS_PAID", orderv1.OrderStatus(Closed).String(): "ORDER_STATUS_CLOSED",
		orderv1.CloseReason(Timeout).String(): "CLOSE_REASON_TIMEOUT", orderv1.CloseReason(Cancelled).String(): "CLOSE_REASON_CANCELLED",
		orderv1.CloseReason(OutOfStock).String(): "CLOSE_REASON_OUT_OF_STOCK", orderv1.StockState(StockReserved).String(): "STOCK_STATE_RESERVED",
		orderv1.StockState(StockRejected).String(): "STOCK_STATE_REJECTED", orderv1.StockState(StockReleased).String(): "STOCK_STATE_RELEASED",
		orderv1.StockState(StockSold).String(): "STOCK_STATE_SOLD", orderv1.PaymentOutcome(PaymentAccepted).String(): "PAYMENT_OUTCOME_PAID",
		orderv1.PaymentOutcome(RefundDue).String(): "PAYMENT_OUTCOME_REFUND_DUE", orderv1.RefundReason(OrderClosed).String(): "REFUND_REASON_ORDER_CLOSED",
		orderv1.RefundReason(PastDue).String(): "REFUND_REASON_PAST_DUE", orderv1.RefundReason(AlreadyPaid).String(): "REFUND_REASON_ALREADY_PAID",
		orderv1.RefundReason(AmountMismatch).String(): "REFUND_REASON_AMOUNT_MISMATCH",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// call is one call of the API, without its answer.
type call func(ctx context.Context, api orderv1.OrderServiceServer) error

func getOrder(in *orderv1.GetOrderRequest) call {
	return func(ctx context.Context, api orderv1.OrderServiceServer) error {
		_, err := api.GetOrder(ctx, in)
		return err
	}
}
func payOrder(in *orderv1.PayOrderRequest) call {
	return func(ctx context.Context, api orderv1.OrderServiceServer) error {
		_, err := api.PayOrder(ctx, in)
		return err
	}
}
func closeOrders(ids ...string) call {
	return func(ctx context.Context, api orderv1.OrderServiceServer) error {
		_, err := api.CloseIfUnpaid(ctx, &orderv1.CloseIfUnpaidRequest{OrderIds: ids})
		return err
	}
}
func createOrder(in *orderv1.CreateOrderRequest) call {
	return func(ctx context.Context, api orderv1.OrderServiceServer) error {
		_, err := api.CreateOrder(ctx, in)
		return err
	}
}

// Bad requests are refused with the code and every field, and nothing comes of
// them. (Those of CreateOrder: TestCreateOrderRefusesBadRequests.)
func TestAPIRefusesBadRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		api := NewGRPC(w.service)
		id := uuid.NewString()
		money := func(minor int64, currency string) *orderv1.Money {
			return &orderv1.Money{MinorUnits: minor, CurrencyCode: currency}
		}
		for name, c := range map[string]struct {
			call   call
			code   codes.Code
			fields []string
		}{
			"get nothing":          {getOrder(nil), codes.InvalidArgument, []string{"order_id"}},
			"get upper-case id":    {getOrder(&orderv1.GetOrderRequest{OrderId: strings.ToUpper(id)}), codes.InvalidArgument, []string{"order_id"}},
			"get braced id":        {getOrder(&orderv1.GetOrderRequest{OrderId: "{" + id + "}"}), codes.InvalidArgument, []string{"order_id"}},
			"get id without dash":  {getOrder(&orderv1.GetOrderRequest{OrderId: strings.ReplaceAll(id, "-", "")}), codes.InvalidArgument, []string{"order_id"}},
			"get unknown":          {getOrder(&orderv1.GetOrderRequest{OrderId: id}), codes.NotFound, nil},
			"pay nothing":          {payOrder(nil), codes.InvalidArgument, []string{"order_id", "payment_id", "amount.currency_code"}},
			"pay unknown":          {payOrder(&orderv1.PayOrderRequest{OrderId: id, PaymentId: "p", Amount: money(1, "EUR")}), codes.NotFound, nil},
			"pay without id":       {payOrder(&orderv1.PayOrderRequest{OrderId: id, Amount: money(1, "EUR")}), codes.InvalidArgument, []string{"payment_id"}},
			"pay with a long id":   {payOrder(&orderv1.PayOrderRequest{OrderId: id, PaymentId: strings.Repeat("p", 65), Amount: money(1, "EUR")}), codes.InvalidArgument, []string{"payment_id"}},
			"pay with blank":       {payOrder(&orderv1.PayOrderRequest{OrderId: id, PaymentId: "p ", Amount: money(1, "EUR")}), codes.InvalidArgument, []string{"payment_id"}},
			"pay negative":         {payOrder(&orderv1.PayOrderRequest{OrderId: id, PaymentId: "p", Amount: money(-1, "EUR")}), codes.InvalidArgument, []string{"amount.minor_units"}},
			"pay in another coin":  {payOrder(&orderv1.PayOrderRequest{OrderId: id, PaymentId: "p", Amount: money(1, "eur")}), codes.InvalidArgument, []string{"amount.currency_code"}},
			"pay without amount":   {payOrder(&orderv1.PayOrderRequest{OrderId: id, PaymentId: "p"}), codes.InvalidArgument, []string{"amount.currency_code"}},
			"close nothing":        {closeOrders(), codes.InvalidArgument, []string{"order_ids"}},
			"close 65":             {closeOrders(slices.Repeat([]string{id}, 65)...), codes.InvalidArgument, []string{"order_ids"}},
			"close 65 empty ones":  {closeOrders(slices.Repeat([]string{""}, 65)...), codes.InvalidArgument, []string{"order_ids"}},
			"close with an odd id": {closeOrders(id, "x", id), codes.InvalidArgument, []string{"order_ids[1]"}},
		} {
			got := statusOf(t, c.call(t.Context(), api))
			if got.code != c.code || !slices.Equal(got.fields, c.fields) || got.reason == "" {
				t.Errorf("%s: %+v", name, got)
			}
		}
		w.wantNothing()
	})
}

// A database that fails is Unavailable with RetryInfo in every call, before and in
// the middle of it; the client sees nothing of SQL, the driver or the address.
func TestAPIWithoutDatabase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		api := NewGRPC(w.service)
		o, overdue := w.reserved(), w.reserved()
		w.clock.Advance(window)
		w.closeIfUnpaid(o.ID)
		in := createRequest(request())
		calls := map[string]call{
			"create": createOrder(in), "get": getOrder(&orderv1.GetOrderRequest{OrderId: o.ID}), "close": closeOrders(overdue.ID, o.ID),
			"pay": payOrder(&orderv1.PayOrderRequest{OrderId: o.ID, PaymentId: "p", Amount: &orderv1.Money{CurrencyCode: "EUR", MinorUnits: 1499}}),
		}
		sql := regexp.MustCompile(`(?i)sql|select|insert|update|barrier|127\.0\.0\.1|closed|driver|interrupt|deadline|injected|rows?\b`)
		check := func(name string, err error) {
			got := statusOf(t, err)
			if got.code != codes.Unavailable || got.reason != unavailable || got.retryAfter != time.Second || sql.MatchString(got.text) {
				t.Errorf("%s: %+v of %v", name, got, err)
			}
		}
		ctx, cancel := context.WithDeadline(t.Context(), time.Now())
		defer cancel()
		for name, call := range calls {
			check(name+" without time", call(ctx, api))
		}
		if err := w.db.Close(); err != nil {
			t.Fatal(err)
		}
		for name, call := range calls {
			check(name+" of a closed database", call(t.Context(), api))
		}
	})
}

// What is not made for clients is shown as an internal error without its text.
func TestUnknownErrorsAreHidden(t *testing.T) {
	t.Parallel()
	secret := errors.New("table orders_2 has no column x")
	if got := statusOf(t, forClient(secret)); got.code != codes.Internal || strings.Contains(got.text, "orders_2") {
		t.Errorf("%+v", got)
	}
	if forClient(nil) != nil {
		t.Error("nil is an error")
	}
}
