package mqtest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/remoting"
)

// line is a connection whose frames a case writes itself. What the broker asks of
// its own accord waits in requests.
type line struct {
	s        *scene
	nc       net.Conn
	requests chan remoting.Command
	done     chan struct{} // closed when nothing more can arrive

	mu      sync.Mutex
	opaque  int32
	pending map[int32]chan remoting.Command
}

// mostRequests is how many requests of the broker a line keeps; more are lost.
const mostRequests = 1000

// line is the scene's own connection to the broker.
func (s *scene) line() *line {
	s.Helper()
	if s.broking == nil {
		s.broking = s.dial(s.broker)
	}
	return s.broking
}

// names is the scene's own connection to the name server.
func (s *scene) names() *line {
	s.Helper()
	if s.naming == nil {
		s.naming = s.dial(s.NameServer)
	}
	return s.naming
}

// dial makes a connection, which is closed with the case.
func (s *scene) dial(addr string) *line {
	s.Helper()
	dialer := &net.Dialer{}
	var nc net.Conn
	var err error
	if s.TLS != nil {
		nc, err = (&tls.Dialer{NetDialer: dialer, Config: s.TLS}).DialContext(s.ctx, "tcp", addr)
	} else {
		nc, err = dialer.DialContext(s.ctx, "tcp", addr)
	}
	if err != nil {
		s.Fatal(err)
	}
	l := &line{
		s: s, nc: nc, requests: make(chan remoting.Command, mostRequests),
		done: make(chan struct{}), pending: map[int32]chan remoting.Command{},
	}
	go l.read()
	s.Cleanup(l.close)
	return l
}

// read takes what arrives, until the connection ends.
func (l *line) read() {
	defer close(l.done)
	r := bufio.NewReader(l.nc)
	for {
		cmd, err := remoting.ReadCommand(r, remoting.Limits{MaxFrame: 64 << 20})
		if err != nil {
			return
		}
		if !cmd.IsResponse() {
			select {
			case l.requests <- cmd:
			default:
			}
			continue
		}
		l.mu.Lock()
		answer := l.pending[cmd.Opaque]
		delete(l.pending, cmd.Opaque)
		l.mu.Unlock()
		if answer != nil {
			answer <- cmd
		}
	}
}

// close ends the connection and waits for its end.
func (l *line) close() {
	_ = l.nc.Close() // it may have ended by itself
	<-l.done
}

// begin sends a request and does not wait: the answer arrives on the channel.
func (l *line) begin(code int, ext fields, body []byte) <-chan remoting.Command {
	l.s.Helper()
	answer := make(chan remoting.Command, 1)
	cmd := remoting.NewRequest(code, ext, body)
	l.mu.Lock()
	l.opaque++
	cmd.Opaque = l.opaque
	l.pending[cmd.Opaque] = answer
	l.mu.Unlock()
	l.write(cmd)
	return answer
}

// write sends a frame.
func (l *line) write(cmd remoting.Command) {
	l.s.Helper()
	if key := l.s.Credentials; key != (mq.Credentials{}) {
		remoting.Sign(&cmd, key.AccessKey, key.SecretKey)
	}
	if err := remoting.WriteCommand(l.nc, cmd); err != nil {
		l.s.Fatalf("request %d: %v", cmd.Code, err)
	}
}

// call sends a request and waits for its answer.
func (l *line) call(code int, ext fields, body []byte) remoting.Command {
	l.s.Helper()
	return l.await(fmt.Sprintf("the answer to %d", code), l.begin(code, ext, body))
}

// oneWay sends a request that wants no answer.
func (l *line) oneWay(code int, ext fields, body []byte) {
	l.s.Helper()
	cmd := remoting.NewRequest(code, ext, body)
	cmd.Flag |= remoting.FlagOneWay
	l.write(cmd)
}

// await waits for an answer.
func (l *line) await(what string, answer <-chan remoting.Command) remoting.Command {
	l.s.Helper()
	select {
	case cmd := <-answer:
		return cmd
	case <-l.done:
	case <-l.s.ctx.Done():
		l.s.Fatalf("timed out waiting for %s", what)
	}
	select { // it may have come last
	case cmd := <-answer:
		return cmd
	default:
		l.s.Fatalf("the connection ended before %s", what)
		return remoting.Command{}
	}
}

// asked waits for a request of the broker; those with other codes are thrown away.
func (l *line) asked(code int) remoting.Command {
	l.s.Helper()
	for {
		select {
		case cmd := <-l.requests:
			if cmd.Code == code {
				return cmd
			}
		case <-l.done:
			l.s.Fatalf("the connection ended before the broker asked %d", code)
		case <-l.s.ctx.Done():
			l.s.Fatalf("timed out waiting for the broker to ask %d", code)
		}
	}
}

// ended waits until the broker has closed the connection.
func (l *line) ended(what string, within time.Duration) {
	l.s.Helper()
	select {
	case <-l.done:
	case <-time.After(within):
		l.s.Errorf("%s: the connection is still open after %v", what, within)
	}
}

// fields are the named fields of a request.
type fields = map[string]string

// ext makes fields of names and values in turn.
func ext(pairs ...any) fields {
	f := make(fields, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		f[fmt.Sprint(pairs[i])] = fmt.Sprint(pairs[i+1])
	}
	return f
}
