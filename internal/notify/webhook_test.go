package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orderflow/internal/mq/message"
)

// recordingClock is the machine's clock, whose waits end at once and are kept.
type recordingClock struct {
	mu    sync.Mutex
	ahead time.Duration
	waits []time.Duration
}

func (c *recordingClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *recordingClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	c.waits = append(c.waits, d)
	done := make(chan time.Time, 1)
	done <- time.Now()
	return done
}

// endpoint is a receiver: it answers each request with the next of its answers, and in the
// end always with the last one.
type endpoint struct {
	mu       sync.Mutex
	answers  []http.HandlerFunc
	requests []*http.Request
	bodies   []string
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	e.requests, e.bodies = append(e.requests, r), append(e.bodies, string(body))
	answer := e.answers[min(len(e.requests), len(e.answers))-1]
	e.mu.Unlock()
	answer(w, r)
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.requests)
}

// status answers with a status.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// hook serves an endpoint, and returns a sender to it.
func hook(t *testing.T, answers ...http.HandlerFunc) (*WebhookSender, *endpoint, *recordingClock) {
	t.Helper()
	e, clk := &endpoint{answers: answers}, &recordingClock{}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return senderTo(t, server.URL+"/hook?token=hidden", clk), e, clk
}

func senderTo(t *testing.T, address string, clk *recordingClock) *WebhookSender {
	t.Helper()
	u, err := ParseWebhookURL(address)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWebhookSender(WebhookConfig{URL: u, Secrets: mustSecrets(t, exampleSecret), Timeout: 10 * time.Second, Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

var sample = Notification{"0197a1b2-0000-7000-8000-000000000001/created", []byte(`{"event_id":"x"}`)}

func TestWebhookRequest(t *testing.T) {
	t.Parallel()
	w, e, _ := hook(t, status(204))
	if err := w.Send(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	r := e.requests[0]
	if r.Method != "POST" || r.URL.String() != "/hook?token=hidden" || r.Header.Get("Content-Type") != "application/json" ||
		r.Header.Get("Idempotency-Key") != sample.EventID || e.bodies[0] != string(sample.Body) {
		t.Errorf("%s %s %v %s", r.Method, r.URL, r.Header, e.bodies[0])
	}
	if id, err := Verify(r.Header, []byte(e.bodies[0]), time.Now(), mustSecrets(t, exampleSecret)...); id != sample.EventID || err != nil {
		t.Errorf("Verify: %q, %v", id, err)
	}
}

// Each answer, and how often is tried at once.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]struct {
		posts  int
		reason string // of a permanent error
		fails  bool
	}{
		200: {1, "", false}, 202: {1, "", false}, 299: {1, "", false},
		301: {1, ReasonRedirected, true}, 302: {1, ReasonRedirected, true}, 304: {1, ReasonRedirected, true}, 307: {1, ReasonRedirected, true}, 308: {1, ReasonRedirected, true},
		400: {1, ReasonRefused, true}, 401: {1, ReasonRefused, true}, 403: {1, ReasonRefused, true}, 404: {1, ReasonRefused, true},
		410: {1, ReasonRefused, true}, 413: {1, ReasonRefused, true}, 422: {1, ReasonRefused, true}, 451: {1, ReasonRefused, true},
		408: {maxPosts, "", true}, 409: {maxPosts, "", true}, 425: {maxPosts, "", true}, 429: {maxPosts, "", true},
		500: {maxPosts, "", true}, 501: {maxPosts, "", true}, 502: {maxPosts, "", true}, 503: {maxPosts, "", true}, 504: {maxPosts, "", true}, 599: {maxPosts, "", true},
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			w, e, _ := hook(t, status(code))
			err := w.Send(t.Context(), sample)
			var permanent *message.PermanentError
			reason := ""
			if errors.As(err, &permanent) {
				reason = permanent.Reason
			}
			if e.count() != want.posts || reason != want.reason || (err != nil) != want.fails {
				t.Errorf("%d requests, reason %q, %v", e.count(), reason, err)
			}
		})
	}
}

// A receiver that recovers gets the same notification again: the same id and body, and a
// time and signature of its own.
func TestRetry(t *testing.T) {
	t.Parallel()
	w, e, clk := hook(t, status(500), status(503), status(200))
	if err := w.Send(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	if len(clk.waits) != 2 || clk.waits[0] < firstPause*3/4 || clk.waits[1] < firstPause*2*3/4 || clk.waits[1] > firstPause*2*5/4 {
		t.Errorf("it waits %v", clk.waits)
	}
	first, last := e.requests[0], e.requests[2]
	if first.Header.Get(HeaderID) != last.Header.Get(HeaderID) || e.bodies[0] != e.bodies[2] || first.Header.Get(HeaderTimestamp) == last.Header.Get(HeaderTimestamp) {
		t.Errorf("%v, then %v", first.Header, last.Header)
	}
	if _, err := Verify(last.Header, []byte(e.bodies[2]), clk.Now(), mustSecrets(t, exampleSecret)...); err != nil {
		t.Error(err)
	}
}

// A receiver that asks to be left alone is, by all notifications; there is no waiting that
// ctx leaves no time for.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	busy := func(value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(429)
		}
	}
	asked, _, waited := hook(t, busy("7"), status(200))
	if err := asked.Send(t.Context(), sample); err != nil || len(waited.waits) != 1 || waited.waits[0] < 2*time.Second || waited.waits[0] > 7*time.Second {
		t.Errorf("%v, it waits %v", err, waited.waits)
	}

	w, e, clk := hook(t, busy("600"), status(200))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 3 { // the first is asked to wait, and the others do not even ask
		if err := w.Send(ctx, sample); err == nil || e.count() != 1 || len(clk.waits) > 0 {
			t.Errorf("%v, %d requests, it waits %v", err, e.count(), clk.waits)
		}
	}
	clk.ahead = 601 * time.Second
	if err := w.Send(ctx, sample); err != nil || e.count() != 2 {
		t.Errorf("%v, %d requests", err, e.count())
	}
}

