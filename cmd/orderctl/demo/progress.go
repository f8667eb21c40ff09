package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows how far a rush is.
type progress interface {
	show(s sample)
	say(text string)
	// finish ends it; what comes then is written below it.
	finish()
}

// newProgress draws bars on a terminal, and writes lines elsewhere: also on a terminal
// that does not know its width, as one that a script opens, where no bar would be seen.
func newProgress(w io.Writer, total int) progress {
	if file, ok := w.(*os.File); ok {
		if width, _, err := cwriter.GetSize(int(file.Fd())); err == nil && width > 0 {
			return newBars(w, total)
		}
	}
	return &lines{story: newStory(w)}
}

// lineEvery is how often a line is written.
const lineEvery = 2 * time.Second

// lines are for a file, or a log.
type lines struct {
	story *story
	next  time.Duration
}

func (l *lines) show(s sample) {
	if s.at < l.next {
		return
	}
	l.next = s.at + lineEvery
	l.say(fmt.Sprintf("%5.1f s  accepted %7s   reserved %7s   backlog %7s",
		s.at.Seconds(), grouped(s.accepted), grouped(s.reserved), grouped(s.backlog())))
}

func (l *lines) say(text string) { l.story.say(text) }

func (l *lines) finish() {}

// bars are for a terminal.
type bars struct {
	all                *mpb.Progress
	accepted, reserved *mpb.Bar
	backlog            atomic.Int64
}

func newBars(w io.Writer, total int) *bars {
	b := &bars{all: mpb.New(mpb.WithOutput(w), mpb.WithWidth(60))}
	add := func(name string, more ...decor.Decorator) *mpb.Bar {
		return b.all.AddBar(int64(total),
			mpb.PrependDecorators(decor.Name("   "+name+" ")),
			mpb.AppendDecorators(append([]decor.Decorator{decor.CountersNoUnit("%d / %d")}, more...)...))
	}
	b.accepted = add("accepted")
	b.reserved = add("reserved", decor.Any(func(decor.Statistics) string {
		return "  backlog " + grouped(b.backlog.Load())
	}))
	return b
}

func (b *bars) show(s sample) {
	b.backlog.Store(s.backlog())
	b.accepted.SetCurrent(s.accepted)
	b.reserved.SetCurrent(s.reserved)
}

func (b *bars) say(text string) {
	_, _ = fmt.Fprintf(b.all, "   %s\n", text) // a terminal that is gone shows nothing
}

func (b *bars) finish() {
	b.accepted.Abort(false) // that which is not full
	b.reserved.Abort(false)
	b.all.Wait()
}

// grouped is a number as people write it: 20,000.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, groups...), ",")
}
