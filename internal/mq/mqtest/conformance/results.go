package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// event is a line of "go test -json"; see go doc test2json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds
}

// brokers are the tests and what the table calls them.
func brokers() [2]struct{ test, title string } {
	return [2]struct{ test, title string }{
		{"TestDevbroker", "devbroker"},
		{"TestApacheRocketMQ", "Apache RocketMQ 5.3.3"},
	}
}

// outcome is how a case ended on one broker. The zero value: it did not run.
type outcome struct {
	action string // pass, fail or skip
	took   time.Duration
	output strings.Builder
}

// results are the outcomes of all cases.
type results struct {
	cases    []string // in the order of their names: they run side by side
	outcomes map[string]*[2]outcome
	whole    [2]outcome      // the tests themselves
	other    strings.Builder // what belongs to no case
}

// read reads the events of a run. What is no event is kept: it says why nothing
// was run.
func read(in io.Reader) (*results, error) {
	r := &results{outcomes: map[string]*[2]outcome{}}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if err == io.EOF {
			slices.Sort(r.cases)
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read test events: %w", err)
		}
	}
}

func (r *results) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
		r.other.WriteString(line)
		return
	}
	o := r.outcome(e.Test)
	if o == nil {
		r.other.WriteString(e.Output)
		return
	}
	switch e.Action {
	case "output":
		if !isFrame(e.Output) {
			o.output.WriteString(e.Output)
		}
	case "pass", "fail", "skip":
		o.action, o.took = e.Action, time.Duration(e.Elapsed*float64(time.Second))
	}
}

// outcome is where an event of the test belongs; nil if nowhere.
func (r *results) outcome(test string) *outcome {
	for i, b := range brokers() {
		if test == b.test {
			return &r.whole[i]
		}
		name, ok := strings.CutPrefix(test, b.test+"/")
		if !ok {
			continue
		}
		if r.outcomes[name] == nil {
			r.outcomes[name] = new([2]outcome)
			r.cases = append(r.cases, name)
		}
		return &r.outcomes[name][i]
	}
	return nil
}

// isFrame tells whether a line of output is the test runner's own.
func isFrame(line string) bool {
	line = strings.TrimSpace(line)
	for _, start := range []string{"=== ", "--- "} {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	return false
}
