package e2e

import (
	"slices"
	"testing"
)

// stack is what the services run on.
type stack string

const (
	// onEmbedded is all in this process: the embedded broker and both services, on
	// SQLite, with one clock that can be pushed.
	onEmbedded stack = "embedded"
	// onPrograms is the programs: both services and the embedded broker, each a
	// process, on SQLite.
	onPrograms stack = "programs"
	// onReal is both services as programs on Apache RocketMQ and MariaDB.
	onReal stack = "real"
)

// stacks are all of them, the cheapest one first.
func stacks() []stack { return []stack{onEmbedded, onPrograms, onReal} }

// need is what a test needs of a stack and not every stack has. Its text says why
// the test does not run on the others.
type need string

// needs are all needs of a test: it runs on the stacks that have everything. The
// zero value is a test that runs on every stack.
type needs []need

const (
	aProcessToKill   need = "services that can be killed: those of this stack are in the test's own process"
	manyReplicas     need = "two processes of one service: this stack runs one of each"
	anUnreadyService need = "services that run before they can be ready: this stack prepares everything, and waits for them"
	aBrokerToKill    need = "a broker that can be stopped, killed and started again: this one is in the test's own process"
	aQuickRestart    need = "a broker that is restarted within a second: a RocketMQ takes half a minute, and T17 restarts one"
	aDatabaseToCut   need = "a database behind a connection that can be cut: SQLite has no connection"
	aFailingBroker   need = "a broker that fails where and when it is told to: nobody can tell this one"
	singleDelivery   need = "a broker that delivers an event once: a busy RocketMQ commits a half message anew with each late check-back"
	aClockToPush     need = "one clock of all parts that can be pushed: each process has its own"
)

// has tells whether the stack has what a test needs.
func (on stack) has(n need) bool {
	switch n {
	case aProcessToKill, manyReplicas, anUnreadyService, aBrokerToKill:
		return on != onEmbedded
	case aQuickRestart:
		return on != onReal
	case aFailingBroker, aClockToPush, singleDelivery:
		return on == onEmbedded
	case aDatabaseToCut:
		return on == onReal
	default:
		return false
	}
}

// onStacks runs a test on every stack that has what it needs, each time as a
// subtest that is named after the stack, and logs why the others were left out.
func onStacks(t *testing.T, n needs, test func(t *testing.T, on stack)) {
	t.Helper()
	t.Parallel()
	for _, on := range stacks() {
		if i := slices.IndexFunc(n, func(n need) bool { return !on.has(n) }); i >= 0 {
			t.Logf("not on %s: the test needs %s", on, n[i])
			continue
		}
		t.Run(string(on), func(t *testing.T) {
			t.Parallel()
			if missing := run.missing(on); missing != "" {
				t.Skip(missing)
			}
			if on != onEmbedded { // before any time limit begins
				if err := run.build(); err != nil {
					t.Fatal(err)
				}
			}
			test(t, on)
		})
	}
}
