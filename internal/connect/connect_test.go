package connect_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"

	"orderflow/internal/connect"
	"orderflow/internal/connect/connecttest"
)

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
	one, two := connecttest.NewReplica(t).Address, connecttest.NewReplica(t).Address
	askUntil(t, dial(t, one, two), one, two)
}

// The rest of a range of ports has nobody behind it.
func TestAReplicaThatIsNotThereCostsNoCall(t *testing.T) {
	t.Parallel()
	gone, there := connecttest.NewReplica(t), connecttest.NewReplica(t).Address
	gone.Stop()
	client := dial(t, gone.Address, there)
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
	one, two := connecttest.NewReplica(t), connecttest.NewReplica(t)
	client := dial(t, one.Address, two.Address)
	askUntil(t, client, one.Address, two.Address)
	one.Stop()
	askUntil(t, client, two.Address)
}

func TestOneAddressMayBeAHostName(t *testing.T) {
	t.Parallel()
	address := connecttest.NewReplica(t).Address
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
