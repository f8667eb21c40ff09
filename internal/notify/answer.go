package notify

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// Reasons for which a notification is parked that a receiver does not take.
const (
	ReasonRefused    = "WEBHOOK_REFUSED"    // a definite no
	ReasonRedirected = "WEBHOOK_REDIRECTED" // the receiver is elsewhere
)

// ParkReasons are all for which the notifier parks.
func ParkReasons() []string {
	return append(event.ParkReasons(), ReasonUnknownCloseReason, ReasonRefused, ReasonRedirected)
}

// maxRest is the longest time to wait that we let a receiver ask for.
const maxRest = time.Hour

// verdict is what the status of an answer means for the notification:
//
//	2xx              it has arrived
//	408 425          the receiver did not take this try, and says itself that another may do
//	409              an earlier try under the same id is still being worked on: ours ran
//	                 out of time, or another instance's
//	429              not so fast
//	5xx              the receiver, or what stands before it, is broken or being deployed
//	3xx              parked: a body with customers in it is not carried to whatever address
//	                 an answer names; the URL of the notifier is to be changed
//	other 4xx        parked: the same bytes would be refused again for ever. 401, 403, 404
//	                 and 410 say that secret or URL are wrong, 400, 413 and 422 that the
//	                 receiver does not understand us: somebody has to look, and replays
//	                 what is parked then
//
// What is not parked is tried again: a few times at once, then whenever the broker brings
// the message again, less and less often, until it is taken. The excerpt is of the body.
func verdict(status int, excerpt string) error {
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly,
		status == http.StatusTooManyRequests, status >= 500:
		return fmt.Errorf("the receiver answered %d %q", status, excerpt)
	case status >= 300 && status < 400:
		return message.Permanent(ReasonRedirected, "the receiver answered %d: redirects are not followed", status)
	default:
		return message.Permanent(ReasonRefused, "the receiver answered %d %q", status, excerpt)
	}
}

// restOf is how long the receiver asks to be left alone by an answer that may change: 0 if
// it does not. Retry-After is a number of seconds, or a date.
func restOf(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(max(0, min(seconds, int(maxRest/time.Second)))) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, min(date.Sub(now), maxRest))
	}
	return 0
}
