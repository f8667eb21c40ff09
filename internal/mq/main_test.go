package mq

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
)

func TestMain(m *testing.M) {
	UseLogger(slog.New(libraryLog{})) // before any client: the library's logger has no lock
	os.Exit(m.Run())
}

// libraryLog is where the library's log goes: nowhere, or to who listens.
type libraryLog struct{}

var libraryListens atomic.Pointer[func(text string)]

// onLibraryLog calls f with the text of each line of the library, within the call that
// writes it, until the function that it returns is called.
func onLibraryLog(f func(text string)) (end func()) {
	libraryListens.Store(&f)
	return func() { libraryListens.Store(nil) }
}

func (libraryLog) Enabled(context.Context, slog.Level) bool { return libraryListens.Load() != nil }
func (l libraryLog) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l libraryLog) WithGroup(string) slog.Handler          { return l }
func (libraryLog) Handle(_ context.Context, r slog.Record) error {
	if f := libraryListens.Load(); f != nil {
		(*f)(r.Message)
	}
	return nil
}
