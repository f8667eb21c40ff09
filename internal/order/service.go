package order

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/clock"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// maxDecisions is how often a decision that others overtook is made anew.
const maxDecisions = 5

// transactionSender sends half messages; see mq.TransactionProducer.
type transactionSender interface {
	SendInTransaction(ctx context.Context, m message.Message, arg any) (message.TransactionState, error)
}

// timerSender sends timers; see mq.Producer.
type timerSender interface {
	SendDelayed(ctx context.Context, m message.Message, d time.Duration) (id string, err error)
	CheckDelay(ctx context.Context, d time.Duration) error
}

// Config is what can be set.
type Config struct {
	// PaymentWindow is how long a customer has to pay if the request does not say.
	PaymentWindow time.Duration
	// LocalTransactionTimeout is how long a local transaction may take. It must be
	// shorter than every payment window: an order must not be committed after it
	// has expired.
	LocalTransactionTimeout time.Duration
	// WatchInterval is the time between two looks for changes of watched orders that
	// other replicas made.
	WatchInterval time.Duration
	// MaxWatches is how many streams may watch orders at a time.
	MaxWatches int
}

// Deps is what a Service needs.
type Deps struct {
	Store        *Store
	Transactions transactionSender // whose listener is the Listener over the same store
	Timers       timerSender
	Parker       message.Parker
	Parked       parkedMessages // may be nil: timelines then tell nothing of what is parked
	Names        event.Names
	Clock        clock.Clock
	Log          *slog.Logger
	Metrics      *Metrics             // nil: nothing is counted
	Tracer       trace.TracerProvider // nil: what begins here is not traced
	Config       Config
}

// Service places orders and decides about them. It is safe for concurrent use,
// and any number of processes can share a database.
type Service struct {
	store        *Store
	transactions transactionSender
	timers       timerSender
	parker       message.Parker
	parked       parkedMessages
	names        event.Names
	clock        clock.Clock
	log          *slog.Logger
	metrics      *Metrics
	tracer       trace.TracerProvider
	config       Config
}

// New makes a service.
func New(d Deps) *Service {
	return &Service{
		store: d.Store, transactions: d.Transactions, timers: d.Timers, parker: d.Parker,
		parked: d.Parked, names: d.Names, clock: d.Clock, log: d.Log, metrics: d.Metrics, tracer: d.Tracer, config: d.Config,
	}
}

// Get returns an order. The error is ORDER_NOT_FOUND, or the database is not
// available.
func (s *Service) Get(ctx context.Context, id string) (Order, error) {
	o, found, err := s.store.find(ctx, id)
	if err != nil {
		return Order{}, forClient(err)
	}
	if !found {
		return Order{}, errOrderNotFound(id)
	}
	return o, nil
}

// CheckConfig asks the broker whether it can deliver after the default payment
// window. A *message.UnsupportedDelayError in the chain is a definite no; any other
// error means that the broker could not be asked.
func (s *Service) CheckConfig(ctx context.Context) error {
	if s.config.PaymentWindow <= s.config.LocalTransactionTimeout {
		return fmt.Errorf("the payment window (%s) must be longer than the local transaction timeout (%s)",
			s.config.PaymentWindow, s.config.LocalTransactionTimeout)
	}
	if err := s.timers.CheckDelay(ctx, s.config.PaymentWindow); err != nil {
		return fmt.Errorf("payment window %s: %w", s.config.PaymentWindow, err)
	}
	return nil
}
