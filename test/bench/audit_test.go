package bench

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/cmd/inventory-srv/inventorysrv"
	"orderflow/internal/assembly"
	"orderflow/internal/clock"
	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/event"
	"orderflow/internal/mq"
	"orderflow/internal/mq/realbroker"
	"orderflow/internal/sweep"
	"orderflow/migrations"
)

const (
	// auditOrders is how many orders are audited, unless ORDERFLOW_BENCH_ORDERS says.
	auditOrders = 1_000_000
	// fillChunk is how many orders a statement writes.
	fillChunk = 2000
	// auditSKUs is how many SKUs the orders are about.
	auditSKUs = 1000
)

// BenchmarkAudit is "orderctl audit" as a process of its own, over 1,000,000 orders of
// two lines in MariaDB: first while nothing happens, and then while customers place,
// pay and abandon orders. Either way it must find nothing wrong.
//
//	make bench-audit
func BenchmarkAudit(b *testing.B) {
	nameServer := realbroker.NameServer(b)
	mq.UseLogger(slog.New(slog.DiscardHandler))
	n := auditOrders
	if text := os.Getenv("ORDERFLOW_BENCH_ORDERS"); text != "" {
		var err error
		n, err = strconv.Atoi(text)
		check(b, err)
	}
	orderURL, inventoryURL := migrated(b, migrations.Order()), migrated(b, migrations.Inventory())
	began := time.Now()
	fillBooks(b, orderURL, inventoryURL, n)
	b.Logf("%d orders were written in %v", n, time.Since(began).Round(time.Second))
	program := filepath.Join(b.TempDir(), "orderctl")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", program, "orderflow/cmd/orderctl")
	build.Stderr = os.Stderr
	check(b, build.Run())

	names, _ := prepare(b, nameServer)
	orders, address := startService(b, nameServer, orderURL, names)
	inventory := startInventory(b, nameServer, inventoryURL, names, address)
	b.Run("idle", func(b *testing.B) { runAudit(b, program, address, inventory) })
	b.Run("load", func(b *testing.B) {
		stop := shop(b, orders)
		defer stop()
		runAudit(b, program, address, inventory)
	})
}

// runAudit runs the program and reports time and peak memory.
func runAudit(b *testing.B, program, orders, inventory string) {
	for b.Loop() {
		command := exec.CommandContext(b.Context(), program, "audit", "-o", "json", "--order-service="+orders, "--inventory-service="+inventory)
		var stdout, stderr bytes.Buffer
		command.Stdout, command.Stderr = &stdout, &stderr
		if err := command.Run(); err != nil {
			b.Fatalf("the audit ends with %v: %s\n%s", err, stderr.String(), stdout.String())
		}
		var report struct {
			Summary struct{ Orders, Reservations, SKUs, Suspects, StillMoving, DurationMs int64 }
		}
		check(b, json.Unmarshal(stdout.Bytes(), &report))
		s := report.Summary
		b.Logf("%+v", s)
		b.ReportMetric(float64(s.DurationMs)/1000, "seconds/audit")
		b.ReportMetric(float64(s.Orders)/(float64(s.DurationMs)/1000), "orders/s")
		b.ReportMetric(float64(s.Suspects), "suspects")
		if usage, ok := command.ProcessState.SysUsage().(*syscall.Rusage); ok {
			b.ReportMetric(float64(usage.Maxrss)/1024, "peak-MB")
		}
	}
}

// migrated creates a database with the migrations.
func migrated(b *testing.B, files fs.FS) string {
	b.Helper()
	url := databasetest.CreateMySQL(b)
	db, err := database.Open(url)
	check(b, err)
	_, err = db.Migrate(b.Context(), files)
	check(b, errors.Join(err, db.Close()))
	return url
}

// fillBooks writes orders of the last day with all that belongs to them: of ten, six
// are paid, three have timed out, and one waits for an offline payment.
func fillBooks(b *testing.B, orderURL, inventoryURL string, n int) {
	b.Helper()
	orders, err := database.Open(orderURL)
	check(b, err)
	defer func() { check(b, orders.Close()) }()
	inventory, err := database.Open(inventoryURL)
	check(b, err)
	defer func() { check(b, inventory.Close()) }()
	first := time.Now().Add(-24 * time.Hour).UnixMilli()
	books := make(stockBooks)
	for from := 0; from < n; from += fillChunk {
		fillChunkOf(b, orders.Pool(), inventory.Pool(), books, first, from, min(from+fillChunk, n), n)
	}
	books.write(b, inventory.Pool())
}

// stockBooks are what is reserved and sold of each SKU. They are added up here: over
// so many rows a statement would take longer than the services let one take.
type stockBooks map[string]*struct{ reserved, sold int }

// add notes a line of a reservation.
func (s stockBooks) add(sku string, quantity, reservation int) {
	if s[sku] == nil {
		s[sku] = new(struct{ reserved, sold int })
	}
	switch reservation {
	case reservedStock:
		s[sku].reserved += quantity
	case soldStock:
		s[sku].sold += quantity
	}
}

// write writes the stocks, and the receipts that they came from.
func (s stockBooks) write(b *testing.B, inventory *sql.DB) {
	b.Helper()
	const received = 1_000_000_000
	var stocks, receipts []string
	for sku, sums := range s {
		stocks = append(stocks, fmt.Sprintf("('%s',%d,%d,%d,%d,0,0)",
			sku, received-sums.reserved-sums.sold, sums.reserved, sums.sold, received))
		receipts = append(receipts, fmt.Sprintf("('r-%s','%s',%d,0)", sku, sku, received))
	}
	insert(b, inventory, "stocks (sku, available, reserved, sold, received, created_at, updated_at)", stocks)
	insert(b, inventory, "receipts (id, sku, quantity, recorded_at)", receipts)
}

