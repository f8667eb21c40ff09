package parking

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"

	"orderflow/internal/apierror"
	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/tracing"
)

// Reasons of the errors that clients see; the proto says which call returns which.
const (
	ReasonNotFound      = "PARKED_NOT_FOUND"
	ReasonReplayRefused = "REPLAY_REFUSED"
	ReasonStillParked   = "STILL_PARKED"
)

// RefusedError says why a replay makes no sense as things stand.
type RefusedError struct{ Why string }

// Refuse makes a RefusedError.
func Refuse(format string, args ...any) *RefusedError {
	return &RefusedError{Why: fmt.Sprintf(format, args...)}
}

// Error gives the reason.
func (e *RefusedError) Error() string { return e.Why }

// Replay is how the parked messages of a group are handled once more.
type Replay struct {
	// Guard returns a *RefusedError if it makes no sense, and another error if that
	// cannot be found out at the moment. It is asked about one event of e at a time;
	// orderID is as far as it can be read, and it is for the handler to say that the
	// event cannot be.
	Guard func(ctx context.Context, orderID string, e Entry) error
	// Handler is the group's own: what it parks itself is counted up. It may find out
	// that a replay makes no sense as well.
	Handler message.Handler
}

// Replays are those of a service, by group.
type Replays map[string]Replay

// Keeper looks after what is parked: it replays and discards. It is safe for
// concurrent use, also by several processes on one database: handlers absorb
// repetitions, and a row goes only if it is as it was when the replay began.
type Keeper struct {
	store   *Store
	parker  message.Parker
	replays Replays
	log     *slog.Logger
}

// NewKeeper makes a keeper; what it parks again goes through parker, which stores in
// the same table.
func NewKeeper(store *Store, parker message.Parker, replays Replays, log *slog.Logger) *Keeper {
	return &Keeper{store: store, parker: parker, replays: replays, log: log}
}

// Replay has the message handled once more and removes it. The error says why it
// stays.
func (k *Keeper) Replay(ctx context.Context, id string) (Entry, error) {
	e, err := k.get(ctx, id)
	if err != nil {
		return Entry{}, err
	}
	replay, ours := k.replays[e.Parked.Group]
	if !ours {
		return Entry{}, errRefused(Refuse("this service has no group %s (any more)", e.Parked.Group))
	}
	parkedAlone, err := k.replayAll(ctx, replay, e)
	if err != nil {
		return Entry{}, err
	}
	removed, err := k.store.Remove(ctx, id, e.Times)
	if err != nil {
		return Entry{}, forClient(err)
	}
	if !removed {
		// Either somebody else has removed it, whose replay or discard was as good as
		// ours, or it is parked again: by this handler, or by another one meanwhile.
		now, found, err := k.store.Get(ctx, id)
		if err != nil {
			return Entry{}, forClient(err)
		}
		if found {
			return Entry{}, errStillParked(now.Parked.Detail)
		}
	}
	if parkedAlone > 0 {
		return Entry{}, errStillParked(fmt.Sprintf("%d of its events are parked alone now, the others are done", parkedAlone))
	}
	k.log.InfoContext(ctx, "parked message replayed", "id", id, "group", e.Parked.Group, "tag", e.Parked.Message.Tag,
		"order_id", e.Parked.OrderID, "reason", e.Parked.Reason)
	return e, nil
}

// replayAll handles the events of a row. A row has one, as a rule. One that was
// parked whole, by a program that could not read it, may have more: then those that
// cannot be handled are parked alone, and the others do not wait for them.
func (k *Keeper) replayAll(ctx context.Context, replay Replay, e Entry) (parkedAlone int, err error) {
	parts := event.Split(e.Parked.Message)
	if len(parts) == 1 {
		return 0, k.replayOne(ctx, replay, parts[0].OrderID, e)
	}
	var later []error
	for _, part := range parts {
		alone := e
		alone.Parked.OrderID, alone.Parked.Message = part.OrderID, part.Message
		err := k.replayOne(ctx, replay, part.OrderID, alone)
		switch apierror.ReasonOf(err) {
		case ReasonReplayRefused:
			parkedAlone++
			err = k.park(ctx, alone.Parked, ReasonReplayRefused, err.Error())
		case ReasonStillParked: // alone, under its own order id
			parkedAlone++
			err = nil
		}
		later = append(later, err)
	}
	return parkedAlone, errors.Join(later...)
}

