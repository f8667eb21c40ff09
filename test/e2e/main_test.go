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
	"testing"
	"time"

	"orderflow/internal/mq"
)

// The environment variables that say where the real parts are.
const (
	variableNameServer = "ORDERFLOW_TEST_NAMESRV"
	variableMySQL      = "ORDERFLOW_TEST_MYSQL"
)

// parallelTests is how many tests run at once: they wait most of the time.
const parallelTests = "10"

// suite is what all tests of one run have in common.
type suite struct {
	nameServer string
	mysql      string
	binaries   string // folder with the programs
	prefix     string // of every topic and database of this run

	mu         sync.Mutex
	systems    int // how many were made
	sharedOnce sync.Once
	shared     *deployment // made by the first test that asks for it
	broken     error       // why there is no shared one
}

// run is the one run of this process; TestMain sets it up.
var run suite

func TestMain(m *testing.M) {
	flag.Parse()
	mq.UseLogger(slog.New(slog.DiscardHandler))
	os.Exit(testMain(m))
}

func testMain(m *testing.M) (code int) {
	run.nameServer, run.mysql = os.Getenv(variableNameServer), os.Getenv(variableMySQL)
	run.prefix = "e2e-" + strings.ToLower(rand.Text()[:6])
	if run.nameServer == "" || run.mysql == "" {
		return m.Run() // every test skips
	}
	if err := run.build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(run.binaries) }()
	if !isSet("test.parallel") {
		_ = flag.Set("test.parallel", parallelTests)
	}
	code = m.Run()
	if err := run.close(); err != nil {
		fmt.Fprintln(os.Stderr, "the shared system:", err)
		code = max(code, 1)
	}
	return code
}

func isSet(name string) bool {
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// build builds the programs.
func (s *suite) build() (err error) {
	if s.binaries, err = os.MkdirTemp("", "orderflow-e2e-"); err != nil {
		return fmt.Errorf("make a folder for the programs: %w", err)
	}
	build := exec.Command("go", "build", "-o", s.binaries,
		"orderflow/cmd/order-srv", "orderflow/cmd/inventory-srv", "orderflow/cmd/orderctl")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, output)
	}
	return nil
}

// binary is the path of a program.
func (s *suite) binary(name string) string { return filepath.Join(s.binaries, name) }

// nextName names a new system: short, and unlike any of another run.
func (s *suite) nextName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.systems++
	return fmt.Sprintf("%s-%d-", s.prefix, s.systems)
}

// close stops what the tests shared.
func (s *suite) close() error {
	if s.shared == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(s.shared.close(ctx), os.RemoveAll(s.shared.logs))
}

// needReal skips the test if the broker or the database is not there.
func needReal(t *testing.T) {
	t.Helper()
	for variable, value := range map[string]string{variableNameServer: run.nameServer, variableMySQL: run.mysql} {
		if value == "" {
			t.Skipf("%s is not set; see doc.go", variable)
		}
	}
}
