package dev

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	eventv1 "orderflow/api/proto/event/v1"
	orderv1 "orderflow/api/proto/order/v1"
	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
)

// running starts a system that ends with the test.
func running(t *testing.T, broker ...devbroker.Option) *System {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Start(ctx, Options{Temp: t.TempDir(), Log: slog.New(slog.DiscardHandler), Broker: broker})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// part is a producer or a consumer of a test.
type part interface {
	Start(context.Context) error
	Stop(context.Context) error
}

// begin starts a part; the test ends it with the function that it gets.
func begin(t *testing.T, p part) (end func()) {
	t.Helper()
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := p.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func parkedAt(t *testing.T, addr string) parkedv1.ParkedServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return parkedv1.NewParkedServiceClient(conn)
}

// arrives waits until something is parked.
func (s *shop) arrives(parked parkedv1.ParkedServiceClient) (m *parkedv1.ParkedMessage) {
	s.Helper()
	s.until("a message is parked", func(ctx context.Context) (bool, error) {
		page, err := parked.ListParked(ctx, &parkedv1.ListParkedRequest{})
		if err != nil || len(page.GetMessages()) == 0 {
			return false, err
		}
		m = page.GetMessages()[0]
		return len(page.GetMessages()) == 1, nil
	})
	return m
}

// A message that another program of the group gave up, as older deployments do, is a
// dead letter at the broker. It is parked, its order waits, and a replay goes on.
func TestDeadLettersAreParkedAndReplayed(t *testing.T) {
	t.Parallel()
	s := running(t)
	shop := open(t, s)
	names := event.NewNames("")
	if err := s.StopInventory(t.Context()); err != nil {
		t.Fatal(err)
	}
	died := make(chan struct{}, 10)
	end := begin(t, mq.NewConsumer(mq.Client{NameServers: []string{s.broker.Addr()}, Service: "old"}, mq.Subscription{
		Group: names.InventoryOrderEvents, Topic: names.OrderEvents, MaxAttempts: 1,
		Handler: func(context.Context, message.Message) error {
			defer func() { died <- struct{}{} }()
			return errors.New("this program is broken")
		},
	}))
	id, err := shop.place(t.Context(), "dies")
	if err != nil {
		t.Fatal(err)
	}
	<-died
	shop.until("it is a dead letter", func(context.Context) (bool, error) {
		return len(s.broker.Messages(mq.DeadLetterTopic(names.InventoryOrderEvents), 1)) == 1, nil
	})
	end()

	if err := s.StartInventory(t.Context()); err != nil {
		t.Fatal(err)
	}
	parked := parkedAt(t, s.InventoryAddr())
	m := shop.arrives(parked)
	if m.GetReason() != parking.ReasonDeadLetter || m.GetOrderId() != id || m.GetGroup() != names.InventoryOrderEvents ||
		m.GetTopic() != names.OrderEvents || m.GetTag() != "created" || m.GetAttempt() != 1 {
		t.Errorf("parked %v", m)
	}
	if ok, err := shop.any(t.Context(), []string{id}, orderv1.OrderStatus_ORDER_STATUS_PLACED); err != nil || !ok {
		t.Errorf("the order does not wait: %v", err)
	}
	if _, err := parked.ReplayParked(t.Context(), &parkedv1.ReplayParkedRequest{Id: m.GetId()}); err != nil {
		t.Fatal(err)
	}
	shop.until("the order is reserved", func(ctx context.Context) (bool, error) {
		return shop.any(ctx, []string{id}, orderv1.OrderStatus_ORDER_STATUS_RESERVED)
	})
}

// T07: a half message that nobody decides about is given up by the broker, and parked.
// Its local transaction never committed, and a replay says so.
func TestDiscardedHalfMessagesAreParked(t *testing.T) {
	t.Parallel()
	s := running(t, devbroker.WithMaxChecks(2))
	shop := open(t, s)
	names := event.NewNames("")
	if err := s.StopOrders(t.Context()); err != nil { // or it would answer the check-backs
		t.Fatal(err)
	}
	client := mq.Client{NameServers: []string{s.broker.Addr()}, Service: "old"}
	for _, group := range []string{names.OrderTransactions, "another-service"} {
		producer := mq.NewTransactionProducer(client, group, undecided{}, names.OrderEvents)
		end := begin(t, producer)
		orderID := uuid.NewString()
		body, err := event.EncodeOrderEvents(&eventv1.OrderEvent{OrderId: orderID})
		if err != nil {
			t.Fatal(err)
		}
		_, err = producer.SendInTransaction(t.Context(), message.Message{
			Topic: names.OrderEvents, Tag: "created", Keys: []string{orderID}, Body: body,
			Properties: map[string]string{event.PropertyBarrier: uuid.Must(uuid.NewV7()).String()},
		}, nil)
		if !errors.Is(err, errUndecided) {
			t.Fatal(err)
		}
		end()
	}
	shop.until("both are given up", func(context.Context) (bool, error) {
		s.Advance(time.Minute)
		return len(s.broker.Messages(mq.DiscardedTopic, 10)) == 2, nil
	})

	if err := s.StartOrders(t.Context()); err != nil {
		t.Fatal(err)
	}
	parked := parkedAt(t, s.OrderAddr())
	m := shop.arrives(parked)
	if m.GetReason() != parking.ReasonDiscarded || m.GetGroup() != names.OrderTransactions || m.GetTopic() != names.OrderEvents {
		t.Errorf("parked %v", m)
	}
	_, err := parked.ReplayParked(t.Context(), &parkedv1.ReplayParkedRequest{Id: m.GetId()})
	if err == nil || !strings.Contains(err.Error(), "never committed") {
		t.Errorf("replay: %v", err)
	}
}

var errUndecided = errors.New("nobody knows")

// undecided is a listener that never decides.
type undecided struct{}

func (undecided) ExecuteLocalTransaction(context.Context, message.Message, any) (message.TransactionState, error) {
	return message.StateUnknown, errUndecided
}

func (undecided) CheckLocalTransaction(context.Context, message.Message) message.TransactionState {
	return message.StateUnknown
}
