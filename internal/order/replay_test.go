package order

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"gorm.io/gorm"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
)

// desk is what looks after the parked messages of a world, with a real table.
type desk struct {
	*world
	parked *parking.Store
	keeper *parking.Keeper

	redriven []string
	unknown  bool  // what is redriven does not exist
	failure  error // of a redrive
}

func newDesk(w *world) *desk {
	d := &desk{world: w, parked: parking.NewStore(w.db, w.clock)}
	service := New(Deps{
		Store: w.store, Transactions: w.broker, Timers: w.broker, Parker: d.parked,
		Names: event.NewNames(""), Clock: w.clock, Log: slog.New(slog.DiscardHandler),
		Config: Config{PaymentWindow: window, LocalTransactionTimeout: 20 * time.Second},
	})
	d.keeper = parking.NewKeeper(d.parked, d.parked, service.replays(func(_ context.Context, id string) (bool, error) {
		if d.failure == nil {
			d.redriven = append(d.redriven, id)
		}
		return !d.unknown, d.failure
	}), slog.New(slog.DiscardHandler))
	return d
}

// park parks a message and returns the id of its row.
func (d *desk) park(p message.Parked) string {
	d.t.Helper()
	if err := d.parked.Park(d.t.Context(), p); err != nil {
		d.t.Fatal(err)
	}
	rows, err := d.parked.List(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return rows[len(rows)-1].ID
}

// replay replays the row, and tells whether it stays.
func (d *desk) replay(id string) (stays bool, err error) {
	d.t.Helper()
	_, err = d.keeper.Replay(d.t.Context(), id)
	_, stays, findErr := d.parked.Get(context.WithoutCancel(d.t.Context()), id)
	if findErr != nil {
		d.t.Fatal(findErr)
	}
	return stays, err
}

// halfMessage is a discarded half message with a barrier that was made so long ago.
func (d *desk) halfMessage(orderID string, age time.Duration) (barrier string, p message.Parked) {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(d.clock.Manual.Now().Add(-age).UnixMilli())<<16)
	id[6], id[8] = 0x70, 0x80
	copy(id[10:], uuid.NewString())
	id, err := uuid.Parse(id.String())
	if err != nil {
		d.t.Fatal(err)
	}
	body, err := event.EncodeOrderEvents(&eventv1.OrderEvent{OrderId: orderID})
	if err != nil {
		d.t.Fatal(err)
	}
	names := event.NewNames("")
	return id.String(), message.Parked{
		Group: names.OrderTransactions, OrderID: orderID, Reason: parking.ReasonDiscarded, Detail: "discarded",
		Message: message.Message{Topic: names.OrderEvents, Tag: "closed", Keys: []string{orderID}, Body: body,
			Properties: map[string]string{event.PropertyBarrier: id.String()}},
	}
}

func (d *desk) outcomes() map[string]outcome {
	d.t.Helper()
	var rows []barrier
	if err := d.db.With(d.t.Context()).Find(&rows).Error; err != nil {
		d.t.Fatal(err)
	}
	all := map[string]outcome{}
	for _, row := range rows {
		all[row.ID] = row.Outcome
	}
	return all
}

