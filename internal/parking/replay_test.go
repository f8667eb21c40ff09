package parking_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
	"orderflow/internal/tracing"
	"orderflow/migrations"
)

// desk is a keeper of a service whose group's handler and guard the test says.
type desk struct {
	*testing.T
	store  *parking.Store
	api    parkedv1.ParkedServiceServer
	handle func(m message.Message) error
	guard  func(orderID string) error
	log    bytes.Buffer

	mu      sync.Mutex
	handled []message.Message
}

const group = "inventory-srv-order-events"

// onEach runs the test on each database.
func onEach(t *testing.T, test func(d *desk)) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		s, _ := setup(db)
		d := &desk{T: t, store: s, handle: func(message.Message) error { return nil }, guard: func(string) error { return nil }}
		keeper := parking.NewKeeper(s, s, parking.Replays{group: {
			Guard: func(_ context.Context, orderID string, _ parking.Entry) error { return d.guard(orderID) },
			Handler: func(_ context.Context, m message.Message) error {
				d.mu.Lock()
				d.handled = append(d.handled, m)
				d.mu.Unlock()
				return d.handle(m)
			},
		}}, slog.New(slog.NewTextHandler(&d.log, nil)))
		d.api = parking.NewGRPC(keeper)
		test(d)
	})
}

// parked parks the sample with a body and returns its row.
func (d *desk) parked(body []byte) parking.Entry {
	d.Helper()
	p := sample()
	p.Message.Body, p.Message.Keys = body, []string{p.OrderID}
	park(d.T, d.store, p)
	return list(d.T, d.store)[0]
}

func (d *desk) replay(id string) error {
	_, err := d.api.ReplayParked(d.Context(), &parkedv1.ReplayParkedRequest{Id: id})
	return err
}

// refused checks the error of a call.
func (d *desk) refused(err error, code codes.Code, reason, text string) {
	d.Helper()
	var shown *apierror.Error
	if !errors.As(err, &shown) || shown.Code != code || shown.Reason != reason || !strings.Contains(shown.Message, text) {
		d.Errorf("got %v, want %v %s with %q", err, code, reason, text)
	}
}

func TestReplayHandlesAndRemoves(t *testing.T) {
	onEach(t, func(d *desk) {
		e := d.parked(envelope(first))
		if err := d.replay(e.ID); err != nil {
			d.Fatal(err)
		}
		if n := len(list(d.T, d.store)); n != 0 || len(d.handled) != 1 {
			d.Fatalf("%d rows are left, handled %d times", n, len(d.handled))
		}
		if diff := cmp.Diff(e.Parked.Message, d.handled[0]); diff != "" {
			d.Error(diff)
		}
		d.refused(d.replay(e.ID), codes.NotFound, parking.ReasonNotFound, e.ID)
	})
}

// A replay is a span within the operator's call, linked to whoever sent the message.
func TestReplayIsLinkedToTheSender(t *testing.T) {
	onEach(t, func(d *desk) {
		spans := tracetest.NewSpanRecorder()
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
		sending, sent := tracer.Start(d.Context(), "sent")
		p := sample()
		p.Message.Body, p.Message.Properties = envelope(first), map[string]string{}
		tracing.Inject(sending, p.Message.Properties)
		park(d.T, d.store, p)
		ctx, call := tracer.Start(d.Context(), "call")
		if _, err := d.api.ReplayParked(ctx, &parkedv1.ReplayParkedRequest{Id: list(d.T, d.store)[0].ID}); err != nil {
			d.Fatal(err)
		}
		replay := spans.Ended()[0]
		if replay.Name() != "replay "+p.Message.Topic || replay.Parent().SpanID() != call.SpanContext().SpanID() ||
			len(replay.Links()) != 1 || replay.Links()[0].SpanContext.SpanID() != sent.SpanContext().SpanID() {
			d.Errorf("%s has the parent %v and links %v", replay.Name(), replay.Parent(), replay.Links())
		}
	})
}

