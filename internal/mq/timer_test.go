package mq

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/message"
)

func TestSendAtNamesTheTime(t *testing.T) {
	c, _ := quiet()
	var sent []string
	p := producerOf(c, &fakeProducer{send: func(_ context.Context, m *primitive.Message) (*primitive.SendResult, error) {
		sent = append(sent, m.GetProperty("TIMER_DELIVER_MS"))
		return &primitive.SendResult{}, nil
	}})
	for _, at := range []time.Time{time.UnixMilli(1700000000123), {}, time.UnixMilli(1700000000000).In(time.FixedZone("x", 3600))} {
		if err := p.SendAt(t.Context(), half(), at); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(sent, " "); got != "1700000000123 0 1700000000000" {
		t.Errorf("sent with %s", got)
	}
	m := half()
	m.Properties = map[string]string{"TIMER_DELIVER_MS": "1"}
	if err := p.SendAt(t.Context(), m, time.Now()); !errors.Is(err, message.ErrNotSent) {
		t.Errorf("a timer of the caller's: %v", err)
	}
}

func TestSendAtThatTheBrokerRefuses(t *testing.T) {
	const refusal = "CODE: 13, DESC: timer message illegal, the delay time should not be bigger than the max delay "
	at := time.Now().Add(100 * time.Hour)
	for name, test := range map[string]struct {
		err    error
		tooFar bool
		limit  time.Duration
	}{
		"too far":          {errors.New(refusal + "259200000ms; or if set del msg"), true, 72 * time.Hour},
		"says no maximum":  {errors.New("CODE: 13, DESC: timer message illegal"), true, 0},
		"says too much":    {errors.New(refusal + "99999999999999999999ms"), true, 0},
		"too large":        {errors.New("CODE: 13, DESC: the message is illegal, maybe msg body"), false, 0},
		"timers are off":   {errors.New("CODE: 1, DESC: accurate timer message is not enabled"), false, 0},
		"no answer":        {errors.New("timer message illegal connection"), false, 0},
		"nothing is wrong": {nil, false, 0},
	} {
		c, _ := quiet()
		p := producerOf(c, &fakeProducer{send: sends(&primitive.SendResult{}, test.err)})
		err := p.SendAt(t.Context(), half(), at)
		var far *TimerTooFarError
		switch {
		case test.tooFar:
			if !errors.As(err, &far) || far.Max != test.limit || !far.At.Equal(at) ||
				!errors.Is(err, message.ErrNotSent) || errors.Is(err, message.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
			if said := strings.Contains(err.Error(), "72h"); said != (test.limit > 0) {
				t.Errorf("%s: %v", name, err)
			}
		case test.err == nil:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case !errors.Is(err, message.ErrUnavailable) || errors.Is(err, message.ErrNotSent) || errors.As(err, &far):
			t.Errorf("%s: %v", name, err)
		}
	}
}
