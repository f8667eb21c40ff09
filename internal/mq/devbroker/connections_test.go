package devbroker_test

import (
	"context"
	"encoding/binary"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// dialRaw connects without a reader.
func dialRaw(t *testing.T, b *devbroker.Broker) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() }) // most have ended
	return nc
}

// write writes bytes, as far as the broker still takes them.
func write(nc net.Conn, data []byte) { _, _ = nc.Write(data) }

func frame(t *testing.T, code int, ext map[string]string, body []byte) []byte {
	t.Helper()
	cmd := remoting.NewRequest(code, ext, body)
	cmd.Opaque = 1
	data, err := remoting.AppendCommand(nil, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func connections(b *devbroker.Broker) int { return len(b.Inspect().Connections) }

// ends waits until the broker has ended the connection.
func ends(t *testing.T, nc net.Conn) {
	t.Helper()
	if err := nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 4096); ; {
		if _, err := nc.Read(buf); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Fatal("the connection does not end")
			}
			return
		}
	}
}

func TestConnectionsThatWaitTooLong(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	whole := frame(t, remoting.RequestGetRoute, map[string]string{"topic": "orders"}, nil)
	b.SetPatience(30*time.Millisecond, 0, 0, 0, 0)
	idle := dialRaw(t, b)
	ends(t, idle)
	idle = dialRaw(t, b)
	write(idle, whole)
	ends(t, idle)
	b.SetPatience(time.Minute, 30*time.Millisecond, 0, 0, 0)
	for _, part := range [][]byte{whole[:1], whole[:4], whole[:20], append(whole, whole[:9]...)} {
		half := dialRaw(t, b)
		write(half, part)
		ends(t, half)
	}
	eventually(t, "all have gone", func() bool { return connections(b) == 0 })
}

// What has been asked is answered, also while the next request is not complete.
func TestAnswersBeforeHalfAFrame(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	answers := make(chan remoting.Command, 2)
	p.mu.Lock()
	p.answers[1] = answers
	p.mu.Unlock()
	whole := frame(t, remoting.RequestGetRoute, map[string]string{"topic": "orders"}, nil)
	write(p.nc, append(whole, whole[:len(whole)-1]...))
	p.await(answers)
	write(p.nc, whole[len(whole)-1:])
	p.await(answers)
}

// A peer that asks and does not read is disconnected: when too much waits for it,
// or when it has not taken an answer for too long.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"too much", "too long"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			b, _ := startManual(t)
			producer := dial(t, b)
			producer.store("orders", "old")
			if how == "too much" {
				b.SetPatience(0, 0, time.Minute, 0, 8<<20)
			} else {
				b.SetPatience(0, 0, 50*time.Millisecond, 0, 0)
			}
			slow := dialRaw(t, b)
			large := strings.Repeat("x", 1<<20)
			for range 64 {
				write(slow, frame(t, remoting.RequestPullMessage, waiting(pulling("g", "orders", 0, 1), time.Minute), nil))
			}
			eventually(t, "all are held", func() bool { return held(b, "orders") == 64 })
			before := connections(b)
			producer.store("orders", large)
			eventually(t, "it is disconnected", func() bool { return connections(b) == before-1 })
			producer.store("orders", "goes on")
		})
	}
}

func TestManyConnections(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	const clients, messages = 200, 20
	var group sync.WaitGroup
	for n := range clients {
		group.Go(func() {
			client := remoting.NewClient(remoting.Options{CallTimeout: patience})
			defer func() { _ = client.Close() }() // it returns no error
			for i := range messages {
				body := strconv.Itoa(n) + "-" + strconv.Itoa(i)
				request := remoting.NewRequest(remoting.RequestSendMessage, sending("orders", "UNIQ_KEY", body), []byte(body))
				answer, err := client.Call(context.Background(), b.Addr(), request)
				if err != nil {
					t.Error(err)
					return
				}
				pull := pulling("g", "orders", 0, 0)
				pull["queueOffset"], pull["maxMsgNums"] = answer.Ext["queueOffset"], "1"
				found, err := client.Call(context.Background(), b.Addr(), remoting.NewRequest(remoting.RequestPullMessage, pull, nil))
				if err != nil {
					t.Error(err)
					return
				}
				if m, _, err := remoting.ReadMessage(found.Body); err != nil || string(m.Body) != body {
					t.Errorf("%s was stored at %s, where %s is, %v", body, answer.Ext["queueOffset"], m.Body, err)
				}
			}
		})
	}
	group.Wait()
	if n := len(bodies(b, "orders")); n != clients*messages {
		t.Errorf("%d messages are stored", n)
	}
	eventually(t, "all have gone", func() bool { return connections(b) == 0 })
}

