package notify

import (
	"testing"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/migrations"
)

func eachStore(t *testing.T, body func(t *testing.T, s *Store, clk *clock.Manual)) {
	t.Helper()
	databasetest.Each(t, migrations.Notify(), func(t *testing.T, db *database.DB) {
		clk := clock.NewManual(time.UnixMilli(1_700_000_000_000).UTC())
		body(t, NewStore(db, clk), clk)
	})
}

// mustClaim claims an event and asserts whose it is.
func mustClaim(t *testing.T, s *Store, id, body string, want claimState, attempt int64) claim {
	t.Helper()
	c, err := s.claim(t.Context(), Notification{id, []byte(body)}, time.Minute)
	if err != nil || c.state != want || c.attempt != attempt {
		t.Fatalf("claim %s: %+v, %v; want state %d of attempt %d", id, c, err, want, attempt)
	}
	return c
}

func (s *Store) rowOf(t *testing.T, id string) (r row, found bool) {
	t.Helper()
	result := s.db.With(t.Context()).Where("event_id = ?", id).Limit(1).Find(&r)
	if result.Error != nil {
		t.Fatal(result.Error)
	}
	return r, result.RowsAffected == 1
}

// The life of a row: claimed, held, given back, claimed again, sent; what was claimed
// first is what is sent.
func TestClaims(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, clk *clock.Manual) {
		first := mustClaim(t, s, "a", "one", claimed, 1)
		mustClaim(t, s, "a", "two", heldByOther, 1)
		mustClaim(t, s, "b", "another event", claimed, 1)
		if err := s.release(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		second := mustClaim(t, s, "a", "three", claimed, 2)
		if string(second.Body) != "one" || second.EventID != "a" {
			t.Errorf("claimed %+v", second)
		}
		// Whoever lost a claim gives nothing back any more.
		if err := s.release(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		mustClaim(t, s, "a", "four", heldByOther, 2)
		clk.Advance(time.Minute - time.Millisecond)
		mustClaim(t, s, "a", "four", heldByOther, 2)
		clk.Advance(time.Millisecond)
		mustClaim(t, s, "a", "five", claimed, 3)
		for i := range 2 {
			if recorded, err := s.sent(t.Context(), "a"); err != nil || recorded != (i == 0) {
				t.Errorf("sent: %v, %v", recorded, err)
			}
		}
		if err := s.release(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		clk.Advance(time.Hour)
		mustClaim(t, s, "a", "six", alreadySent, 3)
		if r, _ := s.rowOf(t, "a"); len(r.Body) > 0 || r.SeenAt != clk.Now().UnixMilli() {
			t.Errorf("the row of a sent event is %+v", r)
		}
	})
}

// A row outlives the last sight of its event by keptFor, whether it was sent or not.
func TestPurge(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store, clk *clock.Manual) {
		for _, id := range []string{"sent", "seen", "held"} {
			mustClaim(t, s, id, id, claimed, 1)
		}
		for _, id := range []string{"sent", "seen"} {
			if _, err := s.sent(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		purge := func(want ...string) {
			t.Helper()
			if full, err := s.purge(t.Context()); full || err != nil {
				t.Fatal(full, err)
			}
			for _, id := range []string{"sent", "seen", "held"} {
				_, found := s.rowOf(t, id)
				wanted := false
				for _, w := range want {
					wanted = wanted || w == id
				}
				if found != wanted {
					t.Errorf("%s is there: %v", id, found)
				}
			}
		}
		clk.Advance(keptFor)
		purge("sent", "seen", "held")
		mustClaim(t, s, "seen", "", alreadySent, 1)
		clk.Advance(time.Millisecond)
		purge("seen")
		mustClaim(t, s, "sent", "anew", claimed, 1)
	})
}
