package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// repository is the root of the checkout, as seen from the tests' folder.
const repository = "../.."

// variableJars names the folder with RocketMQ's jars, if it is not that of this
// checkout's stack.
const variableJars = "ORDERFLOW_TEST_ROCKETMQ_JARS"

// stackTimeout is how long one command of the stack may take: it starts three
// servers on a machine that is busy with other tests.
const stackTimeout = 100 * time.Second

// privateStack is a RocketMQ of one test, which may be stopped and killed. The
// one that the other tests use is left alone.
type privateStack struct {
	dir        string
	env        []string
	nameServer string
}

// newStack starts a private stack; it is stopped and deleted with the test.
func newStack(t *testing.T) *privateStack {
	t.Helper()
	jars := os.Getenv(variableJars)
	if jars == "" {
		jars = filepath.Join(repository, ".stack", "jars", "rocketmq")
	}
	if _, err := os.Stat(filepath.Join(jars, "pom.xml")); err != nil {
		t.Skipf("no jars of RocketMQ: run \"make stack-up\" once, or set %s", variableJars)
	}
	// Not t.TempDir: the path of a socket in it must be short.
	dir, err := os.MkdirTemp("", "e2e-stack-")
	if err != nil {
		t.Fatal(err)
	}
	s := &privateStack{dir: dir}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stackTimeout)
		defer cancel()
		// What still runs can be found by its folder only, so that stays then.
		if err := s.command(ctx, "down"); err != nil {
			t.Errorf("end the private stack in %s: %v", dir, err)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := linkFiles(jars, filepath.Join(dir, "jars", "rocketmq")); err != nil {
		t.Fatal(err)
	}
	nameServer, broker, mysql := freePort(t, 0), freePort(t, -2, 0, 1), freePort(t, 0)
	s.nameServer = net.JoinHostPort("127.0.0.1", strconv.Itoa(nameServer))
	s.env = []string{
		"STACK_DIR=" + dir, fmt.Sprintf("STACK_NAMESRV_PORT=%d", nameServer),
		fmt.Sprintf("STACK_BROKER_PORT=%d", broker), fmt.Sprintf("STACK_MYSQL_PORT=%d", mysql),
	}
	s.up(t)
	return s
}

// up starts what does not run.
func (s *privateStack) up(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stackTimeout)
	defer cancel()
	if err := s.command(ctx, "up"); err != nil {
		t.Fatal(err)
	}
}

func (s *privateStack) command(ctx context.Context, what string) error {
	cmd := exec.CommandContext(ctx, "bash", "deploy/stack/stack.sh", what)
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), s.env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("stack.sh %s: %w\n%s", what, err, output)
	}
	return nil
}

// signalBroker sends a signal to the broker of this stack.
func (s *privateStack) signalBroker(signal syscall.Signal) error {
	pid, err := s.brokerPID()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, signal)
}

// brokerHas tells whether every thread of the broker is in the state, a letter of
// /proc/PID/stat: a signal needs a while to reach all of them.
func (s *privateStack) brokerHas(state string) (bool, error) {
	pid, err := s.brokerPID()
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
		// The name before it is in parentheses and may hold anything.
		if !strings.HasPrefix(string(text[bytes.LastIndexByte(text, ')')+1:]), " "+state) {
			return false, nil
		}
	}
	return true, nil
}

func (s *privateStack) brokerPID() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "run", "broker.pid"))
	if err != nil {
		return 0, err
	}
	word, _, _ := strings.Cut(string(text), " ")
	pid, err := strconv.Atoi(word)
	if err != nil {
		return 0, fmt.Errorf("broker.pid: %w", err)
	}
	// The number may be another process's by now: its command line names the stack.
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(line), s.dir+"/broker") {
		return 0, fmt.Errorf("process %d is not the broker of %s: %w", pid, s.dir, err)
	}
	return pid, nil
}

// linkFiles makes a folder with a link to every file of another one.
func linkFiles(from, to string) error {
	from, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.Symlink(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// freePort finds a port that is free together with its neighbours, below those
// that the system hands out by itself.
func freePort(t *testing.T, neighbours ...int) int {
	t.Helper()
	for range 100 {
		port := 15000 + rand.IntN(15000)
		free := true
		for _, n := range neighbours {
			free = free && isFree(port+n)
		}
		if free {
			return port
		}
	}
	t.Fatal("no free port found")
	return 0
}

func isFree(port int) bool {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}
