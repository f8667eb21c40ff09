package order

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/page"
)

// received is a server stream that keeps what is sent.
type received[T any] struct {
	grpc.ServerStream
	ctx  context.Context
	send func(*T) error // may be nil
	got  []*T
}

func (r *received[T]) Context() context.Context { return r.ctx }

func (r *received[T]) Send(m *T) error {
	r.got = append(r.got, m)
	if r.send != nil {
		return r.send(m)
	}
	return nil
}

func listOrders(in *orderv1.ListOrdersRequest) call {
	return func(ctx context.Context, api orderv1.OrderServiceServer) error {
		_, err := api.ListOrders(ctx, in)
		return err
	}
}

func watchOrder(in *orderv1.WatchOrderRequest) call {
	return func(ctx context.Context, api orderv1.OrderServiceServer) error {
		return api.WatchOrder(in, &received[orderv1.WatchOrderResponse]{ctx: ctx})
	}
}

func getTimeline(in *orderv1.GetTimelineRequest) call {
	return func(ctx context.Context, api orderv1.OrderServiceServer) error {
		_, err := api.GetTimeline(ctx, in)
		return err
	}
}

func listRefunds(in *orderv1.ListRefundsDueRequest) call {
	return func(ctx context.Context, api orderv1.OrderServiceServer) error {
		_, err := api.ListRefundsDue(ctx, in)
		return err
	}
}

func resolveRefund(paymentID, refundID string) call {
	return func(ctx context.Context, api orderv1.OrderServiceServer) error {
		_, err := api.ResolveRefund(ctx, &orderv1.ResolveRefundRequest{PaymentId: paymentID, RefundId: refundID})
		return err
	}
}

// streamOrders is a call of the other service, over the same one.
func streamOrders(s *Service, in *orderv1.StreamOrdersRequest) call {
	return func(ctx context.Context, _ orderv1.OrderServiceServer) error {
		return NewAuditGRPC(s).StreamOrders(in, &received[orderv1.StreamOrdersResponse]{ctx: ctx})
	}
}

// badRead is a request that is refused, with the reason and the fields.
type badRead struct {
	call   call
	code   codes.Code
	reason string
	fields []string
}

// Bad requests of the reading calls are refused with the code and every field, and
// nothing comes of them.
func TestReadsRefuseBadRequests(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.service.config.MaxWatches = 10
		api := NewGRPC(w.service)
		bad := map[string]badRead{}
		for _, cases := range []map[string]badRead{badLists(t), badWatches(), badRefunds(), badAudits(w.service)} {
			for name, c := range cases {
				bad[name] = c
			}
		}
		for name, c := range bad {
			got := statusOf(t, c.call(t.Context(), api))
			if got.code != c.code || !slices.Equal(got.fields, c.fields) || got.reason != c.reason {
				t.Errorf("%s: %+v", name, got)
			}
		}
		w.wantNothing()
		w.wantRows(map[string]int64{"order_timeline": 0})
	})
}

const invalid = "INVALID_REQUEST"

func invalidField(c call, fields ...string) badRead {
	return badRead{c, codes.InvalidArgument, invalid, fields}
}

