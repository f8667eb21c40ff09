package connect_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"

	"orderflow/internal/connect"
)

// replica is a server that only has a health service.
func replica(t *testing.T) (address string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	healthv1.RegisterHealthServer(srv, health.NewServer())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(listener) // ends with Stop
	}()
	stop = func() { srv.Stop(); <-ended }
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

// dial connects to the replicas.
func dial(t *testing.T, addresses ...string) healthv1.HealthClient {
	t.Helper()
	conn, err := connect.To(addresses)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return healthv1.NewHealthClient(conn)
}

// ask makes a call and says who has answered.
func ask(ctx context.Context, client healthv1.HealthClient) (address string, err error) {
	var who peer.Peer
	_, err = client.Check(ctx, &healthv1.HealthCheckRequest{}, grpc.Peer(&who))
	if err != nil {
		return "", err
	}
	return who.Addr.String(), nil
}

// askUntil makes calls until those of want, and no others, answered the last ones.
func askUntil(t *testing.T, client healthv1.HealthClient, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		seen := map[string]bool{}
		for range 2 * len(want) {
			if who, err := ask(ctx, client); err == nil {
				seen[who] = true
			}
		}
		all := len(seen) == len(want)
		for _, address := range want {
			all = all && seen[address]
		}
		if all {
			return
		}
	}
	t.Fatalf("the calls were never answered by %v alone", want)
}

func TestCallsAreSpreadOverTheReplicas(t *testing.T) {
	t.Parallel()
	one, _ := replica(t)
	two, _ := replica(t)
	askUntil(t, dial(t, one, two), one, two)
}

// The rest of a range of ports has nobody behind it.
func TestAReplicaThatIsNotThereCostsNoCall(t *testing.T) {
	t.Parallel()
	gone, stop := replica(t)
	stop()
	there, _ := replica(t)
	client := dial(t, gone, there)
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		who, err := ask(ctx, client)
		cancel()
		if err != nil || who != there {
			t.Fatalf("answered by %q, %v, want %s", who, err, there)
		}
	}
}

func TestCallsGoToWhoIsLeft(t *testing.T) {
	t.Parallel()
	one, stop := replica(t)
	two, _ := replica(t)
	client := dial(t, one, two)
	askUntil(t, client, one, two)
	stop()
	askUntil(t, client, two)
}

func TestOneAddressMayBeAHostName(t *testing.T) {
	t.Parallel()
	address, _ := replica(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if who, err := ask(ctx, dial(t, net.JoinHostPort("localhost", port))); err != nil || who != address {
		t.Errorf("answered by %q, %v, want %s", who, err, address)
	}
}

func TestWithoutAnAddress(t *testing.T) {
	t.Parallel()
	if conn, err := connect.To(nil); err == nil {
		t.Errorf("connected to %s", conn.Target())
	}
}
