package mq

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
	"orderflow/internal/telemetry/telemetrytest"
)

// sends makes the library's answer to every send.
func sends(result *primitive.SendResult, err error) func(context.Context, *primitive.Message) (*primitive.SendResult, error) {
	return func(context.Context, *primitive.Message) (*primitive.SendResult, error) { return result, err }
}

func TestAsyncSendTellsTheOutcomeOnce(t *testing.T) {
	failed := errors.New("failed")
	for name, test := range map[string]struct {
		send func(context.Context, *primitive.Message) (*primitive.SendResult, error)
		ok   bool
	}{
		"ok":    {sends(&primitive.SendResult{}, nil), true},
		"error": {sends(nil, failed), false},
		"flush": {sends(&primitive.SendResult{Status: primitive.SendFlushDiskTimeout}, nil), false},
		"panic": {func(context.Context, *primitive.Message) (*primitive.SendResult, error) { panic("nil pointer") }, false},
	} {
		c, r := quiet()
		p := producerOf(c, &fakeProducer{send: test.send})
		told := make(chan error, 2)
		ctx, cancel := context.WithCancel(t.Context())
		if err := p.SendAsync(ctx, half(), func(err error) { told <- err }); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err := <-told
		if (err == nil) != test.ok || err != nil && (!errors.Is(err, message.ErrUnavailable) || errors.Is(err, message.ErrNotSent)) {
			t.Errorf("%s: %v", name, err)
		}
		cancel() // too late to tell anything else
		if err := p.Stop(t.Context()); err != nil || len(told) != 0 {
			t.Errorf("%s: Stop = %v, told %d times more", name, err, len(told))
		}
		outcome := map[bool]string{true: "ok", false: "error"}[test.ok]
		if got := telemetrytest.Value(t, r, "mq_messages_sent_total", "outcome", outcome); got != 1 {
			t.Errorf("%s: counted %v times", name, got)
		}
	}
}

// The library goes on for as long as it likes; whoever sent has an answer in time.
func TestAsyncSendKeepsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		hangs := make(chan struct{})
		f := &fakeProducer{send: func(context.Context, *primitive.Message) (*primitive.SendResult, error) {
			<-hangs
			return &primitive.SendResult{}, nil
		}}
		p := producerOf(c, f)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begin, told := time.Now(), make(chan error, 2)
		if err := p.SendAsync(ctx, half(), func(err error) { told <- err }); err != nil || time.Since(begin) != 0 {
			t.Fatalf("after %v: %v", time.Since(begin), err)
		}
		err := <-told
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, message.ErrNotSent) || time.Since(begin) != 2*time.Second {
			t.Errorf("after %v: %v; want a deadline, and no claim that it was not sent", time.Since(begin), err)
		}
		stopped := make(chan error, 1)
		go func() { stopped <- p.Stop(t.Context()) }()
		synctest.Wait()
		if f.down != 0 {
			t.Error("stopped under the library's send")
		}
		close(hangs)
		if err := <-stopped; err != nil || len(told) != 0 {
			t.Errorf("Stop = %v, told %d times more", err, len(told))
		}
	})
}

func TestAsyncSendThatIsNotAccepted(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	done := func(err error) { t.Errorf("told %v", err) }
	good := half()
	for name, test := range map[string]struct {
		ctx   context.Context
		m     message.Message
		done  func(error)
		state func(*Producer)
	}{
		"no body":      {t.Context(), message.Message{Topic: "topic"}, done, func(*Producer) {}},
		"no callback":  {t.Context(), good, nil, func(*Producer) {}},
		"no time left": {ended, good, done, func(*Producer) {}},
		"not started":  {t.Context(), good, done, func(p *Producer) { p.library = nil }},
		"stopping":     {t.Context(), good, done, func(p *Producer) { _ = p.sends.drain(context.Background()) }},
	} {
		c, r := quiet()
		p := producerOf(c, &fakeProducer{send: func(context.Context, *primitive.Message) (*primitive.SendResult, error) {
			t.Errorf("%s: sent", name)
			return nil, nil
		}})
		test.state(p)
		if err := p.SendAsync(test.ctx, test.m, test.done); !errors.Is(err, message.ErrNotSent) {
			t.Errorf("%s: %v", name, err)
		}
		if got := telemetrytest.Value(t, r, "mq_messages_sent_total", "outcome", "error"); got != 1 {
			t.Errorf("%s: counted %v times", name, got)
		}
		if err := p.Stop(t.Context()); err != nil {
			t.Errorf("%s: Stop = %v", name, err)
		}
	}
}

func TestAsyncSendWaitsForASlotUntilTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		p := producerOf(c, &fakeProducer{send: sends(&primitive.SendResult{}, nil)})
		release := busy(t, p.sends, maxInFlight)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.SendAsync(ctx, half(), func(err error) { t.Errorf("told %v", err) })
		if !errors.Is(err, message.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		release()
		told := make(chan error, 1)
		if err := p.SendAsync(t.Context(), half(), func(err error) { told <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-told; err != nil {
			t.Error(err)
		}
	})
}

// Callbacks that send must not wait for slots that such callbacks hold.
func TestAsyncCallbacksMaySend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		p := producerOf(c, &fakeProducer{send: sends(&primitive.SendResult{}, nil)})
		told := make(chan error, maxInFlight)
		gather := make(chan struct{})
		for range maxInFlight {
			err := p.SendAsync(t.Context(), half(), func(error) {
				<-gather // all are in their callbacks
				told <- p.Send(t.Context(), half())
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		close(gather)
		for range maxInFlight {
			if err := <-told; err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestStopWaitsForAsyncCallbacks(t *testing.T) {
	for name, late := range map[string]bool{"answered": false, "out of time": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := quiet()
				answered := make(chan struct{})
				p := producerOf(c, &fakeProducer{send: func(context.Context, *primitive.Message) (*primitive.SendResult, error) {
					<-answered
					return &primitive.SendResult{}, nil
				}})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				leave := make(chan struct{})
				if err := p.SendAsync(ctx, half(), func(error) { <-leave }); err != nil {
					t.Fatal(err)
				}
				if late {
					cancel()
					synctest.Wait() // in the callback
				}
				close(answered)
				stopped := make(chan error, 1)
				go func() { stopped <- p.Stop(t.Context()) }()
				synctest.Wait()
				if len(stopped) != 0 {
					t.Fatalf("Stop = %v with the callback running", <-stopped)
				}
				close(leave)
				if err := <-stopped; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestPanicOfAnAsyncCallbackIsRecovered(t *testing.T) {
	c, _ := quiet()
	p := producerOf(c, &fakeProducer{send: sends(&primitive.SendResult{}, nil)})
	if err := p.SendAsync(t.Context(), half(), func(error) { panic("boom") }); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("Stop = %v", err)
	}
}
