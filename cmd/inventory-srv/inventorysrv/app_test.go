package inventorysrv

import (
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/assembly"
	"orderflow/internal/assembly/assemblytest"
	"orderflow/internal/cli"
	"orderflow/internal/clock"
)

// config is a service on a database of its own and without a broker.
func config(t *testing.T, flags ...string) Config {
	t.Helper()
	database := "sqlite:" + filepath.Join(t.TempDir(), "stock.db")
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
		red := strings.HasPrefix(text, "not ready: ") && strings.Contains(text, "topic order-timeouts") &&
			strings.Contains(text, "consumer inventory-srv-order-events") && strings.Contains(text, "group inventory-srv-order-timeouts")
		return red && !strings.Contains(text, "schema") && !strings.Contains(text, "database")
	})

	conn, err := grpc.NewClient(app.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stock := inventoryv1.NewInventoryServiceClient(conn)
	added, err := stock.AddStock(t.Context(), &inventoryv1.AddStockRequest{ReceiptId: "r", Sku: "a", Quantity: 7})
	if err != nil || added.GetStock().GetAvailable() != 7 {
		t.Errorf("AddStock: %v, %v", added, err)
	}
	_, err = stock.GetStock(t.Context(), &inventoryv1.GetStockRequest{Skus: []string{"b"}})
	if status.Code(err) != codes.NotFound {
		t.Errorf("GetStock: %v, want NotFound", err)
	}
	adjusted, err := stock.AdjustStock(t.Context(), &inventoryv1.AdjustStockRequest{AdjustmentId: "a", Sku: "a", Difference: -2, Reason: "broken"})
	if err != nil || adjusted.GetStock().GetAvailable() != 5 {
		t.Errorf("AdjustStock: %v, %v", adjusted, err)
	}
	_, err = stock.GetReservationTimeline(t.Context(), &inventoryv1.GetReservationTimelineRequest{OrderId: uuid.NewString()})
	if status.Code(err) != codes.NotFound {
		t.Errorf("GetReservationTimeline: %v, want NotFound", err)
	}
	books, err := inventoryv1.NewAuditServiceClient(conn).StreamBooks(t.Context(), &inventoryv1.StreamBooksRequest{})
	if err != nil {
		t.Fatal(err)
	}
	page, err := books.Recv()
	if err != nil || len(page.GetBooks()) != 1 || page.GetBooks()[0].GetReceipts() != 5 {
		t.Errorf("StreamBooks: %v, %v", page, err)
	}
	if _, err := books.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("StreamBooks ends with %v", err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestSchemaThatIsTooOldEndsTheService(t *testing.T) {
	app := assemble(t, config(t))
	err := app.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), `run "inventory-srv migrate"`) {
		t.Errorf("got %v, want what to do", err)
	}
}

func TestDatabaseThatIsDownIsWaitedFor(t *testing.T) {
	app := assemble(t, config(t, "--database-url=mysql://u:p@tcp("+assemblytest.Nowhere+")/stock"))
	stop := assemblytest.Start(t, app)
	assemblytest.AwaitReadyz(t, app, func(text string) bool {
		return strings.Contains(text, "database") && strings.Contains(text, "schema")
	})
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	t.Chdir(t.TempDir()) // the database is made when its name is checked
	for _, flag := range []string{"--listen=7001", "--admin-listen=x:y", "--sweep-interval=1ms", "--sweep-grace=25h", "--order-service=order-srv", "--order-service=:7001"} {
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