// Whatever stands in the way, the row stays, and says why.
func TestReplayThatDoesNotSucceedKeepsTheRow(t *testing.T) {
	onEach(t, func(d *desk) {
		e := d.parked(envelope(first))
		d.guard = func(id string) error { return parking.Refuse("order %s is closed", id) }
		d.refused(d.replay(e.ID), codes.FailedPrecondition, parking.ReasonReplayRefused, "order "+first+" is closed")
		d.guard = func(string) error { return errors.New("order-srv is down") }
		d.refused(d.replay(e.ID), codes.Unavailable, "TEMPORARILY_UNAVAILABLE", "")
		if len(d.handled) != 0 {
			d.Fatal("handled although the guard did not say yes")
		}
		d.guard = func(string) error { return nil }
		d.handle = func(message.Message) error { return errors.New("deadlock") }
		d.refused(d.replay(e.ID), codes.Unavailable, "TEMPORARILY_UNAVAILABLE", "")
		if diff := cmp.Diff([]parking.Entry{e}, list(d.T, d.store)); diff != "" {
			d.Fatal(diff)
		}

		d.handle = func(message.Message) error { return message.Permanent("BAD_BODY", "still nonsense") }
		d.refused(d.replay(e.ID), codes.FailedPrecondition, parking.ReasonStillParked, "still nonsense")
		d.handle = func(m message.Message) error { // what event.Each does with one event
			p := sample()
			p.Message, p.Reason, p.Detail = m, "PAID_BUT_SHORT", "PAID_BUT_SHORT: 3 of tea"
			return d.store.Park(d.Context(), p)
		}
		d.refused(d.replay(e.ID), codes.FailedPrecondition, parking.ReasonStillParked, "3 of tea")
		rows := list(d.T, d.store)
		if len(rows) != 1 || rows[0].ID != e.ID || rows[0].Times != 3 || rows[0].Parked.Reason != "PAID_BUT_SHORT" {
			d.Errorf("rows %+v", rows)
		}
	})
}

// A message of a group that this service has no more is not handled by another one's
// handler.
func TestReplayOfAnUnknownGroupIsRefused(t *testing.T) {
	onEach(t, func(d *desk) {
		p := sample()
		p.Group = "old-group"
		park(d.T, d.store, p)
		d.refused(d.replay(list(d.T, d.store)[0].ID), codes.FailedPrecondition, parking.ReasonReplayRefused, "old-group")
		if len(list(d.T, d.store)) != 1 || len(d.handled) != 0 {
			d.Error("it was handled or removed")
		}
	})
}

// What was parked whole may hold many events: each is asked about and handled for
// itself, and only what could not be handled stays, alone.
func TestReplayOfAWholeEnvelopeTakesItApart(t *testing.T) {
	onEach(t, func(d *desk) {
		p := sample()
		third := strings.Replace(second, "2", "3", 1)
		p.Message.Body, p.OrderID = envelope(first, second, third), "all of them"
		park(d.T, d.store, p)
		id := list(d.T, d.store)[0].ID
		d.guard = func(id string) error {
			if id == first {
				return parking.Refuse("it is closed")
			}
			return nil
		}
		failure := errors.New("deadlock")
		d.handle = func(m message.Message) error {
			if m.Keys[0] == second {
				return failure
			}
			return nil
		}
		d.refused(d.replay(id), codes.Unavailable, "TEMPORARILY_UNAVAILABLE", "")
		failure = message.Permanent("NO", "not this one")
		d.refused(d.replay(id), codes.FailedPrecondition, parking.ReasonStillParked, "2 of its events are parked alone")
		got := map[string]string{}
		for _, e := range list(d.T, d.store) {
			got[e.Parked.OrderID] = e.Parked.Reason
			if n := len(event.Split(e.Parked.Message)); n != 1 {
				d.Errorf("%d events in the row of %s", n, e.Parked.OrderID)
			}
		}
		if diff := cmp.Diff(map[string]string{first: parking.ReasonReplayRefused, second: "NO"}, got); diff != "" {
			d.Error(diff)
		}
	})
}

