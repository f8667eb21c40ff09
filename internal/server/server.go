package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
)

// Config says where to listen and what bounds to keep.
type Config struct {
	Listen      string // address of gRPC; port 0 takes a free one
	AdminListen string // address of /healthz, /readyz, /metrics and /debug; port 0 takes a free one

	// MaxCallDuration bounds a unary call; 0 means 5 seconds.
	MaxCallDuration time.Duration
}

// Deps is what the server is given.
type Deps struct {
	Log       *slog.Logger
	Tracer    trace.TracerProvider
	Registry  *prometheus.Registry // the server adds its metrics, and serves them all
	Readiness *Readiness
}

const (
	defaultMaxCallDuration = 5 * time.Second
	maxMessageSize         = 256 << 10 // an order of 100 lines has about 10 KiB
	maxAnswerSize          = 4 << 20   // what clients of every language take by default; a page of 500 orders fits
	maxConcurrentStreams   = 256

	// watchGrace is how long a health watcher has to take the news that the
	// server drains; then its stream, which would never end by itself, is ended.
	watchGrace = 250 * time.Millisecond
	// A client that is gone without a word is found out by these pings: its streams
	// would hold their places for hours.
	pingAfter   = 30 * time.Second
	pingTimeout = 10 * time.Second

	// stopGrace is how long a cancelled handler has to return.
	stopGrace = 2 * time.Second
)

// Server is a gRPC server and its admin listener.
type Server struct {
	log       *slog.Logger
	readiness *Readiness

	grpc         *grpc.Server
	grpcListener net.Listener
	health       *health.Server
	services     []string

	admin         *http.Server
	adminListener net.Listener

	draining   atomic.Bool
	endStreams context.CancelFunc
	polls      context.Context
	endPolls   context.CancelFunc

	mu         sync.Mutex // orders the start of Serve's goroutines and Stop
	stopped    bool
	background sync.WaitGroup // the goroutines of Serve
	abandoned  chan struct{}  // closed when Stop has given up on a call
	stopOnce   sync.Once
	stopErr    error
	stopGrace  time.Duration // the constant; less in tests
}

// New makes a server with the services that register adds to it, and listens:
// an address that is in use is an error here. Nothing is served before Serve, and
// Stop must be called in any case.
func New(ctx context.Context, cfg Config, deps Deps, register func(grpc.ServiceRegistrar)) (*Server, error) {
	if cfg.MaxCallDuration <= 0 {
		cfg.MaxCallDuration = defaultMaxCallDuration
	}
	// What the server does ends with Stop, in an order of its own, not with ctx.
	ending, endStreams := context.WithCancel(context.WithoutCancel(ctx))
	polls, endPolls := context.WithCancel(context.WithoutCancel(ctx))
	metrics := newCallMetrics()
	if err := deps.Registry.Register(metrics); err != nil {
		endStreams()
		endPolls()
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	s := &Server{
		log: deps.Log, readiness: deps.Readiness,
		endStreams: endStreams, polls: polls, endPolls: endPolls,
		health: health.NewServer(), grpc: newGRPC(newInterceptor(cfg, deps, ending), metrics, deps.Tracer),
		abandoned: make(chan struct{}), stopGrace: stopGrace,
	}
	register(s.grpc)
	for name := range s.grpc.GetServiceInfo() {
		s.services = append(s.services, name)
	}
	s.services = append(s.services, "") // the whole server
	s.setServing(false)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	metrics.InitializeMetrics(s.grpc) // each method is there before its first call, so that a rate sees it
	s.admin = newAdmin(s, deps.Registry)
	s.readiness.changed = s.setServing
	if err := s.listen(ctx, cfg); err != nil {
		endStreams()
		endPolls()
		return nil, err
	}
	return s, nil
}

func newGRPC(calls *interceptor, metrics *grpcprom.ServerMetrics, tracer trace.TracerProvider) *grpc.Server {
	return grpc.NewServer(
		grpc.StatsHandler(otelgrpc.NewServerHandler(
			otelgrpc.WithTracerProvider(tracer),
			otelgrpc.WithPropagators(propagation.TraceContext{}),
			otelgrpc.WithFilter(filters.Not(filters.HealthCheck())), // they come every few seconds, and say nothing
		)),
		grpc.ChainUnaryInterceptor(metrics.UnaryServerInterceptor(), calls.unary),
		grpc.ChainStreamInterceptor(metrics.StreamServerInterceptor(), calls.stream),
		grpc.MaxRecvMsgSize(maxMessageSize),
		grpc.MaxSendMsgSize(maxAnswerSize),
		grpc.MaxConcurrentStreams(maxConcurrentStreams),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	)
}

func (s *Server) listen(ctx context.Context, cfg Config) (err error) {
	var lc net.ListenConfig
	if s.grpcListener, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return fmt.Errorf("listen for gRPC: %w", err)
	}
	if s.adminListener, err = lc.Listen(ctx, "tcp", cfg.AdminListen); err != nil {
		return errors.Join(fmt.Errorf("listen for admin: %w", err), s.grpcListener.Close())
	}
	return nil
}

