package connect

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"google.golang.org/grpc/grpclog"
)

// UseLogger sends gRPC's own log to l. Its info is noise. Its warnings are for who
// debugs: that a service cannot be reached is one with each try, and also the error of
// whoever calls it. gRPC's logger is a global without a lock, so call this once, first
// thing in main.
func UseLogger(l *slog.Logger) { grpclog.SetLoggerV2(&bridge{l.With("component", "grpc")}) }

// bridge is gRPC's logger interface over slog.
type bridge struct{ log *slog.Logger }

func (*bridge) Info(...any)                    {}
func (*bridge) Infoln(...any)                  {}
func (*bridge) Infof(string, ...any)           {}
func (b *bridge) Warning(args ...any)          { b.write(slog.LevelDebug, fmt.Sprint, args) }
func (b *bridge) Warningln(args ...any)        { b.write(slog.LevelDebug, fmt.Sprintln, args) }
func (b *bridge) Warningf(f string, as ...any) { b.write(slog.LevelDebug, format(f), as) }
func (b *bridge) Error(args ...any)            { b.write(slog.LevelError, fmt.Sprint, args) }
func (b *bridge) Errorln(args ...any)          { b.write(slog.LevelError, fmt.Sprintln, args) }
func (b *bridge) Errorf(f string, as ...any)   { b.write(slog.LevelError, format(f), as) }

// Fatal does not end the process: gRPC does.
func (b *bridge) Fatal(args ...any)          { b.write(slog.LevelError, fmt.Sprint, args) }
func (b *bridge) Fatalln(args ...any)        { b.write(slog.LevelError, fmt.Sprintln, args) }
func (b *bridge) Fatalf(f string, as ...any) { b.write(slog.LevelError, format(f), as) }

// V tells gRPC to say no more than that.
func (*bridge) V(int) bool { return false }

func format(f string) func(...any) string {
	return func(args ...any) string { return fmt.Sprintf(f, args...) }
}

func (b *bridge) write(level slog.Level, text func(...any) string, args []any) {
	ctx := context.Background()
	if b.log.Enabled(ctx, level) {
		b.log.LogAttrs(ctx, level, strings.TrimSpace(text(args...)))
	}
}
