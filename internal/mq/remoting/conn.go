package remoting

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// ErrClosed is the cause of a call's failure if the connection was closed on
// this side.
var ErrClosed = errors.New("connection closed")

// writeTimeout is how long a peer may take to accept a frame before the
// connection counts as broken.
const writeTimeout = 10 * time.Second

// TransportError says that no answer came: the peer could not be reached, the
// connection broke, or the context ended first.
type TransportError struct {
	Op   string // "dial" or "call"
	Addr string
	Err  error
}

// Error names the operation, the address and the cause.
func (e *TransportError) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Addr, e.Err) }

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// Conn is a client's connection. It is safe for concurrent use: calls share it,
// and their answers may come in any order. It owns two goroutines, which end
// when it breaks or is closed.
type Conn struct {
	addr string
	nc   net.Conn
	out  chan []byte   // frames for the writer
	done chan struct{} // closed when the connection has failed

	wg sync.WaitGroup

	mu      sync.Mutex
	opaque  int32
	pending map[int32]chan Command
	err     error // why it has failed; set before done is closed
}

// Dial connects to the address, which may have a host name.
func Dial(ctx context.Context, addr string) (*Conn, error) {
	return dial(ctx, new(net.Dialer), addr)
}

// DialTLS connects as Dial does, and encrypts. If the configuration names no
// server, the certificate must be for the host of the address.
func DialTLS(ctx context.Context, addr string, config *tls.Config) (*Conn, error) {
	return dial(ctx, &tls.Dialer{Config: config}, addr)
}

// contextDialer is a net.Dialer or a tls.Dialer.
type contextDialer interface {
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

func dial(ctx context.Context, dialer contextDialer, addr string) (*Conn, error) {
	nc, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, &TransportError{Op: "dial", Addr: addr, Err: err}
	}
	return newConn(nc, addr), nil
}

func newConn(nc net.Conn, addr string) *Conn {
	c := &Conn{
		addr:    addr,
		nc:      nc,
		out:     make(chan []byte),
		done:    make(chan struct{}),
		pending: make(map[int32]chan Command),
	}
	c.wg.Go(c.read)
	c.wg.Go(c.write)
	return c
}

// Call sends the request and waits for its answer. An answer with a code other
// than ResponseSuccess comes back together with a *ResponseError; without an
// answer the error is a *TransportError. If the context ends while the request
// is on its way, the peer may still act on it.
func (c *Conn) Call(ctx context.Context, cmd Command) (Command, error) {
	reply := make(chan Command, 1)
	cmd.Opaque = c.register(reply)
	defer c.forget(cmd.Opaque)
	cmd.Flag &^= FlagResponse | FlagOneWay
	frame, err := AppendCommand(make([]byte, 0, initialFrame+len(cmd.Body)), cmd)
	if err != nil {
		return Command{}, err
	}
	select {
	case <-ctx.Done():
		return Command{}, c.failed(ctx.Err())
	case <-c.done:
		return Command{}, c.failed(c.err)
	case c.out <- frame:
	}
	select {
	case answer := <-reply:
		return answer, check(cmd, answer)
	case <-ctx.Done():
		return Command{}, c.failed(ctx.Err())
	case <-c.done:
	}
	select { // the answer may have come just before the connection broke
	case answer := <-reply:
		return answer, check(cmd, answer)
	default:
		return Command{}, c.failed(c.err)
	}
}

// check makes an error of an answer that refuses.
func check(request, answer Command) error {
	if answer.Code == ResponseSuccess {
		return nil
	}
	return &ResponseError{Code: answer.Code, Remark: answer.Remark, RequestCode: request.Code}
}

// Close closes the connection, fails the calls under way and waits until the
// connection's goroutines have ended.
func (c *Conn) Close() error {
	c.fail(ErrClosed)
	c.wg.Wait()
	return nil
}

// Broken tells whether the connection has failed or was closed.
func (c *Conn) Broken() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// register gives a call its opaque.
func (c *Conn) register(reply chan Command) int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opaque++
	c.pending[c.opaque] = reply
	return c.opaque
}

func (c *Conn) forget(opaque int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, opaque)
}

// fail ends the connection; the first cause stays.
func (c *Conn) fail(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = cause
	_ = c.nc.Close() // what matters is the cause
	close(c.done)
}

func (c *Conn) failed(cause error) error {
	return &TransportError{Op: "call", Addr: c.addr, Err: cause}
}

// read hands answers to their calls until the connection breaks.
func (c *Conn) read() {
	r := bufio.NewReader(c.nc)
	for {
		cmd, err := ReadCommand(r, Limits{})
		if err != nil {
			c.fail(fmt.Errorf("read: %w", err))
			return
		}
		if !cmd.IsResponse() {
			continue
		}
		c.mu.Lock()
		reply := c.pending[cmd.Opaque]
		delete(c.pending, cmd.Opaque) // a second answer must not block
		c.mu.Unlock()
		if reply != nil {
			reply <- cmd
		}
	}
}

// write writes frames until the connection breaks. It is a goroutine of its own
// so that a peer that does not read cannot hold a call beyond its deadline.
func (c *Conn) write() {
	for {
		select {
		case <-c.done:
			return
		case frame := <-c.out:
			err := c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
			if err == nil {
				_, err = c.nc.Write(frame)
			}
			if err != nil {
				c.fail(fmt.Errorf("write: %w", err))
				return
			}
		}
	}
}
