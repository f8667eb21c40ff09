package clock_test

import (
	"sync"
	"testing"
	"time"

	"orderflow/internal/clock"
)

var start = time.UnixMilli(1_800_000_000_000).UTC()

// fired tells whether a timer has fired, and when.
func fired(c <-chan time.Time) (time.Time, bool) {
	select {
	case at := <-c:
		return at, true
	default:
		return time.Time{}, false
	}
}

// A manual clock moves when it is told to, and fires what is due then, not one
// nanosecond earlier.
func TestManual(t *testing.T) {
	t.Parallel()
	c := clock.NewManual(start)
	minute, hour := c.After(time.Minute), c.After(time.Hour)
	c.Advance(time.Minute - 1)
	if _, ok := fired(minute); ok || c.Waiting() != 2 {
		t.Errorf("fired early; %d are waiting", c.Waiting())
	}
	c.Advance(1)
	if at, ok := fired(minute); !ok || !at.Equal(start.Add(time.Minute)) {
		t.Errorf("fired %t at %s", ok, at)
	}
	if _, ok := fired(hour); ok || c.Waiting() != 1 {
		t.Errorf("the other one fired too; %d are waiting", c.Waiting())
	}
	c.Advance(100 * time.Hour)
	if at, ok := fired(hour); !ok || !at.Equal(c.Now()) || c.Waiting() != 0 {
		t.Errorf("fired %t at %s", ok, at)
	}
	if _, ok := fired(hour); ok {
		t.Error("fired twice")
	}
}

// A wait of no length is over at once, on both clocks.
func TestAfterNothing(t *testing.T) {
	t.Parallel()
	c := clock.NewManual(start)
	for _, d := range []time.Duration{0, -time.Second} {
		if at, ok := fired(c.After(d)); !ok || !at.Equal(start) || c.Waiting() != 0 {
			t.Errorf("%s: fired %t at %s", d, ok, at)
		}
		<-clock.System{}.After(d)
	}
}

// A timer that nobody reads holds nothing up.
func TestForgottenTimers(t *testing.T) {
	t.Parallel()
	c := clock.NewManual(start)
	for range 3 {
		c.After(time.Second)
	}
	c.Advance(time.Second)
	if n := c.Waiting(); n != 0 {
		t.Errorf("%d are waiting", n)
	}
}

// Many may wait, read and advance at once.
func TestManualInParallel(t *testing.T) {
	t.Parallel()
	c := clock.NewManual(start)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				<-c.After(time.Millisecond)
				_ = c.Now()
			}
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	for {
		select {
		case <-done:
			return
		default:
			c.Advance(time.Millisecond)
		}
	}
}

// The system's clock is that of the machine.
func TestSystem(t *testing.T) {
	t.Parallel()
	before := time.Now()
	now := clock.System{}.Now()
	if now.Before(before) || now.After(time.Now()) {
		t.Errorf("%s is not now", now)
	}
	if at := <-(clock.System{}).After(time.Millisecond); at.Sub(before) < time.Millisecond {
		t.Errorf("fired after %s", at.Sub(before))
	}
}

func TestAheadShowsTheMachinesTimeAndWhatItWasAdvancedBy(t *testing.T) {
	t.Parallel()
	c := clock.NewAhead()
	before := time.Now()
	c.Advance(time.Hour)
	if got := c.Now(); got.Before(before.Add(time.Hour)) || got.After(time.Now().Add(time.Hour)) {
		t.Errorf("Now = %v after an hour's push at %v", got, before)
	}
}

func TestAheadFiresWhatIsDueAndNothingElse(t *testing.T) {
	t.Parallel()
	c := clock.NewAhead()
	soon, later, atOnce := c.After(time.Minute), c.After(time.Hour), c.After(0)
	<-atOnce
	c.Advance(time.Minute)
	if at := <-soon; at.Before(time.Now().Add(time.Minute - time.Second)) {
		t.Errorf("the timer fired with %v, which is before it is due", at)
	}
	select {
	case at := <-later:
		t.Fatalf("the later timer fired at %v", at)
	default:
	}
	c.Advance(time.Hour)
	<-later
}

func TestAheadTimersAlsoFireByThemselves(t *testing.T) {
	t.Parallel()
	c := clock.NewAhead()
	begin := time.Now()
	pushed := c.After(time.Hour + 20*time.Millisecond)
	<-c.After(10 * time.Millisecond)
	if passed := time.Since(begin); passed < 10*time.Millisecond {
		t.Errorf("fired after %v", passed)
	}
	c.Advance(time.Hour) // what is left of it passes by itself
	<-pushed
	if passed := time.Since(begin); passed < 20*time.Millisecond {
		t.Errorf("fired after %v", passed)
	}
}
