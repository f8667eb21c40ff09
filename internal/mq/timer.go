package mq

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"orderflow/internal/mq/message"
)

// propertyDeliverAt is the time at which the broker delivers a message, in ms since
// 1970. The library has no name for it.
const propertyDeliverAt = "TIMER_DELIVER_MS"

// propertyDelayed marks a message that was sent to be delivered later. When that time has
// come, nothing of the broker's own tells it from one that was not.
const propertyDelayed = "sent-delayed"

// TimerTooFarError says that a message is to be delivered later than the broker can
// wait. Nothing was sent: it wraps ErrNotSent.
type TimerTooFarError struct {
	At  time.Time     // what was asked for
	Max time.Duration // how long the broker can wait; 0 if it did not say
}

// Error names the time and the maximum.
func (e *TimerTooFarError) Error() string {
	text := fmt.Sprintf("%v: the broker cannot wait until %s", message.ErrNotSent, e.At.Format(time.RFC3339))
	if e.Max > 0 {
		text += fmt.Sprintf(", but for %s at most", e.Max)
	}
	return text
}

// Unwrap returns ErrNotSent.
func (e *TimerTooFarError) Unwrap() error { return message.ErrNotSent }

// SendAt sends m so that the broker delivers it at the time by the broker's clock,
// not before and about a second later at most; at once if the time is past. It
// needs a broker of version 5: an older one delivers at once. The error is a *TimerTooFarError if the time is further
// away than the broker's maximum, 3 days by default, and otherwise Send's.
func (p *Producer) SendAt(ctx context.Context, m message.Message, at time.Time) (err error) {
	ctx, end := p.observe(ctx, &m)
	defer func() { end(err) }()
	library, msg, err := p.prepare(m)
	if err != nil {
		return err
	}
	msg.WithProperty(propertyDelayed, "true")
	msg.WithProperty(propertyDeliverAt, strconv.FormatInt(max(0, at.UnixMilli()), 10))
	return p.sends.run(ctx, func() error {
		result, err := library.SendSync(ctx, msg)
		if limit, refused := timerLimit(err); refused {
			return &TimerTooFarError{At: at, Max: limit}
		}
		return check(result, err)
	})
}

// timerLimit returns what the broker has said to be its maximum, if err is its
// refusal to wait for longer. Of an answer the library hands on the text only.
func timerLimit(err error) (limit time.Duration, refused bool) {
	if err == nil || !strings.Contains(err.Error(), "CODE: 13") || !strings.Contains(err.Error(), "timer message illegal") {
		return 0, false
	}
	found := regexp.MustCompile(`max delay ([0-9]+)ms`).FindStringSubmatch(err.Error())
	if found == nil {
		return 0, true
	}
	limit, parseErr := time.ParseDuration(found[1] + "ms")
	if parseErr != nil { // it has too many digits
		return 0, true
	}
	return limit, true
}
