package lifecycle

import (
	"context"
	"time"

	"orderflow/internal/server"
)

// Gate is a condition that is found out while the service starts: asked again
// and again until it holds, or until the answer is a definite no.
type Gate struct {
	name  string
	ask   func(ctx context.Context) error
	fatal func(err error) error
	latch server.Latch
}

const (
	gateTimeout  = 5 * time.Second // of one question
	gatePauseMin = 200 * time.Millisecond
	gatePauseMax = 3 * time.Second
)

// NewGate returns a gate. ask is nil-valued when the condition holds; fatal turns
// an error of ask that waiting does not mend into the one that ends the process,
// and any other into nil.
func NewGate(name string, ask func(ctx context.Context) error, fatal func(err error) error) *Gate {
	return &Gate{name: name, ask: ask, fatal: fatal}
}

func (g *Gate) check() server.Check { return server.Check{Name: g.name, Probe: g.latch.Probe} }

// wait returns nil when the condition holds, else the fatal error or that of ctx.
func (g *Gate) wait(ctx context.Context) error {
	for pause := gatePauseMin; ; pause = min(2*pause, gatePauseMax) {
		err := g.once(ctx)
		if err == nil {
			g.latch.Pass()
			return nil
		}
		g.latch.Fail(err) // shown by readiness, which logs it
		if final := g.fatal(err); final != nil {
			return final
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (g *Gate) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, gateTimeout)
	defer cancel()
	return g.ask(ctx)
}
