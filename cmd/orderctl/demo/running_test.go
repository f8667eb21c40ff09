package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"orderflow/cmd/orderctl/dev/devtest"
	"orderflow/internal/cli"
)

// The demo as the compose file runs it, with services that it does not start.
func TestStoryWithRunningServices(t *testing.T) {
	t.Parallel()
	system := devtest.Start(t)
	command := Running{
		OrderService: []string{system.OrderAddr()}, InventoryService: []string{system.InventoryAddr()},
		PaymentWindow: 5 * time.Second, LongWindow: time.Minute, Wait: time.Minute,
	}
	var out bytes.Buffer
	if err := command.Run(t.Context(), cli.Output{Stdout: &out, Stderr: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	rest := out.String()
	for _, want := range []string{
		"orderflow: order-srv at " + system.OrderAddr(),
		"\n4  Decoupling: an order placed while inventory-srv handles no messages",
		"orderctl consumers suspend",
		"PLACED, stock not confirmed",
		"the operator resumes them",
		"inventory sells",
		"all sums hold\n",
	} {
		_, behind, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("%q is not told, or too early:\n%s", want, out.String())
		}
		rest = behind
	}
}

func TestServicesThatDoNotCome(t *testing.T) {
	t.Parallel()
	command := Running{OrderService: []string{"127.0.0.1:1"}, InventoryService: []string{"127.0.0.1:1"}}
	if err := command.Run(t.Context(), cli.Output{Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}}); err == nil {
		t.Error("the story was told with nobody")
	}
}