// Of a discarded half message the barrier says whether its local transaction was
// committed. If nobody has decided yet the replay does, as a check-back: what it
// refuses must not commit later.
func TestReplayOfAHalfMessage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		d := newDesk(w)
		const order = "0197a1b2-0000-7000-8000-000000000001"
		id, p := d.halfMessage(order, time.Hour)
		if err := w.store.inTx(t.Context(), func(tx *Tx) error { return tx.insertBarrier(id) }); err != nil {
			t.Fatal(err)
		}
		row := d.park(p)
		d.failure = message.ErrUnavailable
		if stays, err := d.replay(row); !stays || apierror.Status(err).Code() != codes.Unavailable {
			t.Errorf("broker down: stays %v, %v", stays, err)
		}
		d.failure = nil
		if stays, err := d.replay(row); stays || err != nil || !slices.Equal(d.redriven, []string{order}) {
			t.Errorf("committed: stays %v, %v, sent again %v", stays, err, d.redriven)
		}

		undecided, p := d.halfMessage(order, time.Hour)
		row = d.park(p)
		w.faults.set(failStatements(func(db *gorm.DB) bool { return isFence(db) }))
		if stays, err := d.replay(row); !stays || err == nil || apierror.ReasonOf(err) == parking.ReasonReplayRefused {
			t.Errorf("database down: stays %v, %v", stays, err)
		}
		w.faults.set(nil)
		stays, err := d.replay(row)
		if !stays || apierror.ReasonOf(err) != parking.ReasonReplayRefused || !strings.Contains(err.Error(), "its local transaction never committed") {
			t.Errorf("undecided: stays %v, %v", stays, err)
		}
		if d.outcomes()[undecided] != aborted || len(d.redriven) != 1 {
			t.Errorf("it may still commit: %v; sent again %v", d.outcomes(), d.redriven)
		}
		err = w.store.inTx(t.Context(), func(tx *Tx) error { return tx.insertBarrier(undecided) })
		if !errors.Is(err, errAborted) {
			t.Errorf("the local transaction that was refused: %v", err)
		}
	})
}

// Where the barrier cannot say it, the order decides: it is purged, or the row stands
// for several half messages, of which it has the first one's.
func TestReplayOfAHalfMessageWhoseBarrierCannotSay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		d := newDesk(w)
		const order = "0197a1b2-0000-7000-8000-000000000001"
		purged, p := d.halfMessage(order, barrierAge)
		row := d.park(p)
		d.unknown = true
		stays, err := d.replay(row)
		if !stays || apierror.ReasonOf(err) != parking.ReasonReplayRefused || !strings.Contains(err.Error(), "there is no order") {
			t.Errorf("no order: stays %v, %v", stays, err)
		}
		if _, fenced := d.outcomes()[purged]; fenced {
			t.Error("a purged barrier is back, and says aborted")
		}
		d.unknown = false
		if stays, err := d.replay(row); stays || err != nil {
			t.Errorf("purged: stays %v, %v", stays, err)
		}

		_, p = d.halfMessage(order, time.Hour)
		d.park(p)
		row = d.park(p)
		if stays, err := d.replay(row); stays || err != nil {
			t.Errorf("two in a row: stays %v, %v", stays, err)
		}
		if want := []string{order, order, order}; !slices.Equal(d.redriven, want) {
			t.Errorf("sent again %v", d.redriven)
		}
	})
}

// A stock event of an order that does not exist makes no sense; of one that does it
// has its effect.
func TestReplayOfAStockEvent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		d := newDesk(w)
		names := event.NewNames("")
		parked := func(orderID string) string {
			body, err := event.EncodeStockEvents(&eventv1.StockEvent{OrderId: orderID, Version: 1})
			if err != nil {
				t.Fatal(err)
			}
			return d.park(message.Parked{Group: names.OrderStockEvents, OrderID: orderID, Reason: parking.ReasonDeadLetter,
				Message: message.Message{Topic: names.StockEvents, Tag: "reserved", Keys: []string{orderID}, Body: body}})
		}
		stays, err := d.replay(parked("0197a1b2-0000-7000-8000-000000000001"))
		if !stays || apierror.ReasonOf(err) != parking.ReasonReplayRefused {
			t.Errorf("no order: stays %v, %v", stays, err)
		}
		w.clock.Advance(time.Millisecond)
		o := w.place(request())
		row := parked(o.ID)
		w.faults.set(failStatements(isQuery))
		if _, err := d.keeper.Replay(t.Context(), row); apierror.Status(err).Code() == codes.FailedPrecondition || err == nil {
			t.Errorf("database down: %v", err)
		}
		w.faults.set(nil)
		if stays, err := d.replay(row); stays || err != nil || w.get(o.ID).Status != Reserved {
			t.Errorf("stays %v, %v, order %s", stays, err, describe(w.get(o.ID)))
		}
	})
}
