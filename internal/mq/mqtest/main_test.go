package mqtest_test

import (
	"log/slog"
	"os"
	"testing"

	"orderflow/internal/mq"
)

func TestMain(m *testing.M) {
	mq.UseLogger(slog.New(slog.DiscardHandler)) // before any client: the library's logger has no lock
	os.Exit(m.Run())
}
