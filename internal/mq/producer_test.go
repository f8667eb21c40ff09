package mq

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
)

// withTable gives the producer a delay table that is fresh until then.
func withTable(t *testing.T, p *Producer, table string, until time.Time) {
	t.Helper()
	levels, err := ParseDelayLevels(table)
	if err != nil {
		t.Fatal(err)
	}
	p.delays.mu.Lock()
	defer p.delays.mu.Unlock()
	p.delays.levels, p.delays.askNext = levels, until
}

func TestSendKeepsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		hangs := make(chan struct{})
		p := producerOf(c, &fakeProducer{send: func(context.Context, *primitive.Message) (*primitive.SendResult, error) {
			<-hangs
			return &primitive.SendResult{}, nil
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		begin := time.Now()
		err := p.Send(ctx, half())
		if !errors.Is(err, message.ErrUnavailable) || errors.Is(err, message.ErrNotSent) || time.Since(begin) != 2*time.Second {
			t.Errorf("after %v: %v; want unavailable, and no claim that it was not sent", time.Since(begin), err)
		}
		close(hangs)
	})
}

func TestSendOutcomes(t *testing.T) {
	failed := errors.New("failed")
	for name, test := range map[string]struct {
		send func() (*primitive.SendResult, error)
		ok   bool
	}{
		"ok":    {func() (*primitive.SendResult, error) { return &primitive.SendResult{}, nil }, true},
		"error": {func() (*primitive.SendResult, error) { return nil, failed }, false},
		"flush": {func() (*primitive.SendResult, error) {
			return &primitive.SendResult{Status: primitive.SendFlushDiskTimeout}, nil
		}, false},
		"panic": {func() (*primitive.SendResult, error) { panic("nil pointer") }, false},
	} {
		c, _ := quiet()
		p := producerOf(c, &fakeProducer{
			send: func(context.Context, *primitive.Message) (*primitive.SendResult, error) { return test.send() },
		})
		err := p.Send(t.Context(), half())
		if (err == nil) != test.ok || err != nil && (!errors.Is(err, message.ErrUnavailable) || errors.Is(err, message.ErrNotSent)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSendDelayedTakesTheBrokersLevel(t *testing.T) {
	c, _ := quiet()
	var got []string
	p := producerOf(c, &fakeProducer{send: func(_ context.Context, m *primitive.Message) (*primitive.SendResult, error) {
		got = append(got, m.GetProperty(primitive.PropertyDelayTimeLevel))
		return &primitive.SendResult{}, nil
	}})
	withTable(t, p, "1s 5s 30m", time.Now().Add(time.Hour))
	if _, err := p.SendDelayed(t.Context(), half(), 30*time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{0, -time.Second, 2 * time.Second} {
		var unsupported *message.UnsupportedDelayError
		if _, err := p.SendDelayed(t.Context(), half(), d); !errors.As(err, &unsupported) {
			t.Errorf("%v: %v", d, err)
		}
		if err := p.CheckDelay(t.Context(), d); !errors.As(err, &unsupported) {
			t.Errorf("%v: %v", d, err)
		}
	}
	if err := p.CheckDelay(t.Context(), 5*time.Second); err != nil {
		t.Error(err)
	}
	if len(got) != 1 || got[0] != "3" {
		t.Errorf("sent with levels %v, want one send with level 3", got)
	}
}

func TestDelayTableThatCannotBeFetched(t *testing.T) {
	c, _ := quiet() // no name server, so every question fails
	p := producerOf(c, &fakeProducer{send: func(context.Context, *primitive.Message) (*primitive.SendResult, error) {
		t.Error("sent without knowing the level")
		return nil, nil
	}})
	_, err := p.SendDelayed(t.Context(), half(), time.Second)
	if !errors.Is(err, message.ErrNotSent) || !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("err = %v", err)
	}
}

// A name server that hangs holds up nobody who knows an old table: one fetch at
// a time finds out about it, in the background.
func TestOldDelayTableIsServedWhileItIsFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		p := producerOf(c, &fakeProducer{})
		fetches, hangs := 0, true
		p.delays.fetch = func(ctx context.Context) (DelayLevels, error) {
			fetches++
			if hangs {
				<-ctx.Done()
				return DelayLevels{}, ctx.Err()
			}
			return ParseDelayLevels("5s")
		}
		withTable(t, p, "1s", time.Now())
		begin := time.Now()
		for range 3 {
			if err := p.CheckDelay(t.Context(), time.Second); err != nil || time.Since(begin) != 0 {
				t.Fatalf("after %v: %v", time.Since(begin), err)
			}
		}
		synctest.Wait()
		if fetches != 1 {
			t.Errorf("%d fetches at once", fetches)
		}
		time.Sleep(delayTableTimeout + delayTableRetry) // of the bubble's clock
		hangs = false
		if err := p.CheckDelay(t.Context(), time.Second); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if err := p.CheckDelay(t.Context(), 5*time.Second); err != nil || fetches != 2 {
			t.Errorf("after %d fetches: %v", fetches, err)
		}
		time.Sleep(delayTableAge)
		hangs = true
		if err := p.CheckDelay(t.Context(), 5*time.Second); err != nil {
			t.Error(err)
		}
		begin = time.Now()
		if err := p.Stop(t.Context()); err != nil || time.Since(begin) != 0 || fetches != 3 {
			t.Errorf("Stop after %v and %d fetches: %v", time.Since(begin), fetches, err)
		}
	})
}

func TestFirstDelayTableIsWaitedForUntilTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := quiet()
		p := producerOf(c, &fakeProducer{})
		comes, fetches := make(chan struct{}), 0
		p.delays.fetch = func(context.Context) (DelayLevels, error) {
			fetches++
			<-comes
			return ParseDelayLevels("1s")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.SendDelayed(ctx, half(), time.Second); !errors.Is(err, message.ErrNotSent) || !errors.Is(err, message.ErrUnavailable) {
			t.Errorf("err = %v", err)
		}
		answers := make(chan error, 2)
		for range 2 {
			go func() { answers <- p.CheckDelay(t.Context(), time.Second) }()
		}
		synctest.Wait()
		close(comes)
		if err := errors.Join(<-answers, <-answers); err != nil || fetches != 1 {
			t.Errorf("after %d fetches: %v", fetches, err)
		}
		p.delays.stop()
		p.delays.askNext = time.Time{}
		if err := p.CheckDelay(t.Context(), time.Second); !errors.Is(err, message.ErrUnavailable) {
			t.Errorf("after stop: %v", err)
		}
	})
}

func TestProducerThatIsNotStarted(t *testing.T) {
	c, _ := quiet()
	f := &fakeProducer{}
	p := producerOf(c, f)
	if err := p.Ready(); err != nil {
		t.Errorf("Ready = %v", err)
	}
	for range 2 {
		if err := p.Stop(t.Context()); err != nil || f.down != 1 {
			t.Fatalf("Stop = %v, shut down %d times", err, f.down)
		}
	}
	if err := p.Ready(); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("Ready = %v", err)
	}
	if err := p.Send(t.Context(), half()); !errors.Is(err, message.ErrNotSent) || !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("Send = %v", err)
	}
}
