package remoting

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipe makes a Conn and the server's end of it.
func pipe(t *testing.T) (*Conn, *bufio.Reader, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	c := newConn(near, "pipe")
	t.Cleanup(func() { _ = far.Close(); _ = c.Close() })
	return c, bufio.NewReader(far), far
}

// outcome is what a call came to.
type outcome struct {
	answer Command
	err    error
}

func goCall(ctx context.Context, c *Conn, cmd Command) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		answer, err := c.Call(ctx, cmd)
		done <- outcome{answer, err}
	}()
	return done
}

func read(t *testing.T, r *bufio.Reader) Command {
	t.Helper()
	cmd, err := ReadCommand(r, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

func write(t *testing.T, w io.Writer, cmd Command) {
	t.Helper()
	if err := WriteCommand(w, cmd); err != nil {
		t.Fatal(err)
	}
}

func TestCallsShareConnection(t *testing.T) {
	c, r, far := pipe(t)
	const calls = 50
	var done []<-chan outcome
	for i := range calls {
		done = append(done, goCall(t.Context(), c, NewRequest(i, nil, nil)))
	}
	var requests []Command
	for range calls {
		requests = append(requests, read(t, r))
	}
	// Answers in reverse, with a request of the server's own, an answer nobody
	// waits for and a second answer in between.
	for i := len(requests) - 1; i >= 0; i-- {
		write(t, far, Command{Code: RequestCheckTransaction, Opaque: requests[i].Opaque})
		write(t, far, Command{Opaque: -1, Flag: FlagResponse})
		answer := requests[i].Response(ResponseSuccess, "")
		answer.Ext = map[string]string{"code": strconv.Itoa(requests[i].Code)}
		write(t, far, answer)
		write(t, far, answer)
	}
	for i, d := range done {
		got := <-d
		if got.err != nil || got.answer.Ext["code"] != strconv.Itoa(i) {
			t.Errorf("call %d: %+v", i, got)
		}
	}
}

func TestCallRefused(t *testing.T) {
	c, r, far := pipe(t)
	done := goCall(t.Context(), c, NewRequest(RequestSendBack, nil, nil))
	write(t, far, read(t, r).Response(ResponseGroupNotExist, "no such group"))
	got := <-done
	var refused *ResponseError
	if !errors.As(got.err, &refused) {
		t.Fatalf("err = %v, want a *ResponseError", got.err)
	}
	if want := (ResponseError{ResponseGroupNotExist, "no such group", RequestSendBack}); *refused != want {
		t.Errorf("err = %+v, want %+v", *refused, want)
	}
	if got.answer.Code != ResponseGroupNotExist || ResponseCode(got.err) != ResponseGroupNotExist {
		t.Errorf("answer = %+v", got.answer)
	}
}

func TestConnectionCutMidCall(t *testing.T) {
	tests := map[string]func(t *testing.T, far net.Conn){
		"cleanly": func(*testing.T, net.Conn) {},
		"in an answer": func(t *testing.T, far net.Conn) {
			if _, err := far.Write([]byte("\x00\x00\x00\x20\x00\x00")); err != nil {
				t.Fatal(err)
			}
		},
		"after nonsense": func(_ *testing.T, far net.Conn) {
			_, _ = far.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) // the reader may leave first
		},
	}
	for name, before := range tests {
		t.Run(name, func(t *testing.T) {
			c, r, far := pipe(t)
			first := goCall(t.Context(), c, NewRequest(1, nil, nil))
			read(t, r)
			second := goCall(t.Context(), c, NewRequest(2, nil, nil))
			read(t, r)
			before(t, far)
			_ = far.Close()
			for _, done := range []<-chan outcome{first, second} {
				var transport *TransportError
				if got := <-done; !errors.As(got.err, &transport) || transport.Op != "call" {
					t.Errorf("err = %v, want a *TransportError", got.err)
				}
			}
			if _, err := c.Call(t.Context(), NewRequest(3, nil, nil)); err == nil || !c.Broken() {
				t.Errorf("a call on a broken connection: %v", err)
			}
		})
	}
}

// TestCallDeadline has a server that does not answer, and one that does not even
// read.
func TestCallDeadline(t *testing.T) {
	for _, reads := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, r, far := pipe(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			done := goCall(ctx, c, NewRequest(1, nil, nil))
			if reads {
				read(t, r)
			}
			if got := <-done; !errors.Is(got.err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("reads %v: %v after %v", reads, got.err, time.Since(start))
			}
			if !reads { // the frame is still stuck: the peer counts as dead in the end
				time.Sleep(writeTimeout)
				synctest.Wait()
				if !c.Broken() {
					t.Error("the connection should be broken")
				}
			}
			_ = far.Close()
			_ = c.Close()
		})
	}
}

