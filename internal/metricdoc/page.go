package main

import (
	"fmt"
	"strings"

	"orderflow/internal/metricdoc/registered"
)

const intro = `# Metrics

Written by ` + "`make generate`" + ` out of what the programs register; do not edit.

Each program serves them at ` + "`/metrics`" + ` of its admin listener, in Prometheus' format. Where they are absolute numbers
of rows (` + "`orders_open`, `order_oldest_age_seconds`, `parked_messages`" + ` and the like), every replica asks the same
database every 15 seconds and says the same: take their maximum, and not their sum. ` + "`poll_failed_total`" + ` says that
something could not be asked; what it sets is as old as ` + "`poll_last_success_timestamp_seconds`" + `. No label has more values
than the code, the topology or the API has names: none has ids or SKUs.

`

// page is the whole page.
func page(metrics []registered.Metric) string {
	var b strings.Builder
	b.WriteString(intro)
	b.WriteString("## Of orderflow\n\n")
	table(&b, metrics, func(m registered.Metric) bool { return !m.OfLibrary() })
	b.WriteString("\n## Of the Go runtime, the process and the database pool\n\n")
	table(&b, metrics, registered.Metric.OfLibrary)
	return b.String()
}

func table(b *strings.Builder, metrics []registered.Metric, wanted func(registered.Metric) bool) {
	b.WriteString("| metric | type | labels | of | meaning |\n|---|---|---|---|---|\n")
	for _, m := range metrics {
		if !wanted(m) {
			continue
		}
		labels := ""
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "`, `") + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Kind, labels, strings.Join(m.Programs, ", "), cell(m.Help))
	}
}

// cell keeps a text within its cell.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(text)
}
