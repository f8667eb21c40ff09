package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/mq/message"
	"orderflow/internal/sweep"
)

const (
	// maxPosts is how often one Send tries.
	maxPosts = 3
	// firstPause is before the second try; each further one is twice as long.
	firstPause = 500 * time.Millisecond
	// maxAnswer is how much of an answer is read, and maxExcerpt how much of it an error
	// quotes.
	maxAnswer  = 4 << 10
	maxExcerpt = 200
	// maxAnswerHeader bounds the headers of an answer.
	maxAnswerHeader = 64 << 10
	// connectTimeout bounds connecting, and the TLS handshake.
	connectTimeout = 5 * time.Second
	// idleConnections are kept for later notifications, for idleTimeout.
	idleConnections = 2 * lanes
	idleTimeout     = time.Minute
)

// WebhookConfig says where a WebhookSender sends.
type WebhookConfig struct {
	URL     *url.URL      // see ParseWebhookURL
	Secrets []Secret      // each of them signs
	Timeout time.Duration // of one request, from the connection to the end of the answer

	// Clock is the machine's: receivers on other machines compare what it says with
	// theirs, and a request waits by it.
	Clock clock.Clock
}

// WebhookSender posts notifications to an HTTP endpoint, signed after the conventions of
// https://www.standardwebhooks.com. Besides their headers a request has Idempotency-Key,
// which is the event id again. It is safe for concurrent use.
type WebhookSender struct {
	config WebhookConfig
	client *http.Client

	mu        sync.Mutex
	restUntil time.Time // the receiver has asked to be left alone until then
}

// NewWebhookSender returns a sender.
func NewWebhookSender(c WebhookConfig) (*WebhookSender, error) {
	if c.URL == nil || len(c.Secrets) == 0 || c.Timeout <= 0 {
		return nil, errors.New("a webhook needs a URL, a secret and a timeout")
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout: connectTimeout, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
		DisableCompression:     true, // a small answer can unpack to a large one
	}
	return &WebhookSender{config: c, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// ParseWebhookURL reads the URL of an endpoint.
func ParseWebhookURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("must look like https://HOST/PATH")
	case u.User != nil:
		return nil, errors.New("must not have an account in it: notifications are signed")
	case u.Fragment != "":
		return nil, errors.New("must not have a fragment")
	}
	return u, nil
}

// Close closes the connections that wait for more.
func (w *WebhookSender) Close() { w.client.CloseIdleConnections() }

// Send posts the notification, up to three times if the receiver cannot take it at the
// moment, and as long as ctx leaves time for the pause before another try.
func (w *WebhookSender) Send(ctx context.Context, n Notification) error {
	var last error
	for posts := 0; ; posts++ {
		pause := w.rest()
		if posts > 0 {
			pause = max(pause, sweep.Backoff(firstPause, int64(posts-1)))
		}
		if !w.wait(ctx, pause) {
			return errors.Join(fmt.Errorf("no time is left for a try after %v", max(0, pause)), last)
		}
		last = w.post(ctx, n)
		if last == nil || isPermanent(last) || posts+1 == maxPosts {
			return last
		}
	}
}

// wait is false if ctx ends before the pause does: the broker brings the message again,
// without a handler that waits meanwhile.
func (w *WebhookSender) wait(ctx context.Context, pause time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	if pause <= 0 {
		return true
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-w.config.Clock.After(pause):
		return true
	}
}

// post sends one request and says what its answer means.
func (w *WebhookSender) post(ctx context.Context, n Notification) error {
	ctx, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.config.URL.String(), bytes.NewReader(n.Body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "orderflow-notify")
	request.Header.Set("Idempotency-Key", n.EventID)
	sign(request.Header, n, w.config.Clock.Now(), w.config.Secrets)
	response, err := w.client.Do(request)
	if err != nil {
		return fmt.Errorf("post to %s: %w", w.config.URL.Host, withoutURL(err))
	}
	// What is left of a body that is too long, or never ends, goes with its connection.
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // the status has said it
	_ = response.Body.Close()
	err = verdict(response.StatusCode, string(answer[:min(len(answer), maxExcerpt)]))
	if err != nil && !isPermanent(err) {
		w.restFor(restOf(response.Header, w.config.Clock.Now()))
	}
	return err
}

func isPermanent(err error) bool {
	var permanent *message.PermanentError
	return errors.As(err, &permanent)
}

// withoutURL takes the URL out of an error of the HTTP client: it may hold what only
// sender and receiver are to know, and errors are logged.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// rest is how long the receiver still wants to be left alone, by all notifications.
func (w *WebhookSender) rest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.restUntil.Sub(w.config.Clock.Now())
}

func (w *WebhookSender) restFor(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if until := w.config.Clock.Now().Add(d); d > 0 && until.After(w.restUntil) {
		w.restUntil = until
	}
}
