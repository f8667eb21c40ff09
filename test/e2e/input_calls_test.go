package e2e

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	parkedv1 "orderflow/api/proto/parked/v1"
)

// calling is a call whose answer does not matter. It takes the generated methods as they
// are.
func calling[Q, A any](method func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := method(ctx, request)
		return err
	}
}

// streaming is a call whose answer is a stream: its error is how the stream ends.
func streaming[Q, A any](
	method func(context.Context, Q, ...grpc.CallOption) (grpc.ServerStreamingClient[A], error), request Q,
) func(context.Context) error {
	return func(ctx context.Context) error {
		stream, err := method(ctx, request)
		for err == nil {
			_, err = stream.Recv()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}

// field is a call that is refused for one field.
func field(name string, call func(context.Context) error) badCall {
	return badCall{call: call, fields: []string{name}}
}

// Texts that are out of the bounds of reasons and ids.
func longReason() string { return strings.Repeat("ä", 201) }

const twoLines = "one\ntwo"

// badLifeCalls are bad requests of what happens to an order once it is placed.
func badLifeCalls(s *system, o *orderv1.Order) map[string]badCall {
	c, id := s.orderClient, o.GetOrderId()
	extend := func(change func(r *orderv1.ExtendPaymentRequest)) func(context.Context) error {
		r := extension(o, tenMinutes)
		change(r)
		return calling(c.ExtendPayment, r)
	}
	window := func(d time.Duration) func(context.Context) error {
		return extend(func(r *orderv1.ExtendPaymentRequest) { r.PaymentWindow = durationpb.New(d) })
	}
	cancel := func(id, reason string) func(context.Context) error {
		return calling(c.CancelOrder, &orderv1.CancelOrderRequest{OrderId: id, Reason: reason})
	}
	exempt := func(id, reason string) func(context.Context) error {
		return calling(c.ExemptFromTimeout, &orderv1.ExemptFromTimeoutRequest{OrderId: id, Reason: reason})
	}
	resolve := func(payment, refund string) func(context.Context) error {
		return calling(c.ResolveRefund, &orderv1.ResolveRefundRequest{PaymentId: payment, RefundId: refund})
	}
	unknown := func(call func(context.Context) error) badCall {
		return badCall{call: call, code: codes.NotFound, reason: "ORDER_NOT_FOUND"}
	}
	return map[string]badCall{
		"CancelOrder/no id":                 field("order_id", cancel("", "")),
		"CancelOrder/not canonical":         field("order_id", cancel(strings.ToUpper(id), "")),
		"CancelOrder/long reason":           field("reason", cancel(id, longReason())),
		"CancelOrder/two lines":             field("reason", cancel(id, twoLines)),
		"CancelOrder/both":                  {call: cancel("tea", twoLines), fields: []string{"order_id", "reason"}},
		"CancelOrder/unknown":               unknown(cancel(uuid.NewString(), "")),
		"ExtendPayment/no id":               field("order_id", extend(func(r *orderv1.ExtendPaymentRequest) { r.OrderId = "" })),
		"ExtendPayment/no request id":       field("request_id", extend(func(r *orderv1.ExtendPaymentRequest) { r.RequestId = "" })),
		"ExtendPayment/long request id":     field("request_id", extend(func(r *orderv1.ExtendPaymentRequest) { r.RequestId = strings.Repeat("r", 65) })),
		"ExtendPayment/no window":           field("payment_window", extend(func(r *orderv1.ExtendPaymentRequest) { r.PaymentWindow = nil })),
		"ExtendPayment/window":              field("payment_window", window(7*time.Second)),
		"ExtendPayment/negative":            field("payment_window", window(-time.Minute)),
		"ExtendPayment/part of millisecond": field("payment_window", window(time.Minute+1)),
		"ExtendPayment/all": {
			call: calling(c.ExtendPayment, &orderv1.ExtendPaymentRequest{}), fields: []string{"order_id", "request_id", "payment_window"},
		},
		"ExtendPayment/unknown":          unknown(extend(func(r *orderv1.ExtendPaymentRequest) { r.OrderId = uuid.NewString() })),
		"ExemptFromTimeout/no id":        field("order_id", exempt("", "why")),
		"ExemptFromTimeout/no reason":    field("reason", exempt(id, "")),
		"ExemptFromTimeout/long reason":  field("reason", exempt(id, longReason())),
		"ExemptFromTimeout/two lines":    field("reason", exempt(id, twoLines)),
		"ExemptFromTimeout/unknown":      unknown(exempt(uuid.NewString(), "why")),
		"ResolveRefund/no payment":       field("payment_id", resolve("", "r")),
		"ResolveRefund/no refund":        field("refund_id", resolve("p", "")),
		"ResolveRefund/long refund":      field("refund_id", resolve("p", strings.Repeat("r", 65))),
		"ResolveRefund/both":             {call: resolve("a b", "ä"), fields: []string{"payment_id", "refund_id"}},
		"ResolveRefund/unknown":          {call: resolve("p", "r"), code: codes.NotFound, reason: "PAYMENT_NOT_FOUND"},
		"GetTimeline/no UUID":            field("order_id", calling(c.GetTimeline, &orderv1.GetTimelineRequest{OrderId: "tea"})),
		"GetTimeline/unknown":            unknown(calling(c.GetTimeline, &orderv1.GetTimelineRequest{OrderId: uuid.NewString()})),
		"WatchOrder/no UUID":             field("order_id", streaming(c.WatchOrder, &orderv1.WatchOrderRequest{OrderId: "tea"})),
		"WatchOrder/negative":            field("after_version", streaming(c.WatchOrder, &orderv1.WatchOrderRequest{OrderId: id, AfterVersion: -1})),
		"WatchOrder/version of tomorrow": field("after_version", streaming(c.WatchOrder, &orderv1.WatchOrderRequest{OrderId: id, AfterVersion: 100})),
		"WatchOrder/unknown":             unknown(streaming(c.WatchOrder, &orderv1.WatchOrderRequest{OrderId: uuid.NewString()})),
	}
}

// badListCalls are bad requests of what is read page by page.
func badListCalls(s *system) map[string]badCall {
	at := &timestamppb.Timestamp{Seconds: 1 << 60}
	orders := func(r *orderv1.ListOrdersRequest) func(context.Context) error {
		return calling(s.orderClient.ListOrders, r)
	}
	refunds := func(r *orderv1.ListRefundsDueRequest) func(context.Context) error {
		return calling(s.orderClient.ListRefundsDue, r)
	}
	stock := func(r *inventoryv1.ListStockRequest) func(context.Context) error {
		return calling(s.stockClient.ListStock, r)
	}
	reservations := func(r *inventoryv1.ListReservationsRequest) func(context.Context) error {
		return calling(s.stockClient.ListReservations, r)
	}
	return map[string]badCall{
		"ListOrders/customer":           field("customer_id", orders(&orderv1.ListOrdersRequest{CustomerId: "Jürgen"})),
		"ListOrders/status":             field("statuses[1]", orders(&orderv1.ListOrdersRequest{Statuses: []orderv1.OrderStatus{paid, 99}})),
		"ListOrders/no status":          field("statuses[0]", orders(&orderv1.ListOrdersRequest{Statuses: []orderv1.OrderStatus{0}})),
		"ListOrders/from":               field("created_from", orders(&orderv1.ListOrdersRequest{CreatedFrom: at})),
		"ListOrders/before":             field("created_before", orders(&orderv1.ListOrdersRequest{CreatedBefore: at})),
		"ListOrders/page size":          field("page_size", orders(&orderv1.ListOrdersRequest{PageSize: 501})),
		"ListOrders/negative page size": field("page_size", orders(&orderv1.ListOrdersRequest{PageSize: -1})),
		"ListOrders/token":              field("page_token", orders(&orderv1.ListOrdersRequest{PageToken: "tea"})),
		"ListOrders/all": {
			call:   orders(&orderv1.ListOrdersRequest{CustomerId: "a b", PageSize: 501, PageToken: strings.Repeat("t", 5000)}),
			fields: []string{"customer_id", "page_size", "page_token"},
		},
		"ListRefundsDue/page size":       field("page_size", refunds(&orderv1.ListRefundsDueRequest{PageSize: 501})),
		"ListRefundsDue/token":           field("page_token", refunds(&orderv1.ListRefundsDueRequest{PageToken: "tea"})),
		"ListStock/prefix":               field("sku_prefix", stock(&inventoryv1.ListStockRequest{SkuPrefix: "tea cup"})),
		"ListStock/page size":            field("page_size", stock(&inventoryv1.ListStockRequest{PageSize: -1})),
		"ListStock/token":                field("page_token", stock(&inventoryv1.ListStockRequest{PageToken: "tea"})),
		"ListReservations/customer":      field("customer_id", reservations(&inventoryv1.ListReservationsRequest{CustomerId: "a b"})),
		"ListReservations/status":        field("statuses[0]", reservations(&inventoryv1.ListReservationsRequest{Statuses: []inventoryv1.ReservationStatus{99}})),
		"ListReservations/from":          field("created_from", reservations(&inventoryv1.ListReservationsRequest{CreatedFrom: at})),
		"ListReservations/before":        field("created_before", reservations(&inventoryv1.ListReservationsRequest{CreatedBefore: at})),
		"ListReservations/page size":     field("page_size", reservations(&inventoryv1.ListReservationsRequest{PageSize: 501})),
		"ListReservations/token":         field("page_token", reservations(&inventoryv1.ListReservationsRequest{PageToken: "tea"})),
		"GetReservationTimeline/no UUID": field("order_id", calling(s.stockClient.GetReservationTimeline, &inventoryv1.GetReservationTimelineRequest{OrderId: "tea"})),
		"GetReservationTimeline/unknown": {
			call: calling(s.stockClient.GetReservationTimeline, &inventoryv1.GetReservationTimelineRequest{OrderId: uuid.NewString()}),
			code: codes.NotFound, reason: "RESERVATION_NOT_FOUND",
		},
	}
}

// badOperatorCalls are bad requests of what operators do.
func badOperatorCalls(s *system, tea string, o *orderv1.Order) map[string]badCall {
	adjust := func(change func(r *inventoryv1.AdjustStockRequest)) func(context.Context) error {
		r := adjustment(tea, 1)
		change(r)
		return calling(s.stockClient.AdjustStock, r)
	}
	orders := orderv1.NewAuditServiceClient(s.dial(s.order.GRPC()))
	stock := inventoryv1.NewAuditServiceClient(s.dial(s.inventory.GRPC()))
	redrive := func(ids ...string) func(context.Context) error {
		return calling(orders.RedriveOrders, &orderv1.RedriveOrdersRequest{OrderIds: ids})
	}
	id := o.GetOrderId()
	all := map[string]badCall{
		"AdjustStock/no id":       field("adjustment_id", adjust(func(r *inventoryv1.AdjustStockRequest) { r.AdjustmentId = "" })),
		"AdjustStock/long id":     field("adjustment_id", adjust(func(r *inventoryv1.AdjustStockRequest) { r.AdjustmentId = strings.Repeat("a", 129) })),
		"AdjustStock/odd SKU":     field("sku", adjust(func(r *inventoryv1.AdjustStockRequest) { r.Sku = "tea cup" })),
		"AdjustStock/zero":        field("difference", adjust(func(r *inventoryv1.AdjustStockRequest) { r.Difference = 0 })),
		"AdjustStock/too many":    field("difference", adjust(func(r *inventoryv1.AdjustStockRequest) { r.Difference = 1_000_000_001 })),
		"AdjustStock/too few":     field("difference", adjust(func(r *inventoryv1.AdjustStockRequest) { r.Difference = -1_000_000_001 })),
		"AdjustStock/no reason":   field("reason", adjust(func(r *inventoryv1.AdjustStockRequest) { r.Reason = "" })),
		"AdjustStock/long reason": field("reason", adjust(func(r *inventoryv1.AdjustStockRequest) { r.Reason = longReason() })),
		"AdjustStock/two lines":   field("reason", adjust(func(r *inventoryv1.AdjustStockRequest) { r.Reason = twoLines })),
		"AdjustStock/all": {
			call: calling(s.stockClient.AdjustStock, &inventoryv1.AdjustStockRequest{}), fields: []string{"adjustment_id", "sku", "difference", "reason"},
		},
		"AdjustStock/unknown": {
			call: adjust(func(r *inventoryv1.AdjustStockRequest) { r.Sku = s.sku("nothing") }), code: codes.NotFound, reason: "SKU_NOT_FOUND",
		},
		"AdjustStock/more than there is": {
			call: adjust(func(r *inventoryv1.AdjustStockRequest) { r.Difference = -10 }), code: codes.FailedPrecondition, reason: "NOT_ENOUGH_AVAILABLE",
		},
		"RedriveOrders/none":        field("order_ids", redrive()),
		"RedriveOrders/65":          field("order_ids", redrive(slices.Repeat([]string{id}, 65)...)),
		"RedriveOrders/no UUID":     field("order_ids[1]", redrive(id, "tea")),
		"StreamOrders/after":        field("after_order_id", streaming(orders.StreamOrders, &orderv1.StreamOrdersRequest{AfterOrderId: "tea"})),
		"StreamOrders/until":        field("until_order_id", streaming(orders.StreamOrders, &orderv1.StreamOrdersRequest{UntilOrderId: "tea"})),
		"StreamOrders/no UUID":      field("order_ids[0]", streaming(orders.StreamOrders, &orderv1.StreamOrdersRequest{OrderIds: []string{"tea"}})),
		"StreamOrders/501":          field("order_ids", streaming(orders.StreamOrders, &orderv1.StreamOrdersRequest{OrderIds: slices.Repeat([]string{id}, 501)})),
		"StreamReservations/after":  field("after_order_id", streaming(stock.StreamReservations, &inventoryv1.StreamReservationsRequest{AfterOrderId: "tea"})),
		"StreamReservations/UUID":   field("order_ids[0]", streaming(stock.StreamReservations, &inventoryv1.StreamReservationsRequest{OrderIds: []string{"tea"}})),
		"StreamBooks/after":         field("after_sku", streaming(stock.StreamBooks, &inventoryv1.StreamBooksRequest{AfterSku: "tea cup"})),
		"StreamBooks/SKU":           field("skus[0]", streaming(stock.StreamBooks, &inventoryv1.StreamBooksRequest{Skus: []string{"tea cup"}})),
		"StreamBooks/101":           field("skus", streaming(stock.StreamBooks, &inventoryv1.StreamBooksRequest{Skus: slices.Repeat([]string{tea}, 101)})),
		"CreateOrder/waits in vain": field("lines", calling(s.orderClient.CreateOrder, waitingFor(s.request(tenMinutes)))),
	}
	for service, i := range map[string]*instance{"order": s.order, "inventory": s.inventory} {
		for name, call := range badParkedCalls(s.parkedAt(i)) {
			all[name+" at "+service] = call
		}
	}
	return all
}

// waitingFor is the request of a call that waits for the stock.
func waitingFor(r *orderv1.CreateOrderRequest) *orderv1.CreateOrderRequest {
	r.WaitForStock = true
	return r
}

func badParkedCalls(c parkedv1.ParkedServiceClient) map[string]badCall {
	unknown := uuid.NewString()
	list := func(r *parkedv1.ListParkedRequest) func(context.Context) error { return calling(c.ListParked, r) }
	discard := func(id, reason string) func(context.Context) error {
		return calling(c.DiscardParked, &parkedv1.DiscardParkedRequest{Id: id, Reason: reason})
	}
	notFound := func(call func(context.Context) error) badCall {
		return badCall{call: call, code: codes.NotFound, reason: "PARKED_NOT_FOUND"}
	}
	return map[string]badCall{
		"ListParked/group":          field("group", list(&parkedv1.ListParkedRequest{Group: strings.Repeat("g", 300)})),
		"ListParked/reason":         field("reason", list(&parkedv1.ListParkedRequest{Reason: twoLines})),
		"ListParked/order":          field("order_id", list(&parkedv1.ListParkedRequest{OrderId: strings.Repeat("o", 300)})),
		"ListParked/page size":      field("page_size", list(&parkedv1.ListParkedRequest{PageSize: 501})),
		"ListParked/token":          field("page_token", list(&parkedv1.ListParkedRequest{PageToken: "tea"})),
		"GetParked/no UUID":         field("id", calling(c.GetParked, &parkedv1.GetParkedRequest{Id: "tea"})),
		"GetParked/unknown":         notFound(calling(c.GetParked, &parkedv1.GetParkedRequest{Id: unknown})),
		"ReplayParked/no UUID":      field("id", calling(c.ReplayParked, &parkedv1.ReplayParkedRequest{})),
		"ReplayParked/unknown":      notFound(calling(c.ReplayParked, &parkedv1.ReplayParkedRequest{Id: unknown})),
		"DiscardParked/no UUID":     field("id", discard("tea", "why")),
		"DiscardParked/no reason":   field("reason", discard(unknown, "")),
		"DiscardParked/long reason": field("reason", discard(unknown, longReason())),
		"DiscardParked/both":        {call: discard("", twoLines), fields: []string{"id", "reason"}},
		"DiscardParked/unknown":     notFound(discard(unknown, "why")),
	}
}

// allBadCalls are those of every service.
func allBadCalls(s *system, tea string, o *orderv1.Order) map[string]badCall {
	all := map[string]badCall{}
	for _, some := range []map[string]badCall{
		badOrderCalls(s, o), badInventoryCalls(s), badLifeCalls(s, o), badListCalls(s), badOperatorCalls(s, tea, o),
	} {
		maps.Copy(all, some)
	}
	return all
}
