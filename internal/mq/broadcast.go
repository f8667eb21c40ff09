package mq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"

	"orderflow/internal/mq/message"
)

// broadcastAttempts is how often a message of a broadcast is tried in place.
const broadcastAttempts = 16

// ReasonGaveUp is why a message of a broadcast is parked that could not be handled.
const ReasonGaveUp = "GAVE_UP"

// broadcastInstance is the member's instance name. It is the name of the file with
// its offsets, too, so it stays the same over restarts. The group is in it because
// the library shares a connection object between all with the same name.
func (s Subscription) broadcastInstance(c Client) string {
	return fmt.Sprintf("%s.%s.%s", c.Service, s.Group, s.Broadcast) // names have no dots
}

// checkOffsetFolder tells whether offsets can be kept. The library reads the
// environment once, takes the working directory if there is no HOME, and only logs
// that a file cannot be written; the member would begin anew at each start.
func checkOffsetFolder() error {
	folder := os.Getenv("rocketmq.client.localOffsetStoreDir")
	if folder == "" {
		home := os.Getenv("HOME")
		if home == "" {
			return fmt.Errorf("%w: a broadcast keeps its offsets in HOME, which is not set", errInvalid)
		}
		folder = filepath.Join(home, ".rocketmq_client_go")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("the folder for the offsets of a broadcast: %w", err)
	}
	probe, err := os.CreateTemp(folder, "probe")
	if err != nil {
		return fmt.Errorf("the folder for the offsets of a broadcast: %w", err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// tryAgain tries a message of a broadcast in place, since nobody else will. The
// library would leave its offset behind for ever and only log. It says no if Stop
// came first.
func (c *Consumer) tryAgain(ctx context.Context, m message.Message, err error) bool {
	pauses := inPlacePauses()
	for ; m.Attempt < c.sub.MaxAttempts; m.Attempt++ {
		if c.sub.Parker == nil && isPermanent(err) {
			break
		}
		select {
		case <-c.gate.closing():
			return false
		case <-time.After(pauses.NextBackOff()):
		}
		again := m
		again.Attempt++
		if !c.pause.begin(c.gate.closing(), nil) {
			return false
		}
		ctx, err = c.attempt(again)
		c.pause.end()
		if err == nil {
			return true
		}
	}
	return c.giveUp(ctx, m, err)
}

// giveUp parks a message of a broadcast, or leaves it if there is nowhere to. It
// says no if Stop came before the message was parked.
func (c *Consumer) giveUp(ctx context.Context, m message.Message, cause error) bool {
	if c.sub.Parker == nil {
		c.log(ctx, slog.LevelError, "message of a broadcast is dropped", m, cause)
		c.client.Metrics.countDropped(c.sub.Group, m.Topic)
		return true
	}
	why := message.Permanent(ReasonGaveUp, "after %d attempts: %w", m.Attempt, cause)
	pauses := inPlacePauses()
	for {
		err := limited(ctx, func(ctx context.Context) error { return c.park(ctx, m, why) })
		if err == nil {
			return true
		}
		c.log(ctx, slog.LevelWarn, "cannot park message, holding it", m, err)
		select {
		case <-c.gate.closing():
			return false
		case <-time.After(pauses.NextBackOff()):
		}
	}
}

// inPlacePauses are the pauses between what is tried in place: 16 attempts take
// about a minute.
func inPlacePauses() *backoff.ExponentialBackOff {
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.3, Multiplier: 2, MaxInterval: 5 * time.Second,
	}
	pauses.Reset()
	return pauses
}
