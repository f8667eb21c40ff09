package load

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// outcome is what became of an order, or happened on the way.
type outcome int

const (
	soldPaid   outcome = iota // paid and sold
	timedOut                  // not paid, closed, nothing held
	otherwise                 // closed for another reason, nothing held
	wrong                     // ended as it must not
	unfinished                // accepted, and not at its end when the load was over
	refused                   // not accepted
	skipped                   // not sent: too many were open, or the load was over
	repeated                  // a call that had to be repeated
	outcomes
)

// String is what people read.
func (o outcome) String() string {
	return [...]string{
		soldPaid: "paid, sold", timedOut: "closed by timeout", otherwise: "closed otherwise", wrong: "ended wrongly",
		unfinished: "not at an end", refused: "refused", skipped: "skipped", repeated: "calls repeated",
	}[o]
}

// maxErrors is how many different errors are remembered.
const maxErrors = 10

// tally counts what became of the orders.
type tally struct {
	mu     sync.Mutex
	counts [outcomes]int
	before [outcomes]int // at the last report
	all    latencies
	recent latencies // since the last report
	errors map[string]int
}

func newTally() *tally { return &tally{errors: map[string]int{}} }

func (t *tally) add(o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[o]++
}

// accepted notes how long after it was due an order was accepted.
func (t *tally) accepted(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.add(d)
	t.recent.add(d)
}

// failed remembers why something did not work.
func (t *tally) failed(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.errors[err.Error()]; known || len(t.errors) < maxErrors {
		t.errors[err.Error()]++
	}
}

// interval is one line about what has happened since the last one.
func (t *tally) interval(open int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := fmt.Sprintf("accepted %d (%s), open %d", t.recent.count, &t.recent, open)
	for o := range outcomes {
		if n := t.counts[o] - t.before[o]; n > 0 {
			line += fmt.Sprintf(", %s %d", o, n)
		}
	}
	t.before, t.recent = t.counts, latencies{}
	return line
}

// total is the table of the whole run.
func (t *tally) total() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "accepted\t%d\t%s\n", t.all.count, &t.all)
	for o := range outcomes {
		fmt.Fprintf(w, "%s\t%d\t\n", o, t.counts[o])
	}
	_ = w.Flush() // into memory
	for message, n := range t.errors {
		fmt.Fprintf(&text, "%d × %s\n", n, message)
	}
	return text.String()
}

// verdict says what is wrong with how the accepted orders have ended, if anything is.
func (t *tally) verdict() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts[wrong]+t.counts[unfinished] > 0 {
		return fmt.Errorf("%d orders ended wrongly, %d are not at an end", t.counts[wrong], t.counts[unfinished])
	}
	if t.all.count == 0 {
		return errors.New("no order was accepted")
	}
	return nil
}
