package mq

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// Admin creates, checks and deletes topics and consumer groups, and asks brokers
// what only they know. It checks every answer and reads back what it has
// changed, on every master broker. It is safe for concurrent use.
//
// Errors wrap ErrUnavailable when a server could not be reached, was too busy or
// did not answer in time; asking again later may help then, and only then.
type Admin struct {
	nameServers []string
	client      *remoting.Client

	mu     sync.Mutex
	stores map[string]string // broker name → address, for SendBack
}

// AdminOption changes how an Admin connects.
type AdminOption func(*remoting.Options)

// WithTLS encrypts the Admin's connections. Those of producers and consumers
// cannot be: the client library knows no TLS.
func WithTLS(config *tls.Config) AdminOption {
	return func(o *remoting.Options) { o.TLS = config }
}

// NewAdmin makes an Admin for the name servers, each host:port; they are tried
// in order. It connects when it is first used.
func NewAdmin(nameServers []string, options ...AdminOption) *Admin {
	settings := remoting.Options{}
	for _, option := range options {
		option(&settings)
	}
	a := &Admin{
		client: remoting.NewClient(settings),
		stores: make(map[string]string),
	}
	for _, addr := range nameServers {
		// The stock client takes host names only in this form.
		a.nameServers = append(a.nameServers, strings.TrimPrefix(addr, "http://"))
	}
	return a
}

// Close closes the connections and fails the calls under way.
func (a *Admin) Close() error { return a.client.Close() }

// Kinds of what a NotFoundError is about.
const (
	KindTopic = "topic"
	KindGroup = "consumer group"
)

// NotFoundError says that a topic or a group does certainly not exist.
type NotFoundError struct {
	Kind   string // KindTopic or KindGroup
	Name   string
	Broker string // where it is missing; "" for everywhere
}

// Error names what is missing.
func (e *NotFoundError) Error() string {
	if e.Broker != "" {
		return fmt.Sprintf("%s %q does not exist on broker %s", e.Kind, e.Name, e.Broker)
	}
	return fmt.Sprintf("%s %q does not exist", e.Kind, e.Name)
}

// MismatchError says that a topic or group is not as it should be and is not
// changed by EnsureTopic or EnsureGroup, or did not become so.
type MismatchError struct {
	Kind    string // KindTopic or KindGroup
	Name    string
	Setting string
	Got     string
	Want    string
}

// Error names the setting and both values.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s %q has %s %s, not %s", e.Kind, e.Name, e.Setting, e.Got, e.Want)
}

// broker is a broker set's name and the address to talk to.
type broker struct {
	name string
	addr string
}

// call sends a request without body and marks the errors that time may mend.
func (a *Admin) call(ctx context.Context, addr string, code int, ext map[string]string) (remoting.Command, error) {
	return a.send(ctx, addr, remoting.NewRequest(code, ext, nil))
}

func (a *Admin) send(ctx context.Context, addr string, request remoting.Command) (remoting.Command, error) {
	answer, err := a.client.Call(ctx, addr, request)
	if err == nil {
		return answer, nil
	}
	switch remoting.ResponseCode(err) {
	case remoting.ResponseSuccess: // not a refusal: there was no answer
		return answer, timeMayMend(err)
	case remoting.ResponseSystemBusy, remoting.ResponseServiceNotAvailable, remoting.ResponseFlowControl:
		return answer, fmt.Errorf("%w: %s: %w", message.ErrUnavailable, addr, err)
	default:
		return answer, fmt.Errorf("%s: %w", addr, err)
	}
}

// timeMayMend marks the failure of a request that was not answered, unless the
// caller has given up.
func timeMayMend(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", message.ErrUnavailable, err)
}

// ask sends the request to the name servers, one after the other until one
// answers.
func (a *Admin) ask(ctx context.Context, code int, ext map[string]string) (remoting.Command, error) {
	err := fmt.Errorf("%w: no name server is configured", message.ErrUnavailable)
	for _, addr := range a.nameServers {
		var answer remoting.Command
		answer, err = a.call(ctx, addr, code, ext)
		if !errors.Is(err, message.ErrUnavailable) || ctx.Err() != nil {
			return answer, err
		}
	}
	return remoting.Command{}, err
}

// masters returns the master of every broker set. If one has none at the moment
// it is left out, or an error if all are needed.
func (a *Admin) masters(ctx context.Context, all bool) ([]broker, error) {
	answer, err := a.ask(ctx, remoting.RequestClusterInfo, nil)
	if err != nil {
		return nil, err
	}
	var info remoting.ClusterInfo
	if err := remoting.DecodeBody(answer.Body, &info); err != nil {
		return nil, err
	}
	var masters []broker
	for _, name := range slices.Sorted(maps.Keys(info.Brokers)) {
		addr, ok := info.Brokers[name].Addrs[remoting.MasterID]
		switch {
		case ok:
			masters = append(masters, broker{name: name, addr: addr})
		case all:
			return nil, fmt.Errorf("%w: broker %s has no master at the moment", message.ErrUnavailable, name)
		}
	}
	if len(masters) == 0 {
		return nil, fmt.Errorf("%w: the name server knows no broker", message.ErrUnavailable)
	}
	return masters, nil
}

// route returns where the topic's queues are. If the name server does not know
// the topic, which a freshly started one does not, the error is a *NotFoundError.
func (a *Admin) route(ctx context.Context, topic string) (remoting.Route, error) {
	answer, err := a.ask(ctx, remoting.RequestGetRoute, routeFields(topic))
	return parseRoute(topic, answer, err)
}

func routeFields(topic string) map[string]string {
	return map[string]string{"topic": topic, "acceptStandardJsonOnly": "true"}
}

func parseRoute(topic string, answer remoting.Command, err error) (remoting.Route, error) {
	switch {
	case remoting.ResponseCode(err) == remoting.ResponseTopicNotExist:
		return remoting.Route{}, &NotFoundError{Kind: KindTopic, Name: topic}
	case err != nil:
		return remoting.Route{}, err
	}
	var route remoting.Route
	if err := remoting.DecodeBody(answer.Body, &route); err != nil {
		return remoting.Route{}, err
	}
	return route, nil
}

// routeMasters returns the masters of the brokers that hold the topic.
func (a *Admin) routeMasters(ctx context.Context, topic string) ([]broker, remoting.Route, error) {
	route, err := a.route(ctx, topic)
	if err != nil {
		return nil, route, err
	}
	var masters []broker
	for _, b := range route.Brokers {
		addr, ok := b.Addrs[remoting.MasterID]
		if !ok {
			return nil, route, fmt.Errorf("%w: broker %s has no master at the moment", message.ErrUnavailable, b.Name)
		}
		masters = append(masters, broker{name: b.Name, addr: addr})
	}
	return masters, route, nil
}

// Longest names; %RETRY% and %DLQ% go before a group's.
const (
	maxTopicName = 127
	maxGroupName = 120
)

// checkName refuses what brokers refuse, before they are asked.
func checkName(kind, name string, longest int) error {
	if ok, _ := regexp.MatchString(`^[%|a-zA-Z0-9_-]+$`, name); !ok || len(name) > longest {
		return fmt.Errorf("%q is not the name of a %s: it needs 1 to %d of a-z, A-Z, 0-9, _, -, %% and |",
			name, kind, longest)
	}
	return nil
}
