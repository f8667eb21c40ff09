package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
const stackTimeout = 3 * time.Minute

// realMaxChecks is after how many check-backs the RocketMQ of "make stack-up" gives up.
const realMaxChecks = 900

// privateStack is a RocketMQ of one test.
type privateStack struct {
	dir     string
	env     []string
	address string // of the name server
}

// newPrivateStack makes a private stack that does not run yet.
func newPrivateStack(t *testing.T, checks int) (*privateStack, error) {
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
		return nil, err
	}
	if err := linkFiles(jars, filepath.Join(dir, "jars", "rocketmq")); err != nil {
		return nil, err
	}
	var ports [3]int
	for i, neighbours := range [][]int{{0}, {-2, 0, 1}, {0}} {
		if ports[i], err = freePort(neighbours...); err != nil {
			return nil, err
		}
	}
	return &privateStack{
		dir: dir, address: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0])),
		env: []string{
			"STACK_DIR=" + dir, "STACK_MYSQL_DATA=", fmt.Sprintf("STACK_NAMESRV_PORT=%d", ports[0]),
			fmt.Sprintf("STACK_BROKER_PORT=%d", ports[1]), fmt.Sprintf("STACK_MYSQL_PORT=%d", ports[2]),
			// It lives for a minute: compiling well would take longer than it saves.
			"STACK_JAVA_FLAGS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
			fmt.Sprintf("STACK_TRANSACTION_CHECKS=%d", min(checks, realMaxChecks)),
		},
	}, nil
}

func (s *privateStack) nameServer() string { return s.address }

func (s *privateStack) wipe() error {
	return os.RemoveAll(filepath.Join(s.dir, "data", "rocketmq", "store"))
}

func (s *privateStack) start(ctx context.Context) error { return s.command(ctx, "up-rocketmq") }

// close stops and deletes it. What still runs can be found by its folder only, so
// that stays then.
func (s *privateStack) close(ctx context.Context) error {
	if err := s.command(ctx, "down"); err != nil {
		return fmt.Errorf("the stack in %s: %w", s.dir, err)
	}
	return os.RemoveAll(s.dir)
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

func (s *privateStack) pid() (int, error) {
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
