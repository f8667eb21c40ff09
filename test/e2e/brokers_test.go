package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"orderflow/internal/process"
)

// killableBroker is a broker that may be stopped and killed.
type killableBroker interface {
	nameServer() string
	pid() (int, error)
	// start starts it if it does not run, with what it had when it was killed.
	start(ctx context.Context) error
	// wipe deletes what it has stored; it must not run.
	wipe() error
	close(ctx context.Context) error
}

// newBroker starts a broker of the test's own, which ends with the test. The one
// that the other tests use is left alone.
func newBroker(t *testing.T, on stack) killableBroker { return newBrokerThatAsks(t, on, maxChecks) }

// newBrokerThatAsks starts one that gives a half message up after so many check-backs.
func newBrokerThatAsks(t *testing.T, on stack, checks int) killableBroker {
	t.Helper()
	b, err := makeBroker(t, on, checks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stackTimeout)
		defer cancel()
		if err := b.close(ctx); err != nil {
			t.Errorf("end the broker: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), stackTimeout)
	defer cancel()
	if err := b.start(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

func makeBroker(t *testing.T, on stack, checks int) (killableBroker, error) {
	if on == onReal {
		return newPrivateStack(t, checks)
	}
	return newBrokerProgram(filepath.Join(t.ArtifactDir(), "broker.log"), checks)
}

// signal sends a signal to the broker.
func signal(b killableBroker, s syscall.Signal) error {
	pid, err := b.pid()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, s)
}

// isStopped tells whether every thread of the broker is stopped: the signal needs a
// while to reach all of them.
func isStopped(b killableBroker) (bool, error) {
	pid, err := b.pid()
	if err != nil {
		return false, err
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false, err
	}
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		// The name before the state is in parentheses and may hold anything.
		if !strings.HasPrefix(string(text[bytes.LastIndexByte(text, ')')+1:]), " T") {
			return false, nil
		}
	}
	return true, nil
}

// brokerProgram is the embedded broker as a process, with its data on disk.
type brokerProgram struct {
	folder  string // of its data
	log     string
	address string
	checks  int              // after which a half message is given up
	process *process.Process // the last one
}

// newBrokerProgram makes a broker that does not run yet.
func newBrokerProgram(log string, checks int) (*brokerProgram, error) {
	folder, err := os.MkdirTemp(run.data, "broker-")
	if err != nil {
		return nil, err
	}
	port, err := freePort(0)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return &brokerProgram{folder: folder, log: log, address: address, checks: checks}, nil
}

// The settings of the brokers that the tests start, which are those of "make
// stack-up": short delays, and check-backs within seconds.
const (
	delayLevels   = "1s 5s 1s 1s 1s 2s 2s 2s 5s 5s 5s 10s 10s 10s 20s 3s 1m 10m"
	checkInterval = time.Second // also the age of a half message at its first check-back
	maxChecks     = 100_000
)

func (b *brokerProgram) start(ctx context.Context) error {
	if b.runs() {
		return nil
	}
	path, err := run.binary("orderctl")
	if err != nil {
		return err
	}
	b.process, err = process.Start(ctx, process.Spec{Path: path, LogFile: b.log, Args: []string{
		"broker", "--listen=" + b.address, "--data=" + b.folder, "--delay-levels=" + delayLevels,
		"--transaction-timeout=" + checkInterval.String(), "--check-interval=" + checkInterval.String(),
		"--max-checks=" + strconv.Itoa(b.checks), "--repeated-commits",
	}})
	return err
}

func (b *brokerProgram) runs() bool {
	if b.process == nil {
		return false
	}
	select {
	case <-b.process.Done():
		return false
	default:
		return true
	}
}

func (b *brokerProgram) nameServer() string { return b.address }

func (b *brokerProgram) pid() (int, error) {
	if !b.runs() {
		return 0, errors.New("the broker does not run")
	}
	return b.process.PID(), nil
}

func (b *brokerProgram) wipe() error { return os.RemoveAll(b.folder) }

func (b *brokerProgram) close(ctx context.Context) error {
	if !b.runs() {
		return nil
	}
	return b.process.Stop(ctx)
}

// sharedBroker is the broker that all tests on the programs share, where no test
// has one of its own.
type sharedBroker struct {
	once    sync.Once // of the first test that asks for it
	program *brokerProgram
	broken  error // why there is none
}

// get starts the broker at its first call and returns where it is.
func (s *sharedBroker) get(ctx context.Context) (*brokerProgram, error) {
	s.once.Do(func() {
		if s.program, s.broken = newBrokerProgram(filepath.Join(run.folder, "broker.log"), maxChecks); s.broken == nil {
			s.broken = s.program.start(context.WithoutCancel(ctx))
		}
	})
	return s.program, s.broken
}

func (s *sharedBroker) close(ctx context.Context) error {
	if s.program == nil {
		return nil
	}
	return s.program.close(ctx)
}

// freePort finds a port that is free together with its neighbours, below those
// that the system hands out by itself.
func freePort(neighbours ...int) (int, error) {
	for range 100 {
		port := 15000 + rand.IntN(15000)
		free := true
		for _, n := range neighbours {
			free = free && isFree(port+n)
		}
		if free {
			return port, nil
		}
	}
	return 0, errors.New("no free port found")
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}
