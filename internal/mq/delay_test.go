package mq

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq/message"
)

func TestDelayLevels(t *testing.T) {
	levels, err := ParseDelayLevels("1s 5s 1m 1s 2h 1d 60s\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []time.Duration{
		time.Second, 5 * time.Second, time.Minute, time.Second, 2 * time.Hour, 24 * time.Hour, time.Minute,
	}
	if got := levels.Durations(); !slices.Equal(got, want) {
		t.Errorf("Durations = %v, want %v", got, want)
	}
	for d, want := range map[time.Duration]int{
		time.Second: 1, 5 * time.Second: 2, time.Minute: 3, 2 * time.Hour: 5, 24 * time.Hour: 6,
	} {
		if got, err := levels.Level(d); got != want || err != nil {
			t.Errorf("Level(%v) = %d, %v; want %d", d, got, err, want)
		}
	}
	for _, d := range []time.Duration{0, -time.Second, time.Second - 1, 30 * time.Minute} {
		var unsupported *message.UnsupportedDelayError
		_, err := levels.Level(d)
		if !errors.As(err, &unsupported) {
			t.Fatalf("Level(%v): %v, want an *UnsupportedDelayError", d, err)
		}
		sorted := []time.Duration{time.Second, 5 * time.Second, time.Minute, 2 * time.Hour, 24 * time.Hour}
		if unsupported.Delay != d || !slices.Equal(unsupported.Supported, sorted) {
			t.Errorf("Level(%v): %+v", d, unsupported)
		}
	}
	_, err = levels.Level(30 * time.Minute)
	if want := "no delay level of 30m; it has 1s, 5s, 1m, 2h, 24h"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q lacks %q", err, want)
	}
}

func TestDelayLevelsDefaultTable(t *testing.T) {
	levels, err := ParseDelayLevels("1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := levels.Level(30 * time.Minute); got != 16 || err != nil {
		t.Errorf("Level(30m) = %d, %v; want 16", got, err)
	}
}

func TestDelayLevelsStrict(t *testing.T) {
	for _, table := range []string{
		"", " ", "1s  5s", "5", "s", "1x", "1S", "-1s", "+1s", "1.5s", "0s", "1s 5s 10", "1s,5s",
		"99999999999999999999s", "106752d", "1 s", "1s # comment",
	} {
		if levels, err := ParseDelayLevels(table); err == nil {
			t.Errorf("%q was taken for %v", table, levels.Durations())
		}
	}
	if _, err := (DelayLevels{}).Level(time.Second); err == nil {
		t.Error("the zero value has a level")
	}
}
