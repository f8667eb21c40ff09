package mq

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestGateWaitsForThoseInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		for range 2 {
			if !g.enter() {
				t.Fatal("an open gate says no")
			}
		}
		closed := make(chan error, 1)
		go func() { closed <- g.close(t.Context()) }()
		<-g.closing()
		if g.enter() {
			t.Error("a closed gate lets a handler in")
		}
		g.leave()
		synctest.Wait()
		select {
		case err := <-closed:
			t.Fatalf("closed with a handler inside: %v", err)
		default:
		}
		g.leave()
		if err := <-closed; err != nil {
			t.Errorf("close = %v", err)
		}
	})
}

func TestGateClosesEmptyAndTwice(t *testing.T) {
	g := newGate()
	for range 2 {
		if err := g.close(t.Context()); err != nil {
			t.Errorf("close = %v", err)
		}
	}
}

func TestGateOutOfTime(t *testing.T) {
	g := newGate()
	g.enter()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close = %v", err)
	}
	if g.enter() {
		t.Error("the gate is closed all the same")
	}
	g.leave() // later than anybody waits for
	if err := g.close(t.Context()); err != nil {
		t.Errorf("close again = %v", err)
	}
}

func TestGateHoldsUntilOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		passed := make(chan struct{})
		go func() { g.waitOpen(); close(passed) }()
		synctest.Wait()
		if isClosed(passed) {
			t.Fatal("a held callback has passed")
		}
		g.open()
		g.open()
		<-passed
		g.waitOpen()
	})
}
