package server

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	orderv1 "orderflow/api/proto/order/v1"
)

func TestTraceOfTheCallerReachesTheHandler(t *testing.T) {
	const traceID = "0123456789abcdef0123456789abcdef"
	var got trace.SpanContext
	r := start(t, func(ctx context.Context) error {
		got = trace.SpanContextFromContext(ctx)
		return nil
	})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-"+traceID+"-0123456789abcdef-01")
	if err := r.get(ctx); err != nil {
		t.Fatal(err)
	}
	if got.TraceID().String() != traceID {
		t.Errorf("got trace %s, want %s", got.TraceID(), traceID)
	}
}

func TestLargeRequestIsRefused(t *testing.T) {
	r := start(t, func(context.Context) error { return nil })
	_, err := r.client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: strings.Repeat("x", maxMessageSize+1)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v, want ResourceExhausted", err)
	}
	if err := r.get(t.Context()); err != nil {
		t.Errorf("a small request afterwards: %v", err)
	}
}

func TestCallsAreLoggedByTheirCode(t *testing.T) {
	r := start(t, func(context.Context) error { return status.Error(codes.NotFound, "no such order") })
	_ = r.get(t.Context())
	if log := r.log.String(); !strings.Contains(log, "level=INFO msg=call method=/order.v1.OrderService/GetOrder code=NotFound") {
		t.Errorf("the call is not in the log:\n%s", log)
	}
}
