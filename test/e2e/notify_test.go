package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"orderflow/internal/crashpoint"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/notify"
	"orderflow/internal/process"
)

const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver takes the notifications that are signed and keeps them.
type receiver struct {
	t   *testing.T
	url string

	mu   sync.Mutex
	told []notify.Notification
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	secrets, err := notify.ParseSecrets(webhookSecret)
	if err != nil {
		r.t.Error(err)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // it was killed
	}
	id, err := notify.Verify(request.Header, body, time.Now(), secrets...)
	if err != nil {
		r.t.Errorf("%v: %v", request.Header, err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, notify.Notification{EventID: id, Body: body})
}

// heard is what was sent so far, and the different events of it, sorted.
func (r *receiver) heard() (all []notify.Notification, events []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.told {
		events = append(events, n.EventID)
	}
	slices.Sort(events)
	return slices.Clone(r.told), slices.Compact(events)
}

// A notifier dies when the receiver has taken a notification and nobody knows it. Two that
// take over send that one again, the same under the same id, and everything else once. The
// services were never told that there are notifiers.
func TestANotifierIsKilledAfterItHasSent(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := newSystem(t, on)
		r := newReceiver(t)
		start := s.notifiers(on, r)
		dying := start(kills(crashpoint.NotifyAfterSend))
		tea := s.stocked("tea", 10)
		o := s.place(expiring, line(tea, 4))
		ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
		defer cancel()
		_, err := dying.Ended(ctx)
		s.must(err)
		s.waitClosed(o, timedOut)

		successors := []*process.Process{start(), start()}
		want := []string{o.GetOrderId() + "/closed", o.GetOrderId() + "/created"}
		s.eventually(waitTimeout, func() string {
			if _, events := r.heard(); !slices.Equal(events, want) {
				return fmt.Sprintf("the customer was told %v, want %v", events, want)
			}
			return ""
		})
		// The one that was told first comes again when its lease is over.
		s.eventually(waitTimeout, func() string {
			if all, _ := r.heard(); len(all) < 3 {
				return "it has not come again"
			}
			return ""
		})
		s.waitLag(notify.Group(s.prefix), s.names.OrderEvents)
		for _, p := range successors {
			s.must(p.Stop(ctx))
		}
		all, events := r.heard()
		if len(all) != 3 || !slices.Equal(events, want) {
			t.Fatalf("the customer was told %d times of %v", len(all), events)
		}
		first := all[0]
		if i := slices.IndexFunc(all[1:], func(n notify.Notification) bool { return n.EventID == first.EventID }); i < 0 || string(all[i+1].Body) != string(first.Body) {
			t.Errorf("told first %s, and then %v", first.Body, all[1:])
		}
		s.waitStock(tea, 10, 0, 0)
		s.audit()
	})
}

// notifiers returns what starts notifiers of the system, as processes on every stack, with
// a database of their own.
func (s *system) notifiers(on stack, r *receiver) func(more ...string) *process.Process {
	s.t.Helper()
	url := "sqlite:" + filepath.Join(s.t.TempDir(), "notify.db")
	if on == onReal {
		url = databasetest.CreateMySQL(s.t)
		s.closing(func(ctx context.Context) error { return s.admin.DeleteGroup(ctx, notify.Group(s.prefix)) })
	}
	secret := filepath.Join(s.t.TempDir(), "secret")
	s.must(os.WriteFile(secret, []byte(webhookSecret), 0o600))
	path, err := run.binary("orderctl")
	s.must(err)
	number := 0
	return func(more ...string) *process.Process {
		number++
		p, err := process.Start(s.t.Context(), process.Spec{
			Path: path, LogFile: filepath.Join(s.logs, fmt.Sprintf("notify-%d.log", number)),
			Args: append([]string{
				"notify", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--database-url=" + url,
				"--name-servers=" + s.nameServer, "--topic-prefix=" + s.prefix,
				"--webhook-url=" + r.url, "--webhook-secret-file=" + secret, "--webhook-timeout=5s", "--send-timeout=5s",
			}, more...),
		})
		s.must(err)
		s.t.Cleanup(func() { p.Kill() }) // if the test has not ended it
		return p
	}
}
