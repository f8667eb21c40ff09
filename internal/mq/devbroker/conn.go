package devbroker

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"orderflow/internal/mq/devbroker/wal"
	"orderflow/internal/mq/remoting"
)

// patience is how much a peer may take. The times are the machine's, whatever the
// clock shows.
type patience struct {
	idle    time.Duration // until a connection on which nothing comes ends
	frame   time.Duration // for the rest of a frame whose first byte has come
	write   time.Duration // for taking an answer
	queued  int           // bytes that wait for a peer which does not read
	answer  time.Duration // for the answer to a check-back, while Advance waits for it
	forward time.Duration // for the answer to a request that somebody else asks
	reorder time.Duration // for the next request of a code, while Reorder holds one up
}

// usualPatience has the idle time of the real servers; clients send a heartbeat
// every 30 seconds.
func usualPatience() patience {
	return patience{
		idle: 120 * time.Second, frame: 30 * time.Second, write: 10 * time.Second, queued: 64 << 20,
		answer: 500 * time.Millisecond, forward: 10 * time.Second, reorder: ReorderTime,
	}
}

// conn is a client's connection. Two goroutines serve it: one reads requests,
// handles them and writes their answers; the other writes what comes from
// elsewhere, such as a pull that was held and is answered by somebody's send.
type conn struct {
	broker   *Broker
	nc       net.Conn
	peer     netip.AddrPort
	patience patience
	reader   *bufio.Reader

	writing sync.Mutex // held while writing
	writer  *bufio.Writer
	safe    wal.Position // what must be on disk before the written answers go out

	mu     sync.Mutex
	queue  [][]byte // frames from elsewhere
	queued int      // their bytes, and those being written
	closed bool
	wake   chan struct{} // has a token when there is something in the queue

	clients map[clientKey]bool // who is registered through it; guarded by broker.mu
	held    map[*heldPull]bool // pulls that wait for a message; guarded by broker.mu
	asked   map[int32]*forward // what the client has not answered; guarded by broker.mu
}

// newConn makes a connection of the broker; its mu is held.
func newConn(b *Broker, nc net.Conn) *conn {
	c := &conn{
		broker: b, nc: nc, patience: b.patience, wake: make(chan struct{}, 1),
		clients: map[clientKey]bool{}, held: map[*heldPull]bool{}, asked: map[int32]*forward{},
	}
	if address, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		c.peer = netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
	}
	c.reader = bufio.NewReaderSize(nc, 64<<10)
	c.writer = bufio.NewWriterSize(nc, 64<<10)
	return c
}

// serve reads and handles requests until the connection ends.
func (c *conn) serve() {
	defer c.broker.leave(c)
	if err := c.secure(); err != nil {
		c.broker.settings.log.Debug("TLS handshake failed", "peer", c.peer, "error", err)
		c.close()
		return
	}
	ended := make(chan struct{})
	go func() { defer close(ended); c.writeQueued() }()
	err := c.readAll()
	c.close()
	<-ended
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		c.broker.settings.log.Debug("connection ended", "peer", c.peer, "error", err)
	}
}

// secure makes the connection a TLS one if its first byte begins a handshake.
func (c *conn) secure() error {
	config := c.broker.settings.tls
	if config == nil {
		return nil
	}
	const handshake = 0x16
	if err := c.nc.SetReadDeadline(time.Now().Add(c.patience.frame)); err != nil {
		return err
	}
	first, err := c.reader.Peek(1)
	if err != nil || first[0] != handshake {
		return err
	}
	nc := tls.Server(peekedConn{c.nc, c.reader}, config)
	if err := nc.Handshake(); err != nil {
		return err
	}
	c.reader, c.writer = bufio.NewReaderSize(nc, 64<<10), bufio.NewWriterSize(nc, 64<<10)
	return nil
}

// peekedConn reads what has been peeked first.
type peekedConn struct {
	net.Conn
	reader io.Reader
}

