package devbroker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
)

// recorder is a test that is not failed.
type recorder struct {
	failed   []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r)
}

func TestRunT(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	b := devbroker.RunT(r)
	p := dial(t, b)
	for _, cleanup := range r.cleanups {
		cleanup()
	}
	<-p.ended
	if len(r.failed) != 0 {
		t.Errorf("failed with %q", r.failed)
	}
	defer func() {
		if recover() != r || len(r.failed) != 1 || !strings.Contains(r.failed[0], "delay levels") {
			t.Errorf("failed with %q", r.failed)
		}
	}()
	devbroker.RunT(r, devbroker.WithDelayLevels("soon"))
}

// What cannot be is an error that names the option.
func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		want    string
		options []devbroker.Option
	}{
		{"delay levels", []devbroker.Option{devbroker.WithDelayLevels("")}},
		{"listen", []devbroker.Option{devbroker.WithListen("9876")}},
		{"timeout", []devbroker.Option{devbroker.WithTransactionTimeout(0)}},
		{"interval", []devbroker.Option{devbroker.WithCheckInterval(-time.Second)}},
		{"checks", []devbroker.Option{devbroker.WithMaxChecks(0)}},
		{"retention", []devbroker.Option{devbroker.WithRetention(0)}},
		{"credentials", []devbroker.Option{devbroker.WithCredentials("key", "")}},
		{"fsync", []devbroker.Option{devbroker.WithDataDir(t.TempDir()), devbroker.WithFsync(9)}},
		{"data folder", []devbroker.Option{devbroker.WithDataDir("start_test.go/folder")}},
	} {
		b, err := devbroker.Start(tt.options...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.want, err)
		}
		if err == nil {
			_ = b.Close() // it should not have started
		}
	}
}
