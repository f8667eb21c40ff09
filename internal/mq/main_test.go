package mq

import (
	"log/slog"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	UseLogger(slog.New(slog.DiscardHandler)) // before any client: the library's logger has no lock
	os.Exit(m.Run())
}
