package load

import (
	"fmt"
	"math"
	"time"
)

// latencies are durations in buckets, each 5 % longer than the one before: a load that
// runs for days needs no more memory than a short one.
type latencies struct {
	buckets [400]int // the last one is beyond 8 hours
	count   int
	longest time.Duration
}

const (
	shortest = 100 * time.Microsecond
	growth   = 1.05
)

func (l *latencies) add(d time.Duration) {
	n := 0
	if d > shortest {
		n = int(math.Ceil(math.Log(float64(d)/float64(shortest)) / math.Log(growth)))
	}
	l.buckets[min(n, len(l.buckets)-1)]++
	l.count++
	l.longest = max(l.longest, d)
}

// percentile is at most 5 % more than the exact value.
func (l *latencies) percentile(percent int) time.Duration {
	left := max(1, (l.count*percent+99)/100)
	for n, count := range l.buckets {
		if left -= count; left <= 0 && n < len(l.buckets)-1 {
			return min(time.Duration(float64(shortest)*math.Pow(growth, float64(n))), l.longest)
		}
	}
	return l.longest
}

// String is what people read.
func (l *latencies) String() string {
	if l.count == 0 {
		return "no latency"
	}
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
	return fmt.Sprintf("p50 %v, p99 %v, max %v", round(l.percentile(50)), round(l.percentile(99)), round(l.longest))
}