func TestRestOf(t *testing.T) {
	t.Parallel()
	now := time.Unix(exampleSeconds, 0)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "soon": 0, "12": 12 * time.Second, "999999999": maxRest, "99999999999999999999": 0, "-9223372036854775808": 0,
		now.Add(time.Minute).UTC().Format(http.TimeFormat):      time.Minute,
		now.Add(-time.Minute).UTC().Format(http.TimeFormat):     0,
		now.Add(9999 * time.Hour).UTC().Format(http.TimeFormat): maxRest,
	} {
		if got := restOf(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// A redirect is not followed, wherever it leads: the body has a customer in it.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 302, 303, 307, 308} {
		_, elsewhere, _ := hook(t, status(200))
		server := httptest.NewServer(elsewhere)
		t.Cleanup(server.Close)
		w, e, _ := hook(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, server.URL, code) })
		if err := w.Send(t.Context(), sample); err == nil || e.count() != 1 || elsewhere.count() != 0 {
			t.Errorf("%d: %v, %d requests, and %d elsewhere", code, err, e.count(), elsewhere.count())
		}
	}
}

// Of an answer without end only its beginning is read, and quoted; an endless yes is a yes.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	const buffered = 64 << 20 // more than lies between sender and receiver
	flood := func(code int) (http.HandlerFunc, chan int) {
		ended := make(chan int, maxPosts)
		return func(w http.ResponseWriter, r *http.Request) {
			written := 0
			defer func() { ended <- written }()
			w.WriteHeader(code)
			for block := strings.Repeat("no! ", 4096); written < buffered; {
				n, err := io.WriteString(w, block)
				if written += n; err != nil {
					return
				}
			}
		}, ended
	}
	for code, fails := range map[int]bool{200: false, 400: true} {
		answer, ended := flood(code)
		w, _, _ := hook(t, answer)
		err := w.Send(t.Context(), sample)
		if (err != nil) != fails || err != nil && (len(err.Error()) > 500 || !strings.Contains(err.Error(), `"no! no!`)) {
			t.Errorf("%d: %v", code, err)
		}
		select {
		case written := <-ended: // the connection is gone
			if written >= buffered {
				t.Errorf("%d: it was read to the end", code)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%d: it still reads", code)
		}
	}
}

// A receiver that does not answer in time is tried again, and errors do not show the URL.
func TestSlowReceiver(t *testing.T) {
	t.Parallel()
	w, _, clk := hook(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	w.config.Timeout = 20 * time.Millisecond
	err := w.Send(t.Context(), sample)
	if !errors.Is(err, context.DeadlineExceeded) || isPermanent(err) || len(clk.waits) != maxPosts-1 {
		t.Errorf("%v, it waits %v", err, clk.waits)
	}
	if strings.Contains(err.Error(), "hidden") {
		t.Errorf("the error shows the URL: %v", err)
	}
}

// What ends while it waits or sends ends soon, as something that is tried again.
func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	w, e, _ := hook(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	if err := w.Send(ctx, sample); !errors.Is(err, context.Canceled) || isPermanent(err) || e.count() != 1 {
		t.Errorf("%v after %d requests", err, e.count())
	}
	if err := w.Send(ctx, sample); err == nil || isPermanent(err) || e.count() != 1 {
		t.Errorf("%v after %d requests", err, e.count())
	}
}

// Nobody there, a connection that is cut, an answer that is not HTTP: tried again.
func TestNetworkErrors(t *testing.T) {
	t.Parallel()
	cut := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	garbage := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, "SSH-2.0-x\r\n\r\n")
			_ = conn.Close()
		}
	}
	cutter, _, _ := hook(t, cut)
	talker, _, _ := hook(t, garbage)
	for name, w := range map[string]*WebhookSender{"nobody": senderTo(t, "http://127.0.0.1:1/hidden", &recordingClock{}), "cut": cutter, "garbage": talker} {
		if err := w.Send(t.Context(), sample); err == nil || isPermanent(err) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWebhookURLs(t *testing.T) {
	t.Parallel()
	good := []string{"https://example.com/hook?x=1", "http://127.0.0.1:8080", "http://[::1]/"}
	for _, text := range append([]string{
		"", "example.com/hook", "ftp://example.com", "https://", "https:///hook", "https://me:secret@example.com/", "https://example.com/#x", "http://a b", "javascript:alert(1)",
	}, good...) {
		if _, err := ParseWebhookURL(text); (err == nil) != slices.Contains(good, text) {
			t.Errorf("%q: %v", text, err)
		} else if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows the password: %v", text, err)
		}
	}
	if _, err := NewWebhookSender(WebhookConfig{}); err == nil {
		t.Error("a sender without anything")
	}
}
