package remoting

import (
	"context"
	"crypto/tls"
	"sync"
	"time"
)

// Time limits of a Client, unless its Options say otherwise.
const (
	DefaultDialTimeout = 3 * time.Second
	DefaultCallTimeout = 5 * time.Second
)

// Options are a Client's settings. The zero value is usable.
type Options struct {
	DialTimeout time.Duration // 0 means DefaultDialTimeout
	CallTimeout time.Duration // 0 means DefaultCallTimeout; it includes the dial
	Credentials Credentials   // every request is signed with them, unless they are zero
	TLS         *tls.Config   // connections are encrypted, unless it is nil
}

// Client calls any number of servers. It keeps one connection to each and dials
// again when one is broken. It is safe for concurrent use.
type Client struct {
	options Options

	mu     sync.Mutex
	closed bool
	peers  map[string]*peer
}

// peer is an address and its connection. Whoever holds the turn may dial.
type peer struct {
	turn chan struct{} // a lock that a context can leave
	conn *Conn         // nil before the first dial
}

// NewClient makes a Client. It connects when it is first needed.
func NewClient(options Options) *Client {
	if options.DialTimeout <= 0 {
		options.DialTimeout = DefaultDialTimeout
	}
	if options.CallTimeout <= 0 {
		options.CallTimeout = DefaultCallTimeout
	}
	return &Client{options: options, peers: make(map[string]*peer)}
}

// Call sends the request to the address and waits for the answer, until the
// context ends or the client's time limit is over. The errors are Conn.Call's.
// A request is sent once at most.
func (c *Client) Call(ctx context.Context, addr string, cmd Command) (Command, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.CallTimeout)
	defer cancel()
	conn, err := c.connect(ctx, addr)
	if err != nil {
		return Command{}, err
	}
	if signer := c.options.Credentials; signer != (Credentials{}) {
		Sign(&cmd, signer.AccessKey, signer.SecretKey)
	}
	return conn.Call(ctx, cmd)
}

// connect returns a connection that works as far as one can know.
func (c *Client) connect(ctx context.Context, addr string) (*Conn, error) {
	p, err := c.peer(addr)
	if err != nil {
		return nil, err
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, &TransportError{Op: "dial", Addr: addr, Err: ctx.Err()}
	}
	switch {
	case p.conn == nil:
	case p.conn.Broken():
		_ = p.conn.Close() // only waits for its goroutines
	default:
		return p.conn, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.DialTimeout)
	defer cancel()
	conn, err := c.dial(ctx, addr)
	if err != nil {
		return nil, err
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close() // it was never used
		return nil, &TransportError{Op: "dial", Addr: addr, Err: ErrClosed}
	}
	p.conn = conn
	return conn, nil
}

func (c *Client) dial(ctx context.Context, addr string) (*Conn, error) {
	if c.options.TLS != nil {
		return DialTLS(ctx, addr, c.options.TLS)
	}
	return Dial(ctx, addr)
}

func (c *Client) peer(addr string) (*peer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, &TransportError{Op: "dial", Addr: addr, Err: ErrClosed}
	}
	p := c.peers[addr]
	if p == nil {
		p = &peer{turn: make(chan struct{}, 1)}
		c.peers[addr] = p
	}
	return p, nil
}

// Close closes all connections and fails the calls under way.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	var conns []*Conn
	for _, p := range c.peers {
		if p.conn != nil {
			conns = append(conns, p.conn)
		}
	}
	c.peers = make(map[string]*peer)
	c.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close() // it returns no error
	}
	return nil
}
