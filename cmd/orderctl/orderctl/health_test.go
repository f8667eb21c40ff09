package orderctl

import (
	"bytes"
	"strings"
	"testing"

	"orderflow/internal/cli"
	"orderflow/internal/connect/connecttest"
)

// Replicas that are ready, that are not, and that are not there, each on a line.
func TestHealth(t *testing.T) {
	replica := connecttest.NewReplica(t)
	address := replica.Address
	ask := func(args ...string) (code int, stdout, stderr string) {
		var out, err bytes.Buffer
		code = Program().Main(t.Context(), append([]string{"health"}, args...), cli.Output{Stdout: &out, Stderr: &err})
		return code, out.String(), err.String()
	}
	if code, stdout, stderr := ask("--order-service="+address, "--inventory-service="+address); code != 0 || strings.Count(stdout, "  ready\n") != 2 {
		t.Errorf("both are ready: exit code %d, %q, %q", code, stdout, stderr)
	}
	code, stdout, stderr := ask(address, "127.0.0.1:1")
	if code != 1 || !strings.Contains(stdout, address+"  ready") || !strings.Contains(stdout, "no answer") || !strings.Contains(stderr, "1 of 2 are not ready") {
		t.Errorf("one is gone: exit code %d, %q, %q", code, stdout, stderr)
	}
	replica.Health.Shutdown()
	if code, stdout, stderr := ask(address); code != 1 || !strings.Contains(stdout, "not ready") {
		t.Errorf("it drains: exit code %d, %q, %q", code, stdout, stderr)
	}
	if code, _, stderr := ask("nonsense"); code != 2 || !strings.Contains(stderr, "must look like HOST:PORT") {
		t.Errorf("no address: exit code %d, %q", code, stderr)
	}
}
