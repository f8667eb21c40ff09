// Command order-srv is the order service.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"orderflow/cmd/order-srv/ordersrv"
	"orderflow/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	return ordersrv.Program().Main(ctx, os.Args[1:], cli.Output{Stdout: os.Stdout, Stderr: os.Stderr})
}
