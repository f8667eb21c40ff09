package mq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"orderflow/internal/mq/message"
)

// Recover turns a panic of the handler into an error, so that the message is
// redelivered. In the client library a panicking callback freezes the queue for
// 15 minutes.
func Recover() message.Middleware {
	return func(next message.Handler) message.Handler {
		return func(ctx context.Context, m message.Message) (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("handler panicked: %v\n%s", p, debug.Stack())
				}
			}()
			return next(ctx, m)
		}
	}
}

// Log writes a line for every delivery: quiet for what went well, and for what is
// parked, about which the Parker has more to say; a warning for what comes again.
func Log(log *slog.Logger, group string) message.Middleware {
	return func(next message.Handler) message.Handler {
		return func(ctx context.Context, m message.Message) error {
			err := next(ctx, m)
			level, text := slog.LevelDebug, "message handled"
			switch {
			case isPermanent(err):
				text = "message is to be parked"
			case err != nil:
				level, text = slog.LevelWarn, "message comes again"
			}
			logDelivery(ctx, log, level, text, group, m, err)
			return err
		}
	}
}

// logDelivery writes a line about a message that was delivered to a group.
func logDelivery(ctx context.Context, log *slog.Logger, level slog.Level, text, group string, m message.Message, err error) {
	if !log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("group", group), slog.String("topic", m.Topic), slog.String("tag", m.Tag),
		m.LogAttr(), slog.String("message_id", m.ID), slog.Int("attempt", m.Attempt),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	log.LogAttrs(ctx, level, text, attrs...)
}

// Measure counts deliveries by result and how long they took.
func Measure(metrics *Metrics, group string) message.Middleware {
	return func(next message.Handler) message.Handler {
		return func(ctx context.Context, m message.Message) error {
			begin := time.Now()
			err := next(ctx, m)
			result := handledOK
			switch {
			case isPermanent(err):
				result = handledPermanent
			case err != nil:
				result = handledRetry
			}
			metrics.countHandled(group, m.Topic, result, time.Since(begin), m.Attempt)
			return err
		}
	}
}

func isPermanent(err error) bool {
	var permanent *message.PermanentError
	return errors.As(err, &permanent)
}
