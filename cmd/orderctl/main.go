// Command orderctl is the operator's and developer's tool: place, show and pay orders,
// add and show stock, create the topics and groups on the broker; run the embedded
// broker alone or the whole system in one process, push its clock, and tell the story
// of an order as a demo; tell customers what happens to their orders.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"orderflow/cmd/orderctl/orderctl"
	"orderflow/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	return orderctl.Program().Main(ctx, os.Args[1:], cli.Output{Stdout: os.Stdout, Stderr: os.Stderr})
}