// Read reads from the buffer and then from the connection.
func (c peekedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

func (c *conn) readAll() error {
	// Larger than any message the broker takes, so that one that is too large gets an
	// answer.
	limits := remoting.Limits{MaxFrame: max(remoting.DefaultMaxFrame, c.broker.settings.maxMessage+1<<20)}
	for {
		if !c.frameBuffered() {
			if err := c.flush(); err != nil {
				return err
			}
			if err := c.awaitFrame(); err != nil {
				return err
			}
		}
		cmd, err := remoting.ReadCommand(c.reader, limits)
		if err != nil {
			return err
		}
		if cmd.IsResponse() {
			c.broker.answered(c, cmd)
			continue
		}
		if err := c.broker.serve(c, cmd); err != nil {
			return err
		}
	}
}

// frameBuffered tells whether there is a whole frame that can be read without
// waiting for the peer.
func (c *conn) frameBuffered() bool {
	const length = 4
	if c.reader.Buffered() < length {
		return false
	}
	word, err := c.reader.Peek(length)
	return err == nil && int64(binary.BigEndian.Uint32(word))+length <= int64(c.reader.Buffered())
}

// awaitFrame waits for the first byte of a frame, and limits the time for the rest.
func (c *conn) awaitFrame() error {
	if c.reader.Buffered() == 0 {
		if err := c.nc.SetReadDeadline(time.Now().Add(c.patience.idle)); err != nil {
			return err
		}
		if _, err := c.reader.Peek(1); err != nil {
			return err
		}
	}
	return c.nc.SetReadDeadline(time.Now().Add(c.patience.frame))
}

// reply writes an answer, which goes out with the next flush: a client that sends
// many requests at once gets their answers at once, and they share one fsync.
func (c *conn) reply(answer remoting.Command, safe wal.Position) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.safe = max(c.safe, safe)
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.patience.write)); err != nil {
		return err
	}
	frame, err := remoting.AppendCommand(c.writer.AvailableBuffer(), answer)
	if err != nil {
		return err
	}
	if len(frame) > c.writer.Available() { // what is buffered goes out
		if err := c.broker.awaitSafe(c.safe); err != nil {
			return err
		}
	}
	_, err = c.writer.Write(frame)
	return err
}

// flush sends the answers that were written, once what they promise is safe.
func (c *conn) flush() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.writer.Buffered() == 0 {
		return nil
	}
	if err := c.broker.awaitSafe(c.safe); err != nil {
		return err
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.patience.write)); err != nil {
		return err
	}
	return c.writer.Flush()
}

// push queues a frame for the other goroutine. It never waits. A peer that lets
// too much come together is disconnected.
func (c *conn) push(cmd remoting.Command) {
	frame, err := remoting.AppendCommand(nil, cmd)
	if err != nil {
		c.broker.settings.log.Warn("cannot encode an answer", "code", cmd.Code, "error", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if c.queued+len(frame) > c.patience.queued {
		c.closed = true
		_ = c.nc.Close() // its reader ends
		return
	}
	c.queue, c.queued = append(c.queue, frame), c.queued+len(frame)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// writeQueued writes what push has queued until the connection ends.
func (c *conn) writeQueued() {
	for range c.wake {
		c.mu.Lock()
		frames, bytes, closed := c.queue, c.queued, c.closed
		c.queue = nil
		c.mu.Unlock()
		if closed {
			return
		}
		if err := c.write(frames); err != nil {
			_ = c.nc.Close() // the reader reports it
			return
		}
		c.mu.Lock()
		c.queued -= bytes
		c.mu.Unlock()
	}
}

func (c *conn) write(frames [][]byte) error {
	if err := c.broker.awaitSafe(c.broker.recorded()); err != nil {
		return err // the frames may tell of what has just changed
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.broker.awaitSafe(c.safe); err != nil {
		return err // what is buffered goes out with this
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.patience.write)); err != nil {
		return err
	}
	for _, frame := range frames {
		if _, err := c.writer.Write(frame); err != nil {
			return err
		}
	}
	return c.writer.Flush()
}

// close ends the connection; both goroutines end soon after. It may be called
// more than once.
func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	_ = c.nc.Close() // there is nobody left to tell
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
