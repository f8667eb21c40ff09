package remoting

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDelayLevels parses a broker's table of delays (its setting
// messageDelayLevel) like "1s 5s 1m 2h 1d". Level 1 of a delayed message is the
// first delay. The delays need not grow from level to level, and one may occur
// several times. The error names the level.
func ParseDelayLevels(table string) ([]time.Duration, error) {
	var delays []time.Duration
	for field := range strings.SplitSeq(strings.TrimSpace(table), " ") {
		delay, err := parseDelay(field)
		if err != nil {
			return nil, fmt.Errorf("delay table %q, level %d: %w", table, len(delays)+1, err)
		}
		delays = append(delays, delay)
	}
	return delays, nil
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
