package assembly

import (
	"log/slog"

	"orderflow/internal/connect"
	"orderflow/internal/mq"
)

// UseLogger sends what the libraries log by themselves to l. Their loggers are globals
// without a lock, so call this once, first thing in main.
func UseLogger(l *slog.Logger) {
	mq.UseLogger(l)
	connect.UseLogger(l)
}