// replayOne asks the guard and runs the handler.
func (k *Keeper) replayOne(ctx context.Context, replay Replay, orderID string, e Entry) error {
	var refused *RefusedError
	switch err := replay.Guard(ctx, orderID, e); {
	case errors.As(err, &refused):
		return errRefused(refused)
	case err != nil:
		return errLater(err)
	}
	err := handle(ctx, replay.Handler, orderID, e.Parked.Message)
	var permanent *message.PermanentError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return errRefused(refused)
	case !errors.As(err, &permanent):
		return errLater(err)
	}
	if err := k.park(ctx, e.Parked, permanent.Reason, permanent.Error()); err != nil {
		return err
	}
	return errStillParked(permanent.Error())
}

// handle runs the handler in a span that is linked to whoever sent the message.
func handle(ctx context.Context, handler message.Handler, orderID string, m message.Message) error {
	ctx, span := tracing.Start(ctx, "replay "+m.Topic, orderID, tracing.LinkTo(tracing.SenderOf(m.Properties)))
	err := handler(ctx, m)
	tracing.End(span, err)
	return err
}

// park parks again what could not be handled: its row is counted up.
func (k *Keeper) park(ctx context.Context, p message.Parked, reason, detail string) error {
	p.Reason, p.Detail = reason, detail
	if err := k.parker.Park(ctx, p); err != nil {
		return forClient(err)
	}
	return nil
}

// Discard removes the message for good; body and reason go to the log.
func (k *Keeper) Discard(ctx context.Context, id, reason string) (Entry, error) {
	for {
		e, err := k.get(ctx, id)
		if err != nil {
			return Entry{}, err
		}
		removed, err := k.store.Remove(ctx, id, e.Times)
		if err != nil {
			return Entry{}, forClient(err)
		}
		if !removed {
			continue // gone, or parked once more: what is discarded is what is logged
		}
		p := e.Parked
		k.log.InfoContext(ctx, "parked message discarded", "id", id, "why", reason, "group", p.Group, "topic", p.Message.Topic,
			"tag", p.Message.Tag, "order_id", p.OrderID, "message_id", p.Message.ID, "reason", p.Reason, "detail", p.Detail,
			"times", e.Times, "body", string(p.Message.Body), "properties", p.Message.Properties)
		return e, nil
	}
}

// get returns a parked message, or the error for the client.
func (k *Keeper) get(ctx context.Context, id string) (Entry, error) {
	e, found, err := k.store.Get(ctx, id)
	if err != nil {
		return Entry{}, forClient(err)
	}
	if !found {
		return Entry{}, apierror.NotFound(ReasonNotFound, "there is no parked message %s", id)
	}
	return e, nil
}

// maxShown bounds what of a reason for people goes into an error, which travels in
// the trailers; all of it is in the row.
const maxShown = 1000

func errRefused(why *RefusedError) error {
	return apierror.FailedPrecondition(ReasonReplayRefused, 0, "%s", why.Why)
}

func errStillParked(detail string) error {
	return apierror.FailedPrecondition(ReasonStillParked, 0, "it could not be handled: %s", database.Cut(detail, maxShown))
}

// errLater says that the message could not be handled at the moment.
func errLater(cause error) error {
	var shown *apierror.Error
	if errors.As(cause, &shown) && shown.Code == codes.Unavailable {
		return cause
	}
	return &apierror.Error{
		Code: codes.Unavailable, Reason: "TEMPORARILY_UNAVAILABLE", RetryAfter: time.Second, Cause: cause,
		Message: "the message could not be handled at the moment and stays parked; repeat the call",
	}
}

// forClient is err as a client may see it.
func forClient(err error) error {
	if database.IsUnavailable(err) {
		return apierror.Unavailable("database", err)
	}
	return err
}
