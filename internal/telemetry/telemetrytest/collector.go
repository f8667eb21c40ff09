// Package telemetrytest receives the traces of programs under test, and shows them as
// trees of span names.
package telemetrytest

import (
	"context"
	"encoding/hex"
	"net"
	"sync"
	"testing"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	resourcev1 "go.opentelemetry.io/proto/otlp/resource/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// Span is a span that was received.
type Span struct {
	Service  string
	Resource map[string]string
	Name     string
	Kind     tracev1.Span_SpanKind
	TraceID  string
	ID       string
	ParentID string // empty: it begins its trace
	Start    time.Time
	End      time.Time
	Failed   bool
	Links    []Link
	// Attributes are those with one value; of those with several the first.
	Attributes map[string]string
}

// Link is what a span stems from.
type Link struct{ TraceID, ID string }

// Collector is an OTLP/gRPC receiver that keeps what it gets.
type Collector struct {
	collectorv1.UnimplementedTraceServiceServer

	address string

	mu      sync.Mutex
	spans   []Span
	refuses error
}

// NewCollector starts a receiver on loopback; it ends with the test.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Collector{address: listener.Addr().String()}
	server := grpc.NewServer()
	collectorv1.RegisterTraceServiceServer(server, c)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); err != nil {
			t.Errorf("the trace collector: %v", err)
		}
	}()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
	return c
}

// URL is where it receives.
func (c *Collector) URL() string { return "http://" + c.address }

// Refuse has it refuse all spans with the error, or take them if it is nil.
func (c *Collector) Refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuses = err
}

// Export receives spans.
func (c *Collector) Export(_ context.Context, r *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuses != nil {
		return nil, c.refuses
	}
	for _, from := range r.GetResourceSpans() {
		for _, scope := range from.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, newSpan(from.GetResource(), s))
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

// Spans are all spans that were received so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

func newSpan(of *resourcev1.Resource, s *tracev1.Span) Span {
	resource := attributes(of.GetAttributes())
	span := Span{
		Service: resource["service.name"], Resource: resource, Name: s.GetName(), Kind: s.GetKind(),
		TraceID: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), ParentID: hex.EncodeToString(s.GetParentSpanId()),
		Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
		Failed:     s.GetStatus().GetCode() == tracev1.Status_STATUS_CODE_ERROR,
		Attributes: attributes(s.GetAttributes()),
	}
	for _, l := range s.GetLinks() {
		span.Links = append(span.Links, Link{hex.EncodeToString(l.GetTraceId()), hex.EncodeToString(l.GetSpanId())})
	}
	return span
}

func attributes(all []*commonv1.KeyValue) map[string]string {
	values := make(map[string]string, len(all))
	for _, a := range all {
		values[a.GetKey()] = text(a.GetValue())
	}
	return values
}
