package demo

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orderflow/internal/cli"
)

// The demo as "make demo" runs it.
func TestStoryInOneProcess(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var out bytes.Buffer
	if err := (Story{Logs{folder}}).Run(t.Context(), cli.Output{Stdout: &out, Stderr: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	rest := out.String()
	for _, want := range []string{
		"orderflow: everything in this process",
		"\n1  An order that is paid",
		"\n2  An order that nobody pays",
		"\n3  An order without enough stock",
		"\n4  Decoupling",
		"\n5  The window of production",
		"\n6  A payment that comes too late",
		"REFUND_DUE (ORDER_CLOSED)",
		"\n7  A message lost by the broker",
		"its timeline:",
		"SWEEPER",
		"\n8  The sums",
		"all sums hold\n",
	} {
		_, behind, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("%q is not told, or too early:\n%s", want, out.String())
		}
		rest = behind
	}
	log, err := os.ReadFile(filepath.Join(folder, "system.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"order-srv", "inventory-srv"} {
		if !bytes.Contains(log, []byte(`"service":"`+service+`"`)) {
			t.Errorf("%s has logged nothing", service)
		}
	}
}
