package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/clock"
	"orderflow/internal/telemetry/telemetrytest"
)

// What cannot be asked is counted, is one warning however long it lasts, and delays
// no other poll.
func TestPoller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out telemetrytest.Log
		var failing atomic.Bool
		var asked atomic.Int64
		registry := prometheus.NewRegistry()
		poller := NewPoller(registry, clock.System{}, slog.New(slog.NewTextHandler(&out, nil)),
			Poll{Name: "good", Ask: func(context.Context) error {
				asked.Add(1)
				if failing.Load() {
					return errors.New("down")
				}
				return nil
			}},
			Poll{Name: "stuck", Ask: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			Poll{Name: "broken", Ask: func(context.Context) error { panic("boom") }})
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); poller.Run(ctx) }()
		failed := func(name string) float64 {
			return telemetrytest.Value(t, registry, "poll_failed_total", "poll", name)
		}
		last := func() float64 {
			return telemetrytest.Value(t, registry, "poll_last_success_timestamp_seconds", "poll", "good")
		}
		synctest.Wait()
		began := float64(time.Now().Unix())
		if asked.Load() != 1 || failed("good") != 0 || failed("broken") != 1 || last() != began {
			t.Errorf("at once: asked %d times, failed %v and %v, last %v", asked.Load(), failed("good"), failed("broken"), last())
		}
		failing.Store(true)
		time.Sleep(3*PollInterval + time.Second)
		synctest.Wait()
		if asked.Load() != 4 || failed("good") != 3 || failed("stuck") < 2 || last() != began {
			t.Errorf("asked %d times, failed %v and %v, last %v", asked.Load(), failed("good"), failed("stuck"), last())
		}
		if n := strings.Count(out.String(), "poll=good"); n != 1 {
			t.Errorf("%d lines about an outage that lasts:\n%s", n, out.String())
		}
		failing.Store(false)
		time.Sleep(PollInterval)
		synctest.Wait()
		if !strings.Contains(out.String(), "up to date again") || last() == began {
			t.Errorf("it does not say that it works again:\n%s", out.String())
		}
		end()
		<-ended
	})
}
