package parking_test

import (
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"orderflow/internal/clock"
	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/mq/message"
	"orderflow/internal/parking"
	"orderflow/migrations"
)

func sample() message.Parked {
	return message.Parked{
		Group: "inventory-srv-order-events", OrderID: "0197a1b2-0000-7000-8000-000000000001",
		Reason: "BAD_EVENT", Detail: "BAD_EVENT: no lines",
		Message: message.Message{
			Topic: "order-events", Tag: "created", Keys: []string{"0197a1b2-0000-7000-8000-000000000001", "b"},
			Body: []byte{0xff, 0, '{'}, Properties: map[string]string{"traceparent": "00-1"}, ID: "7F0001", Attempt: 3,
		},
	}
}

func setup(db *database.DB) (*parking.Store, *clock.Manual) {
	clk := clock.NewManual(time.UnixMilli(1_700_000_000_000).UTC())
	return parking.NewStore(db, clk), clk
}

func list(t *testing.T, s *parking.Store) []parking.Entry {
	t.Helper()
	entries, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Count(t.Context())
	if err != nil || n != int64(len(entries)) {
		t.Fatalf("Count = %d, %v, but List has %d", n, err, len(entries))
	}
	return entries
}

func park(t *testing.T, s *parking.Store, p message.Parked) {
	t.Helper()
	if err := s.Park(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// What is parked comes back whole, so that it can be replayed.
func TestParkedMessageComesBackWhole(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		s, clk := setup(db)
		park(t, s, sample())
		entries := list(t, s)
		if len(entries) != 1 {
			t.Fatalf("%d entries", len(entries))
		}
		want := parking.Entry{ID: entries[0].ID, Parked: sample(), Times: 1, FirstAt: clk.Now(), LastAt: clk.Now()}
		if diff := cmp.Diff(want, entries[0]); diff != "" {
			t.Error(diff)
		}
	})
}

// The same event parked again is the same row, counted up, with the latest
// reason; another tag, order or consumer is another row.
func TestParkIsIdempotent(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Order(), func(t *testing.T, db *database.DB) {
		s, clk := setup(db)
		first := clk.Now()
		park(t, s, sample())
		clk.Advance(time.Minute)
		again := sample()
		again.Reason, again.Detail, again.Message.Attempt = "PAID_BUT_SHORT", "other detail", 5
		park(t, s, again)
		entries := list(t, s)
		if len(entries) != 1 {
			t.Fatalf("%d entries", len(entries))
		}
		got := entries[0]
		if got.Times != 2 || !got.FirstAt.Equal(first) || !got.LastAt.Equal(clk.Now()) ||
			got.Parked.Reason != "PAID_BUT_SHORT" || got.Parked.Message.Attempt != 5 || got.Parked.Detail != "other detail" {
			t.Errorf("entry after the second time: %+v", got)
		}
		for _, change := range []func(*message.Parked){
			func(p *message.Parked) { p.Group = "other" },
			func(p *message.Parked) { p.Message.Tag = "paid" },
			func(p *message.Parked) { p.OrderID = "other" },
		} {
			other := sample()
			change(&other)
			park(t, s, other)
		}
		if entries := list(t, s); len(entries) != 4 {
			t.Errorf("%d entries, want 4", len(entries))
		}
	})
}

// Many consumers that park the same event at once make one row and lose no count.
func TestParkInParallel(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		s, _ := setup(db)
		const times = 20
		var group sync.WaitGroup
		for range times {
			group.Go(func() {
				if err := s.Park(t.Context(), sample()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if entries := list(t, s); len(entries) != 1 || entries[0].Times != times {
			t.Errorf("entries %+v, want one of %d times", entries, times)
		}
	})
}

// Texts of any length and encoding are stored; ids that begin alike, or differ
// in a space only, stay two rows.
func TestParkTakesAnyText(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		s, _ := setup(db)
		long := strings.Repeat("é", 100_000) + "\xff"
		p := message.Parked{
			Group: long, OrderID: long, Reason: long, Detail: "x" + long,
			Message: message.Message{Topic: long, Tag: long, ID: long},
		}
		park(t, s, p)
		p.OrderID += "2"
		park(t, s, p)
		p.OrderID = "a"
		park(t, s, p)
		p.OrderID = "a "
		park(t, s, p)
		p.OrderID = ""
		park(t, s, p)
		entries := list(t, s)
		if len(entries) != 5 {
			t.Fatalf("%d entries, want 5", len(entries))
		}
		for _, e := range entries {
			if len(e.Parked.OrderID) > 64 || !utf8.ValidString(e.Parked.OrderID) || len(e.Parked.Detail) > 65535 ||
				!utf8.ValidString(e.Parked.Detail) || e.Times != 1 || len(e.Parked.Message.Body) != 0 {
				t.Errorf("stored order id %q (%d bytes), detail of %d bytes, times %d",
					e.Parked.OrderID, len(e.Parked.OrderID), len(e.Parked.Detail), e.Times)
			}
		}
	})
}

// A database that cannot store the message says so: it must come again.
func TestParkReportsFailure(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		s, _ := setup(db)
		if err := db.With(t.Context()).Exec("DROP TABLE parked_messages").Error; err != nil {
			t.Fatal(err)
		}
		if err := s.Park(t.Context(), sample()); err == nil {
			t.Error("no error")
		}
		if _, err := s.List(t.Context()); err == nil {
			t.Error("List: no error")
		}
		if _, err := s.Count(t.Context()); err == nil {
			t.Error("Count: no error")
		}
	})
}
