package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"orderflow/internal/cli"
	"orderflow/internal/mq/devbroker"
)

// ControlFlags say where one can look into the broker and push its clock.
type ControlFlags struct {
	ControlListen string `default:"" placeholder:"HOST:PORT" help:"Address to look into the broker and to push its clock; empty for none. Whoever reaches it may do that."`
}

// Validate checks the address.
func (f ControlFlags) Validate() error {
	if f.ControlListen == "" {
		return nil
	}
	if err := cli.CheckListen(f.ControlListen); err != nil {
		return fmt.Errorf("--control-listen: %w", err)
	}
	return nil
}

// control is an HTTP server with two paths:
//
//	GET  /broker               what is in the broker, as JSON
//	POST /clock/advance?by=30m push the clock; answers with the new time
type control struct {
	listener net.Listener // nil if there is none
	server   *http.Server
	ended    chan error
}

// advanceTimeout bounds how long an advance of the clock may go on that is under way
// at the end.
const advanceTimeout = 10 * time.Second

// maxAdvance is how far one request may push the clock.
const maxAdvance = 366 * 24 * time.Hour

// serve begins to serve a broker.
func (f ControlFlags) serve(b *devbroker.Broker) (*control, error) {
	if f.ControlListen == "" {
		return &control{}, nil
	}
	listener, err := net.Listen("tcp", f.ControlListen)
	if err != nil {
		return nil, fmt.Errorf("listen for control: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /broker", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(b.Inspect()) // the client has gone
	})
	mux.HandleFunc("POST /clock/advance", func(w http.ResponseWriter, r *http.Request) {
		by, err := time.ParseDuration(r.FormValue("by"))
		if err != nil || by < 0 || by > maxAdvance {
			http.Error(w, fmt.Sprintf("by: must be a duration such as 30m, 0s to %v", maxAdvance), http.StatusBadRequest)
			return
		}
		b.Advance(by)
		fmt.Fprintln(w, b.Clock().Now().Format(time.RFC3339Nano))
	})
	c := &control{
		listener: listener, ended: make(chan error, 1),
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
	}
	go func() { c.ended <- c.server.Serve(listener) }() // ends with close
	return c, nil
}

func (c *control) addr() string {
	if c.listener == nil {
		return ""
	}
	return c.listener.Addr().String()
}

// describe says how it is used.
func (c *control) describe(w io.Writer) {
	if c.listener != nil {
		fmt.Fprintf(w, "control        http://%s/broker; orderctl clock advance 30m --control %s\n", c.addr(), c.addr())
	}
}

// close waits for the requests that are under way: an advance of the clock must not
// go on when what it wakes up is closed. Those that take too long are cut, and the
// error says so.
func (c *control) close() error {
	if c.listener == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), advanceTimeout)
	defer cancel()
	err := c.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("end control: %w", err), c.server.Close())
	}
	if ended := <-c.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
