package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// place is where a test says something, which a reason needs not.
var place = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)

// reason is why a case was not run.
func (o *outcome) reason() string {
	return strings.TrimSpace(place.ReplaceAllString(o.output.String(), ""))
}

// String is a cell of the table.
func (o *outcome) String() string {
	switch o.action {
	case "pass":
		return fmt.Sprintf("ok %6.1fs", o.took.Seconds())
	case "fail":
		return "FAILED"
	case "skip":
		return "not run"
	default:
		return "MISSING"
	}
}

// same tells whether a case is in order: it passes on both brokers, or there is a
// reason why one of them does not run it.
func same(o *[2]outcome) bool {
	fine := func(o *outcome) bool { return o.action == "pass" || o.action == "skip" && o.reason() != "" }
	return fine(&o[0]) && fine(&o[1])
}

// print writes the table, the reasons below it and what the failed cases say, and
// tells whether all is in order.
func (r *results) print(w io.Writer) (ok bool) {
	width := len("case")
	for _, name := range r.cases {
		width = max(width, len(name))
	}
	titles := brokers()
	row := func(name, left, right string) {
		fmt.Fprintf(w, "%-*s | %-9s | %s\n", width, name, left, right)
	}
	row("case", titles[0].title, titles[1].title)
	row(strings.Repeat("-", width), strings.Repeat("-", 9), strings.Repeat("-", len(titles[1].title)))
	passed, ok := 0, true
	for _, name := range r.cases {
		o := r.outcomes[name]
		row(name, o[0].String(), o[1].String())
		if o[0].action == "pass" && o[1].action == "pass" {
			passed++
		}
		ok = ok && same(o)
	}
	fmt.Fprintf(w, "\n%d cases, %d of them with the same result on both\n", len(r.cases), passed)
	r.printReasons(w)
	r.printFailures(w)
	if len(r.cases) == 0 {
		fmt.Fprintf(w, "no case was run:\n%s", r.other.String())
		return false
	}
	for i, b := range titles {
		if r.whole[i].action != "pass" {
			fmt.Fprintf(w, "%s: the test as a whole: %s\n%s", b.title, r.whole[i].String(), r.whole[i].output.String())
			ok = false
		}
	}
	return ok
}

func (r *results) printReasons(w io.Writer) {
	for _, name := range r.cases {
		for i, b := range brokers() {
			if o := &r.outcomes[name][i]; o.action == "skip" {
				fmt.Fprintf(w, "%s is not run on %s: %s\n", name, b.title, o.reason())
			}
		}
	}
}

func (r *results) printFailures(w io.Writer) {
	for _, name := range r.cases {
		for i, b := range brokers() {
			if o := &r.outcomes[name][i]; o.action == "fail" {
				fmt.Fprintf(w, "\n%s fails on %s:\n%s", name, b.title, o.output.String())
			}
		}
	}
}
