package assembly

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"orderflow/internal/event"
	"orderflow/internal/lifecycle"
	"orderflow/internal/mq"
)

// KeepInterval is how often a service looks whether its topics and groups are there.
const KeepInterval = 3 * time.Second

// keepTimeout bounds one look, and what is done about it.
const keepTimeout = 30 * time.Second

// KeptTopology is a Topology that can be looked at; *mq.Admin is one.
type KeptTopology interface {
	Topology
	CheckTopic(ctx context.Context, name string) error
	CheckGroup(ctx context.Context, name string) error
}

// Queues is how many queues a topic gets that a service has to make again.
type Queues int

// KeepTopology makes topics and groups again that the broker has lost with its store,
// so that no service needs a restart. It makes none that this process has not seen:
// those of a deployment are made on purpose, by "orderctl mq init". Any number of
// processes may do so at once.
func KeepTopology(t KeptTopology, names event.Names, queues Queues, interval time.Duration, log *slog.Logger) lifecycle.Task {
	k := topologyKeeper{topology: t, names: names, queues: queues, log: log}
	return func(ctx context.Context) {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			k.look(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

type topologyKeeper struct {
	topology KeptTopology
	names    event.Names
	queues   Queues
	log      *slog.Logger

	seen bool // everything was there
	lost bool // since then something is missing
}

// look does nothing about a broker that does not answer: what it has is not known.
func (k *topologyKeeper) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	err := k.check(ctx)
	var missing *mq.NotFoundError
	switch {
	case err == nil:
		k.seen, k.lost = true, false
		return
	case !k.seen || !errors.As(err, &missing):
		return
	}
	if !k.lost {
		k.lost = true
		k.log.Warn("the broker has lost topics or groups: they are made again", "missing", missing)
	}
	err = EnsureTopology(ctx, k.topology, k.names, int(k.queues), func(kind, name string, created bool) {
		if created {
			k.log.Info("made again", "kind", kind, "name", name)
		}
	})
	if err != nil {
		k.log.Debug("topics and groups cannot be made yet", "error", err)
	}
}

// check returns the first thing that is missing, or cannot be found out.
func (k *topologyKeeper) check(ctx context.Context) error {
	for _, topic := range k.names.Topics() {
		if err := k.topology.CheckTopic(ctx, topic.Name); err != nil {
			return err
		}
	}
	for _, group := range k.names.ConsumerGroups() {
		if err := k.topology.CheckGroup(ctx, group); err != nil {
			return err
		}
	}
	return nil
}
