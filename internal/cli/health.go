package cli

import (
	"context"
	"fmt"
	"time"

	"orderflow/internal/connect"
)

// HealthTimeout bounds the question whether a service is ready.
type HealthTimeout struct {
	Timeout time.Duration `default:"3s" env:"-" help:"How long the answer may take, 10ms to 1m."`
}

// Validate checks the bounds.
func (h HealthTimeout) Validate() error {
	return CheckDuration("--timeout", h.Timeout, 10*time.Millisecond, time.Minute)
}

// Ask asks the service of this machine that listens at the address whether it is
// ready. It is the health check of a container without a shell.
func (h HealthTimeout) Ask(ctx context.Context, listen string, out Output) error {
	address, err := connect.Local(listen)
	if err != nil {
		return &ExitError{Code: ExitUsage, Err: fmt.Errorf("--listen: %w", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	if err := connect.Ready(ctx, address); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out.Stdout, "ready")
	return err
}
