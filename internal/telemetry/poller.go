package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"orderflow/internal/clock"
)

const (
	// PollInterval is the time between two questions of a Poll.
	PollInterval = 15 * time.Second
	// pollTimeout bounds one question, so that a slow answer costs no more than it is worth.
	pollTimeout = 5 * time.Second
)

// Poll is a question whose answer is metrics: about rows in the database, or messages
// at the broker. What nobody can be asked about keeps its last value, or is absent.
type Poll struct {
	Name string                          // names it in the metrics about polls: short and stable
	Ask  func(ctx context.Context) error // sets the metrics; an error says that some of them are old
}

// Poller asks now and then, whether or not anybody scrapes: so what a question costs
// does not depend on who looks, or how often.
type Poller struct {
	clock  clock.Clock
	log    *slog.Logger
	polls  []Poll
	failed *prometheus.CounterVec
	last   *prometheus.GaugeVec
}

// NewPoller makes a poller; it registers its own metrics with r. It starts nothing.
func NewPoller(r prometheus.Registerer, clk clock.Clock, log *slog.Logger, polls ...Poll) *Poller {
	p := &Poller{
		clock: clk, log: log, polls: polls,
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "poll_failed_total",
			Help: "Questions for metrics that were not answered (orders, stock, parked, lag): what they set is old, or absent.",
		}, []string{"poll"}),
		last: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "poll_last_success_timestamp_seconds",
			Help: "When a question for metrics was last answered, in seconds since the Unix epoch; 0: not yet.",
		}, []string{"poll"}),
	}
	r.MustRegister(p.failed, p.last)
	for _, poll := range polls {
		p.failed.WithLabelValues(poll.Name) // there before the first one, so that a rate sees it
		p.last.WithLabelValues(poll.Name)
	}
	return p
}

// Run asks until ctx ends: at once, and then every PollInterval.
func (p *Poller) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, poll := range p.polls { // side by side: a broker that is down delays no other
		all.Go(func() { p.keep(ctx, poll) })
	}
	all.Wait()
}

func (p *Poller) keep(ctx context.Context, poll Poll) {
	failing := false
	for {
		err := p.ask(ctx, poll)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing: // one line for an outage, however long it lasts
			p.log.WarnContext(ctx, "metrics get old: what they are about cannot be asked", "poll", poll.Name, "error", err)
		case err == nil && failing:
			p.log.InfoContext(ctx, "metrics are up to date again", "poll", poll.Name)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-p.clock.After(PollInterval):
		}
	}
}

// ask asks once, and counts.
func (p *Poller) ask(ctx context.Context, poll Poll) (err error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	defer func() {
		if thrown := recover(); thrown != nil {
			err = fmt.Errorf("poll panicked: %v\n%s", thrown, debug.Stack())
		}
		if err != nil {
			p.failed.WithLabelValues(poll.Name).Inc()
			return
		}
		p.last.WithLabelValues(poll.Name).Set(float64(p.clock.Now().UnixMilli()) / 1000)
	}()
	return poll.Ask(ctx)
}
