package devbroker_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/devbroker/wal"
	"orderflow/internal/mq/remoting"
)

// The child of TestKill: a broker with a folder, until it is killed.
const killedFolder = "DEVBROKER_TEST_KILLED_FOLDER"

func TestKilledBroker(t *testing.T) {
	dir := os.Getenv(killedFolder)
	if dir == "" {
		t.Skip("is run by TestKill")
	}
	b, err := devbroker.Start(devbroker.WithDataDir(dir), devbroker.WithAutoCreateTopics(true), devbroker.WithFsync(wal.Always),
		devbroker.WithTransactionTimeout(20*time.Millisecond), devbroker.WithCheckInterval(20*time.Millisecond), devbroker.WithMaxChecks(1_000_000))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("listens", b.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or its parent has gone
}

// fate is what a client knows about a message of its own.
type fate int

const (
	sent       fate = iota // without an answer
	stored                 // plain ones and timers
	prepared               // half messages that were stored
	committing             // without an answer
	committed
	rollingBack // without an answer
	rolledBack
)

// fates are those of all messages of a test, by their bodies.
type fates struct {
	mu      sync.Mutex
	of      map[string]fate
	offsets map[string][2]int64 // of groups: the last one that was acknowledged, and the last one
}

func (f *fates) set(body string, to fate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of[body] = to
}

// acknowledged is how many messages the broker has said to have stored.
func (f *fates) acknowledged() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, fate := range f.of {
		if fate != sent {
			n++
		}
	}
	return n
}

// A broker that is killed at any moment has, when it starts again, all that it has
// acknowledged, and nothing half done.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	known := &fates{of: map[string]fate{}, offsets: map[string][2]int64{}}
	random := rand.New(rand.NewPCG(9, 9))
	for round := range 6 {
		addr, kill := startKilled(t, dir)
		var clients sync.WaitGroup
		for n := range 4 {
			clients.Go(func() { known.send(addr, fmt.Sprintf("%d-%d-", round, n)) })
		}
		enough := known.acknowledged() + random.IntN(55) + 5
		eventually(t, "messages are acknowledged", func() bool { return known.acknowledged() >= enough })
		kill()
		clients.Wait()
		known.check(t, dir)
	}
	t.Logf("%d messages were sent", len(known.of))
}

// startKilled starts a broker in a process of its own.
func startKilled(t *testing.T, dir string) (addr string, kill func()) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestKilledBroker$")
	child.Env = append(os.Environ(), killedFolder+"="+dir)
	child.Stderr = os.Stderr
	if _, err := child.StdinPipe(); err != nil { // is closed with this process
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = child.Process.Kill() // it may have ended
		_ = child.Wait()         // it was killed
	})
	t.Cleanup(kill)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if addr, found := strings.CutPrefix(lines.Text(), "listens "); found {
			return addr, kill
		}
	}
	t.Fatal("the broker did not start")
	return "", nil
}

// send sends messages of all kinds, one after the other, until the broker has gone.
func (f *fates) send(addr, prefix string) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return // it was killed early
	}
	defer func() { _ = nc.Close() }()
	reader := bufio.NewReader(nc)
	var opaque int32
	call := func(code int, ext map[string]string, body string) (map[string]string, bool) {
		opaque++
		request := remoting.NewRequest(code, ext, []byte(body))
		request.Opaque = opaque
		if remoting.WriteCommand(nc, request) != nil {
			return nil, false
		}
		answer, err := remoting.ReadCommand(reader, remoting.Limits{})
		return answer.Ext, err == nil && answer.Code == remoting.ResponseSuccess
	}
	if _, ok := call(remoting.RequestSendMessage, sending("orders"), "creates the topic"); !ok {
		return
	}
	if _, ok := call(remoting.RequestUpdateGroup, nil, `{"groupName":"g`+prefix+`"}`); !ok {
		return
	}
	for n := 0; ; n++ {
		body := prefix + strconv.Itoa(n)
		f.set(body, sent)
		ok := false
		switch n % 3 {
		case 0:
			if _, ok = call(remoting.RequestSendMessage, sending("orders", "UNIQ_KEY", body), body); ok {
				f.set(body, stored)
				ok = f.commitOffset(call, "g"+prefix, int64(n))
			}
		case 1:
			if _, ok = call(remoting.RequestSendMessage, sending("orders", "UNIQ_KEY", body, "TIMER_DELAY_SEC", "3600"), body); ok {
				f.set(body, stored)
			}
		case 2:
			ok = f.transact(call, body, n)
		}
		if !ok {
			return
		}
	}
}

