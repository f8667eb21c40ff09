package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"orderflow/internal/sweep"
	"orderflow/internal/telemetry"
	"orderflow/internal/telemetry/telemetrytest"
)

func TestReport(t *testing.T) {
	t.Parallel()
	down, torn := errors.New("broker down"), errors.New("torn")
	traced := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}))
	const span = `,"trace_id":"01000000000000000000000000000000"`
	many := make([]error, 15)
	for i := range many {
		many[i] = sweep.Unhealed(traced, down, fmt.Sprintf("o%d", i))
	}
	one := func(id string) string { return `"order_id":"` + id + `","error":"broker down"` + span }
	for name, test := range map[string]struct {
		err  error
		want []string
	}{
		"one":               {many[0], []string{one("o0")}},
		"some":              {errors.Join(many[0], nil, errors.Join(many[1], many[2])), []string{one("o0"), one("o1"), one("o2")}},
		"several at once":   {sweep.Unhealed(traced, down, "a", "b"), []string{`"order_id":["a","b"],"error":"broker down"` + span}},
		"about no order":    {errors.Join(torn, many[0]), []string{`"error":"torn"}`, one("o0")}},
		"more than it says": {errors.Join(many...), []string{one("o0"), "", "", "", "", "", "", "", "", one("o9"), `"orders":5}`}},
	} {
		var out telemetrytest.Log
		sweep.Report(t.Context(), telemetry.NewLogger(&out, telemetry.JSON, slog.LevelInfo), test.err)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != len(test.want) {
			t.Errorf("%s: %d lines, want %d:\n%s", name, len(lines), len(test.want), out.String())
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(lines[i], want) || !strings.Contains(lines[i], `"level":"WARN"`) {
				t.Errorf("%s: line %s, want %s", name, lines[i], want)
			}
		}
	}
}

func TestUnhealed(t *testing.T) {
	t.Parallel()
	if err := sweep.Unhealed(context.Background(), nil, "o"); err != nil {
		t.Errorf("nothing is wrong, and yet %v", err)
	}
	down := errors.New("broker down")
	if err := sweep.Unhealed(t.Context(), down, "o"); !errors.Is(err, down) || err.Error() != "order o: broker down" {
		t.Errorf("got %v", err)
	}
}
