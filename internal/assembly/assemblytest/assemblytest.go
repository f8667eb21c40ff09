// Package assemblytest runs an assembled service in a test, and reads what it
// says of itself.
package assemblytest

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Nowhere is an address where nothing listens.
const Nowhere = "127.0.0.1:1"

// App is an assembled service.
type App interface {
	Run(ctx context.Context) error
	AdminAddr() string
}

// Start runs the service; stop ends it as SIGTERM does and returns what Run did.
func Start(t *testing.T, app App) (stop func() error) {
	t.Helper()
	ctx, sigterm := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- app.Run(ctx) }()
	return func() error {
		sigterm()
		select {
		case err := <-result:
			return err
		case <-time.After(30 * time.Second):
			t.Fatal("the service does not stop")
			return nil
		}
	}
}

// Readyz is what /readyz answers.
func Readyz(t *testing.T, app App) (code int, text string) {
	t.Helper()
	resp, err := http.Get("http://" + app.AdminAddr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(body))
}

// AwaitReadyz waits until what /readyz says is as wanted.
func AwaitReadyz(t *testing.T, app App, wanted func(text string) bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		_, text := Readyz(t, app)
		if wanted(text) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("readyz says %q", text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// OnLoopback fails if one of the addresses can be reached from another machine.
func OnLoopback(t *testing.T, addresses ...string) {
	t.Helper()
	for _, address := range addresses {
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			t.Errorf("%q is not on loopback", address)
		}
	}
}
