package filter

import "testing"

func benchmarkCases() []struct{ name, kind, expression string } {
	return []struct{ name, kind, expression string }{
		{"tag", KindTag, "created || paid || shipped"},
		{"sql", KindSQL, "region in ('eu', 'us') AND amount BETWEEN 10 AND 99.5 AND NOT (test = TRUE)"},
	}
}

func benchmarkProperties() properties {
	return properties{"TAGS": "shipped", "region": "us", "amount": "42", "test": "false"}
}

func BenchmarkMatch(b *testing.B) {
	for _, c := range benchmarkCases() {
		b.Run(c.name, func(b *testing.B) {
			e, err := Parse(c.kind, c.expression)
			if err != nil {
				b.Fatal(err)
			}
			p := benchmarkProperties()
			b.ReportAllocs()
			for b.Loop() {
				if !e.Match(p) {
					b.Fatal("no match")
				}
			}
		})
	}
}

// A broker matches every message that it has against every subscription.
func TestMatchAllocatesNothing(t *testing.T) {
	for _, c := range benchmarkCases() {
		e, err := Parse(c.kind, c.expression)
		if err != nil {
			t.Fatal(err)
		}
		p := benchmarkProperties()
		if n := testing.AllocsPerRun(100, func() { e.Match(p) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}
