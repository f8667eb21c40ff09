package mq

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"orderflow/internal/mq/message"
)

// DelayLevels is a broker's table of delays. A delayed message names a level of
// it, counted from 1, not a time; the table is a setting of the broker
// (messageDelayLevel), so it must be asked for. The zero value has no levels.
type DelayLevels struct {
	delays []time.Duration // the delay of level i is delays[i-1]
}

// ParseDelayLevels parses a table like "1s 5s 1m 2h 1d". The delays need not
// grow from level to level, and one may occur several times.
func ParseDelayLevels(table string) (DelayLevels, error) {
	var levels DelayLevels
	for field := range strings.SplitSeq(strings.TrimSpace(table), " ") {
		delay, err := parseDelay(field)
		if err != nil {
			return DelayLevels{}, fmt.Errorf("delay table %q, level %d: %w", table, len(levels.delays)+1, err)
		}
		levels.delays = append(levels.delays, delay)
	}
	return levels, nil
}

// parseDelay parses a number and its unit: s, m, h or d.
func parseDelay(s string) (time.Duration, error) {
	if len(s) < 2 {
		return 0, fmt.Errorf("%q is not a delay", s)
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 's':
		unit = time.Second
	case 'm':
		unit = time.Minute
	case 'h':
		unit = time.Hour
	case 'd':
		unit = 24 * time.Hour
	default:
		return 0, fmt.Errorf("%q has no unit of s, m, h and d", s)
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 63)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a delay: %w", s, err)
	case n == 0:
		return 0, fmt.Errorf("%q does not delay", s)
	case n > uint64(math.MaxInt64/unit):
		return 0, fmt.Errorf("%q is too long", s)
	}
	return time.Duration(n) * unit, nil
}

// Level returns the level that delays by exactly d, the lowest one if there are
// several. If there is none, the error is an *UnsupportedDelayError.
func (l DelayLevels) Level(d time.Duration) (int, error) {
	if i := slices.Index(l.delays, d); i >= 0 {
		return i + 1, nil
	}
	supported := slices.Clone(l.delays)
	slices.Sort(supported)
	return 0, &message.UnsupportedDelayError{Delay: d, Supported: slices.Compact(supported)}
}

// Durations returns the delays by level: level 1 is the first one.
func (l DelayLevels) Durations() []time.Duration { return slices.Clone(l.delays) }
