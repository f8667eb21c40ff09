package java

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// startBroker runs "orderctl broker" with the times of the stack's broker until the
// end of the test, and returns its address.
func startBroker(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "orderctl")
	build := exec.Command("go", "build", "-o", program, "orderflow/cmd/orderctl")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build orderctl: %v\n%s", err, output)
	}
	broker := exec.Command(program, "broker", "--listen=127.0.0.1:0", "--delay-levels="+stackLevels,
		"--transaction-timeout=1s", "--check-interval=1s")
	broker.Stderr = os.Stderr
	stdout, err := broker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := broker.Wait(); err != nil {
			t.Errorf("orderctl broker: %v", err)
		}
	})
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatalf("orderctl broker does not say where it listens: %v", lines.Err())
	}
	said := strings.Fields(lines.Text())
	return said[len(said)-1]
}