// Addr is where gRPC listens.
func (s *Server) Addr() string { return s.grpcListener.Addr().String() }

// AdminAddr is where the admin listener listens.
func (s *Server) AdminAddr() string { return s.adminListener.Addr().String() }

// Serve serves until Stop is called, or until a listener fails: then it returns
// the error.
func (s *Server) Serve() error {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return nil
	}
	ended := make(chan error, 2)
	s.background.Go(func() { s.readiness.run(s.polls) })
	s.background.Go(func() {
		if err := s.admin.Serve(s.adminListener); !errors.Is(err, http.ErrServerClosed) {
			ended <- fmt.Errorf("serve admin: %w", err)
		}
	})
	s.background.Go(func() { ended <- s.serveGRPC() })
	s.mu.Unlock()
	s.log.Info("listening", "grpc", s.Addr(), "admin", s.AdminAddr())
	return <-ended
}

// serveGRPC serves until gRPC has stopped. gRPC waits for its handlers for as long
// as it takes, so that one which never returns has to be left behind; Stop returns
// the error then.
func (s *Server) serveGRPC() error {
	ended := make(chan error, 1)
	go func() { ended <- s.grpc.Serve(s.grpcListener) }()
	select {
	case err := <-ended:
		if err != nil && !errors.Is(err, grpc.ErrServerStopped) { // Stop may come before it
			return fmt.Errorf("serve gRPC: %w", err)
		}
	case <-s.abandoned:
	}
	return nil
}

// Stop drains the server. In this order: health says NOT_SERVING, new calls are
// refused, running calls finish, all within ctx; when ctx ends, what still runs
// is cancelled. A call that does not return even then is left behind, which is an
// error. /healthz, /readyz and /metrics answer to the end. Stop may be called at
// any time and more than once.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() { s.stopErr = s.stop(ctx) })
	return s.stopErr
}

func (s *Server) stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.draining.Store(true)
	s.health.Shutdown() // for good: later results of checks change nothing
	err := s.stopCalls(ctx)
	if err != nil {
		close(s.abandoned)
	}
	s.endStreams()
	s.endPolls()
	err = errors.Join(err, s.closeAdmin(ctx))
	s.background.Wait()
	// Whoever never served still holds its ports.
	_ = s.grpcListener.Close()
	_ = s.adminListener.Close()
	return err
}

func (s *Server) stopCalls(ctx context.Context) error {
	ended := make(chan struct{}, 2)
	go func() { s.grpc.GracefulStop(); ended <- struct{}{} }()
	watchers := time.AfterFunc(watchGrace, s.endStreams)
	defer watchers.Stop()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	s.log.Warn("calls still run at the end of the drain time: cancelling them")
	go func() { s.grpc.Stop(); ended <- struct{}{} }()
	timeout := time.After(s.stopGrace)
	for range cap(ended) { // both wait for the handlers
		select {
		case <-ended:
		case <-timeout:
			return errors.New("a call did not return after it was cancelled")
		}
	}
	return nil
}

// closeAdmin ends the admin listener: politely while there is time.
func (s *Server) closeAdmin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := s.admin.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("close admin listener: %w", err), s.admin.Close())
	}
	return nil
}

func (s *Server) setServing(ready bool) {
	status := healthv1.HealthCheckResponse_NOT_SERVING
	if ready {
		status = healthv1.HealthCheckResponse_SERVING
	}
	for _, name := range s.services {
		s.health.SetServingStatus(name, status)
	}
}
