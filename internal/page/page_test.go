package page_test

import (
	"errors"
	"strings"
	"testing"

	"orderflow/internal/apierror"
	"orderflow/internal/page"
)

type position struct {
	At int64
	ID string
}

func TestTokenGivesItsPositionBack(t *testing.T) {
	t.Parallel()
	q := page.NewQuery("ListThings", "ann", []int{1, 2})
	want := position{At: 42, ID: "b"}
	token, err := page.Token(q, want)
	if err != nil {
		t.Fatal(err)
	}
	var v apierror.Violations
	got, found := page.Position[position](&v, q, token)
	if err := v.Err(); err != nil || !found || got != want {
		t.Errorf("got %v, %v, %v, want %v", got, found, err, want)
	}
}

func TestNoTokenIsTheFirstPage(t *testing.T) {
	t.Parallel()
	var v apierror.Violations
	_, found := page.Position[position](&v, page.NewQuery("ListThings"), "")
	if err := v.Err(); err != nil || found {
		t.Errorf("got %v, %v, want the first page", found, err)
	}
}

func TestForeignTokensAreRefused(t *testing.T) {
	t.Parallel()
	q := page.NewQuery("ListThings", "ann")
	token, err := page.Token(q, position{At: 42, ID: "b"})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		query page.Query
		token string
	}{
		"of another call":         {page.NewQuery("ListOthers", "ann"), token},
		"of other filters":        {page.NewQuery("ListThings", "bob"), token},
		"filters run together":    {page.NewQuery("ListThings", "an", "n"), token},
		"cut":                     {q, token[:len(token)-2]},
		"longer":                  {q, token + "AA"},
		"one character changed":   {q, token[:len(token)/2] + flip(token[len(token)/2]) + token[len(token)/2+1:]},
		"not base64":              {q, "!" + token},
		"too short for a token":   {q, "AAAA"},
		"far too long":            {q, strings.Repeat("A", 100_000)},
		"a position made up":      {q, "AAAAAAAAAAAeyJBdCI6NDJ9"},
		"with a line break in it": {q, token[:4] + "\n" + token[4:]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var v apierror.Violations
			_, found := page.Position[position](&v, test.query, test.token)
			var refused *apierror.Error
			if !errors.As(v.Err(), &refused) || found || refused.Fields[0].Path != "page_token" {
				t.Errorf("got %v, %v, want a violation of page_token", found, v.Err())
			}
		})
	}
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestSize(t *testing.T) {
	t.Parallel()
	for asked, want := range map[int32]int{0: page.DefaultSize, 1: 1, page.MaxSize: page.MaxSize} {
		var v apierror.Violations
		if got := page.Size(&v, asked); got != want || v.Err() != nil {
			t.Errorf("%d: got %d, %v, want %d", asked, got, v.Err(), want)
		}
	}
	for _, asked := range []int32{-1, page.MaxSize + 1} {
		var v apierror.Violations
		page.Size(&v, asked)
		var refused *apierror.Error
		if !errors.As(v.Err(), &refused) || refused.Fields[0].Path != "page_size" {
			t.Errorf("%d: got %v, want a violation of page_size", asked, v.Err())
		}
	}
}
