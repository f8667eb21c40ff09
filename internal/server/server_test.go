package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/telemetry/telemetrytest"
)

// orders is a service whose GetOrder does what the test says.
type orders struct {
	orderv1.UnimplementedOrderServiceServer
	get func(ctx context.Context) error
}

func (o orders) GetOrder(ctx context.Context, _ *orderv1.GetOrderRequest) (*orderv1.GetOrderResponse, error) {
	if err := o.get(ctx); err != nil {
		return nil, err
	}
	return &orderv1.GetOrderResponse{}, nil
}

// WatchOrder sends one message and waits for its end.
func (orders) WatchOrder(_ *orderv1.WatchOrderRequest, stream grpc.ServerStreamingServer[orderv1.WatchOrderResponse]) error {
	if err := stream.Send(&orderv1.WatchOrderResponse{}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

// running is a server under test and a connection to it.
type running struct {
	*Server
	conn   *grpc.ClientConn
	client orderv1.OrderServiceClient
	health healthv1.HealthClient
	log    *telemetrytest.Log
	served chan error
	stuck  bool // a call never returns: Stop fails
}

func start(t *testing.T, get func(ctx context.Context) error, checks ...Check) *running {
	t.Helper()
	return startTraced(t, noop.NewTracerProvider(), get, checks...)
}

func startTraced(t *testing.T, tracer trace.TracerProvider, get func(ctx context.Context) error, checks ...Check) *running {
	t.Helper()
	r := &running{log: &telemetrytest.Log{}, served: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	deps := Deps{
		Log: log, Tracer: tracer, Registry: prometheus.NewRegistry(),
		Readiness: NewReadiness(log, 5*time.Millisecond, checks...),
	}
	cfg := Config{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0"}
	srv, err := New(t.Context(), cfg, deps, func(g grpc.ServiceRegistrar) {
		orderv1.RegisterOrderServiceServer(g, orders{get: get})
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Server = srv
	go func() { r.served <- srv.Serve() }()
	r.conn, err = grpc.NewClient(srv.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	r.client, r.health = orderv1.NewOrderServiceClient(r.conn), healthv1.NewHealthClient(r.conn)
	t.Cleanup(func() {
		_ = r.conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := srv.Stop(ctx); (err != nil) != r.stuck {
			t.Errorf("Stop: %v", err)
		}
		if err := <-r.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

func (r *running) get(ctx context.Context) error {
	_, err := r.client.GetOrder(ctx, &orderv1.GetOrderRequest{})
	return err
}

// admin asks the admin listener.
func (r *running) admin(t *testing.T, path string) (code int, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := client.Get("http://" + r.AdminAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not so within 10 s: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPanicIsInternal(t *testing.T) {
	r := start(t, func(context.Context) error { panic("secret of the panic") })
	for range 2 { // the server survives it
		err := r.get(t.Context())
		if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
			t.Fatalf("got %v, want a bland Internal", err)
		}
	}
	if log := r.log.String(); !strings.Contains(log, "secret of the panic") || !strings.Contains(log, "server_test.go") {
		t.Errorf("the log lacks the panic or its stack:\n%s", log)
	}
}

func TestUnknownErrorStaysInTheLog(t *testing.T) {
	const sql = "Error 1146: Table 'orderflow_order.orders' doesn't exist"
	r := start(t, func(context.Context) error { return errors.New(sql) })
	err := r.get(t.Context())
	if status.Code(err) != codes.Internal || status.Convert(err).Message() != "internal error" {
		t.Fatalf("got %v, want a bland Internal", err)
	}
	if !strings.Contains(r.log.String(), "orderflow_order.orders") {
		t.Errorf("the log lacks the error:\n%s", r.log.String())
	}
}

func TestHandlerEndsBeforeTheCaller(t *testing.T) {
	tests := []struct {
		name   string
		caller time.Duration // 0: no deadline
		most   time.Duration
	}{
		{"no deadline of the caller", 0, 5 * time.Second},
		{"long deadline of the caller", time.Minute, 5 * time.Second},
		{"short deadline of the caller", 2 * time.Second, 1800 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var left time.Duration
			r := start(t, func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				left = time.Until(deadline)
				return nil
			})
			ctx := t.Context()
			if test.caller > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, test.caller)
				defer cancel()
			}
			if err := r.get(ctx); err != nil {
				t.Fatal(err)
			}
			if left > test.most || left < test.most/2 {
				t.Errorf("handler had %v, want a little less than %v", left, test.most)
			}
		})
	}
}

func TestTimeoutIsAnsweredWithRetryInfo(t *testing.T) {
	r := start(t, func(ctx context.Context) error {
		<-ctx.Done()
		return errors.New("driver: bad connection") // what a library makes of it
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	st := status.Convert(r.get(ctx))
	if st.Code() != codes.Unavailable {
		t.Fatalf("got %v, want Unavailable", st)
	}
	if delay := apierror.RetryDelay(st.Err()); delay <= 0 {
		t.Errorf("no RetryInfo in %v", st.Details())
	}
}

func TestReadinessTurnsGreenAndRedAgain(t *testing.T) {
	var failure atomic.Pointer[string]
	text := "dial tcp 10.0.0.1:3306: connection refused"
	failure.Store(&text)
	r := start(t, func(context.Context) error { return nil },
		Check{Name: "database", Probe: func(context.Context) error {
			if text := failure.Load(); text != nil {
				return errors.New(*text)
			}
			return nil
		}},
		Check{Name: "broker", Probe: func(context.Context) error { return nil }},
	)
	eventually(t, "only the database is named", func() bool {
		code, body := r.admin(t, "/readyz")
		return code == http.StatusServiceUnavailable && body == "not ready: database"
	})
	failure.Store(nil)
	eventually(t, "ready", func() bool {
		code, _ := r.admin(t, "/readyz")
		return code == http.StatusOK
	})
	failure.Store(&text)
	eventually(t, "red again", func() bool {
		code, _ := r.admin(t, "/readyz")
		return code == http.StatusServiceUnavailable
	})
	if !strings.Contains(r.log.String(), text) {
		t.Errorf("the log lacks the error of the check:\n%s", r.log.String())
	}
	if code, body := r.admin(t, "/healthz"); code != http.StatusOK {
		t.Errorf("healthz: %d %s", code, body)
	}
	if _, body := r.admin(t, "/metrics"); strings.Contains(body, "10.0.0.1") {
		t.Error("an error text is in the metrics")
	}
}

func TestPanickingCheckIsRed(t *testing.T) {
	r := start(t, func(context.Context) error { return nil },
		Check{Name: "broken", Probe: func(context.Context) error { panic("oops") }})
	eventually(t, "the log has the panic", func() bool { return strings.Contains(r.log.String(), "oops") })
	if code, _ := r.admin(t, "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("readyz: %d", code)
	}
}

func TestHealthWatchSeesReadinessAndDraining(t *testing.T) {
	for _, service := range []string{"", orderv1.OrderService_ServiceDesc.ServiceName} {
		t.Run("service "+service, func(t *testing.T) {
			var ready atomic.Bool
			r := start(t, func(context.Context) error { return nil },
				Check{Name: "database", Probe: func(context.Context) error {
					if !ready.Load() {
						return errors.New("down")
					}
					return nil
				}})
			watch, err := r.health.Watch(t.Context(), &healthv1.HealthCheckRequest{Service: service})
			if err != nil {
				t.Fatal(err)
			}
			expect := func(want healthv1.HealthCheckResponse_ServingStatus) {
				t.Helper()
				got, err := watch.Recv()
				if err != nil || got.GetStatus() != want {
					t.Fatalf("got %v, %v; want %v", got.GetStatus(), err, want)
				}
			}
			expect(healthv1.HealthCheckResponse_NOT_SERVING)
			ready.Store(true)
			expect(healthv1.HealthCheckResponse_SERVING)
			stopped := make(chan error, 1)
			go func() { stopped <- r.Stop(t.Context()) }()
			expect(healthv1.HealthCheckResponse_NOT_SERVING)
			if _, err := watch.Recv(); err == nil {
				t.Error("the watch goes on while the server drains")
			}
			if err := <-stopped; err != nil { // a watcher does not hold it up
				t.Error(err)
			}
		})
	}
}

func TestStopLetsARunningCallFinishWhileReadinessIsRed(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	r := start(t, func(context.Context) error {
		close(entered)
		<-release
		return nil
	})
	eventually(t, "ready", func() bool { code, _ := r.admin(t, "/readyz"); return code == http.StatusOK })
	call := make(chan error, 1)
	go func() { call <- r.get(t.Context()) }()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- r.Stop(t.Context()) }()
	eventually(t, "draining", func() bool {
		code, body := r.admin(t, "/readyz")
		return code == http.StatusServiceUnavailable && body == "draining"
	})
	close(release)
	if err := <-call; err != nil {
		t.Errorf("the running call failed: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestStopCancelsWhatDoesNotFinish(t *testing.T) {
	entered := make(chan struct{})
	r := start(t, func(ctx context.Context) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	})
	call := make(chan error, 1)
	go func() { call <- r.get(t.Context()) }()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if err := <-call; err == nil {
		t.Error("the call succeeded")
	}
}

func TestStopLeavesACallBehindThatNeverReturns(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	r := start(t, func(context.Context) error {
		close(entered)
		<-release
		return nil
	})
	r.stuck, r.stopGrace = true, 20*time.Millisecond
	call := make(chan error, 1)
	go func() { call <- r.get(t.Context()) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no time is left
	stopped := make(chan error, 1)
	go func() { stopped <- r.Stop(ctx) }()
	timeout := time.After(10 * time.Second)
	for what, ended := range map[string]chan error{"Stop": stopped, "Serve": r.served} {
		select {
		case err := <-ended:
			if (err != nil) != (what == "Stop") { // one of them says it
				t.Errorf("%s: %v", what, err)
			}
			if what == "Serve" {
				r.served <- err // the clean-up looks at it too
			}
		case <-timeout:
			t.Fatalf("%s waits for the call", what)
		}
	}
	if err := <-call; err == nil {
		t.Error("the call succeeded")
	}
}

func TestStopWithoutServeFreesThePorts(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	deps := func() Deps {
		return Deps{Log: log, Tracer: noop.NewTracerProvider(), Registry: prometheus.NewRegistry(), Readiness: NewReadiness(log, 0)}
	}
	cfg := Config{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0"}
	first, err := New(t.Context(), cfg, deps(), func(grpc.ServiceRegistrar) {})
	if err != nil {
		t.Fatal(err)
	}
	cfg = Config{Listen: first.Addr(), AdminListen: first.AdminAddr()}
	if _, err := New(t.Context(), cfg, deps(), func(grpc.ServiceRegistrar) {}); err == nil {
		t.Fatal("two servers on one port")
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Serve(); err != nil {
		t.Errorf("Serve after Stop: %v", err)
	}
	second, err := New(t.Context(), cfg, deps(), func(grpc.ServiceRegistrar) {})
	if err != nil {
		t.Fatalf("the ports are still taken: %v", err)
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A Stop that comes when Serve has begun, and gRPC has not, is no failure.
func TestStopBeforeGRPCServes(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	deps := Deps{Log: log, Tracer: noop.NewTracerProvider(), Registry: prometheus.NewRegistry(), Readiness: NewReadiness(log, time.Hour)}
	srv, err := New(t.Context(), Config{Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0"}, deps, func(grpc.ServiceRegistrar) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := srv.serveGRPC(); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestMetricsCountCalls(t *testing.T) {
	r := start(t, func(context.Context) error { return nil })
	if err := r.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = `grpc_server_handled_total{grpc_code="OK",grpc_method="GetOrder",grpc_service="order.v1.OrderService",grpc_type="unary"} 1`
	if _, body := r.admin(t, "/metrics"); !strings.Contains(body, want) {
		t.Errorf("metrics lack %s:\n%s", want, body)
	}
}

func TestEveryAsksAgainOnlyAfterAWhile(t *testing.T) {
	asked, failure := 0, errors.New("down")
	probe := Every(time.Hour, func(context.Context) error { asked++; return failure })
	_ = probe(t.Context())
	_ = probe(t.Context())
	failure = nil
	for range 3 {
		if err := probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 3 { // twice while it failed, once when it passed
		t.Errorf("asked %d times, want 3", asked)
	}
}

func TestLatch(t *testing.T) {
	var latch Latch
	if latch.Probe(t.Context()) == nil {
		t.Error("a new latch passes")
	}
	why := errors.New("schema is missing")
	latch.Fail(why)
	if err := latch.Probe(t.Context()); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	latch.Pass()
	if err := latch.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}
