package mq

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"

	"orderflow/internal/mq/message"
)

// unlimitedAttempts goes with each message that is sent back if there shall be no
// dead letters: an outage may last longer than any table of delays, and what no
// redelivery mends is a PermanentError. Brokers know no "never", and without a
// number they take that of the group's settings, 16 by default. Each redelivery
// waits one level longer; past its table's end the broker stays with the last one.
const unlimitedAttempts = math.MaxInt32

// Subscription is what a Consumer consumes and how. All members of a group must
// subscribe to the same messages in the same way, see SubscriptionConflictError: what
// consumes something else, be it after an upgrade, needs a group of its own.
type Subscription struct {
	Group   string          // the consumer group; one per service and topic
	Topic   string          // the topic
	Tags    []string        // only these tags; all if empty
	Handler message.Handler // what is done with each message
	Parker  message.Parker  // where messages go that cannot be handled

	// Filter lets only those messages through for whose properties and TAGS the SQL92
	// expression is true, such as "price > 5 AND TAGS = 'paid'". Not together with
	// Tags. The brokers must have enablePropertyFilter set.
	Filter string

	// LateTopic says that the broker makes the topic when it first needs it, which may
	// be never: one of dead letters, say. Start waits for it without a word.
	LateTopic bool

	Concurrency    int           // handlers at once; 20 if 0
	HandlerTimeout time.Duration // how long a handler may take; 10 s if 0
	MaxAttempts    int           // deliveries before the dead-letter topic; 0: never there

	// Broadcast makes every consumer of the group get every message. It is the name
	// of this member, which must be its own among those on the machine and stay the
	// same: under it and the machine's address lies how far the member is, in
	// $HOME/.rocketmq_client_go. A member without such a file begins with the oldest
	// message.
	//
	// The broker delivers nothing again. A message that cannot be handled is tried
	// again in place, MaxAttempts times or 16 times within a minute, which takes up
	// one of the handlers meanwhile. Then it is parked; without a Parker it is logged,
	// counted and left.
	Broadcast string

	// Ordered makes the consumer handle one message of a queue at a time, in the
	// queue's order. A message that cannot be handled holds up its queue and is tried
	// again in place, later and later, until it is handled, parked, or was tried
	// MaxAttempts times; then it goes to the dead letters. The count begins anew where
	// the queue goes to another member. Not together with Broadcast.
	//
	// The broker locks each queue for the member that has it. A member that stops
	// gives its queues back; those of one that dies are free for others after a
	// minute. Handlers that take 20 seconds at most never overlap with another
	// member's, unless a broker restarts, which forgets the locks. Whenever a queue
	// goes to another member, messages that this one has handled within the last
	// seconds may come again there, in order: the broker hears only now and then how
	// far a member is.
	Ordered bool
}

func (s Subscription) withDefaults() Subscription {
	if s.Concurrency == 0 {
		s.Concurrency = 20
	}
	if s.HandlerTimeout == 0 {
		s.HandlerTimeout = 10 * time.Second
	}
	if s.MaxAttempts == 0 && s.Broadcast != "" {
		s.MaxAttempts = broadcastAttempts
	}
	if s.MaxAttempts == 0 {
		s.MaxAttempts = unlimitedAttempts
	}
	return s
}

// check tells what contradicts itself.
func (s Subscription) check() error {
	what := ""
	switch {
	case s.Filter != "" && len(s.Tags) > 0:
		what = "Filter and Tags exclude each other: TAGS IN ('a', 'b') in the filter does both"
	case s.Broadcast != "" && s.Ordered:
		what = "Broadcast and Ordered exclude each other"
	case strings.HasPrefix(s.Topic, DeadLetterTopic("")) && !s.Ordered:
		// The library gives a message that comes again to the handler of the topic that it
		// was sent to first, and that is not the one of the dead letters.
		what = "dead letters need Ordered: sent back, they would not come again"
	case s.Broadcast != "" && !regexp.MustCompile(`^[a-zA-Z0-9_-]+$`).MatchString(s.Broadcast):
		what = fmt.Sprintf("Broadcast %q is no name: it needs a-z, A-Z, 0-9, _ and -", s.Broadcast)
	case s.Concurrency < 0 || s.HandlerTimeout < 0 || s.MaxAttempts < 0:
		what = "Concurrency, HandlerTimeout and MaxAttempts cannot be negative"
	default:
		return nil
	}
	return fmt.Errorf("%w subscription of %s: %s", errInvalid, s.Group, what)
}

// selector is what the library filters by.
func (s Subscription) selector() consumer.MessageSelector {
	switch {
	case s.Filter != "":
		return consumer.MessageSelector{Type: consumer.SQL92, Expression: s.Filter}
	case len(s.Tags) > 0:
		return consumer.MessageSelector{Type: consumer.TAG, Expression: strings.Join(s.Tags, "||")}
	default:
		return consumer.MessageSelector{}
	}
}

// options are the library's settings.
func (c *Consumer) options() []consumer.Option {
	s := c.sub
	options := []consumer.Option{
		consumer.WithGroupName(s.Group),
		consumer.WithInstance(c.client.instance("consumer")),
		consumer.WithNsResolver(c.client.resolver()),
		consumer.WithCredentials(c.client.Credentials.library()),
		consumer.WithConsumerModel(consumer.Clustering),
		// The default skips what was sent before the group first started.
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		consumer.WithConsumeGoroutineNums(s.Concurrency),
		consumer.WithConsumeMessageBatchMaxSize(1),
		// After this time the library would send back a message that is held, drop
		// it, and take a refusal for a yes; the default is 15 minutes.
		consumer.WithConsumeTimeout(math.MaxInt64),
		consumer.WithMaxReconsumeTimes(int32(s.MaxAttempts - 1)), // redeliveries
	}
	switch {
	case s.Broadcast != "":
		options = append(options, consumer.WithConsumerModel(consumer.BroadCasting),
			consumer.WithInstance(s.broadcastInstance(c.client)))
	case s.Ordered:
		// The library would send messages back by itself, unchecked and to the wrong
		// address (apache/rocketmq-client-go#1139).
		options = append(options, consumer.WithConsumerOrder(true), consumer.WithMaxReconsumeTimes(unlimitedAttempts-1),
			consumer.WithStrategy(c.queues.allocate))
	}
	return options
}