func insert(b *testing.B, db *sql.DB, into string, values []string) {
	b.Helper()
	_, err := db.ExecContext(b.Context(), "INSERT INTO "+into+" VALUES "+strings.Join(values, ","))
	check(b, err)
}

// The states of reservations in inventory's tables.
const (
	reservedStock = 1
	releasedStock = 3
	soldStock     = 4
)

// fillChunkOf writes some orders. The numbers are those of the services' tables: orders
// 2 RESERVED, 3 PAID, 4 CLOSED.
func fillChunkOf(b *testing.B, orders, inventory *sql.DB, books stockBooks, first int64, from, to, n int) {
	b.Helper()
	const noTimeout = 253_402_300_799_000
	var rows, lines, reservations, held []string
	for i := from; i < to; i++ {
		at := first + int64(i)*24*60*60*1000/int64(n)
		id := fmt.Sprintf("%08x-%04x-7000-8000-%012x", at>>16, at&0xffff, i)
		status, reason, stock, expires := 3, 0, soldStock, at+30*60*1000
		switch {
		case i%10 == 9:
			status, stock, expires = 2, reservedStock, noTimeout
		case i%10 > 5:
			status, reason, stock = 4, 1, releasedStock
		}
		rows = append(rows, fmt.Sprintf("('%s','c%d','k%d','',%d,%d,'EUR',100,1800000,%d,%d,%d,4,%d,2,%d,%d)",
			id, i%10_000, i, status, reason, expires, at, at, stock, stock, int64(sweep.Never)))
		reservations = append(reservations, fmt.Sprintf("('%s',%d,2,%d,%d,%d,'c%d',%d)", id, stock, expires, at, at, i%10_000, int64(sweep.Never)))
		for line := range 2 {
			sku := fmt.Sprintf("sku-%d-%d", line, i%(auditSKUs/2))
			quantity := 1 + i%5
			lines = append(lines, fmt.Sprintf("('%s','%s',%d,10,0,0)", id, sku, quantity))
			held = append(held, fmt.Sprintf("('%s','%s',%d,0,0)", id, sku, quantity))
			books.add(sku, quantity, stock)
		}
	}
	insert(b, orders, `orders (id, customer_id, idempotency_key, request_hash, status, close_reason, currency, total_minor, window_ms,
		expires_at, created_at, updated_at, version, stock_state, stock_version, stock_wanted, sweep_at)`, rows)
	insert(b, orders, "order_lines (order_id, sku, quantity, unit_price_minor, shortage, available)", lines)
	insert(b, inventory, "reservations (order_id, status, version, expires_at, created_at, updated_at, customer_id, sweep_at)", reservations)
	insert(b, inventory, "reservation_lines (order_id, sku, quantity, shortage, available)", held)
}

// startInventory runs inventory-srv in this process, and returns where it listens.
func startInventory(b *testing.B, nameServer, url string, names event.Names, orders string) string {
	b.Helper()
	config, err := inventorysrv.ParseConfig("--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--database-url="+url,
		"--name-servers="+nameServer, "--topic-prefix="+prefixOf(names), "--order-service="+orders)
	check(b, err)
	ctx, stop := context.WithCancel(context.Background())
	app, cleanup, err := inventorysrv.New(ctx, config, assembly.Host{Log: slog.New(slog.DiscardHandler), Clock: clock.System{}})
	check(b, err)
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		check(b, <-ended)
		cleanup()
	})
	return app.Addr()
}

// shop has 16 customers place orders until stop is called: some pay, some cancel, and
// some let the window end.
func shop(b *testing.B, orders orderv1.OrderServiceClient) (stop func()) {
	ctx, cancel := context.WithCancel(b.Context())
	var group sync.WaitGroup
	var placed atomic.Int64
	began := time.Now()
	for customer := range 16 {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				// What fails is tried again by the next customer: the audit is what is measured.
				if buy(ctx, orders, fmt.Sprintf("load-%d-%d", customer, i), i) == nil {
					placed.Add(1)
				}
			}
		})
	}
	return func() {
		cancel()
		group.Wait()
		b.ReportMetric(float64(placed.Load())/time.Since(began).Seconds(), "placed/s")
	}
}

// buy is what one customer does.
func buy(ctx context.Context, orders orderv1.OrderServiceClient, key string, i int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	resp, err := orders.CreateOrder(ctx, &orderv1.CreateOrderRequest{
		IdempotencyKey: key, CustomerId: "load", CurrencyCode: "EUR", PaymentWindow: durationpb.New(5 * time.Second), WaitForStock: i%3 > 0,
		Lines: []*orderv1.OrderLine{{Sku: fmt.Sprintf("sku-0-%d", i%(auditSKUs/2)), Quantity: 1, UnitPriceMinor: 100}},
	})
	if err != nil {
		return err
	}
	o := resp.GetOrder()
	switch i % 3 {
	case 1:
		_, err = orders.PayOrder(ctx, &orderv1.PayOrderRequest{OrderId: o.GetOrderId(), PaymentId: key, Amount: o.GetTotal()})
	case 2:
		_, err = orders.CancelOrder(ctx, &orderv1.CancelOrderRequest{OrderId: o.GetOrderId(), Reason: "changed my mind"})
	}
	return err
}
