package remoting

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseDelayLevels(t *testing.T) {
	got, err := ParseDelayLevels(" 1s 5m 1s 2h 1d 106751d\n")
	want := []time.Duration{
		time.Second, 5 * time.Minute, time.Second, 2 * time.Hour, 24 * time.Hour, 106751 * 24 * time.Hour,
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

func TestParseDelayLevelsRefuses(t *testing.T) {
	for table, level := range map[string]string{
		"": "level 1", "1s  5s": "level 2", "5": "level 1", "s": "level 1", "1s 1x": "level 2", "1S": "level 1",
		"-1s": "level 1", "+1s": "level 1", "1.5s": "level 1", "0s": "level 1", "1s 5s 10": "level 3",
		"1s,5s": "level 1", "99999999999999999999s": "level 1", "106752d": "level 1", "1s # comment": "level 2",
	} {
		if delays, err := ParseDelayLevels(table); err == nil {
			t.Errorf("%q was taken for %v", table, delays)
		} else if !strings.Contains(err.Error(), level) {
			t.Errorf("%q: %v does not name %s", table, err, level)
		}
	}
}
