package e2e

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"orderflow/internal/database/databasetest"
)

// proxy passes TCP connections on to a server until it is told otherwise.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	mode  proxyMode
	conns map[net.Conn]bool // both ends of every connection
	wake  chan struct{}     // closed when the mode changes
}

// proxyMode is what a proxy does with its connections.
type proxyMode int

const (
	passing  proxyMode = iota
	cutOff             // connections are closed, and new ones at once
	stalling           // connections stay open, and nothing passes
)

// newProxy starts a proxy in front of the server; it ends with the test.
func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target, conns: map[net.Conn]bool{}, wake: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.set(cutOff)
		running.Wait()
	})
	return p
}

// set changes what the proxy does, for the connections that there are, too.
func (p *proxy) set(mode proxyMode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
	close(p.wake)
	p.wake = make(chan struct{})
	if mode == cutOff {
		for conn := range p.conns {
			_ = conn.Close()
		}
	}
}

func (p *proxy) serve(client net.Conn) {
	defer p.forget(client)
	if !p.remember(client) || !p.mayPass() {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.forget(server)
	if !p.remember(server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.copy(server, client) })
	both.Go(func() { p.copy(client, server) })
	both.Wait()
}

// copy passes what comes from one end to the other one; when one way ends, both do.
func (p *proxy) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !p.mayPass() {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err == io.EOF || err != nil {
			return
		}
	}
}

// mayPass waits while the proxy stalls, and tells whether it passes then.
func (p *proxy) mayPass() bool {
	for {
		p.mu.Lock()
		mode, wake := p.mode, p.wake
		p.mu.Unlock()
		if mode != stalling {
			return mode == passing
		}
		<-wake
	}
}

// remember is false if connections are cut off at the moment.
func (p *proxy) remember(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[conn] = true
	return p.mode != cutOff
}

func (p *proxy) forget(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
	_ = conn.Close()
}

// behind rewrites a database URL so that it leads through the proxy.
func (p *proxy) behind(databaseURL string) string {
	return strings.Replace(databaseURL, "tcp("+p.target+")", "tcp("+p.listener.Addr().String()+")", 1)
}

// mysqlAddress is where the database server of the run listens.
func mysqlAddress(t *testing.T) string {
	t.Helper()
	_, rest, _ := strings.Cut(run.mysql, "tcp(")
	address, _, found := strings.Cut(rest, ")")
	if !found {
		t.Fatalf("%s has no tcp(HOST:PORT)", databasetest.Variable)
	}
	return address
}
