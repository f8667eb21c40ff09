package notify

import (
	"context"
	"encoding/json"
	"log/slog"

	"orderflow/internal/mq/message"
)

// Sender brings notifications to whom they concern. What Send returns decides about the
// notification:
//
//	nil                  it has arrived
//	a *PermanentError    it never will: its event is parked with the reason
//	any other error      it may have arrived or not; it is sent again later
//
// Send must end with ctx, and be safe for concurrent use.
type Sender interface {
	Send(ctx context.Context, n Notification) error
}

// LogSender writes notifications to a log.
type LogSender struct{ log *slog.Logger }

// NewLogSender returns the sender that writes to log.
func NewLogSender(log *slog.Logger) LogSender { return LogSender{log} }

// Send writes a line.
func (s LogSender) Send(ctx context.Context, n Notification) error {
	s.log.InfoContext(ctx, "notification", message.LogOrder, n.orderID(), "event_id", n.EventID, "body", json.RawMessage(n.Body))
	return nil
}
