package mq

import (
	"context"
	"errors"
	"sync"
)

// gate counts the handlers that run, keeps new ones out while their owner stops,
// and, for a consumer, holds the callbacks that came too late until the library
// has let go of their queues.
type gate struct {
	mu      sync.Mutex
	running int
	closed  chan struct{} // closed when no new handler may start
	idle    chan struct{} // closed when the last one has left, after closed
	opened  chan struct{} // closed when held callbacks may return
}

func newGate() *gate {
	return &gate{closed: make(chan struct{}), idle: make(chan struct{}), opened: make(chan struct{})}
}

// enter counts a handler in, or says no.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if isClosed(g.closed) {
		return false
	}
	g.running++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	if g.running == 0 && isClosed(g.closed) {
		close(g.idle)
	}
}

// close keeps new handlers out and waits for the running ones, or for ctx.
func (g *gate) close(ctx context.Context) error {
	g.mu.Lock()
	if !isClosed(g.closed) {
		close(g.closed)
		if g.running == 0 {
			close(g.idle)
		}
	}
	g.mu.Unlock()
	select {
	case <-g.idle:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("handlers were still running"), ctx.Err())
	}
}

// closing is closed when close has been called.
func (g *gate) closing() <-chan struct{} { return g.closed }

// open lets held callbacks return.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !isClosed(g.opened) {
		close(g.opened)
	}
}

// waitOpen holds a callback until open.
func (g *gate) waitOpen() { <-g.opened }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
