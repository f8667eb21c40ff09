package orderctl

import (
	"context"
	"encoding/json"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/cli"
)

// drawer is the ParkedService of one service, with one message.
type drawer struct {
	parkedv1.UnimplementedParkedServiceServer
	id   string
	err  error // of every call
	last proto.Message
}

func (d *drawer) message(asked string, in proto.Message) (*parkedv1.ParkedMessage, error) {
	if d.err != nil {
		return nil, d.err
	}
	if asked != d.id {
		return nil, apierror.NotFound("PARKED_NOT_FOUND", "there is no parked message %s", asked)
	}
	d.last = in
	return &parkedv1.ParkedMessage{
		Id: d.id, Group: "the-group", Tag: "created", OrderId: "the-order", Reason: "BAD_BODY", Detail: "two\nlines", Times: 3, Attempt: 2,
		Body: []byte("\x1b[31mred\xff"), Properties: map[string]string{"b": "2", "a": "1"},
	}, nil
}

func (d *drawer) ListParked(_ context.Context, in *parkedv1.ListParkedRequest) (*parkedv1.ListParkedResponse, error) {
	m, err := d.message(d.id, in)
	return &parkedv1.ListParkedResponse{Messages: []*parkedv1.ParkedMessage{m}, NextPageToken: "next-" + d.id}, err
}

func (d *drawer) GetParked(_ context.Context, in *parkedv1.GetParkedRequest) (*parkedv1.GetParkedResponse, error) {
	m, err := d.message(in.GetId(), in)
	return &parkedv1.GetParkedResponse{Message: m}, err
}

func (d *drawer) ReplayParked(_ context.Context, in *parkedv1.ReplayParkedRequest) (*parkedv1.ReplayParkedResponse, error) {
	m, err := d.message(in.GetId(), in)
	return &parkedv1.ReplayParkedResponse{Message: m}, err
}

func (d *drawer) DiscardParked(_ context.Context, in *parkedv1.DiscardParkedRequest) (*parkedv1.DiscardParkedResponse, error) {
	m, err := d.message(in.GetId(), in)
	return &parkedv1.DiscardParkedResponse{Message: m}, err
}

// drawers serves both services' parked messages and points orderctl at them.
func drawers(t *testing.T) (order, inventory *drawer) {
	t.Helper()
	order, inventory = &drawer{id: "of-order"}, &drawer{id: "of-inventory"}
	for variable, d := range map[string]*drawer{"ORDERCTL_ORDER_SERVICE": order, "ORDERCTL_INVENTORY_SERVICE": inventory} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer()
		parkedv1.RegisterParkedServiceServer(server, d)
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		t.Cleanup(func() {
			server.Stop()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
		t.Setenv(variable, listener.Addr().String())
	}
	return order, inventory
}

// The command finds out at which service a message is parked.
func TestParkedCommandsFindTheService(t *testing.T) {
	blanks := regexp.MustCompile(` +`)
	for _, test := range []struct {
		args []string
		want proto.Message // the request that inventory-srv gets
		show []string
	}{
		{
			[]string{"list", "--group=g", "--reason=R", "--order=o", "--limit=7"},
			&parkedv1.ListParkedRequest{Group: "g", Reason: "R", OrderId: "o", PageSize: 7},
			[]string{"order of-order the-group created the-order BAD_BODY 3 -", "inventory of-inventory ", "more: --service=order --page-token=next-of-order"},
		},
		{
			[]string{"list", "--service=inventory", "--page-token=x"},
			&parkedv1.ListParkedRequest{PageSize: 50, PageToken: "x"}, []string{"inventory of-inventory"},
		},
		{
			[]string{"show", "of-inventory"}, &parkedv1.GetParkedRequest{Id: "of-inventory"},
			[]string{"service inventory", "detail two lines", "attempt 2", "header a=1\nheader b=2", "[31mred\uFFFD"},
		},
		{
			[]string{"replay", "of-inventory"}, &parkedv1.ReplayParkedRequest{Id: "of-inventory"},
			[]string{"now replayed, and removed", "service inventory"},
		},
		{
			[]string{"discard", "of-inventory", "--why=a test"}, &parkedv1.DiscardParkedRequest{Id: "of-inventory", Reason: "a test"},
			[]string{"now discarded"},
		},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			order, inventory := drawers(t)
			code, stdout, stderr := run(t, append([]string{"parked"}, test.args...)...)
			if code != cli.ExitOK {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			if diff := cmp.Diff(test.want, inventory.last, protocmp.Transform()); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			if strings.Contains(stdout, "\x1b") {
				t.Error("a message speaks to the terminal")
			}
			if test.args[0] != "list" && order.last != nil {
				t.Errorf("order-srv got %v", order.last)
			}
			table := blanks.ReplaceAllString(stdout, " ")
			for _, text := range test.show {
				if !strings.Contains(table, text) {
					t.Errorf("%q is not in\n%s", text, stdout)
				}
			}
		})
	}
}

func TestParkedAsJSON(t *testing.T) {
	drawers(t)
	_, stdout, _ := run(t, "parked", "list", "-o", "json")
	var lists map[string]struct {
		Messages      []struct{ ID string }
		NextPageToken string
	}
	if err := json.Unmarshal([]byte(stdout), &lists); err != nil || len(lists) != 2 || lists["inventory"].Messages[0].ID != "of-inventory" ||
		lists["order"].NextPageToken != "next-of-order" {
		t.Errorf("%v in %s", err, stdout)
	}
	_, stdout, _ = run(t, "parked", "show", "of-order", "-o", "json")
	var one struct {
		Service string
		Message struct{ ID string }
	}
	if err := json.Unmarshal([]byte(stdout), &one); err != nil || one.Service != "order" || one.Message.ID != "of-order" {
		t.Errorf("%v in %s", err, stdout)
	}
}

// A service that does not answer hides neither what the other one has nor that it may
// have the message.
func TestParkedWithOneServiceDown(t *testing.T) {
	order, inventory := drawers(t)
	order.err = apierror.Unavailable("database", nil)
	code, stdout, stderr := run(t, "parked", "list")
	if code != cli.ExitFailed || !strings.Contains(stdout, "of-inventory") || !strings.Contains(stderr, "database is not available") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	code, _, stderr = run(t, "parked", "show", "of-order")
	if code != cli.ExitFailed || !strings.Contains(stderr, "database is not available") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	if code, _, stderr = run(t, "parked", "replay", "of-inventory"); code != cli.ExitOK {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	order.err, inventory.last = nil, nil
	code, _, stderr = run(t, "parked", "discard", "nowhere", "--why=x")
	if code != cli.ExitFailed || !strings.Contains(stderr, "PARKED_NOT_FOUND") || inventory.last != nil {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

func TestParkedUsageErrors(t *testing.T) {
	for _, args := range [][]string{
		{"list", "--limit=0"}, {"list", "--limit=501"}, {"list", "--page-token=x"}, {"list", "--service=both", "--page-token=x"},
		{"list", "--service=payment"}, {"show"}, {"replay"}, {"discard", "x"}, {"list", "--order-service=nowhere"},
		{"show", "x", "--inventory-service=:1"},
	} {
		if code, _, stderr := run(t, append([]string{"parked"}, args...)...); code != cli.ExitUsage {
			t.Errorf("%v: exit code %d, want %d: %s", args, code, cli.ExitUsage, stderr)
		}
	}
}
