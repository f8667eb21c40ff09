package mq

import (
	"context"
	"log/slog"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// UseLogger sends the client library's own log to l, quieter by one level: what
// matters is returned as an error and logged by whoever handles it. The
// library's logger is a global without a lock, so call this once, first thing
// in main.
func UseLogger(l *slog.Logger) { rlog.SetLogger(bridge{l.With("component", "rocketmq-client")}) }

// rolledBack is the library's text for every half message that was not committed.
const rolledBack = "executeLocalTransaction but state unexpected"

// bridge is the library's logger interface over slog.
type bridge struct{ log *slog.Logger }

func (b bridge) Debug(string, map[string]any) {} // one line per pull: of no use to anybody
func (b bridge) Info(msg string, f map[string]any) {
	b.write(slog.LevelDebug, msg, f)
}
func (b bridge) Warning(msg string, f map[string]any) { b.write(slog.LevelDebug, msg, f) }

// Error is quiet about every half message that was not committed: that is an
// outcome, and the caller knows it.
func (b bridge) Error(msg string, f map[string]any) {
	if msg != rolledBack {
		b.write(slog.LevelInfo, msg, f)
	}
}

// Fatal does not end the process, other than the library's own logger.
func (b bridge) Fatal(msg string, f map[string]any) { b.write(slog.LevelError, msg, f) }
func (b bridge) Level(string)                       {}
func (b bridge) OutputPath(string) error            { return nil }

func (b bridge) write(level slog.Level, msg string, fields map[string]any) {
	if !b.log.Enabled(context.Background(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, len(fields))
	for key, value := range fields {
		switch key {
		case "message", rlog.LogKeyMessages, "request":
			continue // whole messages with their bodies: customers' data
		}
		attrs = append(attrs, slog.Any(key, value))
	}
	b.log.LogAttrs(context.Background(), level, msg, attrs...)
}
