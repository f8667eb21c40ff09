package mq

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/realbroker"
)

// memberOf names the group and topic for TestOrderedMemberProcess.
const memberOf = "ORDERFLOW_TEST_MEMBER_OF"

// handled is a message of a key and who has handled it.
type handled struct {
	member string
	number int
}

// history is what has been handled of each key, in order.
type history struct {
	mu      sync.Mutex
	keys    map[string][]handled
	changed chan struct{}
}

func newHistory() *history {
	return &history{keys: map[string][]handled{}, changed: make(chan struct{}, 1)}
}

// add notes that the member has handled "key/number".
func (h *history) add(member, what string) {
	key, text, _ := strings.Cut(what, "/")
	number, _ := strconv.Atoi(text)
	h.mu.Lock()
	h.keys[key] = append(h.keys[key], handled{member, number})
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// count is how many messages the member has handled.
func (h *history) count(member string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, all := range h.keys {
		for _, one := range all {
			if one.member == member {
				n++
			}
		}
	}
	return n
}

// ended counts the keys whose last message was handled.
func (h *history) ended(last int) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, all := range h.keys {
		if all[len(all)-1].number == last {
			n++
		}
	}
	return n
}

// wait waits until enough has been handled.
func (h *history) wait(t *testing.T, within time.Duration, enough func() bool) {
	t.Helper()
	timeout := time.After(within)
	for !enough() {
		select {
		case <-h.changed:
		case <-timeout:
			t.Fatal("timed out")
		}
	}
}

// check wants a key's messages handled one by one. Another member may go on where
// the one before was, or a little before, and then that one is through with the key.
func (h *history) check(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, all := range h.keys {
		next, through := 0, map[string]bool{}
		for i, one := range all {
			switch {
			case i > 0 && one.member != all[i-1].member:
				through[all[i-1].member] = true
			case i > 0 && one.number != all[i-1].number+1:
				t.Fatalf("%s: %v after %v", key, one, all[i-1])
			}
			if one.number > next || through[one.member] {
				t.Fatalf("%s: %v after %v, when %d was next", key, one, all[:i], next)
			}
			next = max(next, one.number+1)
		}
	}
}

// TestOrderedMemberProcess is a member in a process of its own, which says what it
// handles until it is killed.
func TestOrderedMemberProcess(t *testing.T) {
	of := os.Getenv(memberOf)
	if of == "" {
		t.Skip("only a child process of TestOrderOutlivesAMember")
	}
	group, topic, _ := strings.Cut(of, "/")
	client := Client{NameServers: []string{realbroker.NameServer(t)}, Service: "test"}
	start(t, NewConsumer(client, Subscription{Group: group, Topic: topic, Ordered: true,
		Handler: func(ctx context.Context, m message.Message) error {
			select {
			case <-time.After(5 * time.Millisecond): // so that there is something left to take over
			case <-ctx.Done():
			}
			_, err := fmt.Println("handled " + string(m.Body))
			return err
		}}))
	<-t.Context().Done()
}

// sendInOrder sends the same number of messages for each of the keys.
func (r *real) sendInOrder(t *testing.T, keys, each int) {
	t.Helper()
	p := start(t, NewProducer(r.client, r.group+"-plain", r.topic))
	for n := range each {
		for k := range keys {
			m := message.Message{Topic: r.topic, Body: fmt.Appendf(nil, "key%d/%d", k, n)}
			if err := p.SendOrdered(t.Context(), m, fmt.Sprint("key", k)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// member starts an ordered consumer that notes what it handles.
func (r *real) member(t *testing.T, name string, h *history, before func()) *Consumer {
	t.Helper()
	return start(t, NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Ordered: true,
		Handler: func(_ context.Context, m message.Message) error {
			before()
			h.add(name, string(m.Body))
			return nil
		}}))
}

// One member is killed. The next one gets its queues when the broker's locks are a
// minute old, and nothing is skipped or out of order.
func TestOrderOutlivesAMember(t *testing.T) {
	const keys, each = 16, 120
	r := newReal(t, "FIFO")
	r.sendInOrder(t, keys, each)
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(executable, "-test.run=^TestOrderedMemberProcess$")
	child.Env = append(os.Environ(), memberOf+"="+r.group+"/"+r.topic)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	seen, read := newHistory(), make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if what, ok := strings.CutPrefix(lines.Text(), "handled "); ok {
				seen.add("first", what)
			}
		}
	}()
	seen.wait(t, 30*time.Second, func() bool { return seen.count("first") >= keys*each/4 })
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-read
	_ = child.Wait() // it was killed
	killed := time.Now()
	k := r.member(t, "second", seen, func() {})
	seen.wait(t, 2*time.Minute, func() bool { return seen.count("second") > 0 })
	t.Logf("%d of %d handled before the kill, taken over after %v", seen.count("first"), keys*each, time.Since(killed))
	seen.wait(t, time.Minute, func() bool { return seen.ended(each-1) == keys })
	stop(t, k)
	seen.check(t)
	r.settled(t)
}

// A member that joins gets its share when the library looks again, every 20
// seconds. Without its own way to give locks back the wrapper would have it wait
// until they expire. Queues that stop being a member's are not handled there any
// more, and those of a member that stops go over at once.
func TestOrderedMembersJoinAndLeave(t *testing.T) {
	const keys, each = 16, 2000
	r := newReal(t, "FIFO")
	r.sendInOrder(t, keys, each)
	seen := newHistory()
	slow := make(chan struct{})
	begin := func() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-slow:
		}
	}
	first := r.member(t, "first", seen, begin)
	seen.wait(t, 30*time.Second, func() bool { return seen.count("first") > keys })
	joined := time.Now()
	r.member(t, "second", seen, begin)
	seen.wait(t, 50*time.Second, func() bool { return seen.count("second") > keys })
	t.Logf("the second member had its share after %v", time.Since(joined))
	stop(t, first)
	left, had := time.Now(), seen.count("second")
	close(slow)
	seen.wait(t, 50*time.Second, func() bool { return seen.ended(each-1) == keys })
	t.Logf("the rest was handled %v after the first member had left; the second handled %d before", time.Since(left), had)
	seen.check(t)
}

// A message that fails holds up its queue, and goes to the dead letters at last;
// other queues go on.
func TestOrderedMessageIsTriedInPlace(t *testing.T) {
	r := newReal(t, "FIFO")
	box := newInbox()
	box.answer = func(m message.Message) error {
		if m.Keys[0] == "bad" || m.Keys[0] == "later" && m.Attempt < 3 {
			return errors.New("not now")
		}
		return nil
	}
	p := start(t, NewProducer(r.client, r.group+"-plain", r.topic))
	for _, key := range []string{"first", "later", "bad", "last"} {
		if err := p.SendOrdered(t.Context(), text(r.topic, key), "one"); err != nil {
			t.Fatal(err)
		}
	}
	k := start(t, NewConsumer(r.client, Subscription{Group: r.group, Topic: r.topic, Handler: box.handle, Ordered: true, MaxAttempts: 4}))
	box.wait(t, "the last message", withKey("last"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	waitForMessages(ctx, t, r.admin, DeadLetterTopic(r.group), 1)
	stop(t, k)
	var got []string
	for _, m := range box.all() {
		got = append(got, fmt.Sprintf("%s %d", m.Keys[0], m.Attempt))
	}
	want := "first 1, later 1, later 2, later 3, bad 1, bad 2, bad 3, bad 4, last 1"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	r.settled(t)
}
