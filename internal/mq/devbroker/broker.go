package devbroker

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"orderflow/internal/mq/devbroker/wal"
)

// The names that the broker and its cluster give themselves.
const (
	brokerName  = "devbroker"
	clusterName = "DefaultCluster"
)

// ErrClosed is the error of a Restart after Close.
var ErrClosed = errors.New("the broker is closed")

// Broker is a name server and a broker on one port. It is safe for concurrent use.
type Broker struct {
	settings settings
	services map[int]service // by request code

	lifecycle sync.Mutex // one Close or Restart at a time
	advancing sync.Mutex // one Advance at a time

	mu sync.Mutex // guards all that follows, and what it points to

	addr     netip.AddrPort
	listener *net.TCPListener // nil when it does not run
	closed   bool
	conns    map[*conn]bool
	serving  sync.WaitGroup // its connections, and who accepts them
	ending   chan struct{}  // closed to end what waits for time to pass
	patience patience       // with peers

	*state             // topics, messages, groups: what is kept
	journal   *wal.Log // nil in memory
	written   []byte   // changes that belong to the next record of the journal
	position  wal.Position
	recording bool // false while the journal is replayed
	failure   failure

	schedule schedule   // what is due when
	checks   checkBacks // half messages that are being asked about
	faults   faults
	readOnly bool

	values    map[valueKey]string           // what the name server keeps for clients
	forwarded int32                         // requests that clients were asked to answer, so far
	producers map[string]map[string]*member // by group and client id
	rotation  int                           // whom to ask next
	random    int                           // which queue is next when the client leaves it open
}

// Start starts a broker. It listens when Start returns.
func Start(options ...Option) (*Broker, error) {
	s, err := newSettings(options)
	if err != nil {
		return nil, err
	}
	b := &Broker{settings: s, services: services(), patience: usualPatience(), values: map[valueKey]string{}}
	b.checks.init(&b.mu)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.open(); err != nil {
		return nil, err
	}
	listener, err := b.listen(s.listen)
	if err != nil {
		return nil, errors.Join(err, b.closeJournal())
	}
	b.serveAt(listener)
	return b, nil
}

// listen takes an address; mu is held.
func (b *Broker) listen(address string) (*net.TCPListener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if b.addr, err = netip.ParseAddrPort(listener.Addr().String()); err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), listener.Close())
	}
	b.addr = netip.AddrPortFrom(b.addr.Addr().Unmap(), b.addr.Port())
	return listener.(*net.TCPListener), nil
}

// serveAt begins to serve; mu is held.
func (b *Broker) serveAt(listener *net.TCPListener) {
	b.listener, b.conns = listener, map[*conn]bool{}
	b.producers = map[string]map[string]*member{}
	b.ending = make(chan struct{})
	ending := b.ending
	b.serving.Go(func() { b.acceptConnections(listener, ending) })
	b.serving.Go(func() { b.runSchedule(ending) })
}

// acceptPause is how long nobody is accepted after it has failed, which passes
// when files are closed, for example.
const acceptPause = 50 * time.Millisecond

func (b *Broker) acceptConnections(listener *net.TCPListener, ending <-chan struct{}) {
	for {
		nc, err := listener.Accept()
		if err != nil {
			select {
			case <-ending:
				return
			case <-time.After(acceptPause):
				b.settings.log.Warn("cannot accept a connection", "error", err)
				continue
			}
		}
		b.mu.Lock()
		if b.listener != listener {
			b.mu.Unlock()
			_ = nc.Close() // it came too late
			return
		}
		c := newConn(b, nc)
		b.conns[c] = true
		b.serving.Go(c.serve)
		b.mu.Unlock()
	}
}

// Addr is where the name server and the broker listen, HOST:PORT.
func (b *Broker) Addr() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addr.String()
}

// Clock is the clock that the broker goes by.
func (b *Broker) Clock() Clock { return b.settings.clock }

// Close ends all connections and, after the last request has been handled, the
// broker. What is in its data folder stays.
func (b *Broker) Close() error {
	b.lifecycle.Lock()
	defer b.lifecycle.Unlock()
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	listener, err := b.stop()
	if listener != nil {
		err = errors.Join(err, listener.Close())
	}
	return err
}

// Restart ends all connections and begins again at the same address. Messages,
// topics, groups and offsets are kept, in memory or by reading the data folder
// anew; clients have to come back by themselves. Those that come early wait.
func (b *Broker) Restart() error {
	b.lifecycle.Lock()
	defer b.lifecycle.Unlock()
	listener, err := b.stop()
	if b.Err() != nil {
		err = nil // that its journal is closed badly is no news: what the folder has counts
	}
	if err == nil {
		err = b.restart(listener)
	}
	if err != nil && listener != nil {
		err = errors.Join(err, listener.Close())
	}
	return err
}

// restart begins again. Nobody else has got the address if it has kept it.
func (b *Broker) restart(listener *net.TCPListener) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return ErrClosed
	}
	if b.settings.data != "" {
		if err := b.open(); err != nil {
			return err
		}
	}
	var err error
	if listener == nil {
		listener, err = b.listen(b.addr.String())
	} else {
		err = listener.SetDeadline(time.Time{})
	}
	if err != nil {
		return errors.Join(err, b.closeJournal())
	}
	b.serveAt(listener)
	return nil
}

// stop ends all goroutines and closes the journal. It leaves the listener, which
// accepts nobody; there is none if the broker did not run.
func (b *Broker) stop() (*net.TCPListener, error) {
	b.mu.Lock()
	listener := b.listener
	if listener == nil {
		b.mu.Unlock()
		return nil, nil
	}
	b.listener = nil
	close(b.ending)
	err := listener.SetDeadline(time.Unix(1, 0)) // Accept ends
	for c := range b.conns {
		c.close()
	}
	b.mu.Unlock()
	b.serving.Wait()

	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range b.groups {
		clear(g.locks) // nobody is connected who could hold them
	}
	return listener, errors.Join(err, b.closeJournal())
}

// leave forgets a connection that has ended, who came over it and who waits there.
func (b *Broker) leave(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c)
	for h := range c.held {
		b.answerHeld(h, nil)
	}
	c.abandon()
	for client := range c.clients {
		b.unregister(client, c)
	}
	b.writeRecord()
}

// now is the time in epoch milliseconds.
func (b *Broker) now() int64 { return b.settings.clock.Now().UnixMilli() }
