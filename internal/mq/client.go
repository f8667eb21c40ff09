package mq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Client is what every producer and consumer of a process has in common.
type Client struct {
	// NameServers are the addresses of the name servers, each HOST:PORT.
	NameServers []string
	// Service names the process in the broker's lists of connections.
	Service string
	// Logger gets what goes wrong; slog.Default if nil.
	Logger *slog.Logger
	// Metrics counts; nothing is counted if nil.
	Metrics *Metrics
	// Tracer makes the spans whose traceparent travels with the messages; nil
	// means that messages carry the caller's, if there is one.
	Tracer trace.TracerProvider
	// Credentials sign what producers, consumers and their admins send.
	Credentials Credentials
}

// admin makes the Admin of a producer or consumer.
func (c Client) admin() *Admin { return NewAdmin(c.NameServers, WithCredentials(c.Credentials)) }

func (c Client) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.Default()
	}
	return c.Logger
}

func (c Client) tracer() trace.Tracer {
	if c.Tracer == nil {
		return noop.NewTracerProvider().Tracer(tracerName)
	}
	return c.Tracer.Tracer(tracerName)
}

const tracerName = "orderflow/internal/mq"

// instance returns a new instance name. Every producer and consumer needs one of
// its own: the client library shares a connection object between all with the
// same name, and that object hands check-backs only to whoever made it first.
func (c Client) instance(role string) string {
	return fmt.Sprintf("%s-%s-%s", c.Service, role, uuid.NewString()[:13])
}

// resolver names the name servers in the library's spelling: it takes a host
// name only behind "http://".
func (c Client) resolver() primitive.NsResolver {
	addresses := make([]string, len(c.NameServers))
	for i, address := range c.NameServers {
		host, _, err := net.SplitHostPort(address)
		if err == nil && net.ParseIP(host) == nil && !strings.Contains(address, "://") {
			address = "http://" + address
		}
		addresses[i] = address
	}
	return primitive.NewPassthroughResolver(addresses)
}

// errStopped says that Stop was called before Start had succeeded.
var errStopped = errors.New("stopped before it was started")

// errInvalid says that what shall be started contradicts itself, which no waiting
// mends.
var errInvalid = errors.New("invalid")

// untilStarted calls start until it succeeds, with growing pauses, or ctx ends; or
// until it fails for good.
// Each failure is logged once per distinct text: a broker that is down for an
// hour is one line, not a thousand. What is quiet is not logged.
func (c Client) untilStarted(ctx context.Context, what string, start func(context.Context) error, quiet ...func(error) bool) error {
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.3, Multiplier: 1.6, MaxInterval: 3 * time.Second,
	}
	pauses.Reset()
	last := ""
	for {
		err := start(ctx)
		if err == nil {
			c.logger().Info("started", "what", what)
			return nil
		}
		if errors.Is(err, errStopped) || errors.Is(err, errInvalid) {
			return fmt.Errorf("%s: %w", what, err)
		}
		expected := slices.ContainsFunc(quiet, func(is func(error) bool) bool { return is(err) })
		if text := err.Error(); text != last && !expected {
			c.logger().Warn("cannot start yet, trying again", "what", what, "error", err)
			last = text
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s was not started", what), ctx.Err(), err)
		case <-time.After(pauses.NextBackOff()):
		}
	}
}
