package mq

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"orderflow/internal/mq/message"
)

// The library leaves the offset of a member for ever behind a message that fails,
// and keeps it in a file only.
func TestBroadcastMemberGoesOnWhereItWas(t *testing.T) {
	r := newNames(t)
	r.ensureTopic(t, "NORMAL", 1)
	r.ensureGroup(t)
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Join(os.Getenv("HOME"), ".rocketmq_client_go", r.group)) })
	member := func(name string) (*Consumer, *inbox) {
		box := newInbox()
		box.answer = func(m message.Message) error {
			if m.Keys[0] == "bad" {
				return errors.New("never")
			}
			return nil
		}
		return start(t, NewConsumer(r.client, Subscription{
			Group: r.group, Topic: r.topic, Broadcast: name, MaxAttempts: 2, Handler: box.handle,
		})), box
	}
	first, box := member("first")
	r.send(t, "one", "bad", "two")
	for _, key := range []string{"one", "two"} {
		box.wait(t, key, withKey(key))
	}
	box.wait(t, "the second attempt", func(all []message.Message) bool { return len(attempts(all, "bad")) == 2 })
	stop(t, first)
	r.send(t, "three")
	again, box := member("first")
	box.wait(t, "what was sent meanwhile", withKey("three"))
	stop(t, again)
	if all := box.all(); len(all) != 1 {
		t.Errorf("got %d messages again", len(all)-1)
	}
	_, box = member("second") // a new one gets all
	for _, key := range []string{"one", "bad", "two", "three"} {
		box.wait(t, key, withKey(key))
	}
	if lag, err := r.admin.Lag(context.Background(), r.group, r.topic); err != nil || lag != 4 {
		t.Errorf("the broker counts %d messages, %v; it should know nothing", lag, err)
	}
}
