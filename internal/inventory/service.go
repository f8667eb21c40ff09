package inventory

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/clock"
	"orderflow/internal/crashpoint"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// orderAsker decides whether an order is closed; orderv1.OrderServiceClient is
// one.
type orderAsker interface {
	CloseIfUnpaid(ctx context.Context, in *orderv1.CloseIfUnpaidRequest, opts ...grpc.CallOption) (*orderv1.CloseIfUnpaidResponse, error)
}

// sender sends a message and returns once the broker has stored it. An error
// means that it may not be stored.
type sender interface {
	Send(ctx context.Context, m message.Message) error
}

// Deps is what a Service works with. All of it must be safe for concurrent use.
type Deps struct {
	Store       *Store
	Orders      orderAsker        // the order service
	StockEvents sender            // the producer of Names.InventoryEvents
	Parker      message.Parker    // where events go that contradict what we know
	Names       event.Names       // topics and groups of this deployment
	Clock       clock.Clock       // the same one that the Store has
	Crash       *crashpoint.Point // nil: nothing is armed
	Log         *slog.Logger
	Tracer      trace.TracerProvider // nil: what begins here is not traced
}

// Service handles what happens to orders. It is safe for concurrent use.
type Service struct {
	store       *Store
	orders      orderAsker
	stockEvents sender
	parker      message.Parker
	names       event.Names
	clock       clock.Clock
	crash       *crashpoint.Point
	log         *slog.Logger
	tracer      trace.TracerProvider
}

// New returns the service. It starts nothing: HandleOrderEvents and
// HandlePaymentTimeouts are for the consumers of the two topics.
func New(d Deps) *Service {
	return &Service{
		store: d.Store, orders: d.Orders, stockEvents: d.StockEvents, parker: d.Parker,
		names: d.Names, clock: d.Clock, crash: d.Crash, log: d.Log, tracer: d.Tracer,
	}
}
