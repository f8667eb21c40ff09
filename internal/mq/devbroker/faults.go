package devbroker

import (
	"orderflow/internal/mq/remoting"
)

type faults struct{}

type fault struct{}

func (b *Broker) nextFault(remoting.Command) *fault { return nil }

func (f *fault) apply(b *Broker, c *conn, cmd remoting.Command) error { return b.serveNow(c, cmd) }
