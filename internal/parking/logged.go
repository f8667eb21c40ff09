package parking

import (
	"context"
	"log/slog"

	"orderflow/internal/mq/message"
)

// Logged returns a Parker that stores with p and says so, once for each time that
// something is parked: a person has to look at it.
func Logged(p message.Parker, log *slog.Logger) message.Parker { return loggingParker{p, log} }

type loggingParker struct {
	message.Parker
	log *slog.Logger
}

// Park stores and logs.
func (l loggingParker) Park(ctx context.Context, p message.Parked) error {
	err := l.Parker.Park(ctx, p)
	if err == nil {
		l.log.ErrorContext(ctx, "event is parked", "group", p.Group, "topic", p.Message.Topic, "tag", p.Message.Tag,
			message.LogOrder, p.OrderID, "message_id", p.Message.ID, "attempt", p.Message.Attempt, "reason", p.Reason, "detail", p.Detail)
	}
	return err
}
