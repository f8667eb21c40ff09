// Command orderctl is the operator's tool: place, show and pay orders, add and
// show stock, and create the topics and groups on the broker.
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
