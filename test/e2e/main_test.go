package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"orderflow/internal/database/databasetest"
	"orderflow/internal/mq"
	"orderflow/internal/mq/realbroker"
)

// How many tests run at once: they wait most of the time, but each has up to four
// services, and with the real parts a MariaDB and a RocketMQ share the machine.
const (
	parallelTests     = "10"
	parallelRealTests = "6"
)

// suite is what all tests of one run have in common.
type suite struct {
	nameServer string
	mysql      string
	prefix     string // of every topic and database of this run
	folder     string // of programs and logs; goes with the run
	data       string // of databases and brokers; goes with the run

	build  func() error // the programs, at the first call
	shared map[stack]*sharedDeployment
	broker sharedBroker

	mu      sync.Mutex
	systems int // how many were made
}

// run is the one run of this process; TestMain sets it up.
var run suite

func TestMain(m *testing.M) {
	flag.Parse()
	mq.UseLogger(slog.New(slog.DiscardHandler))
	os.Exit(testMain(m))
}

func testMain(m *testing.M) (code int) {
	folder, err := os.MkdirTemp("", "orderflow-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	data, err := os.MkdirTemp(quickFolder(), "orderflow-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(data) }()
	run.folder, run.data = folder, data
	run.nameServer, run.mysql = os.Getenv(realbroker.Variable), os.Getenv(databasetest.Variable)
	run.prefix = "e2e-" + strings.ToLower(rand.Text()[:6])
	run.build = sync.OnceValue(func() error { return buildPrograms(folder) })
	run.shared = map[stack]*sharedDeployment{}
	for _, on := range stacks() {
		run.shared[on] = &sharedDeployment{}
	}
	if !isSet("test.parallel") {
		most := parallelTests
		if run.missing(onReal) == "" {
			most = parallelRealTests
		}
		_ = flag.Set("test.parallel", most)
	}
	code = m.Run()
	if err := run.close(); err != nil {
		fmt.Fprintln(os.Stderr, "what the tests shared:", err)
		code = max(code, 1)
	}
	return code
}

// quickFolder is where files are written fastest: in memory, if there is room. The
// tests kill processes and never the machine, so nothing of theirs needs a disk.
func quickFolder() string {
	const memory, room = "/dev/shm", 1 << 30
	var s syscall.Statfs_t
	if syscall.Statfs(memory, &s) == nil && s.Bavail*uint64(s.Bsize) > room {
		return memory
	}
	return os.TempDir()
}

func isSet(name string) bool {
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// missing says why tests cannot run on the stack; "" if they can.
func (s *suite) missing(on stack) string {
	if on != onReal {
		return ""
	}
	for variable, value := range map[string]string{realbroker.Variable: s.nameServer, databasetest.Variable: s.mysql} {
		if value == "" {
			return variable + " is not set; see doc.go"
		}
	}
	return ""
}

// buildPrograms builds the programs into a folder.
func buildPrograms(folder string) error {
	build := exec.Command("go", "build", "-o", folder,
		"orderflow/cmd/order-srv", "orderflow/cmd/inventory-srv", "orderflow/cmd/orderctl")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, output)
	}
	return nil
}

// binary is the path of a program, which is built if it was not yet.
func (s *suite) binary(name string) (string, error) {
	return filepath.Join(s.folder, name), s.build()
}

// nextName names a new system: short, and unlike any of another run.
func (s *suite) nextName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.systems++
	return fmt.Sprintf("%s-%d-", s.prefix, s.systems)
}

// close stops what the tests shared.
func (s *suite) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var errs []error
	for _, on := range stacks() {
		errs = append(errs, s.shared[on].close(ctx))
	}
	return errors.Join(append(errs, s.broker.close(ctx))...)
}
