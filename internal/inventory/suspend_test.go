package inventory_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/clock"
	"orderflow/internal/inventory"
)

// member is a consumer that can be suspended.
type member struct {
	mu        sync.Mutex
	suspended bool
	running   error         // what Suspend says of handlers that run
	hold      chan struct{} // Suspend waits for it, if there is one
	lag       int64
	lost      error // what Lag says instead
}

func (m *member) Suspend(context.Context) error {
	m.set(true)
	if m.hold != nil {
		<-m.hold
	}
	return m.running
}

func (m *member) Resume() { m.set(false) }

func (m *member) Lag(context.Context) (int64, error) { return m.lag, m.lost }

func (m *member) set(suspended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suspended = suspended
}

func (m *member) isSuspended() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.suspended
}

// operated are two consumers and the service that suspends them.
type operated struct {
	clock            *clock.Manual
	events, timeouts *member
	consumers        *inventory.Consumers
	api              inventoryv1.OperatorServiceServer
}

func newOperated(t *testing.T) *operated {
	o := &operated{clock: clock.NewManual(time.UnixMilli(1_700_000_000_000).UTC()), events: &member{lag: 7}, timeouts: &member{}}
	log := slog.New(slog.DiscardHandler)
	o.consumers = inventory.NewConsumers([]inventory.Member{
		{Group: "g1", Topic: "events", Consumer: o.events}, {Group: "g2", Topic: "timeouts", Consumer: o.timeouts},
	}, o.clock, log)
	o.api = inventory.NewOperatorGRPC(o.consumers, log)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); o.consumers.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return o
}

func (o *operated) suspend(ctx context.Context, d time.Duration) (*inventoryv1.ConsumersState, error) {
	out, err := o.api.SuspendConsumers(ctx, &inventoryv1.SuspendConsumersRequest{Duration: durationpb.New(d)})
	return out.GetState(), err
}

// expect checks how both consumers stand, and what the service says of it.
func (o *operated) expect(t *testing.T, suspended bool) *inventoryv1.ConsumersState {
	t.Helper()
	out, err := o.api.GetConsumers(t.Context(), &inventoryv1.GetConsumersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	s := out.GetState()
	if o.events.isSuspended() != suspended || o.timeouts.isSuspended() != suspended ||
		s.GetSuspended() != suspended || (s.GetSuspendedUntil() != nil) != suspended {
		t.Errorf("order events suspended: %t, timeouts: %t; the service says %v; want %t",
			o.events.isSuspended(), o.timeouts.isSuspended(), s, suspended)
	}
	return s
}

// What is wrong with a suspension is named, and nothing comes of it.
func TestBadSuspensions(t *testing.T) {
	t.Parallel()
	o := newOperated(t)
	for name, d := range map[string]*durationpb.Duration{
		"none":         nil,
		"nothing":      {},
		"negative":     durationpb.New(-time.Second),
		"too long":     durationpb.New(time.Hour + 1),
		"huge":         {Seconds: 1 << 62},
		"no duration":  {Seconds: 1, Nanos: -1},
		"too many ns":  {Seconds: 1, Nanos: 1_000_000_000},
		"a negative s": {Seconds: -1, Nanos: 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := o.api.SuspendConsumers(t.Context(), &inventoryv1.SuspendConsumersRequest{Duration: d})
			expectFields(t, err, "duration")
			o.expect(t, false)
		})
	}
}

func TestSuspendAndResumeByCall(t *testing.T) {
	t.Parallel()
	o := newOperated(t)
	begin := o.clock.Now()
	for range 2 { // twice is as once
		s, err := o.suspend(t.Context(), time.Hour)
		if err != nil || !s.GetSuspendedUntil().AsTime().Equal(begin.Add(time.Hour)) || len(s.GetConsumers()) != 2 {
			t.Fatalf("suspended: %v, %v", s, err)
		}
		o.expect(t, true)
	}
	for range 2 {
		if out, err := o.api.ResumeConsumers(t.Context(), &inventoryv1.ResumeConsumersRequest{}); err != nil || out.GetState().GetSuspended() {
			t.Fatalf("resumed: %v, %v", out, err)
		}
		o.expect(t, false)
	}
}

// Whoever suspends them has not to come back; and who does so meanwhile counts anew.
func TestConsumersResumeByThemselves(t *testing.T) {
	t.Parallel()
	o := newOperated(t)
	if _, err := o.suspend(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a timer", func() bool { return o.clock.Waiting() == 1 })
	o.clock.Advance(40 * time.Second)
	if _, err := o.suspend(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second timer", func() bool { return o.clock.Waiting() == 2 })
	o.clock.Advance(20 * time.Second) // that of the first call
	eventually(t, "the timer's end", func() bool { return o.clock.Waiting() == 1 })
	o.expect(t, true)
	o.clock.Advance(40*time.Second - 1)
	o.expect(t, true)
	o.clock.Advance(1)
	eventually(t, "the end of the suspension", func() bool { return o.consumers.Until().IsZero() })
	o.expect(t, false)
}

// Handlers that take too long are told about; the consumers are suspended all the same,
// and resume when their time has come.
func TestSuspendWhileHandlersRun(t *testing.T) {
	t.Parallel()
	o := newOperated(t)
	o.timeouts.running = errors.New("handlers are still running")
	_, err := o.suspend(t.Context(), time.Minute)
	expectStatus(t, err, codes.Unavailable, "HANDLERS_RUNNING")
	o.expect(t, true)
	o.timeouts.running = nil
	if _, err := o.suspend(t.Context(), time.Minute); err != nil {
		t.Errorf("repeated: %v", err)
	}
}

// One at a time: a call that comes while another one waits for handlers gives up with its
// caller, and changes nothing.
func TestSuspensionsTakeTurns(t *testing.T) {
	t.Parallel()
	o := newOperated(t)
	o.events.hold = make(chan struct{})
	first := make(chan error, 1)
	go func() {
		_, err := o.suspend(t.Context(), time.Minute)
		first <- err
	}()
	eventually(t, "the suspension", o.events.isSuspended)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.suspend(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("the second one: %v", err)
	}
	if _, err := o.api.ResumeConsumers(ctx, &inventoryv1.ResumeConsumersRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the resumption: %v", err)
	}
	close(o.events.hold)
	if err := <-first; err != nil || !o.consumers.Until().Equal(o.clock.Now().Add(time.Minute)) {
		t.Errorf("the first one: %v, until %s", err, o.consumers.Until())
	}
	o.expect(t, true)
}

// Whatever comes first, nobody is left suspended without an end.
func TestSuspendAndResumeSideBySide(t *testing.T) {
	t.Parallel()
	o := newOperated(t)
	for range 50 {
		parallel(t, 8, func(i int) error {
			if i%2 == 0 {
				return o.consumers.Resume(t.Context())
			}
			_, err := o.suspend(t.Context(), time.Minute)
			return err
		})
		o.expect(t, !o.consumers.Until().IsZero())
	}
}

func TestLagOfTheConsumers(t *testing.T) {
	t.Parallel()
	o := newOperated(t)
	o.timeouts.lost = errors.New("the broker is down")
	s := o.expect(t, false)
	first, second := s.GetConsumers()[0], s.GetConsumers()[1]
	if first.GetGroup() != "g1" || first.GetTopic() != "events" || first.Lag == nil || first.GetLag() != 7 {
		t.Errorf("order events: %v", first)
	}
	if second.GetGroup() != "g2" || second.Lag != nil {
		t.Errorf("timeouts: %v, want no lag", second)
	}
}
