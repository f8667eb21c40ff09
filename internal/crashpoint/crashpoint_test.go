package crashpoint_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"orderflow/internal/crashpoint"
)

// variable makes this test binary the process that is to die: it holds the text
// of the point.
const variable = "ORDERFLOW_TEST_CRASHPOINT"

// What is not a point, or not an action, is refused at the start.
func TestParse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"order.after-db-commit", "order.after-db-commit=", "order.after-db-commit=stop", "order.after-db-commit=pause", "order.after-db-commit=pause:",
		"order.after-db-commit=kill ", "nowhere=kill", "=kill", "kill", "=", " ", "ORDER.AFTER-DB-COMMIT=kill",
	} {
		if p, err := crashpoint.Parse(text); err == nil || p != nil {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
	if p, err := crashpoint.Parse(""); p != nil || err != nil {
		t.Errorf("nothing armed: %v, %v", p, err)
	}
	for _, name := range crashpoint.All() {
		for _, action := range []string{"kill", "pause:/tmp/x=y:z"} {
			if p, err := crashpoint.Parse(string(name) + "=" + action); p == nil || err != nil {
				t.Errorf("%s=%s: %v", name, action, err)
			}
		}
	}
}

// Where nothing, or another point, is armed, nothing happens.
func TestHitOfAnotherPoint(t *testing.T) {
	t.Parallel()
	var none *crashpoint.Point
	armed, err := crashpoint.Parse("order.after-db-commit=kill")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range crashpoint.All() {
		none.Hit(name)
		if name != crashpoint.OrderAfterCommit {
			armed.Hit(name)
		}
	}
}

// Kill ends the process at that point, without a chance to clean up.
func TestKill(t *testing.T) {
	t.Parallel()
	if text := os.Getenv(variable); text != "" {
		defer os.Stdout.WriteString("deferred\n")
		p, err := crashpoint.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		p.Hit(crashpoint.OrderBeforeTransaction)
		os.Stdout.WriteString("before\n")
		p.Hit(crashpoint.OrderAfterCommit)
		os.Stdout.WriteString("after\n")
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
	child.Env = append(os.Environ(), variable+"=order.after-db-commit=kill")
	output, err := child.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("the process lives: %v, %s", err, output)
	}
	if state := exit.Sys().(syscall.WaitStatus); !state.Signaled() || state.Signal() != syscall.SIGKILL {
		t.Errorf("the process ended with %v", exit)
	}
	if text := string(output); !strings.Contains(text, "before\n") || strings.Contains(text, "after") || strings.Contains(text, "deferred") {
		t.Errorf("output %q", text)
	}
}

// Pause says that the point was reached, and goes on when its file is gone: each
// time anew.
func TestPause(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "paused")
	p, err := crashpoint.Parse("inventory.before-close-call=pause:" + file)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		done := make(chan struct{})
		go func() {
			p.Hit(crashpoint.InventoryBeforeClose)
			close(done)
		}()
		for { // the point says its name, in a file that may be half written at first
			if text, err := os.ReadFile(file); err == nil && string(text) == "inventory.before-close-call" {
				break
			}
			select {
			case <-done:
				t.Fatal("it did not pause")
			case <-time.After(time.Millisecond):
			}
		}
		select {
		case <-done:
			t.Fatal("it went on by itself")
		default:
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		<-done
	}
}

// A pause whose file cannot be made does not stop the process for ever.
func TestPauseWithoutFile(t *testing.T) {
	t.Parallel()
	p, err := crashpoint.Parse("order.after-db-commit=pause:" + filepath.Join(t.TempDir(), "missing", "paused"))
	if err != nil {
		t.Fatal(err)
	}
	p.Hit(crashpoint.OrderAfterCommit)
}
