package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/notify"
)

// A receiver: it verifies before it believes anything, knows an event that comes again by
// its id, and answers soon.
func ExampleVerify() {
	secrets, err := notify.ParseSecrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	var known sync.Map // in a database, beside what the event leads to
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil {
			http.Error(w, "too much", http.StatusRequestEntityTooLarge)
			return
		}
		id, err := notify.Verify(r.Header, body, time.Now(), secrets...)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if _, again := known.LoadOrStore(id, true); again {
			fmt.Println("again:", id)
			return
		}
		var p notify.Payload
		if err := json.Unmarshal(body, &p); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Printf("%s of %s: %s\n", p.Type, p.CustomerID, p.CloseReason)
	}))
	defer receiver.Close()

	address, err := url.Parse(receiver.URL)
	if err != nil {
		panic(err)
	}
	sender, err := notify.NewWebhookSender(notify.WebhookConfig{
		URL: address, Secrets: secrets, Timeout: 10 * time.Second, Clock: clock.System{},
	})
	if err != nil {
		panic(err)
	}
	defer sender.Close()
	n := notify.Notification{
		EventID: "0197a1b2-0000-7000-8000-000000000001/closed",
		Body:    []byte(`{"type":"order.closed","customer_id":"ann","close_reason":"TIMEOUT"}`),
	}
	for range 2 { // as after a crash
		if err := sender.Send(context.Background(), n); err != nil {
			panic(err)
		}
	}
	// Output:
	// order.closed of ann: TIMEOUT
	// again: 0197a1b2-0000-7000-8000-000000000001/closed
}
