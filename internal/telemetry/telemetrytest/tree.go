package telemetrytest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
)

// Trace is what was received of one trace.
type Trace struct {
	ID       string
	Root     Span
	children map[string][]Span // by the id of the parent
	known    map[string]Span   // spans of any trace, by their ids
}

// Traces are those whose first span was received, the oldest first.
func (c *Collector) Traces() []Trace {
	spans := c.Spans()
	slices.SortFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	known, children := map[string]Span{}, map[string][]Span{}
	for _, s := range spans {
		known[s.ID] = s
		if s.ParentID != "" {
			children[s.ParentID] = append(children[s.ParentID], s)
		}
	}
	var traces []Trace
	for _, s := range spans {
		if s.ParentID == "" {
			traces = append(traces, Trace{ID: s.TraceID, Root: s, children: children, known: known})
		}
	}
	return traces
}

// Spans are those of the trace that hang together with its root.
func (t Trace) Spans() []Span { return t.below(t.Root) }

func (t Trace) below(s Span) []Span {
	all := []Span{s}
	for _, child := range t.children[s.ID] {
		all = append(all, t.below(child)...)
	}
	return all
}

// Named are the spans with the name.
func (t Trace) Named(name string) []Span {
	return slices.DeleteFunc(t.Spans(), func(s Span) bool { return s.Name != name })
}

// IsAbout tells whether a span of the trace has the order's id.
func (t Trace) IsAbout(orderID string) bool {
	return slices.ContainsFunc(t.Spans(), func(s Span) bool { return s.Attributes["orderflow.order_id"] == orderID })
}

// LinksTo tells whether the trace begins with a link to a span of the other.
func (t Trace) LinksTo(other Trace) bool {
	return slices.ContainsFunc(t.Root.Links, func(l Link) bool { return l.TraceID == other.ID })
}

// Names is the tree of the names, a line for each span, those of one parent by name.
func (t Trace) Names() string {
	var b strings.Builder
	t.writeNames(&b, t.Root, 0)
	return b.String()
}

func (t Trace) writeNames(b *strings.Builder, s Span, depth int) {
	fmt.Fprintf(b, "%s%s\n", strings.Repeat("  ", depth), s.Name)
	var below []string
	for _, child := range t.children[s.ID] {
		var text strings.Builder
		t.writeNames(&text, child, depth+1)
		below = append(below, text.String())
	}
	slices.Sort(below)
	b.WriteString(strings.Join(below, ""))
}

// String is the tree for people: the names in the order of their beginning, the service
// of each, and what the trace is linked to.
func (t Trace) String() string {
	var b strings.Builder
	for _, l := range t.Root.Links {
		from := "a span that was not received"
		if s, ok := t.known[l.ID]; ok {
			from = fmt.Sprintf("%q of %s", s.Name, s.Service)
		}
		fmt.Fprintf(&b, "(linked to %s, trace %s)\n", from, l.TraceID[:8])
	}
	t.write(&b, t.Root, 0)
	return b.String()
}

func (t Trace) write(b *strings.Builder, s Span, depth int) {
	name := strings.Repeat("  ", depth) + s.Name
	failed := ""
	if s.Failed {
		failed = "  failed: " + s.Attributes["error.type"]
	}
	fmt.Fprintf(b, "%-58s %s%s\n", name, s.Service, failed)
	for _, child := range t.children[s.ID] {
		t.write(b, child, depth+1)
	}
}

// text is a value as text; of several the first.
func text(v *commonv1.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *commonv1.AnyValue_StringValue:
		return v.StringValue
	case *commonv1.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *commonv1.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	case *commonv1.AnyValue_ArrayValue:
		for _, first := range v.ArrayValue.GetValues() {
			return text(first)
		}
	}
	return ""
}
