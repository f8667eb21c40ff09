package connect_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"orderflow/internal/connect"
	"orderflow/internal/connect/connecttest"
)

func TestReady(t *testing.T) {
	t.Parallel()
	replica := connecttest.NewReplica(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	address := replica.Address
	if err := connect.Ready(ctx, address); err != nil {
		t.Errorf("SERVING is not ready: %v", err)
	}
	replica.Health.Shutdown()
	if err := connect.Ready(ctx, address); !errors.Is(err, connect.ErrNotReady) {
		t.Errorf("NOT_SERVING gives %v", err)
	}
	replica.Stop()
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
