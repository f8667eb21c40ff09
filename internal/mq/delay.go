package mq

import (
	"slices"
	"time"

	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
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
	delays, err := remoting.ParseDelayLevels(table)
	return DelayLevels{delays: delays}, err
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