type caller func(code int, ext map[string]string, body string) (map[string]string, bool)

func (f *fates) commitOffset(call caller, group string, offset int64) bool {
	set := func(safe int64) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.offsets[group] = [2]int64{safe, offset}
	}
	set(offset - 3) // the one before
	_, ok := call(remoting.RequestUpdateOffset, map[string]string{
		"consumerGroup": group, "topic": "orders", "queueId": "0", "commitOffset": strconv.FormatInt(offset, 10),
	}, "")
	if ok {
		set(offset)
	}
	return ok
}

// transact sends a half message, and decides about two of three.
func (f *fates) transact(call caller, body string, n int) bool {
	fields, ok := call(remoting.RequestSendMessage, sending("orders", "UNIQ_KEY", body, "TRAN_MSG", "true", "PGROUP", "producers"), body)
	if !ok {
		return false
	}
	f.set(body, prepared)
	_, physical, err := remoting.ParseOffsetMessageID(fields["msgId"])
	if err != nil {
		return false
	}
	decision, before, after := 0, prepared, prepared
	switch n % 9 {
	case 2:
		return true
	case 5:
		decision, before, after = remoting.SysCommit, committing, committed
	case 8:
		decision, before, after = remoting.SysRollback, rollingBack, rolledBack
	}
	f.set(body, before)
	_, ok = call(remoting.RequestEndTransaction, deciding(map[string]string{
		"producerGroup": "producers", "tranStateTableOffset": fields["queueOffset"], "commitLogOffset": strconv.FormatInt(physical, 10),
	}, decision), "")
	if ok {
		f.set(body, after)
	}
	return ok
}

// check starts a broker with the folder and compares what is in it.
func (f *fates) check(t *testing.T, dir string) {
	t.Helper()
	b := devbroker.RunT(t, devbroker.WithDataDir(dir), devbroker.WithMaxChecks(1_000_000), devbroker.WithLogger(strictLog(t)))
	delivered, waiting, undecided := map[string]int{}, map[string]int{}, map[string]int{}
	for _, body := range bodies(b, "orders") {
		delivered[body]++
	}
	s := b.Inspect()
	for _, timer := range s.Timers {
		waiting[timer.UniqueKey]++
	}
	for _, half := range s.Halves {
		undecided[half.UniqueKey]++
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	for _, g := range s.Groups {
		if known, there := f.offsets[g.Name]; there && (known[0] >= 0 && len(g.Offsets) == 0 ||
			len(g.Offsets) > 0 && (g.Offsets[0].Offset < known[0] || g.Offsets[0].Offset > known[1])) {
			t.Errorf("group %s has %+v, want one from %d to %d", g.Name, g.Offsets, known[0], known[1])
		}
		delete(f.offsets, g.Name)
	}
	for group, known := range f.offsets {
		if known[0] >= 0 {
			t.Errorf("group %s is not there", group)
		}
	}
	clear(f.offsets)
	for body, fate := range f.of {
		places := [3]int{delivered[body], waiting[body], undecided[body]}
		n, err := strconv.Atoi(body[strings.LastIndexByte(body, '-')+1:])
		if err != nil {
			t.Fatal(err)
		}
		home := [3]int{}
		home[n%3] = 1 // where it is when it has been stored
		wrong := false
		switch fate {
		case sent:
			wrong = places != home && places != [3]int{}
		case stored, prepared:
			wrong = places != home
		case committing:
			wrong = places != home && places != [3]int{1, 0, 0}
		case committed:
			wrong = places != [3]int{1, 0, 0}
		case rollingBack:
			wrong = places != home && places != [3]int{}
		case rolledBack:
			wrong = places != [3]int{}
		}
		if wrong {
			t.Errorf("message %s with fate %d was delivered %d times, waits %d times and is %d half messages", body, fate, places[0], places[1], places[2])
		}
	}
}
