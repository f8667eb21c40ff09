package orderctl

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orderflow/internal/cli"
	"orderflow/internal/notify"
)

const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// customer is a receiver of webhooks, which keeps what is signed.
type customer struct {
	t       *testing.T
	url     string
	secrets string // a file

	mu   sync.Mutex
	told []notify.Payload
}

func newCustomer(t *testing.T) *customer {
	t.Helper()
	c := &customer{t: t, secrets: filepath.Join(t.TempDir(), "secret")}
	if err := os.WriteFile(c.secrets, []byte(webhookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL + "/hook"
	return c
}

func (c *customer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secrets, err := notify.ParseSecrets(webhookSecret)
	if err != nil {
		c.t.Error(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender has gone, and comes again
	}
	id, err := notify.Verify(r.Header, body, time.Now(), secrets...)
	var p notify.Payload
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil || p.EventID != id {
		c.t.Errorf("%q, %v: %s", id, err, body)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, p)
}

// heard is what was told of an order, with the reason, sorted; "" is any order.
func (c *customer) heard(orderID string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, p := range c.told {
		if orderID == "" || p.OrderID == orderID {
			all = append(all, strings.TrimSpace(p.Type+" "+p.CustomerID+" "+p.CloseReason))
		}
	}
	slices.Sort(all)
	return all
}

// wait waits until that was told of an order.
func (c *customer) wait(orderID string, want ...string) {
	c.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !slices.Equal(c.heard(orderID), want) {
		if time.Now().After(deadline) {
			c.t.Fatalf("the customer was told %v, want %v", c.heard(orderID), want)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// devArgs run a system at free ports.
func devArgs(more ...string) []string {
	return append([]string{
		"dev", "--broker-listen=127.0.0.1:0", "--order-listen=127.0.0.1:0", "--order-admin=127.0.0.1:0", "--log-level=error",
		"--inventory-listen=127.0.0.1:0", "--inventory-admin=127.0.0.1:0", "--control-listen=127.0.0.1:0", "--notify-listen=127.0.0.1:0",
	}, more...)
}

// place places an order of Ann's for two apples, and returns its id.
func (s *started) place(t *testing.T, more ...string) string {
	t.Helper()
	var answer struct {
		Order struct{ OrderID string }
	}
	text := succeed(t, append([]string{
		"order", "create", "--customer=ann", "--currency=EUR", "--line=apple:2:150", "-o", "json", "--order-service=" + s.orderService(),
	}, more...)...)
	if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Order.OrderID == "" {
		t.Fatalf("%v in %s", err, text)
	}
	return answer.Order.OrderID
}

func (s *started) orderService() string     { return s.find(`^order-srv +gRPC ([^,]+),`) }
func (s *started) inventoryService() string { return s.find(`^inventory-srv +gRPC ([^,]+),`) }

// quit ends it before the test does.
func (s *started) quit() {
	s.end()
	s.code <- cli.ExitOK // for the clean-up
}

// An order that nobody pays: its customer is told that it was placed and that it was
// closed, each once, by messages whose time is that of the customer's clock, though the
// system's was pushed.
func TestDevNotifies(t *testing.T) {
	c := newCustomer(t)
	dev := launch(t, "ready", devArgs("--data", t.TempDir(),
		"--notify-admin=127.0.0.1:0", "--notify-webhook-url", c.url, "--notify-webhook-secret-file", c.secrets)...)
	inventory := "--inventory-service=" + dev.inventoryService()
	succeed(t, "stock", "add", "apple", "10", inventory)
	order := dev.place(t)
	c.wait(order, "order.created ann")
	waitStock(t, inventory, "8", "2")
	succeed(t, "clock", "advance", "30m", "--control="+dev.find(`http://([^/]+)/broker`))
	c.wait(order, "order.closed ann TIMEOUT", "order.created ann")
	waitStock(t, inventory, "10", "0")
	text := metricsOf(t, dev.find(`^notify .*http://(\S+)`))
	for _, line := range []string{`notify_events_total{outcome="sent",tag="created"} 1`, `notify_events_total{outcome="sent",tag="closed"} 1`} {
		if !strings.Contains(text, line) {
			t.Errorf("%s is not among the metrics", line)
		}
	}
	succeed(t, "parked", "list", "--service=notify", "--notify-service="+dev.find(`^notify .*gRPC ([^,\s]+)`))
	dev.quit()
	c.wait("", "order.closed ann TIMEOUT", "order.created ann") // and nothing else
}

func metricsOf(t *testing.T, admin string) string {
	t.Helper()
	response, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A notifier that joins a system from outside, which was not told of it: it hears what
// happened before, too, and, ended and started anew, does not say it again.
func TestNotifyJoinsARunningSystem(t *testing.T) {
	c := newCustomer(t)
	dev := launch(t, "ready", devArgs()...)
	inventory, control := "--inventory-service="+dev.inventoryService(), "--control="+dev.find(`http://([^/]+)/broker`)
	succeed(t, "stock", "add", "apple", "10", inventory)
	first := dev.place(t)
	waitStock(t, inventory, "8", "2")
	succeed(t, "clock", "advance", "30m", control)
	waitStock(t, inventory, "10", "0")
	args := []string{
		"notify", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--name-servers=" + dev.find(`^broker +(\S+)`),
		"--database-url=sqlite:" + filepath.Join(t.TempDir(), "notify.db"), "--webhook-url", c.url, "--log-level=error",
	}
	t.Setenv("ORDERCTL_WEBHOOK_SECRET", webhookSecret)
	notifier := launch(t, "notify", args...)
	c.wait(first, "order.closed ann TIMEOUT", "order.created ann")
	notifier.quit()

	second := dev.place(t) // while nobody listens
	waitStock(t, inventory, "8", "2")
	again := launch(t, "notify", args...)
	c.wait(second, "order.created ann")
	succeed(t, "clock", "advance", "30m", control)
	c.wait(second, "order.closed ann TIMEOUT", "order.created ann")
	again.quit()
	c.wait(first, "order.closed ann TIMEOUT", "order.created ann")
}

// Without a webhook the notifier writes to its log.
func TestNotifyToTheLog(t *testing.T) {
	dev := launch(t, "ready", devArgs("--notify", "--notify-admin=127.0.0.1:0", "--log-level=info")...)
	order := dev.place(t)
	for deadline := time.Now().Add(time.Minute); ; {
		if strings.Contains(metricsOf(t, dev.find(`^notify .*http://(\S+)`)), `notify_events_total{outcome="sent",tag="created"} 1`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody is told")
		}
		<-time.After(10 * time.Millisecond)
	}
	dev.quit()
	for _, text := range []string{`"msg":"notification"`, `"event_id":"` + order + `/created"`, `"type":"order.created"`} {
		if !strings.Contains(dev.stderr.String(), text) {
			t.Errorf("%s is not in the log", text)
		}
	}
}

func TestWrongFlagsOfNotify(t *testing.T) {
	t.Chdir(t.TempDir()) // the database is made when its name is checked
	for _, args := range [][]string{
		{"notify"},
		{"notify", "--database-url=x"},
		{"notify", "--database-url=sqlite:x.db", "--webhook-url=example.com"},
		{"notify", "--database-url=sqlite:x.db", "--webhook-timeout=0s"},
		{"notify", "--database-url=sqlite:x.db", "--webhook-timeout=31s"},
		{"notify", "--database-url=sqlite:x.db", "--send-timeout=1h"},
		{"notify", "--database-url=sqlite:x.db", "--consumer-concurrency=0"},
		{"notify", "--database-url=sqlite:x.db", "--listen=7003"},
		{"notify", "--database-url=sqlite:x.db", "--admin-listen=x:y"},
		{"notify", "--database-url=sqlite:x.db", "--webhook-secret-file=secret"},
		{"dev", "--notify-webhook-url=ftp://example.com"},
		{"dev", "--notify-webhook-secret-file=secret"},
	} {
		code, _, stderr := run(t, args...)
		if last, _, _ := strings.Cut(args[len(args)-1], "="); code != cli.ExitUsage || strings.HasPrefix(last, "--") && !strings.Contains(stderr, last) {
			t.Errorf("%v ends with %d: %s", args, code, stderr)
		}
	}
}

// A webhook without a secret, or with one that is none, is refused at the start; what is
// wrong is named, and the secret is not shown.
func TestNotifyNeedsASecret(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(wrong, []byte("whsec_hidden"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"notify", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-level=error",
		"--database-url=sqlite:" + filepath.Join(t.TempDir(), "notify.db"), "--webhook-url=https://example.com/hook",
	}
	for _, more := range []string{"", "--webhook-secret-file=" + wrong, "--webhook-secret-file=/nowhere"} {
		code, _, stderr := run(t, append(slices.Clone(args), strings.Fields(more)...)...)
		if code != cli.ExitUsage || !strings.Contains(stderr, "--webhook-secret-file") || strings.Contains(stderr, "hidden") {
			t.Errorf("%q: ends with %d: %s", more, code, stderr)
		}
	}
	code, stdout, stderr := run(t, devArgs("--notify-webhook-url=https://example.com/hook")...)
	if code != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, "--notify-webhook-secret-file") {
		t.Errorf("dev ends with %d: %s", code, stderr)
	}
}