// Many replays at once, on one row, do no harm: handlers absorb repetitions, and a row
// that is parked again meanwhile is not lost.
func TestReplaysAtOnce(t *testing.T) {
	onEach(t, func(d *desk) {
		e := d.parked(envelope(first))
		const replays = 8
		var all sync.WaitGroup
		var begun sync.WaitGroup
		begun.Add(replays)
		d.handle = func(message.Message) error { begun.Done(); begun.Wait(); return nil }
		for range replays {
			all.Go(func() {
				if err := d.replay(e.ID); err != nil {
					d.Error(err)
				}
			})
		}
		all.Wait()
		if n := len(list(d.T, d.store)); n != 0 {
			d.Errorf("%d rows are left", n)
		}

		e = d.parked(envelope(first))
		d.handle = func(message.Message) error { return d.store.Park(d.Context(), sample()) }
		d.refused(d.replay(e.ID), codes.FailedPrecondition, parking.ReasonStillParked, "")
		if rows := list(d.T, d.store); len(rows) != 1 || rows[0].Times != 2 {
			d.Errorf("rows %+v: what was parked meanwhile is lost", rows)
		}
	})
}

// What is discarded is in the log, whole.
func TestDiscardIsLogged(t *testing.T) {
	onEach(t, func(d *desk) {
		e := d.parked(envelope(first))
		park(d.T, d.store, sample()) // once more
		answer, err := d.api.DiscardParked(d.Context(), &parkedv1.DiscardParkedRequest{Id: e.ID, Reason: "a test of ours"})
		if err != nil || answer.GetMessage().GetTimes() != 2 || len(list(d.T, d.store)) != 0 {
			d.Fatalf("%v, %v", answer, err)
		}
		for _, text := range []string{"a test of ours", first, e.ID, group, "schemaVersion"} {
			if !strings.Contains(d.log.String(), text) {
				d.Errorf("%q is not in the log: %s", text, d.log.String())
			}
		}
		_, err = d.api.DiscardParked(d.Context(), &parkedv1.DiscardParkedRequest{Id: e.ID, Reason: "again"})
		d.refused(err, codes.NotFound, parking.ReasonNotFound, e.ID)
	})
}

func TestListAndGetOverGRPC(t *testing.T) {
	onEach(t, func(d *desk) {
		for _, id := range []string{first, second} {
			p := sample()
			p.OrderID = id
			park(d.T, d.store, p)
		}
		page, err := d.api.ListParked(d.Context(), &parkedv1.ListParkedRequest{Group: group, PageSize: 1})
		if err != nil || len(page.GetMessages()) != 1 || page.GetMessages()[0].GetOrderId() != first || page.GetMessages()[0].GetBody() != nil {
			d.Fatalf("%v, %v", page, err)
		}
		page, err = d.api.ListParked(d.Context(), &parkedv1.ListParkedRequest{Group: group, PageToken: page.GetNextPageToken()})
		if err != nil || len(page.GetMessages()) != 1 || page.GetMessages()[0].GetOrderId() != second || page.GetNextPageToken() != "" {
			d.Fatalf("%v, %v", page, err)
		}
		got, err := d.api.GetParked(d.Context(), &parkedv1.GetParkedRequest{Id: page.GetMessages()[0].GetId()})
		want := sample()
		if m := got.GetMessage(); err != nil || !bytes.Equal(m.GetBody(), want.Message.Body) || m.GetAttempt() != 3 || m.GetTimes() != 1 ||
			m.GetProperties()["traceparent"] != "00-1" || m.GetReason() != want.Reason || m.GetDetail() != want.Detail ||
			m.GetTopic() != "order-events" || m.GetTag() != "created" || m.GetMessageId() != "7F0001" {
			d.Errorf("%v, %v", m, err)
		}
	})
}

