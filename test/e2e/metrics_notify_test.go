package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
	"orderflow/internal/mq"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
	"orderflow/internal/notify"
	"orderflow/internal/telemetry"
)

// moody is a receiver of notifications that takes what it is not told to answer otherwise.
type moody struct {
	url string

	mu      sync.Mutex
	answers map[string]int           // HTTP status, by order id
	holds   map[string]chan struct{} // the answer waits until it is closed, by order id
}

func newMoody(t *testing.T) *moody {
	t.Helper()
	m := &moody{answers: map[string]int{}, holds: map[string]chan struct{}{}}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var told notify.Payload
	if err := json.NewDecoder(r.Body).Decode(&told); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	status, hold := m.answers[told.OrderID], m.holds[told.OrderID]
	m.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}
	w.WriteHeader(max(status, http.StatusOK))
}

func (m *moody) answer(orderID string, status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers[orderID] = status
}

// hold has the answers about the order wait for its release.
func (m *moody) hold(orderID string) (release func()) {
	held := make(chan struct{})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.holds[orderID] = held
	return sync.OnceFunc(func() { close(held) })
}

// disagree starts the notifier in a group of which a member consumes something else.
func (d *drill) disagree() {
	ctx, cancel := context.WithTimeout(d.t.Context(), startTimeout)
	defer cancel()
	group := notify.Group(d.prefix)
	_, err := d.admin.EnsureGroup(ctx, mq.GroupSpec{Name: group})
	d.must(err)
	other := mq.NewConsumer(mq.Client{
		NameServers: []string{d.nameServer}, Service: "e2e-other", Logger: slog.New(slog.DiscardHandler),
	}, mq.Subscription{
		Group: group, Topic: d.names.OrderEvents, Tags: []string{string(event.TagPaid)},
		Handler: func(context.Context, message.Message) error { return nil },
	})
	d.must(other.Start(ctx))

	secret := filepath.Join(d.t.TempDir(), "secret")
	d.must(os.WriteFile(secret, []byte(webhookSecret), 0o600))
	port, err := freePort(0)
	d.must(err)
	d.notifier = fmt.Sprintf("127.0.0.1:%d", port)
	started := make(chan error, 1)
	go func() {
		started <- d.embedded.StartNotify(ctx, "--admin-listen="+d.notifier,
			"--webhook-url="+d.webhook.url, "--webhook-secret-file="+secret)
	}()
	d.move("mq_subscription_conflict")
	d.must(other.Stop(ctx))
	d.must(<-started)
}

// refuseToTakeBack has the broker refuse to take messages back that the notifier could not
// handle: the first is one about an event that is being sent. The notifier gives up after
// some 20 seconds, in which the other scenes are played.
func (d *drill) refuseToTakeBack() {
	d.unable = d.fail(devbroker.Fault{
		Code: remoting.RequestSendBack, Group: notify.Group(d.prefix), Action: devbroker.Answer(remoting.ResponseGroupNotExist, "no such group"),
	})
	id := d.ghost()
	release := d.webhook.hold(id)
	defer release()
	d.tell(event.TagCreated, id)
	d.tell(event.TagCreated, id)
	d.move("notify_events_total", "outcome", "held")
}

// parkedAtLast waits for the end of that.
func (d *drill) parkedAtLast() {
	d.move("mq_messages_parked_total", "reason", mq.ReasonCannotSendBack)
	d.unable.Cancel()
}

// tell sends an event of an order that wants what there is not, as if it were order-srv.
func (d *drill) tell(tag event.Tag, id string) {
	d.t.Helper()
	d.inject(d.orderEvents(tag, d.of(id, d.sku("nothing"), 1)))
}

// of is an event of an order that ends in a day.
func (d *drill) of(id, sku string, quantity int64) *eventv1.OrderEvent {
	return orderEvent(id, d.now().Add(24*time.Hour), &eventv1.Line{Sku: sku, Quantity: quantity})
}

// trouble has notifications fail, refused, sent elsewhere, and not understood.
func (d *drill) trouble() {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusBadRequest, http.StatusFound} {
		id := d.ghost()
		d.webhook.answer(id, status)
		d.tell(event.TagCreated, id)
	}
	d.tell(event.TagClosed, d.ghost()) // without a reason
	for _, reason := range []string{notify.ReasonRefused, notify.ReasonRedirected, notify.ReasonUnknownCloseReason} {
		d.move("mq_messages_parked_total", "reason", reason)
	}
	d.move("notify_events_total", "outcome", "failed")
	d.moveBy(telemetry.PollInterval, "mq_consumer_lag_messages", "group", notify.Group(d.prefix))
}
