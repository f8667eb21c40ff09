package mq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"orderflow/internal/mq/remoting"
)

// conflictInterval is how often a running consumer looks at its group's
// subscriptions. Members tell the broker theirs every 30 seconds.
const conflictInterval = 30 * time.Second

// SubscriptionConflictError says that other members of a consumer group consume
// something else than this one. A broker keeps one subscription per group, that of
// the last heartbeat: it would give every member, by turns, the messages that the
// other one wants, skip the rest, and count all of them as consumed
// (https://rocketmq.apache.org/docs/bestPractice/05subscribe/).
type SubscriptionConflictError struct {
	Group string
	Got   string   // what the group consumes, by the broker
	Want  string   // what this member wants to
	Who   []string // the client ids of the group's members
}

// Error names the group, both subscriptions and the members.
func (e *SubscriptionConflictError) Error() string {
	return fmt.Sprintf("consumer group %q consumes %s, not %s: its members must all subscribe to the same; they are %s",
		e.Group, e.Got, e.Want, strings.Join(e.Who, ", "))
}

// CheckSubscription returns a *SubscriptionConflictError if a broker has members in
// the subscription's group that consume something else. A group without members has
// none.
func (a *Admin) CheckSubscription(ctx context.Context, s Subscription) error {
	masters, err := a.masters(ctx, false)
	if err != nil {
		return fmt.Errorf("members of consumer group %q: %w", s.Group, err)
	}
	for _, b := range masters {
		members, err := a.consumers(ctx, b.addr, s.Group)
		if err != nil {
			return fmt.Errorf("members of consumer group %q on broker %s: %w", s.Group, b.name, err)
		}
		if err := s.compare(members); err != nil {
			return err
		}
	}
	return nil
}

// compare tells whether the members consume what s says. Clients subscribe to their
// group's topic of redeliveries by themselves, and one that has just come may not
// have told the broker yet what it consumes.
func (s Subscription) compare(members remoting.ConsumerConnections) error {
	got := maps.Clone(members.Subscriptions)
	delete(got, RetryTopic(s.Group))
	if len(members.Set) == 0 || len(got) == 0 {
		return nil
	}
	texts := make([]string, 0, len(got))
	for _, topic := range slices.Sorted(maps.Keys(got)) {
		texts = append(texts, consumes(got[topic], members.MessageModel))
	}
	model := remoting.ModelClustering
	if s.Broadcast != "" {
		model = remoting.ModelBroadcasting
	}
	have, want := strings.Join(texts, " and "), consumes(s.wire(), model)
	if have == want {
		return nil
	}
	conflict := &SubscriptionConflictError{Group: s.Group, Got: have, Want: want}
	for _, member := range members.Set {
		conflict.Who = append(conflict.Who, member.ClientID)
	}
	return conflict
}

// wire is the subscription as a broker keeps it.
func (s Subscription) wire() remoting.Subscription {
	selector := s.selector()
	return remoting.Subscription{
		Topic: s.Topic, Expression: selector.Expression, ExpressionType: string(selector.Type),
	}
}

// consumes says in words what is consumed, the same of everything that means the same.
func consumes(s remoting.Subscription, model string) string {
	what := fmt.Sprintf("topic %q", s.Topic)
	if model == remoting.ModelBroadcasting {
		what = "as a broadcast " + what
	}
	if s.ExpressionType == remoting.ExpressionSQL {
		return fmt.Sprintf("%s where %s", what, s.Expression)
	}
	var tags []string
	for tag := range strings.SplitSeq(s.Expression, "||") {
		if tag = strings.TrimSpace(tag); tag != "" && tag != "*" {
			tags = append(tags, tag)
		}
	}
	if len(tags) == 0 {
		return what
	}
	slices.Sort(tags)
	return fmt.Sprintf("%s with tags %s", what, strings.Join(slices.Compact(tags), ", "))
}

// watchMembers tells of members that came later and consume something else, until
// the consumer is stopped. It changes nothing for the messages of this member: which
// of the two is wrong, a person has to say.
func (c *Consumer) watchMembers(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-c.work.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(c.work, interval)
		err := c.admin.CheckSubscription(ctx, c.sub)
		cancel()
		c.tellConflict(err)
	}
}

// noteConflict has the metric say whether there is a conflict, and returns it. What could
// not be asked leaves the metric as it is.
func (c *Consumer) noteConflict(err error) *SubscriptionConflictError {
	var conflict *SubscriptionConflictError
	if errors.As(err, &conflict) || err == nil {
		c.client.Metrics.setConflict(c.sub, conflict != nil)
	}
	return conflict
}

// tellConflict logs a conflict when it comes, and has the metric say it.
func (c *Consumer) tellConflict(err error) {
	conflict := c.noteConflict(err)
	if conflict == nil {
		if err == nil {
			c.conflict = ""
		}
		return
	}
	if text := conflict.Error(); text != c.conflict {
		c.conflict = text
		c.client.logger().Error("members of one consumer group consume different messages", "error", conflict)
	}
}
