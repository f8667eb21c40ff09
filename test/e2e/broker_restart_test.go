package e2e

import (
	"testing"
)

// The broker is restarted under load, twice; one that is a process is killed. What
// it has acknowledged is there, and nothing is done twice.
func TestTheBrokerIsRestartedUnderLoad(t *testing.T) {
	onStacks(t, needs{aQuickRestart}, func(t *testing.T, on stack) {
		var s *system
		var restart func()
		if on == onEmbedded {
			s = newDeployment(t, on, plan{keepsData: true})
			restart = func() { s.must(s.embedded.Broker().Restart()) }
		} else {
			broker := newBroker(t, on)
			s = newDeployment(t, on, plan{broker: broker})
			restart = func() {
				s.killBroker(broker)
				s.startBroker(broker)
			}
		}
		s.startBoth()
		tea := s.stocked("tea", 1_000_000)
		load := s.startLoad(tea)
		for range 2 {
			load.waitAcknowledged(load.acknowledged.Load() + 50)
			restart()
		}
		load.waitAcknowledged(load.acknowledged.Load() + 50)
		load.stop()
		t.Logf("%d orders acknowledged, %d calls refused", load.acknowledged.Load(), load.refused.Load())
		s.eventually(recovery, s.unsettled)
		s.audit()
		if n := s.count("SELECT COUNT(*) FROM {inventory}.reservations WHERE version <> 1 OR status <> 1"); n > 0 {
			t.Errorf("%d reservations are not what one reservation leaves", n)
		}
	})
}