// Requests that are wrong are refused with the field, and change nothing.
func TestBadRequests(t *testing.T) {
	onEach(t, func(d *desk) {
		e := d.parked(envelope(first))
		page, err := d.api.ListParked(d.Context(), &parkedv1.ListParkedRequest{PageSize: 1})
		if err != nil || page.GetNextPageToken() != "" {
			d.Fatalf("%v, %v", page, err)
		}
		long := strings.Repeat("x", 500)
		lists := map[*parkedv1.ListParkedRequest][]string{
			{PageSize: -1}:                         {"page_size"},
			{PageSize: 501, Group: long}:           {"group", "page_size"},
			{PageToken: "nonsense"}:                {"page_token"},
			{Reason: "a\nb", OrderId: long}:        {"reason", "order_id"},
			{Group: "a\x00", PageToken: "AAAAAAA"}: {"group", "page_token"},
		}
		for in, fields := range lists {
			_, err := d.api.ListParked(d.Context(), in)
			d.violates(err, fields...)
		}
		for _, id := range []string{"", "x", strings.ToUpper(e.ID), "{" + e.ID + "}", e.ID + "0"} {
			_, err := d.api.GetParked(d.Context(), &parkedv1.GetParkedRequest{Id: id})
			if strings.ToUpper(e.ID) == e.ID {
				d.Fatal("the id has no letters")
			}
			d.violates(err, "id")
			d.violates(d.replay(id), "id")
			_, err = d.api.DiscardParked(d.Context(), &parkedv1.DiscardParkedRequest{Id: id})
			d.violates(err, "id", "reason")
		}
		for _, reason := range []string{"", strings.Repeat("ä", 201), "a\tb", "a\u0085b"} {
			_, err := d.api.DiscardParked(d.Context(), &parkedv1.DiscardParkedRequest{Id: e.ID, Reason: reason})
			d.violates(err, "reason")
		}
		none := "0197a1b2-0000-7000-8000-0000000000ff"
		_, err = d.api.GetParked(d.Context(), &parkedv1.GetParkedRequest{Id: none})
		d.refused(err, codes.NotFound, parking.ReasonNotFound, none)
		d.refused(d.replay(none), codes.NotFound, parking.ReasonNotFound, none)
		_, err = d.api.DiscardParked(d.Context(), &parkedv1.DiscardParkedRequest{Id: none, Reason: "r"})
		d.refused(err, codes.NotFound, parking.ReasonNotFound, none)
		if diff := cmp.Diff([]parking.Entry{e}, list(d.T, d.store)); diff != "" || len(d.handled) != 0 {
			d.Error("something happened", diff)
		}
		if _, err := d.api.DiscardParked(d.Context(), &parkedv1.DiscardParkedRequest{Id: e.ID, Reason: strings.Repeat("ä", 200)}); err != nil {
			d.Error(err)
		}
	})
}

// violates checks that exactly those fields are wrong.
func (d *desk) violates(err error, fields ...string) {
	d.Helper()
	var shown *apierror.Error
	if !errors.As(err, &shown) || status.Code(err) != codes.InvalidArgument {
		d.Errorf("got %v, want InvalidArgument", err)
		return
	}
	var got []string
	for _, f := range shown.Fields {
		got = append(got, f.Path)
	}
	if !slices.Equal(got, fields) {
		d.Errorf("got %v, want violations of %v", err, fields)
	}
}

// A token belongs to its query, and a database that does not answer is no bug.
func TestListsOfOtherQueriesAndOfNoDatabase(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Order(), func(t *testing.T, db *database.DB) {
		s, _ := setup(db)
		d := &desk{T: t, store: s}
		d.api = parking.NewGRPC(parking.NewKeeper(s, s, nil, slog.New(slog.DiscardHandler)))
		for _, id := range []string{first, second} {
			p := sample()
			p.OrderID = id
			park(t, s, p)
		}
		page, err := d.api.ListParked(t.Context(), &parkedv1.ListParkedRequest{PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.api.ListParked(t.Context(), &parkedv1.ListParkedRequest{Group: group, PageToken: page.GetNextPageToken()})
		d.violates(err, "page_token")
		id := page.GetMessages()[0].GetId()
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, listed := d.api.ListParked(t.Context(), &parkedv1.ListParkedRequest{})
		_, got := d.api.GetParked(t.Context(), &parkedv1.GetParkedRequest{Id: id})
		_, discarded := d.api.DiscardParked(t.Context(), &parkedv1.DiscardParkedRequest{Id: id, Reason: "r"})
		for _, err := range []error{listed, got, d.replay(id), discarded} {
			d.refused(err, codes.Unavailable, "TEMPORARILY_UNAVAILABLE", "database")
		}
	})
}
