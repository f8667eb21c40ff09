// Package mqtest is the conformance suite of the brokers that this module runs on:
// one list of cases for the embedded devbroker and for Apache RocketMQ 5.3.3. The
// real broker is the oracle: whatever a case asserts was seen there first, and a
// comment says so where it is surprising.
//
// The cases speak through package mq where it offers what they need, and through
// frames of their own for what shows only on the wire: codes, fields, offsets.
// Each uses topics and groups of its own, so that a broker may have other users.
package mqtest

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"testing"
	"time"

	"orderflow/internal/mq"
)

// Endpoint is a broker under test. Its delay levels 1, 3, 4 and 16 must be 1 to 3
// seconds long, 2 and 17 at least 4 seconds longer than the ones before them, and
// its last one minutes. It must check back a half message after about a second and
// once a second, and it must create neither topics nor groups by itself.
type Endpoint struct {
	// NameServer is the address of its name server, HOST:PORT.
	NameServer string
	// Advance pushes the broker's clock; nil if it cannot be pushed, and then the
	// few cases that need much time wait for it.
	Advance func(time.Duration)
	// Credentials sign what the cases send; the zero value is none.
	Credentials mq.Credentials
	// TLS is how to connect to it; nil means plain TCP. Cases that need the stock
	// client, which knows no TLS, are skipped with it.
	TLS *tls.Config
}

// Features says what the broker under test does not do. The zero value stands for
// a broker that does everything.
type Features struct {
	// Without maps the names of cases to the reason why they are not run.
	Without map[string]string
}

// testCase is one entry of the list.
type testCase struct {
	name string // area/what, stable: people look for it in tables
	run  func(*scene)
	// patient marks a case that takes a minute where the clock cannot be pushed.
	// Where it can, it is pushed while no other case runs.
	patient bool
}

const (
	// atOnce is how many cases run at a time. They mostly wait.
	atOnce = 20
	// caseTimeout is how long a case may take on a busy machine. A client whose questions
	// a busy broker leaves unanswered asks again 20 seconds later, once or twice.
	caseTimeout = 90 * time.Second
	// patientTimeout is the same for a patient one.
	patientTimeout = 2 * time.Minute
)

// Run runs all cases as subtests of t, many at a time, and returns when they have
// ended.
func Run(t *testing.T, f Features, e Endpoint) {
	t.Helper()
	for name := range f.Without {
		if !slices.ContainsFunc(cases, func(c testCase) bool { return c.name == name }) {
			t.Errorf("Features name the case %q, which does not exist", name)
		}
	}
	target := lookUp(t, e)
	alone := func(c testCase) bool { return c.patient && e.Advance != nil }
	// Not t.Parallel: its limit is the number of processors, and these wait.
	var running sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for _, c := range cases {
		if alone(c) {
			continue
		}
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			t.Run(c.name, func(t *testing.T) { runCase(t, f, target, c) })
		})
	}
	running.Wait()
	for _, c := range cases {
		if alone(c) {
			t.Run(c.name, func(t *testing.T) { runCase(t, f, target, c) })
		}
	}
}

func runCase(t *testing.T, f Features, target target, c testCase) {
	if why, off := f.Without[c.name]; off {
		t.Skip(why)
	}
	timeout := caseTimeout
	if c.patient {
		timeout = patientTimeout
	}
	// What is cleaned up needs it, too: the test's own ends before.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), timeout)
	t.Cleanup(cancel)
	c.run(newScene(ctx, t, target))
}
