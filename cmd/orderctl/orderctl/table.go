package orderctl

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"orderflow/internal/cli"
)

// table is aligned text, without blanks at the end of a line. Nothing of it is written
// before flush.
type table struct {
	out   io.Writer
	lines *bytes.Buffer
	w     *tabwriter.Writer
}

func newTable(out cli.Output) *table {
	lines := &bytes.Buffer{}
	return &table{out: out.Stdout, lines: lines, w: tabwriter.NewWriter(lines, 0, 0, 2, ' ', 0)}
}

// drawTable writes the table that draw draws.
func drawTable(out cli.Output, draw func(t *table)) error {
	t := newTable(out)
	draw(t)
	return t.flush()
}

// row adds a line. Empty cells at its end count: a line with fewer cells than the one
// before it begins another block of columns.
func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = fmt.Sprint(c)
	}
	fmt.Fprintln(t.w, strings.Join(texts, "\t"))
}

// gap ends a block of columns.
func (t *table) gap() { fmt.Fprintln(t.w) }

// flush writes the table.
func (t *table) flush() error {
	if err := t.w.Flush(); err != nil {
		return err
	}
	var trimmed strings.Builder
	for line := range strings.Lines(t.lines.String()) {
		trimmed.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	_, err := io.WriteString(t.out, trimmed.String())
	return err
}
