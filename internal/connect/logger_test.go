package connect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/grpclog"

	"orderflow/internal/connect"
	"orderflow/internal/connect/connecttest"
	"orderflow/internal/telemetry"
)

// asLogger is set where the test below runs as a process of its own.
const asLogger = "ORDERFLOW_TEST_GRPC_LOGGER"

// gRPC's logger is a global, so this needs a process of its own.
func TestUseLogger(t *testing.T) {
	if level, is := os.LookupEnv(asLogger); is {
		writeLines(t, level)
		return
	}
	for level, want := range map[string][]string{"INFO": {"ERROR"}, "DEBUG": {"DEBUG", "ERROR"}} {
		process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUseLogger$")
		process.Env = append(os.Environ(), asLogger+"="+level, "GRPC_GO_LOG_SEVERITY_LEVEL=info")
		var stderr bytes.Buffer
		process.Stderr = &stderr
		if out, err := process.Output(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		seen := map[string]bool{}
		for text := range strings.Lines(stderr.String()) {
			var line struct{ Level, Msg, Component string }
			if err := json.Unmarshal([]byte(text), &line); err != nil || line.Component != "grpc" || line.Msg != strings.TrimSpace(line.Msg) {
				t.Errorf("%s: the line %q, %v", level, text, err)
			}
			seen[line.Level] = true
		}
		for _, l := range want {
			if !seen[l] {
				t.Errorf("%s: no line of level %s in\n%s", level, l, stderr.String())
			}
		}
		if len(seen) != len(want) {
			t.Errorf("%s: lines of the levels %v, want %v", level, seen, want)
		}
	}
}

// writeLines makes gRPC write a warning of its own, and an error.
func writeLines(t *testing.T, level string) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		t.Fatal(err)
	}
	connect.UseLogger(telemetry.NewLogger(os.Stderr, telemetry.JSON, l))
	gone := connecttest.NewReplica(t)
	gone.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := ask(ctx, dial(t, gone.Address)); err == nil {
		t.Error("answered by a server that is gone")
	}
	grpclog.Component("core").Errorf("an %s", "error")
}