// Frames that make no sense end their connection, and others only get an answer.
func TestHostileFrames(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	valid := frame(t, remoting.RequestGetRoute, map[string]string{"topic": "orders"}, nil)
	with := func(at int, word uint32) []byte {
		changed := append([]byte(nil), valid...)
		binary.BigEndian.PutUint32(changed[at:], word)
		return changed
	}
	for name, data := range map[string][]byte{
		"negative length":        with(0, 0xFFFFFFFF),
		"no length":              with(0, 0),
		"huge length":            with(0, 0x7FFFFFFF),
		"length above the limit": with(0, 17<<20),
		"header above the frame": with(4, 0x00FFFFFF),
		"unknown header":         with(4, 0x07000000|uint32(len(valid)-8)),
		"binary header":          with(4, 0x01000000|uint32(len(valid)-8)),
		"not JSON":               append(append([]byte(nil), valid[:8]...), strings.Repeat("[", len(valid)-8)...),
	} {
		nc := dialRaw(t, b)
		write(nc, data)
		ends(t, nc)
		if answer := p.try(9999, nil, nil); answer.Code != remoting.ResponseNotSupported {
			t.Errorf("after %s: code %d", name, answer.Code)
		}
	}
	response := remoting.NewRequest(remoting.RequestSendMessage, sending("orders"), []byte("m"))
	response.Flag = remoting.FlagResponse
	p.send(response) // nobody has asked for it
	p.refused(remoting.ResponseNotSupported, -1, nil, nil)
	p.refused(remoting.ResponseNotSupported, 1<<31-1, nil, nil)
	if got := bodies(b, "orders"); len(got) != 0 {
		t.Errorf("stored %q", got)
	}
}

// A one-way request gets no answer, whatever becomes of it.
func TestOneWay(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t)
	p := dial(t, b)
	for _, code := range []int{remoting.RequestSendMessage, remoting.RequestGetRoute, 9999} {
		request := remoting.NewRequest(code, sending("orders"), []byte("m"))
		request.Flag = remoting.FlagOneWay
		answers := p.send(request)
		p.quiet()
		silent(t, answers)
	}
	if got := bodies(b, "orders"); len(got) != 1 {
		t.Errorf("stored %q", got)
	}
}

// Close ends everything that a broker has begun. It is not parallel, for it counts
// goroutines.
func TestCloseEndsAllGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	b, _ := startManual(t, devbroker.WithDataDir(t.TempDir()))
	p := dial(t, b)
	p.join("c1", "g", "orders")
	p.beProducer("c1")
	p.store("orders", "m")
	p.store("orders", "later", "DELAY", "1")
	p.prepare("orders", "half")
	p.holdPull(b, pulling("g", "orders", 0, 1))
	for _, code := range []int{remoting.RequestGetMaxOffset, remoting.RequestCheckTransaction} {
		b.Inject(devbroker.Fault{Code: code, Action: devbroker.Delay(time.Hour)})
	}
	p.ask(remoting.RequestGetMaxOffset, map[string]string{"topic": "orders", "queueId": "0"}, nil)
	p.refused(remoting.ResponseNotSupported, 9999, nil, nil) // it has come
	b.CheckNow()
	write(dialRaw(t, b), []byte{0, 0})
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	dial(t, b).holdPull(b, pulling("g", "orders", 0, 1))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("the second time: %v", err)
	}
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	if _, err := net.Dial("tcp", b.Addr()); err == nil {
		t.Error("somebody still listens")
	}
}
