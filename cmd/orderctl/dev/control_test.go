package dev

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/mq/devbroker"
)

// heldClock is a clock whose first push goes on until it is let go.
type heldClock struct {
	*clock.Manual
	begun, leave chan struct{}
}

func (c heldClock) Advance(d time.Duration) {
	close(c.begun)
	<-c.leave
	c.Manual.Advance(d)
}

// What an advance wakes up must not be closed under it.
func TestCloseOfControlWaitsForAnAdvance(t *testing.T) {
	t.Parallel()
	held := heldClock{clock.NewManual(time.UnixMilli(0)), make(chan struct{}), make(chan struct{})}
	c, err := ControlFlags{ControlListen: "127.0.0.1:0"}.serve(devbroker.RunT(t, devbroker.WithClock(held)))
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 1)
	go func() {
		response, err := http.Post("http://"+c.addr()+"/clock/advance?by=1m", "", nil)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer func() { _ = response.Body.Close() }()
		_, _ = io.Copy(io.Discard, response.Body)
		answered <- fmt.Sprint(response.StatusCode)
	}()
	<-held.begun
	closed := make(chan error, 1)
	go func() { closed <- c.close() }()
	for { // until close has begun
		conn, err := net.Dial("tcp", c.addr())
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	select {
	case err := <-closed:
		t.Errorf("closed under an advance: %v", err)
		closed <- err
	default:
	}
	close(held.leave)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if got := <-answered; got != "200" {
		t.Errorf("the advance is answered with %s", got)
	}
}
