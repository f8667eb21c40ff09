package message

import (
	"fmt"
	"strings"
	"time"
)

// UnsupportedDelayError says that the broker has no level for a delay.
type UnsupportedDelayError struct {
	Delay     time.Duration   // what was asked for
	Supported []time.Duration // what there is, in order, each once
}

// Error names the delay and those that would have been possible.
func (e *UnsupportedDelayError) Error() string {
	supported := make([]string, len(e.Supported))
	for i, d := range e.Supported {
		supported[i] = shortDuration(d)
	}
	return fmt.Sprintf("the broker has no delay level of %s; it has %s",
		shortDuration(e.Delay), strings.Join(supported, ", "))
}

// shortDuration writes 30m where time.Duration writes 30m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
