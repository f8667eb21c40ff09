package orderctl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"orderflow/internal/cli"
	"orderflow/internal/mq/devbroker"
)

// started is a command that runs until its context ends.
type started struct {
	t      *testing.T
	stop   context.CancelFunc
	code   chan int
	said   []string
	stderr bytes.Buffer
}

// launch runs orderctl until it has said the last line of its start.
func launch(t *testing.T, last string, args ...string) *started {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &started{t: t, stop: stop, code: make(chan int, 1)}
	reader, writer := io.Pipe()
	go func() {
		s.code <- Program().Main(ctx, args, cli.Output{Stdout: writer, Stderr: &s.stderr})
		_ = writer.Close()
	}()
	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		s.said = append(s.said, lines.Text())
		if strings.Contains(lines.Text(), last) {
			t.Cleanup(s.end)
			return s
		}
	}
	stop()
	t.Fatalf("it has ended with %d:\n%s\n%s", <-s.code, strings.Join(s.said, "\n"), s.stderr.String())
	return nil
}

// end stops it as Ctrl-C does.
func (s *started) end() {
	s.stop()
	if code := <-s.code; code != cli.ExitOK {
		s.t.Errorf("it ends with %d: %s", code, s.stderr.String())
	}
}

// find is what the expression's parentheses match in a line of what was said.
func (s *started) find(expression string) string {
	s.t.Helper()
	for _, line := range s.said {
		if found := regexp.MustCompile(expression).FindStringSubmatch(line); found != nil {
			return found[1]
		}
	}
	s.t.Fatalf("nothing matches %s:\n%s", expression, strings.Join(s.said, "\n"))
	return ""
}

// succeed runs another orderctl to its end, and returns what it says.
func succeed(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := run(t, args...)
	if code != cli.ExitOK {
		t.Fatalf("orderctl %s ends with %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// What the README tells one to try: an order in a system of one process, whose
// stock comes back when the clock is pushed.
func TestDevTakesOrdersAndItsClockCanBePushed(t *testing.T) {
	data := t.TempDir()
	args := []string{
		"dev", "--data", data, "--broker-listen=127.0.0.1:0", "--order-listen=127.0.0.1:0", "--order-admin=127.0.0.1:0",
		"--inventory-listen=127.0.0.1:0", "--inventory-admin=127.0.0.1:0", "--control-listen=127.0.0.1:0", "--log-level=error",
	}
	dev := launch(t, "ready", args...)
	inventory := "--inventory-service=" + dev.find(`^inventory-srv +gRPC ([^,]+),`)
	control := dev.find(`http://([^/]+)/broker`)
	succeed(t, "stock", "add", "apple", "10", inventory)
	succeed(t, "order", "create", "--customer=ann", "--currency=EUR", "--line=apple:2:150", "--order-service="+dev.find(`^order-srv +gRPC ([^,]+),`))
	waitStock(t, inventory, "8", "2")

	var broker devbroker.Snapshot
	response, err := http.Get("http://" + control + "/broker")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&broker); err != nil {
		t.Fatal(err)
	}
	if len(broker.Timers) != 1 || broker.Timers[0].Topic != "order-timeouts" {
		t.Errorf("timers %+v, want that of the order", broker.Timers)
	}

	before := time.Now()
	text := strings.TrimSpace(succeed(t, "clock", "advance", "30m", "--control="+control))
	if now, err := time.Parse(time.RFC3339Nano, text); err != nil || now.Before(before.Add(30*time.Minute)) {
		t.Errorf("the clock shows %q", text)
	}
	waitStock(t, inventory, "10", "0")
	dev.end()
	dev.code <- cli.ExitOK // for the clean-up

	again := launch(t, "ready", args...) // the data were kept
	waitStock(t, "--inventory-service="+again.find(`^inventory-srv +gRPC ([^,]+),`), "10", "0")
}

// waitStock waits until so many apples are available and reserved.
func waitStock(t *testing.T, inventory, available, reserved string) {
	t.Helper()
	want := regexp.MustCompile(`apple +` + available + ` +` + reserved + ` +`)
	deadline := time.Now().Add(20 * time.Second)
	for {
		table := succeed(t, "stock", "get", "apple", inventory)
		if want.MatchString(table) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("want %s available and %s reserved:\n%s", available, reserved, table)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestBrokerSaysWhereItListens(t *testing.T) {
	b := launch(t, "control", "broker", "--listen=127.0.0.1:0", "--control-listen=127.0.0.1:0", "--access-key=me", "--secret-key=pass")
	address := b.find(`^name server and broker +(\S+)$`)
	code, _, stderr := run(t, "mq", "init", "--name-servers="+address, "--timeout=2s")
	if code != cli.ExitFailed || !strings.Contains(stderr, "AccessKey") {
		t.Errorf("without credentials: %d, %s", code, stderr)
	}
}

func TestWrongFlagsOfTheEmbeddedBroker(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"broker", "--listen=:9876"},
		{"broker", "--listen=0.0.0.0:9876"},
		{"broker", "--listen=localhost:9876"},
		{"broker", "--listen=127.0.0.1:99999"},
		{"broker", "--delay-levels=1s 2y"},
		{"broker", "--max-checks=0"},
		{"broker", "--check-interval=0s"},
		{"broker", "--retention=1s"},
		{"broker", "--fsync=sometimes"},
		{"broker", "--access-key=me"},
		{"broker", "--tls-cert=cert.pem"},
		{"broker", "--control-listen=nowhere"},
		{"dev", "--broker-listen=127.0.0.1"},
		{"dev", "--control-listen=nowhere"},
		{"clock", "advance", "soon"},
		{"clock", "advance", "-1m"},
		{"clock", "advance", "1m", "--control=7000"},
	} {
		if code, _, stderr := run(t, args...); code != cli.ExitUsage {
			t.Errorf("%v ends with %d: %s", args, code, stderr)
		}
	}
}

func TestClockWithoutASystem(t *testing.T) {
	t.Parallel()
	code, _, stderr := run(t, "clock", "advance", "1m", "--control=127.0.0.1:1")
	if code != cli.ExitFailed || !strings.Contains(stderr, "127.0.0.1:1") {
		t.Errorf("it ends with %d: %s", code, stderr)
	}
}
