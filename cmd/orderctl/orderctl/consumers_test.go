package orderctl

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/cli"
)

// replica is the OperatorService of one inventory-srv.
type replica struct {
	inventoryv1.UnimplementedOperatorServiceServer
	address string
	err     error
	asked   *durationpb.Duration
	until   *timestamppb.Timestamp
}

func (r *replica) state() *inventoryv1.ConsumersState {
	lag := int64(7)
	return &inventoryv1.ConsumersState{Suspended: r.until != nil, SuspendedUntil: r.until, Consumers: []*inventoryv1.Consumer{
		{Group: "g", Topic: "events", Lag: &lag}, {Group: "h", Topic: "timeouts"},
	}}
}

func (r *replica) SuspendConsumers(_ context.Context, in *inventoryv1.SuspendConsumersRequest) (*inventoryv1.SuspendConsumersResponse, error) {
	r.asked, r.until = in.GetDuration(), timestamppb.New(time.UnixMilli(1_700_000_000_000))
	return &inventoryv1.SuspendConsumersResponse{State: r.state()}, r.err
}

func (r *replica) ResumeConsumers(context.Context, *inventoryv1.ResumeConsumersRequest) (*inventoryv1.ResumeConsumersResponse, error) {
	r.until = nil
	return &inventoryv1.ResumeConsumersResponse{State: r.state()}, r.err
}

func (r *replica) GetConsumers(context.Context, *inventoryv1.GetConsumersRequest) (*inventoryv1.GetConsumersResponse, error) {
	return &inventoryv1.GetConsumersResponse{State: r.state()}, r.err
}

// twoReplicas serves two and points orderctl at both.
func twoReplicas(t *testing.T) (first, second *replica) {
	t.Helper()
	var all [2]*replica
	for i := range all {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		all[i] = &replica{address: listener.Addr().String()}
		server := grpc.NewServer()
		inventoryv1.RegisterOperatorServiceServer(server, all[i])
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		t.Cleanup(func() {
			server.Stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
	t.Setenv("ORDERCTL_INVENTORY_SERVICE", all[0].address+","+all[1].address)
	return all[0], all[1]
}

func TestConsumersOfAllReplicas(t *testing.T) {
	first, second := twoReplicas(t)
	code, stdout, stderr := run(t, "consumers", "suspend", "--for=5m")
	if code != cli.ExitOK || first.asked.AsDuration() != 5*time.Minute || second.asked.AsDuration() != 5*time.Minute {
		t.Fatalf("exit code %d, %s; asked for %v and %v", code, stderr, first.asked, second.asked)
	}
	if !strings.Contains(stderr, "replicas suspended: 2; any other one goes on") {
		t.Errorf("it does not say what others do: %q", stderr)
	}
	until := first.until.AsTime().Local().Format(time.RFC3339)
	table := squeeze(stdout)
	for _, r := range []*replica{first, second} {
		for _, row := range []string{r.address + " g events 7 " + until, r.address + " h timeouts - " + until} {
			if !strings.Contains(table, row+"\n") {
				t.Errorf("%q is not in\n%s", row, stdout)
			}
		}
	}
	if code, _, stderr := run(t, "consumers", "resume"); code != cli.ExitOK || first.until != nil || second.until != nil {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	_, stdout, _ = run(t, "consumers", "status", "-o", "json")
	var states map[string]struct {
		Suspended bool
		Consumers []struct{ Group, Lag string }
	}
	if err := json.Unmarshal([]byte(stdout), &states); err != nil || len(states) != 2 || states[first.address].Consumers[0].Lag != "7" {
		t.Errorf("%v in %s", err, stdout)
	}
}

// What one replica says is shown, and which one has failed.
func TestConsumersOfAReplicaThatFails(t *testing.T) {
	first, second := twoReplicas(t)
	second.err = apierror.Unavailable("consumers", nil)
	code, stdout, stderr := run(t, "consumers", "suspend", "--for=1s")
	if code != cli.ExitFailed || !strings.Contains(stdout, first.address) || strings.Contains(stdout, second.address) ||
		!strings.Contains(stderr, "inventory-srv at "+second.address+": Unavailable (TEMPORARILY_UNAVAILABLE)") ||
		!strings.Contains(stderr, "repeat the call in 1s") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// The same replica by several names is asked once.
func TestConsumersOfOneReplicaTwice(t *testing.T) {
	first, _ := twoReplicas(t)
	_, port, _ := strings.Cut(first.address, ":")
	code, stdout, stderr := run(t, "consumers", "status", "--inventory-service=localhost:"+port+","+first.address)
	if code != cli.ExitOK || strings.Count(stdout, " events ") != 1 {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}

func TestConsumersUsageErrors(t *testing.T) {
	for _, args := range [][]string{
		{"suspend"}, {"suspend", "--for=0s"}, {"suspend", "--for=-1s"}, {"suspend", "--for=61m"}, {"suspend", "--for=long"},
		{"status", "--inventory-service="}, {"status", "--inventory-service=a:1,b"}, {"resume", "--timeout=0s"},
	} {
		if code, _, stderr := run(t, append([]string{"consumers"}, args...)...); code != cli.ExitUsage {
			t.Errorf("%v: exit code %d, want %d: %s", args, code, cli.ExitUsage, stderr)
		}
	}
}
