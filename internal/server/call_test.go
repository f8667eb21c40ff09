package server

import (
	"context"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
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

// A call about one order is found by its id; questions after the health are no traces.
func TestCallsAreTracedByTheirOrder(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	r := startTraced(t, sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)), func(context.Context) error { return nil })
	const id = "0197a1b2-0000-7000-8000-000000000001"
	for _, id := range []string{id, "jane@example.com"} {
		if _, err := r.client.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: id}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.health.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	var about []string
	for _, s := range spans.Ended() {
		for _, a := range s.Attributes() {
			if a.Key == "orderflow.order_id" {
				about = append(about, s.Name()+" "+a.Value.AsString())
			}
		}
	}
	if want := "order.v1.OrderService/GetOrder " + id; len(about) != 1 || about[0] != want || len(spans.Ended()) != 2 {
		t.Errorf("%d spans, those about an order are %v, want 2, and %s", len(spans.Ended()), about, want)
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

// A client must be able to tell a stream that the server has ended from one that it
// has cancelled itself: it resumes the first one.
func TestDrainTellsStreamsToResume(t *testing.T) {
	r := start(t, func(context.Context) error { return nil })
	stream, err := r.client.WatchOrder(t.Context(), &orderv1.WatchOrderRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil { // it runs
		t.Fatal(err)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	st := status.Convert(err)
	var reason string
	var retry time.Duration
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = d.GetReason()
		case *errdetails.RetryInfo:
			retry = d.GetRetryDelay().AsDuration()
		}
	}
	if st.Code() != codes.Unavailable || reason != "DRAINING" || retry <= 0 {
		t.Errorf("got %v %q, retry after %v", err, reason, retry)
	}
}

// What ends for another reason is not called a drain.
func TestStreamOfAClientThatLeavesIsCancelled(t *testing.T) {
	r := start(t, func(context.Context) error { return nil })
	ctx, leave := context.WithCancel(t.Context())
	stream, err := r.client.WatchOrder(ctx, &orderv1.WatchOrderRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	leave()
	eventually(t, "the stream's end", func() bool {
		return strings.Contains(r.log.String(), "method=/order.v1.OrderService/WatchOrder code=Canceled")
	})
}

func TestCallsAreLoggedByTheirCode(t *testing.T) {
	r := start(t, func(context.Context) error { return status.Error(codes.NotFound, "no such order") })
	_ = r.get(t.Context())
	if log := r.log.String(); !strings.Contains(log, "level=INFO msg=call method=/order.v1.OrderService/GetOrder code=NotFound") {
		t.Errorf("the call is not in the log:\n%s", log)
	}
}

func TestCallsAreLoggedWithTheirOrder(t *testing.T) {
	r := start(t, func(context.Context) error { return status.Error(codes.NotFound, "no such order") })
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
	_, _ = r.client.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: "o-1"})
	_, _ = r.client.CloseIfUnpaid(ctx, &orderv1.CloseIfUnpaidRequest{OrderIds: []string{"o-2", "o-3"}})
	_, _ = r.client.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: strings.Repeat("x", 1000)})
	log := r.log.String()
	for _, want := range []string{"GetOrder order_id=o-1 code=NotFound", `CloseIfUnpaid order_id="[o-2 o-3]" code=Unimplemented`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, "xxx") {
		t.Error("what a client sends is in the log at any length")
	}
}
