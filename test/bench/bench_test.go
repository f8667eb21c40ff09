// Package bench measures how many orders a second order-srv takes, against a
// floor: the same parts without any of our code, in the same run on the same
// machine. On a shared machine only the ratio means something.
//
//	make bench
package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/cmd/order-srv/ordersrv"
	"orderflow/internal/assembly"
	"orderflow/internal/clock"
	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/event"
	"orderflow/internal/mq"
	"orderflow/internal/mq/realbroker"
	"orderflow/migrations"
)

// window is the payment window of all orders: the timers must not come while the
// benchmark runs.
const window = 10 * time.Minute

// startTimeout is how long the service may take until it is ready.
const startTimeout = 30 * time.Second

// BenchmarkPlaceOrder is a plain create loop, through gRPC, with 1 and with 32
// callers, each beside its floor.
func BenchmarkPlaceOrder(b *testing.B) {
	nameServer := realbroker.NameServer(b)
	mq.UseLogger(slog.New(slog.DiscardHandler))
	url := databasetest.CreateMySQL(b)
	db, err := database.Open(url)
	check(b, err)
	b.Cleanup(func() { check(b, db.Close()) })
	_, err = db.Migrate(b.Context(), migrations.Order())
	check(b, err)
	names, level := prepare(b, nameServer)
	raw := newFloor(b, nameServer, db, names.OrderEvents, names.OrderTimeouts, level)
	orders, _ := startService(b, nameServer, url, names)
	for _, callers := range []int{1, 32} {
		b.Run(fmt.Sprintf("floor/callers=%d", callers), func(b *testing.B) { drive(b, callers, "orders/s", raw.place) })
		b.Run(fmt.Sprintf("service/callers=%d", callers), func(b *testing.B) {
			run := uuid.NewString()
			drive(b, callers, "orders/s", func(ctx context.Context, n int) error {
				_, err := orders.CreateOrder(ctx, &orderv1.CreateOrderRequest{
					IdempotencyKey: fmt.Sprintf("%s-%d", run, n), CustomerId: "bench", CurrencyCode: "EUR",
					PaymentWindow: durationpb.New(window),
					Lines:         []*orderv1.OrderLine{{Sku: "bench", Quantity: 1, UnitPriceMinor: 1999}},
				})
				return err
			})
		})
	}
}

// drive does something b.N times with so many callers at once, and reports how
// often in a second under the name of the unit.
func drive(b *testing.B, callers int, unit string, place func(ctx context.Context, n int) error) {
	var next atomic.Int64
	var group sync.WaitGroup
	b.ResetTimer()
	for range callers {
		group.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
				if err := place(ctx, int(n)); err != nil {
					b.Errorf("number %d: %v", n, err)
				}
				cancel()
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), unit)
}

// prepare creates the topics of this run, removes them at the end, and looks up
// the delay level of the window.
func prepare(b *testing.B, nameServer string) (event.Names, int) {
	b.Helper()
	names := event.NewNames("bench-" + uuid.NewString()[:8] + "-")
	admin := mq.NewAdmin([]string{nameServer})
	ctx := b.Context()
	for _, topic := range names.Topics() {
		_, err := admin.EnsureTopic(ctx, mq.TopicSpec{Name: topic.Name, Type: string(topic.Type), Queues: 4})
		check(b, err)
	}
	for _, group := range names.ConsumerGroups() {
		_, err := admin.EnsureGroup(ctx, mq.GroupSpec{Name: group})
		check(b, err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		var errs []error
		for _, topic := range names.Topics() {
			errs = append(errs, admin.DeleteTopic(ctx, topic.Name))
		}
		for _, group := range names.ConsumerGroups() {
			errs = append(errs, admin.DeleteGroup(ctx, group))
		}
		check(b, errors.Join(append(errs, admin.Close())...))
	})
	levels, err := admin.DelayLevels(ctx)
	check(b, err)
	level, err := levels.Level(window)
	check(b, err)
	return names, level
}

// startService runs order-srv in this process, as its program would.
func startService(b *testing.B, nameServer, url string, names event.Names) (client orderv1.OrderServiceClient, address string) {
	b.Helper()
	config, err := ordersrv.ParseConfig("--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--database-url="+url,
		"--name-servers="+nameServer, "--topic-prefix="+prefixOf(names), "--payment-window="+window.String())
	check(b, err)
	ctx, stop := context.WithCancel(context.Background())
	app, cleanup, err := ordersrv.New(ctx, config, assembly.Host{Log: slog.New(slog.DiscardHandler), Clock: clock.System{}})
	check(b, err)
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	conn, err := grpc.NewClient(app.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(b, err)
	b.Cleanup(func() {
		check(b, conn.Close())
		stop()
		check(b, <-ended)
		cleanup()
	})
	orders := orderv1.NewOrderServiceClient(conn)
	waitReady(b, orders)
	return orders, app.Addr()
}

// prefixOf is the prefix that all names of a run begin with.
func prefixOf(names event.Names) string {
	return strings.TrimSuffix(names.OrderEvents, event.NewNames("").OrderEvents)
}

// waitReady places an order as soon as the service can.
func waitReady(b *testing.B, orders orderv1.OrderServiceClient) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), startTimeout)
	defer cancel()
	request := &orderv1.CreateOrderRequest{
		IdempotencyKey: "ready", CustomerId: "bench", CurrencyCode: "EUR", PaymentWindow: durationpb.New(window),
		Lines: []*orderv1.OrderLine{{Sku: "bench", Quantity: 1, UnitPriceMinor: 1}},
	}
	for {
		_, err := orders.CreateOrder(ctx, request)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			b.Fatalf("order-srv does not become ready: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
