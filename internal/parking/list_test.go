package parking_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/internal/parking"
	"orderflow/migrations"
)

// Pages begin behind a message, so that what is parked or removed meanwhile does not
// shift them; messages of one millisecond are told apart.
func TestPages(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Order(), func(t *testing.T, db *database.DB) {
		s, clk := setup(db)
		var want []string
		for i := range 7 {
			p := sample()
			p.OrderID = fmt.Sprint("order-", i)
			park(t, s, p)
			want = append(want, p.OrderID)
			if i%3 == 2 {
				clk.Advance(time.Millisecond)
			}
		}
		var got []string
		var after parking.Position
		for {
			page, err := s.Page(t.Context(), parking.Filter{}, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				got = append(got, e.Parked.OrderID)
				if len(e.Parked.Message.Body) != 0 || e.Parked.Message.Properties != nil {
					t.Errorf("a list has bodies and headers: %+v", e)
				}
			}
			last := page[len(page)-1]
			after = last.Position()
			if ok, err := s.Remove(t.Context(), last.ID, 1); err != nil || !ok {
				t.Fatalf("Remove = %v, %v", ok, err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestFilters(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		s, _ := setup(db)
		for _, key := range [][3]string{{"g1", "R1", "o1"}, {"g1", "R2", "o2"}, {"g2", "R1", "o1"}} {
			p := sample()
			p.Group, p.Reason, p.OrderID = key[0], key[1], key[2]
			park(t, s, p)
		}
		for _, test := range []struct {
			filter parking.Filter
			want   int
		}{
			{parking.Filter{}, 3}, {parking.Filter{Group: "g1"}, 2}, {parking.Filter{Reason: "R1"}, 2}, {parking.Filter{OrderID: "o2"}, 1},
			{parking.Filter{Group: "g1", Reason: "R1", OrderID: "o1"}, 1}, {parking.Filter{Group: "G1"}, 0},
		} {
			page, err := s.Page(t.Context(), test.filter, parking.Position{}, 10)
			if err != nil || len(page) != test.want {
				t.Errorf("%+v: %d, %v, want %d", test.filter, len(page), err, test.want)
			}
		}
	})
}

// What was parked again since it was looked at is not removed: it would be lost.
func TestRemoveSparesWhatWasParkedAgain(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Inventory(), func(t *testing.T, db *database.DB) {
		s, _ := setup(db)
		park(t, s, sample())
		seen := list(t, s)[0]
		got, found, err := s.Get(t.Context(), seen.ID)
		if err != nil || !found || cmp.Diff(seen, got) != "" {
			t.Fatalf("Get = %+v, %v, %v", got, found, err)
		}
		park(t, s, sample())
		if ok, err := s.Remove(t.Context(), seen.ID, seen.Times); err != nil || ok {
			t.Errorf("removed %v, %v though it was parked again", ok, err)
		}
		if ok, err := s.Remove(t.Context(), seen.ID, seen.Times+1); err != nil || !ok {
			t.Errorf("removed %v, %v", ok, err)
		}
		if ok, err := s.Remove(t.Context(), seen.ID, seen.Times+1); err != nil || ok {
			t.Errorf("removed twice: %v, %v", ok, err)
		}
		if _, found, err := s.Get(t.Context(), seen.ID); err != nil || found {
			t.Errorf("Get = %v, %v after it was removed", found, err)
		}
	})
}

// A page must fit what a client takes, however much there is to say of each message.
func TestPageOfLongDetailsIsShort(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, migrations.Order(), func(t *testing.T, db *database.DB) {
		const parked, most = 150, 4 << 20
		s, _ := setup(db)
		for i := range parked {
			p := sample()
			p.OrderID, p.Detail = fmt.Sprint("order-", i), strings.Repeat("x", 1<<16)
			park(t, s, p)
		}
		api := parking.NewGRPC(parking.NewKeeper(s, s, parking.Replays{}, slog.New(slog.DiscardHandler)))
		listed, token := 0, ""
		for pages := 0; pages == 0 || token != ""; pages++ {
			page, err := api.ListParked(t.Context(), &parkedv1.ListParkedRequest{PageSize: 100, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			if size := proto.Size(page); size > most {
				t.Fatalf("a page of %d messages has %d bytes", len(page.GetMessages()), size)
			}
			listed, token = listed+len(page.GetMessages()), page.GetNextPageToken()
		}
		if listed != parked {
			t.Errorf("%d messages are listed, want %d", listed, parked)
		}
	})
}
