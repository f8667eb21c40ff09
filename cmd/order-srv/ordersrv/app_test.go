package ordersrv

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/assembly"
	"orderflow/internal/assembly/assemblytest"
	"orderflow/internal/cli"
	"orderflow/internal/clock"
	"orderflow/internal/telemetry/telemetrytest"
)

// config is a service on a database of its own and without a broker.
func config(t *testing.T, flags ...string) Config {
	t.Helper()
	database := "sqlite:" + filepath.Join(t.TempDir(), "orders.db")
	c, err := ParseConfig(append([]string{
		"--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0",
		"--database-url=" + database, "--name-servers=" + assemblytest.Nowhere,
	}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func migrate(t *testing.T, c Config) {
	t.Helper()
	m := Migrate{cli.Migrate{Database: c.Database}}
	if err := m.Run(t.Context(), cli.Output{Stdout: io.Discard, Stderr: io.Discard}); err != nil {
		t.Fatal(err)
	}
}

func assemble(t *testing.T, c Config) *App {
	t.Helper()
	app, cleanup, err := New(t.Context(), c, assembly.Host{Log: slog.New(slog.DiscardHandler), Clock: clock.System{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cleanup)
	return app
}

func TestWithoutBrokerItAnswersWhatItCan(t *testing.T) {
	c := config(t)
	migrate(t, c)
	app := assemble(t, c)
	stop := assemblytest.Start(t, app)
	assemblytest.AwaitReadyz(t, app, func(text string) bool {
		red := strings.HasPrefix(text, "not ready: ") && strings.Contains(text, "topic order-events") &&
			strings.Contains(text, "producer order-srv-transactions") && strings.Contains(text, "payment window")
		return red && !strings.Contains(text, "schema") && !strings.Contains(text, "database")
	})

	conn, err := grpc.NewClient(app.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	health, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: "order.v1.OrderService"})
	if err != nil || health.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health: %v, %v", health.GetStatus(), err)
	}
	orders := orderv1.NewOrderServiceClient(conn)
	_, err = orders.GetOrder(t.Context(), &orderv1.GetOrderRequest{OrderId: "01890a5d-ac96-774b-bcce-b302099a8057"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("GetOrder: %v, want NotFound from the database", err)
	}
	_, err = orders.CreateOrder(t.Context(), &orderv1.CreateOrderRequest{
		IdempotencyKey: "k", CustomerId: "c", CurrencyCode: "EUR", Lines: []*orderv1.OrderLine{{Sku: "a", Quantity: 1}},
	})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("CreateOrder: %v, want Unavailable", err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestSchemaThatIsTooOldEndsTheService(t *testing.T) {
	app := assemble(t, config(t))
	err := app.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), `run "order-srv migrate"`) {
		t.Errorf("got %v, want what to do", err)
	}
}

func TestDatabaseThatIsDownIsWaitedFor(t *testing.T) {
	app := assemble(t, config(t, "--database-url=mysql://u:p@tcp("+assemblytest.Nowhere+")/orders"))
	stop := assemblytest.Start(t, app)
	assemblytest.AwaitReadyz(t, app, func(text string) bool {
		return strings.Contains(text, "database") && strings.Contains(text, "schema")
	})
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestTwoServicesOnOnePort(t *testing.T) {
	first := assemble(t, config(t))
	_, _, err := New(t.Context(), config(t, "--listen="+first.Addr()),
		assembly.Host{Log: slog.New(slog.DiscardHandler), Clock: clock.System{}})
	if err == nil || !strings.Contains(err.Error(), first.Addr()) {
		t.Errorf("got %v, want the address that is taken", err)
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	t.Chdir(t.TempDir()) // the database is made when its name is checked
	for _, flag := range []string{
		"--listen=7001", "--admin-listen=x:y", "--payment-window=0s", "--payment-window=800h",
		"--local-transaction-timeout=1ms", "--local-transaction-timeout=30m",
		"--watch-interval=9ms", "--watch-interval=61s", "--max-watches=0", "--max-watches=100001",
	} {
		name, _, _ := strings.Cut(flag, "=")
		_, err := ParseConfig("--database-url=sqlite:x.db", flag)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want the name of the flag", flag, err)
		}
	}
}

// What looks into the process is for who is on the machine, unless somebody says
// otherwise.
func TestByDefaultItListensOnLoopback(t *testing.T) {
	c, err := ParseConfig("--database-url=sqlite:" + filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	assemblytest.OnLoopback(t, c.Listen, c.AdminListen)
}

// stuck is a sink of the log that never takes anything.
type stuck chan struct{}

func (s stuck) Write(p []byte) (int, error) { <-s; return len(p), nil }

// A pipe that nobody reads, or a full disk, holds up no call: the service goes on, and
// says how much of its log is lost.
func TestALogThatIsStuckHoldsUpNoCall(t *testing.T) {
	sink := make(stuck)
	defer close(sink)
	c := config(t, "--log-level=debug") // a line per call
	migrate(t, c)
	log, writer, _ := c.Start(sink)
	app, cleanup, err := New(t.Context(), c, assembly.Host{Log: log, Sink: writer, Clock: clock.System{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cleanup)
	stop := assemblytest.Start(t, app)
	conn, err := grpc.NewClient(app.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	calls := 0
	for orders := orderv1.NewOrderServiceClient(conn); telemetrytest.Value(t, app.Registry(), "log_lines_dropped_total") == 0; {
		var all sync.WaitGroup
		for range 16 { // callers
			all.Go(func() {
				for range 100 {
					_, err := orders.GetOrder(ctx, &orderv1.GetOrderRequest{OrderId: "01890a5d-ac96-774b-bcce-b302099a8057"}, grpc.WaitForReady(true))
					if status.Code(err) != codes.NotFound {
						t.Errorf("GetOrder: %v", err)
						return
					}
				}
			})
		}
		all.Wait()
		if calls += 1600; t.Failed() {
			return
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	t.Logf("%d calls", calls)
}
