package dev

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/mq/devbroker"
)

// shop is a client of both services.
type shop struct {
	*testing.T
	orders orderv1.OrderServiceClient
}

func open(t *testing.T, s *System) *shop {
	t.Helper()
	dial := func(addr string) *grpc.ClientConn {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	stock := inventoryv1.NewInventoryServiceClient(dial(s.InventoryAddr()))
	if _, err := stock.AddStock(t.Context(), &inventoryv1.AddStockRequest{ReceiptId: "r", Sku: "tea", Quantity: 10_000}); err != nil {
		t.Fatal(err)
	}
	return &shop{t, orderv1.NewOrderServiceClient(dial(s.OrderAddr()))}
}

// place places an order.
func (s *shop) place(ctx context.Context, key string) (id string, err error) {
	answer, err := s.orders.CreateOrder(ctx, &orderv1.CreateOrderRequest{
		IdempotencyKey: key, CustomerId: "c", CurrencyCode: "EUR", Lines: []*orderv1.OrderLine{{Sku: "tea", Quantity: 1}},
	})
	return answer.GetOrder().GetOrderId(), err
}

// reserved places orders until one of them is reserved, and returns all. Just after a
// loss that need not be the first: a consumer asks for the offset that it had, and if
// so many messages are there by then, they are skipped. The sweeper sees to those.
func (s *shop) reserved(prefix string) (ids []string) {
	s.Helper()
	s.until("an order is reserved", func(ctx context.Context) (bool, error) {
		id, err := s.place(ctx, fmt.Sprint(prefix, len(ids)))
		if err != nil {
			return false, err
		}
		ids = append(ids, id)
		return s.any(ctx, ids, orderv1.OrderStatus_ORDER_STATUS_RESERVED)
	})
	return ids
}

// any tells whether one of the orders has the status.
func (s *shop) any(ctx context.Context, ids []string, want orderv1.OrderStatus) (bool, error) {
	for _, id := range ids {
		answer, err := s.orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: id})
		if err != nil || answer.GetOrder().GetStatus() == want {
			return err == nil, err
		}
	}
	return false, nil
}

func (s *shop) until(what string, holds func(context.Context) (bool, error)) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := holds(ctx)
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("timed out waiting until %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// A broker comes back at its address with an empty store: topics and groups come back
// without a restart of a service, and the same producers and consumers go on.
func TestWipedBrokerIsUsedAgainWithoutARestart(t *testing.T) {
	t.Parallel()
	for name, wipe := range map[string]func(t *testing.T, s *System){
		"another broker without data": func(t *testing.T, s *System) {
			addr := s.broker.Addr()
			if err := s.broker.Close(); err != nil {
				t.Fatal(err)
			}
			var err error
			if s.broker, err = devbroker.Start(devbroker.WithClock(s.clock), devbroker.WithListen(addr)); err != nil {
				t.Fatal(err)
			}
		},
		"the same connections": func(_ *testing.T, s *System) { s.broker.Wipe() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := running(t)
			shop := open(t, s)
			shop.reserved("before-")
			wipe(t, s)
			began := time.Now()
			ids := shop.reserved("after-")
			t.Logf("reserved %v after the wipe, as one of %d orders", time.Since(began).Round(time.Millisecond), len(ids))
			s.Advance(31 * time.Minute) // so do the consumers of timers
			shop.until("an order is closed", func(ctx context.Context) (bool, error) {
				return shop.any(ctx, ids, orderv1.OrderStatus_ORDER_STATUS_CLOSED)
			})
		})
	}
}
