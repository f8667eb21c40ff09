package server

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/google/uuid"
	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/internal/apierror"
	"orderflow/internal/tracing"
)

// deadlineShare is the part of the caller's remaining time that a handler gets;
// the rest is for the way back of an answer that says "repeat".
const deadlineShare = 0.9

// interceptor is what every call passes.
type interceptor struct {
	log    *slog.Logger
	limit  time.Duration   // longest time of a unary call
	ending context.Context // ends the streams when the server drains
}

func newInterceptor(cfg Config, deps Deps, ending context.Context) *interceptor {
	return &interceptor{log: deps.Log, limit: cfg.MaxCallDuration, ending: ending}
}

// newCallMetrics makes the metrics of calls, under the names that the field has for
// them: grpc_server_handled_total and others.
func newCallMetrics() *grpcprom.ServerMetrics {
	return grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(grpcprom.WithHistogramBuckets(
		[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	)))
}

// unary is the interceptor of all calls of both services.
func (i *interceptor) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	if r, ok := req.(interface{ GetOrderId() string }); ok && uuid.Validate(r.GetOrderId()) == nil {
		tracing.About(ctx, r.GetOrderId())
	}
	err = i.guard(ctx, call{method: info.FullMethod, orders: ordersOf(req)}, func() error {
		limited, cancel := context.WithTimeout(ctx, i.timeFor(ctx))
		defer cancel()
		var failure error
		resp, failure = handler(limited, req)
		return inTime(limited, failure)
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// stream is the interceptor of what watches. It has no time limit, but ends when
// the server drains.
func (i *interceptor) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return i.guard(ss.Context(), call{method: info.FullMethod}, func() error {
		ctx, cancel := context.WithCancelCause(ss.Context())
		defer cancel(nil)
		defer context.AfterFunc(i.ending, func() { cancel(errDraining) })()
		return unlessDrained(ctx, handler(srv, endingStream{ServerStream: ss, ctx: ctx}))
	})
}

// errDraining is the cause of the end of a stream's context when the server drains.
var errDraining = errors.New("the server drains")

// unlessDrained makes an error whose true cause is the drain one that says "resume",
// whatever the handler has made of it: "cancelled" would tell a client that it has
// ended the stream itself.
func unlessDrained(ctx context.Context, err error) error {
	var known *apierror.Error
	if err == nil || errors.As(err, &known) || !errors.Is(context.Cause(ctx), errDraining) {
		return err
	}
	return &apierror.Error{
		Code: codes.Unavailable, Reason: "DRAINING",
		Message: "this replica stops; resume the stream at another one", RetryAfter: time.Second, Cause: errors.Join(errDraining, err),
	}
}

// endingStream is a stream whose context also ends when the server drains.
type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context is the stream's context.
func (s endingStream) Context() context.Context { return s.ctx }

// guard runs a call, recovers its panic, logs it, and shows the client only what it
// may see of an error. It is counted outside, by that.
func (i *interceptor) guard(ctx context.Context, c call, run func() error) (visible error) {
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			i.log.LogAttrs(ctx, slog.LevelError, "call panicked", append(c.attrs(),
				slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
			visible = apierror.Status(errPanicked).Err()
		}
	}()
	err := run()
	st := apierror.Status(err)
	i.logCall(ctx, c, st, err, time.Since(began))
	return st.Err()
}

// call is what the log says of a call, however it ends.
type call struct {
	method string
	orders []string // the orders that it names
}

func (c call) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("method", c.method)}
	switch len(c.orders) {
	case 0:
	case 1:
		attrs = append(attrs, slog.String("order_id", c.orders[0]))
	default:
		attrs = append(attrs, slog.Any("order_id", c.orders))
	}
	return attrs
}

// ordersOf are the orders that a request names, as far as they may be ids: what a
// client sends can be of any length.
func ordersOf(req any) []string {
	const longest, most = 64, 64
	var ids []string
	switch r := req.(type) {
	case interface{ GetOrderId() string }:
		ids = []string{r.GetOrderId()}
	case interface{ GetOrderIds() []string }:
		ids = r.GetOrderIds()
	}
	if len(ids) > most || slices.ContainsFunc(ids, func(id string) bool { return id == "" || len(id) > longest }) {
		return nil
	}
	return ids
}

// errPanicked has no text of its own for the client: Status makes it Internal.
var errPanicked = errors.New("panic")

// timeFor is how long a handler may take.
func (i *interceptor) timeFor(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return i.limit
	}
	share := time.Duration(float64(time.Until(deadline)) * deadlineShare)
	return min(share, i.limit)
}

// inTime makes an error whose true cause is the end of the handler's time
// Unavailable, whatever the library in between has made of it.
func inTime(ctx context.Context, err error) error {
	var known *apierror.Error
	if err == nil || errors.As(err, &known) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return apierror.Unavailable("service", err)
}

// logCall writes one line per call. A call that went well is only worth a line
// when somebody looks for it: at 10,000 calls a second the line costs more than
// the call.
func (i *interceptor) logCall(ctx context.Context, c call, st *status.Status, err error, took time.Duration) {
	level := levelOf(st.Code())
	if errors.Is(err, errDraining) { // once per stream and stop, and nobody's fault
		level = slog.LevelDebug
	}
	if !i.log.Enabled(ctx, level) {
		return
	}
	attrs := append(c.attrs(), slog.String("code", st.Code().String()), slog.Duration("took", took))
	if err != nil {
		attrs = append(attrs, slog.Any("error", err)) // the whole chain; the client sees st only
	}
	i.log.LogAttrs(ctx, level, "call", attrs...)
}

func levelOf(code codes.Code) slog.Level {
	switch code {
	case codes.OK, codes.Canceled:
		return slog.LevelDebug
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition,
		codes.Aborted, codes.OutOfRange, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return slog.LevelInfo
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		return slog.LevelWarn
	default: // Internal, Unknown, DataLoss: somebody has to look
		return slog.LevelError
	}
}
