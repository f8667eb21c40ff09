package connect_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"orderflow/internal/connect"
)

func TestReady(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, answers := grpc.NewServer(), health.NewServer()
	healthv1.RegisterHealthServer(srv, answers)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(listener) // ends with Stop
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	address := listener.Addr().String()
	if err := connect.Ready(ctx, address); err != nil {
		t.Errorf("SERVING is not ready: %v", err)
	}
	answers.Shutdown()
	if err := connect.Ready(ctx, address); !errors.Is(err, connect.ErrNotReady) {
		t.Errorf("NOT_SERVING gives %v", err)
	}
	srv.Stop()
	<-ended
	if err := connect.Ready(ctx, address); err == nil || errors.Is(err, connect.ErrNotReady) {
		t.Errorf("a server that is gone gives %v", err)
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		":7001": "127.0.0.1:7001", "0.0.0.0:7001": "127.0.0.1:7001", "[::]:7001": "127.0.0.1:7001",
		"127.0.0.2:7001": "127.0.0.2:7001", "host:1": "host:1", "[::1]:1": "[::1]:1",
	} {
		if got, err := connect.Local(listen); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", listen, got, err, want)
		}
	}
	if got, err := connect.Local("7001"); err == nil {
		t.Errorf("a port alone gives %q", got)
	}
}