func TestCallCancelled(t *testing.T) {
	c, r, far := pipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := goCall(ctx, c, NewRequest(1, nil, nil))
	late := read(t, r)
	cancel()
	if got := <-done; !errors.Is(got.err, context.Canceled) {
		t.Errorf("err = %v, want Canceled", got.err)
	}
	// The answer comes too late; the connection is as good as before.
	write(t, far, late.Response(ResponseSuccess, ""))
	done = goCall(t.Context(), c, NewRequest(2, nil, nil))
	write(t, far, read(t, r).Response(ResponseSuccess, ""))
	if got := <-done; got.err != nil {
		t.Error(got.err)
	}
	if c.mu.Lock(); len(c.pending) != 0 {
		t.Errorf("%d calls are still pending", len(c.pending))
	}
	c.mu.Unlock()
}

func TestSlowSender(t *testing.T) {
	c, r, far := pipe(t)
	done := goCall(t.Context(), c, NewRequest(1, nil, nil))
	frame, err := AppendCommand(nil, read(t, r).Response(ResponseSuccess, "slowly"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range frame {
		if _, err := far.Write(frame[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-done; got.err != nil || got.answer.Remark != "slowly" {
		t.Errorf("%+v", got)
	}
}

func TestCloseFailsCalls(t *testing.T) {
	c, r, _ := pipe(t)
	done := goCall(t.Context(), c, NewRequest(1, nil, nil))
	read(t, r)
	_ = c.Close()
	_ = c.Close()
	if got := <-done; !errors.Is(got.err, ErrClosed) {
		t.Errorf("err = %v, want ErrClosed", got.err)
	}
}

// cut is the request code at which echo closes the connection.
const cut = 999

// echo answers every request and counts the connections.
func echo(t *testing.T) (addr string, dials func() int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := 0
	wg.Go(func() {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			count++
			mu.Unlock()
			wg.Go(func() {
				defer nc.Close()
				r := bufio.NewReader(nc)
				for {
					request, err := ReadCommand(r, Limits{})
					if err != nil || request.Code == cut {
						return
					}
					if WriteCommand(nc, request.Response(ResponseSuccess, "")) != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); wg.Wait() })
	return listener.Addr().String(), func() int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
}

func TestClientKeepsAndRedials(t *testing.T) {
	addr, dials := echo(t)
	c := NewClient(Options{})
	t.Cleanup(func() { _ = c.Close() })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Call(t.Context(), addr, NewRequest(1, nil, nil)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if dials() != 1 {
		t.Errorf("%d connections for one address", dials())
	}
	if _, err := c.Call(t.Context(), addr, NewRequest(cut, nil, nil)); err == nil {
		t.Error("no error when the connection was cut")
	}
	if _, err := c.Call(t.Context(), addr, NewRequest(1, nil, nil)); err != nil || dials() != 2 {
		t.Errorf("after the cut: %v, %d connections", err, dials())
	}
	_ = c.Close()
	if _, err := c.Call(t.Context(), addr, NewRequest(1, nil, nil)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}

func TestClientNobodyThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	c := NewClient(Options{})
	t.Cleanup(func() { _ = c.Close() })
	var transport *TransportError
	_, err = c.Call(t.Context(), listener.Addr().String(), NewRequest(1, nil, nil))
	if !errors.As(err, &transport) || transport.Op != "dial" {
		t.Errorf("err = %v, want a *TransportError of the dial", err)
	}
}

// TestClientTimeout has a server that accepts and says nothing.
func TestClientTimeout(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	c := NewClient(Options{CallTimeout: 30 * time.Millisecond})
	t.Cleanup(func() { _ = c.Close() })
	_, err = c.Call(t.Context(), listener.Addr().String(), NewRequest(1, nil, nil))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v, want DeadlineExceeded", err)
	}
}
