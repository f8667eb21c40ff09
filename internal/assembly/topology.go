package assembly

import (
	"context"

	"orderflow/internal/event"
	"orderflow/internal/mq"
)

// Topology creates topics and consumer groups; *mq.Admin is one.
type Topology interface {
	EnsureTopic(ctx context.Context, spec mq.TopicSpec) (created bool, err error)
	EnsureGroup(ctx context.Context, spec mq.GroupSpec) (created bool, err error)
}

// EnsureTopology creates what the services need at the broker and changes nothing
// that is there as it should be. It tells report of each topic and group; kind is
// the topic's type, or "group".
func EnsureTopology(ctx context.Context, t Topology, names event.Names, queues int, report func(kind, name string, created bool)) error {
	for _, topic := range names.Topics() {
		created, err := t.EnsureTopic(ctx, mq.TopicSpec{Name: topic.Name, Type: string(topic.Type), Queues: queues})
		if err != nil {
			return err
		}
		report(string(topic.Type), topic.Name, created)
	}
	for _, group := range names.ConsumerGroups() {
		created, err := t.EnsureGroup(ctx, mq.GroupSpec{Name: group})
		if err != nil {
			return err
		}
		report("group", group, created)
	}
	return nil
}
