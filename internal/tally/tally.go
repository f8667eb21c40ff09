package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// counts are how many tests, sub-tests included, ended how.
type counts struct{ Passed, Failed, Skipped int }

func (c *counts) add(other counts) {
	c.Passed += other.Passed
	c.Failed += other.Failed
	c.Skipped += other.Skipped
}

// String is the line that a run of all tests ends with.
func (c counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.Passed, c.Failed, c.Skipped)
}

// event is a line of "go test -json"; see go doc test2json.
type event struct {
	Action, Package, Test, Output string
}

// reader reads the events of one run, and writes what a person wants to see of
// them.
type reader struct {
	w      io.Writer
	counts counts
	output map[string]*strings.Builder // of each running test, by package and test
	failed map[string]int              // failed tests by package
}

// read counts the run in r and writes to w a line per package, the output of what
// failed, why tests were skipped, and every line that is no event. A package that
// fails by itself (it does not build, or panics outside a test) counts as one
// failure, and so does a run without any test.
func read(r io.Reader, w io.Writer) (counts, error) {
	run := &reader{w: w, output: map[string]*strings.Builder{}, failed: map[string]int{}}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			run.line(line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return counts{}, fmt.Errorf("read test events: %w", err)
		}
	}
	if run.counts == (counts{}) {
		fmt.Fprintln(w, "no test has run: this counts as a failure")
		run.counts.Failed = 1
	}
	return run.counts, nil
}

func (r *reader) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		fmt.Fprint(r.w, line)
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		r.keep(key, e)
	case "build-output":
		fmt.Fprint(r.w, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageEnded(e)
		} else {
			r.testEnded(key, e)
		}
		delete(r.output, key)
	}
}

// keep holds a test's output back until it is known whether it is of interest. A
// package's own output is a line like "ok	orderflow/internal/order	0.5s".
func (r *reader) keep(key string, e event) {
	if e.Test == "" {
		if e.Output != "PASS\n" {
			fmt.Fprint(r.w, e.Output)
		}
		return
	}
	if strings.HasPrefix(e.Output, "=== ") { // RUN, PAUSE, CONT
		return
	}
	if r.output[key] == nil {
		r.output[key] = &strings.Builder{}
	}
	r.output[key].WriteString(e.Output)
}

func (r *reader) testEnded(key string, e event) {
	switch e.Action {
	case "pass":
		r.counts.Passed++
		return
	case "fail":
		r.counts.Failed++
		r.failed[e.Package]++
	case "skip":
		r.counts.Skipped++
	}
	if text := r.output[key]; text != nil {
		fmt.Fprint(r.w, text)
	}
}

// packageEnded shows what the tests said that were running when the package died.
func (r *reader) packageEnded(e event) {
	if e.Action != "fail" || r.failed[e.Package] > 0 {
		return
	}
	r.counts.Failed++
	for key, text := range r.output {
		if strings.HasPrefix(key, e.Package+" ") {
			fmt.Fprint(r.w, text)
		}
	}
}