func badLists(t *testing.T) map[string]badRead {
	token := func(q page.Query) string {
		text, err := page.Token(q, Position{CreatedAt: 1, ID: "x"})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	ofAnn := token(page.NewQuery("ListOrders", "ann", []Status(nil), int64(0), int64(0)))
	ofPaid := token(page.NewQuery("ListOrders", "", []Status{Paid}, int64(0), int64(0)))
	ofRefunds := token(page.NewQuery("ListRefundsDue"))
	at := timestamppb.New(start)
	statuses := func(s ...orderv1.OrderStatus) call { return listOrders(&orderv1.ListOrdersRequest{Statuses: s}) }
	return map[string]badRead{
		"list a blank customer":       invalidField(listOrders(&orderv1.ListOrdersRequest{CustomerId: "a b"}), "customer_id"),
		"list a long customer":        invalidField(listOrders(&orderv1.ListOrdersRequest{CustomerId: strings.Repeat("c", 65)}), "customer_id"),
		"list no status":              invalidField(statuses(0), "statuses[0]"),
		"list an unknown status":      invalidField(statuses(3, 5), "statuses[1]"),
		"list a negative status":      invalidField(statuses(-1), "statuses[0]"),
		"list a status of many bits":  invalidField(statuses(1<<16+1), "statuses[0]"),
		"list a status twice":         invalidField(statuses(3, 1, 3), "statuses[2]"),
		"list five statuses":          invalidField(statuses(1, 2, 3, 4, 1), "statuses"),
		"list from out of range":      invalidField(listOrders(&orderv1.ListOrdersRequest{CreatedFrom: &timestamppb.Timestamp{Seconds: 253402300800}}), "created_from"),
		"list from odd nanos":         invalidField(listOrders(&orderv1.ListOrdersRequest{CreatedFrom: &timestamppb.Timestamp{Nanos: -1}}), "created_from"),
		"list before out of range":    invalidField(listOrders(&orderv1.ListOrdersRequest{CreatedBefore: &timestamppb.Timestamp{Seconds: -62135596801}}), "created_before"),
		"list from = before":          invalidField(listOrders(&orderv1.ListOrdersRequest{CreatedFrom: at, CreatedBefore: at}), "created_before"),
		"list from > before":          invalidField(listOrders(&orderv1.ListOrdersRequest{CreatedFrom: at, CreatedBefore: timestamppb.New(start.Add(-time.Hour))}), "created_before"),
		"list -1":                     invalidField(listOrders(&orderv1.ListOrdersRequest{PageSize: -1}), "page_size"),
		"list 501":                    invalidField(listOrders(&orderv1.ListOrdersRequest{PageSize: 501}), "page_size"),
		"list with a made-up token":   invalidField(listOrders(&orderv1.ListOrdersRequest{PageToken: "AAAAAAAAAAAAAAAA"}), "page_token"),
		"list with a cut token":       invalidField(listOrders(&orderv1.ListOrdersRequest{CustomerId: "ann", PageToken: ofAnn[:len(ofAnn)-2]}), "page_token"),
		"list another customer":       invalidField(listOrders(&orderv1.ListOrdersRequest{CustomerId: "bob", PageToken: ofAnn}), "page_token"),
		"list other statuses":         invalidField(listOrders(&orderv1.ListOrdersRequest{Statuses: []orderv1.OrderStatus{4}, PageToken: ofPaid}), "page_token"),
		"list other times":            invalidField(listOrders(&orderv1.ListOrdersRequest{CustomerId: "ann", CreatedFrom: at, PageToken: ofAnn}), "page_token"),
		"list with a refund's token":  invalidField(listOrders(&orderv1.ListOrdersRequest{PageToken: ofRefunds}), "page_token"),
		"refunds with an order's one": invalidField(listRefunds(&orderv1.ListRefundsDueRequest{PageToken: ofPaid}), "page_token"),
		"list everything wrong": invalidField(listOrders(&orderv1.ListOrdersRequest{CustomerId: " ", Statuses: []orderv1.OrderStatus{0}, PageSize: 501, PageToken: "x"}),
			"customer_id", "statuses[0]", "page_size", "page_token"),
	}
}

func badWatches() map[string]badRead {
	id := uuid.NewString()
	notFound := func(c call) badRead { return badRead{c, codes.NotFound, ReasonOrderNotFound, nil} }
	return map[string]badRead{
		"watch nothing":          invalidField(watchOrder(nil), "order_id"),
		"watch an odd id":        invalidField(watchOrder(&orderv1.WatchOrderRequest{OrderId: strings.ToUpper(id)}), "order_id"),
		"watch behind -1":        invalidField(watchOrder(&orderv1.WatchOrderRequest{OrderId: id, AfterVersion: -1}), "after_version"),
		"watch all wrong":        invalidField(watchOrder(&orderv1.WatchOrderRequest{OrderId: "x", AfterVersion: -1}), "order_id", "after_version"),
		"watch unknown":          notFound(watchOrder(&orderv1.WatchOrderRequest{OrderId: id, AfterVersion: 7})),
		"timeline of nothing":    invalidField(getTimeline(nil), "order_id"),
		"timeline of an odd id":  invalidField(getTimeline(&orderv1.GetTimelineRequest{OrderId: id + " "}), "order_id"),
		"timeline of an unknown": notFound(getTimeline(&orderv1.GetTimelineRequest{OrderId: id})),
	}
}

func badRefunds() map[string]badRead {
	return map[string]badRead{
		"refunds -1":             invalidField(listRefunds(&orderv1.ListRefundsDueRequest{PageSize: -1}), "page_size"),
		"refunds 501":            invalidField(listRefunds(&orderv1.ListRefundsDueRequest{PageSize: 501}), "page_size"),
		"refunds, made-up token": invalidField(listRefunds(&orderv1.ListRefundsDueRequest{PageToken: "!"}), "page_token"),
		"resolve nothing":        invalidField(resolveRefund("", ""), "payment_id", "refund_id"),
		"resolve a blank":        invalidField(resolveRefund("p", "r 1"), "refund_id"),
		"resolve long ids":       invalidField(resolveRefund(strings.Repeat("p", 65), strings.Repeat("r", 65)), "payment_id", "refund_id"),
		"resolve unknown":        {resolveRefund("p", "r"), codes.NotFound, ReasonPaymentNotFound, nil},
	}
}

func badAudits(s *Service) map[string]badRead {
	id := uuid.NewString()
	return map[string]badRead{
		"stream after an odd id": invalidField(streamOrders(s, &orderv1.StreamOrdersRequest{AfterOrderId: "x"}), "after_order_id"),
		"stream until an odd id": invalidField(streamOrders(s, &orderv1.StreamOrdersRequest{UntilOrderId: "{" + id + "}"}), "until_order_id"),
		"stream an odd id":       invalidField(streamOrders(s, &orderv1.StreamOrdersRequest{OrderIds: []string{id, ""}}), "order_ids[1]"),
		"stream 501":             invalidField(streamOrders(s, &orderv1.StreamOrdersRequest{OrderIds: slices.Repeat([]string{"x"}, 501)}), "order_ids"),
		"stream ids and bounds": invalidField(streamOrders(s, &orderv1.StreamOrdersRequest{AfterOrderId: id, UntilOrderId: id, OrderIds: []string{id}}),
			"after_order_id", "until_order_id"),
	}
}

// A database that fails is Unavailable with RetryInfo in every reading call, and the
// client sees nothing of it.
func TestReadsWithoutDatabase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.service.config.MaxWatches = 10
		api := NewGRPC(w.service)
		id := w.reserved().ID
		calls := map[string]call{
			"list": listOrders(nil), "watch": watchOrder(&orderv1.WatchOrderRequest{OrderId: id}),
			"timeline": getTimeline(&orderv1.GetTimelineRequest{OrderId: id}), "refunds": listRefunds(nil),
			"resolve": resolveRefund("p", "r"), "audit": streamOrders(w.service, nil),
		}
		if err := w.db.Close(); err != nil {
			t.Fatal(err)
		}
		sql := regexp.MustCompile(`(?i)sql|select|insert|update|127\.0\.0\.1|closed|driver|rows?\b`)
		for name, call := range calls {
			got := statusOf(t, call(t.Context(), api))
			if got.code != codes.Unavailable || got.reason != unavailable || got.retryAfter != time.Second || sql.MatchString(got.text) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
}
