package orderctl

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/cli"
)

// changes is where a stream of changes goes.
type changes = grpc.ServerStreamingServer[orderv1.WatchOrderResponse]

func (s *services) WatchOrder(in *orderv1.WatchOrderRequest, stream changes) error {
	s.last = in
	if s.watch == nil {
		return s.err
	}
	return s.watch(in, stream)
}

// send sends the versions of an order that is paid with its third.
func send(stream changes, versions ...int64) error {
	for _, v := range versions {
		change := &orderv1.WatchOrderResponse{Version: v, Status: orderv1.OrderStatus(v), Cause: orderv1.Cause_CAUSE_LATE_EVENT}
		if err := stream.Send(change); err != nil {
			return err
		}
	}
	return nil
}

// unavailable is what a service says that comes back in a moment.
func unavailable(t *testing.T) error {
	st, err := status.New(codes.Unavailable, "draining").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

func TestWatchEndsWithTheOrder(t *testing.T) {
	s := &services{watch: func(_ *orderv1.WatchOrderRequest, stream changes) error { return send(stream, 3, 4) }}
	serve(t, s)
	code, stdout, stderr := run(t, "order", "watch", "the-order", "--after-version=2")
	lines := strings.Split(squeeze(stdout), "\n")
	if code != cli.ExitOK || stderr != "" || len(lines) != 4 {
		t.Fatalf("exit code %d, %s\n%s", code, stderr, stdout)
	}
	for i, want := range []string{"TIME VERSION STATUS STOCK EXPIRES BY", "- 3 PAID - never late event", "- 4 CLOSED (-) - never late event"} {
		if lines[i] != want {
			t.Errorf("line %q, want %q", lines[i], want)
		}
	}
	if in := s.last.(*orderv1.WatchOrderRequest); in.GetOrderId() != "the-order" || in.GetAfterVersion() != 2 {
		t.Errorf("asked for %v", in)
	}
}

func TestWatchIsResumedBehindTheLastVersion(t *testing.T) {
	var asked []int64
	s := &services{watch: func(in *orderv1.WatchOrderRequest, stream changes) error {
		asked = append(asked, in.GetAfterVersion())
		switch len(asked) {
		case 1:
			return errorAfter(send(stream, 1, 2), unavailable(t))
		case 2, 3: // it is not back yet
			return unavailable(t)
		default:
			return send(stream, 3)
		}
	}}
	serve(t, s)
	code, stdout, stderr := run(t, "order", "watch", "the-order", "-o", "json")
	if code != cli.ExitOK || strings.Count(stderr, "the stream broke behind version 2: Unavailable: draining") != 1 {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	var versions []string
	for line := range strings.Lines(stdout) {
		var change struct{ Version, Status string }
		if err := json.Unmarshal([]byte(line), &change); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		versions = append(versions, change.Version+" "+strings.TrimPrefix(change.Status, "ORDER_STATUS_"))
	}
	if got := strings.Join(versions, ", "); got != "1 PLACED, 2 RESERVED, 3 PAID" {
		t.Errorf("shown: %s", got)
	}
	for i, want := range []int64{0, 2, 2, 2} {
		if i >= len(asked) || asked[i] != want {
			t.Fatalf("asked behind versions %v", asked)
		}
	}
}

func errorAfter(err, then error) error {
	if err != nil {
		return err
	}
	return then
}

func TestWatchGivesUp(t *testing.T) {
	tries := 0
	for name, test := range map[string]struct {
		watch func(*orderv1.WatchOrderRequest, changes) error
		want  string
	}{
		"what does not come back": {
			func(*orderv1.WatchOrderRequest, changes) error { tries++; return unavailable(t) }, "orderctl: Unavailable: draining\n",
		},
		"what is no outage": {
			func(_ *orderv1.WatchOrderRequest, stream changes) error {
				return errorAfter(send(stream, 1), status.Error(codes.ResourceExhausted, "too many streams"))
			}, "orderctl: ResourceExhausted: too many streams\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, &services{watch: test.watch})
			code, _, stderr := run(t, "order", "watch", "the-order", "--timeout=350ms")
			if code != cli.ExitFailed || !strings.Contains(stderr, test.want) {
				t.Errorf("exit code %d, %s", code, stderr)
			}
		})
	}
	if tries < 2 {
		t.Errorf("%d tries, want more than one", tries)
	}
}

func TestWatchWithoutAService(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := run(t, "order", "watch", "x", "--order-service=127.0.0.1:1", "--timeout=10m")
	if code != cli.ExitFailed || stdout != "" || !strings.Contains(stderr, "the service does not answer") || strings.Contains(stderr, "broke") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestWatchEndsWellByCtrlC(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	serve(t, &services{watch: func(_ *orderv1.WatchOrderRequest, stream changes) error {
		stop()
		<-stream.Context().Done()
		return stream.Context().Err()
	}})
	var out, stderr strings.Builder
	if code := Program().Main(ctx, []string{"order", "watch", "x"}, cli.Output{Stdout: &out, Stderr: &stderr}); code != cli.ExitOK || stderr.String() != "" {
		t.Errorf("exit code %d, %s", code, stderr.String())
	}
}
