package order

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"

	"orderflow/internal/apierror"
	"orderflow/internal/database"
)

// ReasonTooManyStreams says that this replica watches as many orders as it may.
const ReasonTooManyStreams = "TOO_MANY_STREAMS"

// errDown says that the database has not answered for watchPatience.
var errDown = errors.New("the polls of watched orders have failed for too long")

func errTooManyStreams() error {
	return &apierror.Error{Code: codes.ResourceExhausted, Reason: ReasonTooManyStreams, RetryAfter: time.Second,
		Message: "this replica serves as many streams as it may; repeat the call, if possible at another one"}
}

// Watch sends the order as it was after each of its changes behind the version
// after, in the order of the versions, and waits for more. It returns nil when
// nothing can change any more, else send's error or one of WatchOrder's in the proto.
//
// A database that does not answer ends a watch before it has begun, or after
// watchPatience. In between the watch reads again whenever a poll has got through.
func (s *Service) Watch(ctx context.Context, id string, after int64, send func(Entry) error) error {
	w, ok := s.store.hub.stream(id, s.config.MaxWatches)
	if !ok {
		return errTooManyStreams()
	}
	defer w.leave()
	o, found, err := s.store.head(ctx, id)
	switch {
	case err != nil:
		return forClient(err)
	case !found:
		return errOrderNotFound(id)
	case after > o.Version:
		var v apierror.Violations
		v.Add("after_version", "must be at most the order's version, which is %d, got %d", o.Version, after)
		return v.Err()
	}
	f := follower{Service: s, watch: w, seen: after, send: send}
	for {
		if ended, err := f.catchUp(ctx); ended || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.signal:
		}
		if w.isLost() {
			return apierror.Unavailable("database", errDown)
		}
	}
}

// follower is a watch under way.
type follower struct {
	*Service
	watch   *watch
	seen    int64     // the version that was sent last
	failing time.Time // since when reads fail; zero if the last one did not
	send    func(Entry) error
}

// catchUp sends what there is, and tells whether there will be no more. A read
// that fails is no error as long as there is patience.
func (f *follower) catchUp(ctx context.Context) (ended bool, err error) {
	for {
		next, err := f.store.changesBehind(ctx, f.watch.id, f.seen)
		if ctx.Err() != nil {
			return false, ctx.Err() // whatever the driver has made of it
		}
		if err != nil {
			return false, f.failed(err)
		}
		f.failing = time.Time{}
		for _, e := range next.entries {
			if err := f.send(e); err != nil {
				return false, err
			}
			f.seen = e.Version
		}
		f.watch.saw(f.seen)
		if !next.more {
			return next.final, nil
		}
	}
}

func (f *follower) failed(err error) error {
	now := f.clock.Now()
	switch {
	case !database.IsUnavailable(err):
		return forClient(err)
	case f.failing.IsZero():
		f.failing = now
	case now.Sub(f.failing) >= watchPatience:
		return forClient(err)
	}
	return nil
}

// AwaitStock waits until the order's stock is reserved or refused, and returns the
// order as it then is. When ctx is nearly over it returns the order as it stood
// last; an error there is none, because the order is placed in any case.
func (s *Service) AwaitStock(ctx context.Context, o Order) Order {
	ctx, cancel := beforeDeadline(ctx)
	defer cancel()
	w := s.store.hub.watch(o.ID)
	defer w.leave()
	for o.Status == Placed {
		now, found, err := s.store.find(ctx, o.ID)
		if err == nil && found {
			o = now
			w.saw(o.Version)
			if o.Status != Placed {
				return o
			}
		}
		select {
		case <-ctx.Done():
			return o
		case <-w.signal:
		}
	}
	return o
}

// answerTime is what is left of a call's time for its answer after a wait.
const answerTime = 100 * time.Millisecond

// beforeDeadline is ctx, but ends a little earlier: a tenth of the time that is left,
// and not more than answerTime. It is the machine's time, as all deadlines are.
func beforeDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(time.Until(deadline)/10, answerTime)))
}
