package notify_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"orderflow/internal/crashpoint"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// A process that dies between the receiver's answer and the record leaves a row that
// somebody holds. When its lease is over another instance sends again: the same body under
// the same id, by which the receiver knows it.
func TestCrashBetweenSendAndRecord(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		reached := filepath.Join(t.TempDir(), "reached")
		point, err := crashpoint.Parse(string(crashpoint.NotifyAfterSend) + "=pause:" + reached)
		if err != nil {
			t.Fatal(err)
		}
		e, dead := newEvent(), make(chan error, 1)
		go func() { dead <- w.instance(w.post, point).Handle(t.Context(), of(t, event.TagCreated, e)) }()
		for deadline := time.Now().Add(patience); ; {
			if _, err := os.Stat(reached); err == nil {
				break
			} else if time.Now().After(deadline) {
				t.Fatal("the crash point is never reached")
			}
		}
		w.wantSent(e, event.TagCreated, 1)

		var permanent *message.PermanentError
		if err := w.deliver(event.TagCreated, e); err == nil || errors.As(err, &permanent) {
			t.Errorf("before the lease is over: %v, want that the message comes again", err)
		}
		w.wantSent(e, event.TagCreated, 1)
		w.clock.Advance(sendTimeout + time.Minute)
		w.mustDeliver(event.TagCreated, e)
		w.wantSent(e, event.TagCreated, 2)
		w.mustDeliver(event.TagCreated, e)
		w.wantSent(e, event.TagCreated, 2)

		// It was not dead, but slow: what it says now changes nothing.
		if err := os.Remove(reached); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, "the slow instance", dead); err != nil {
			t.Error(err)
		}
		w.mustDeliver(event.TagCreated, e)
		w.wantSent(e, event.TagCreated, 2)
	})
}
