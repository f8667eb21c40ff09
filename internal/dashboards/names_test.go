package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../../"

func TestFilesAreUpToDate(t *testing.T) {
	for _, d := range all() {
		want, err := d.encode()
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, "deploy/observability/dashboards/"+d.name+".json")
		if got != string(want) {
			t.Errorf(`%s.json is not what internal/dashboards says: run "make generate"`, d.name)
		}
	}
}

// A panel that answers no question is in the way of those that do.
func TestPanelsSayWhatTheyAnswer(t *testing.T) {
	for _, d := range all() {
		for _, r := range d.rows {
			if !strings.HasSuffix(r.title, "?") {
				t.Errorf("%s: row %q asks nothing", d.name, r.title)
			}
			for _, p := range r.panels {
				if !strings.Contains(p.description, "?") || p.unit == "" || len(p.queries) == 0 {
					t.Errorf("%s, %s: description, unit, queries: %+v", d.name, p.title, p)
				}
				if len(p.queries) > 1 && slices.ContainsFunc(p.queries, func(q query) bool { return q.legend == "" }) {
					t.Errorf("%s, %s: which curve is which?", d.name, p.title)
				}
			}
		}
	}
}

// A metric that was renamed leaves a panel empty, and an alert quiet for ever.
func TestQueriesNameMetricsThatExist(t *testing.T) {
	known := metrics(t)
	for _, d := range all() {
		for _, r := range d.rows {
			for _, p := range r.panels {
				for _, q := range p.queries {
					known.check(t, d.name+", "+p.title, q.expr)
				}
			}
		}
	}
	for _, a := range alerts(t) {
		known.check(t, a.name, a.expr)
	}
}

func TestRunbookNamesMetricsThatExist(t *testing.T) {
	known := metrics(t)
	prefixes := map[string]bool{}
	for name := range known {
		prefix, _, _ := strings.Cut(name, "_")
		prefixes[prefix] = true
	}
	found := 0
	for _, match := range regexp.MustCompile("`([a-z]+_[a-z_]+)`").FindAllStringSubmatch(read(t, "docs/runbook.md"), -1) {
		name := match[1]
		if prefix, _, _ := strings.Cut(name, "_"); !prefixes[prefix] || name == "no_answer" {
			continue // a label's value
		}
		found++
		if _, ok := known[name]; !ok {
			t.Errorf("docs/runbook.md names %s, which is in no program", name)
		}
	}
	if found < 20 {
		t.Errorf("only %d metrics were found in docs/runbook.md", found)
	}
}

// Whoever is woken looks for the section, and finds in it what to do.
func TestEachAlertHasARunbookSectionAndATest(t *testing.T) {
	var names []string
	runbook, tests := read(t, "docs/runbook.md"), read(t, "deploy/observability/alerts_test.yml")
	for _, a := range alerts(t) {
		names = append(names, a.name)
		if a.runbook != "docs/runbook.md#"+strings.ToLower(a.name) {
			t.Errorf("%s: runbook is %q", a.name, a.runbook)
		}
		if a.severity != "page" && a.severity != "ticket" || a.wait == "" || a.summary == "" || a.description == "" {
			t.Errorf("%s lacks something: %+v", a.name, a)
		}
		_, section, ok := strings.Cut(runbook, "\n### "+a.name+"\n")
		section, _, _ = strings.Cut(section, "\n### ")
		if !ok || !strings.HasPrefix(section, "\n**"+a.severity+".**") || !strings.Contains(section, "\n- Look at: ") || !strings.Contains(section, "\n- Mends it") {
			t.Errorf("%s: docs/runbook.md has no section with its severity, what to look at, and what mends it", a.name)
		}
		firing := fmt.Sprintf("expr: *%s, exp_samples: [{labels: '{alertname=%q}', value: 1}]", a.name, a.name)
		quiet := fmt.Sprintf(`ALERTS{alertname=%q, alertstate="firing"})', exp_samples: []`, a.name)
		if !strings.Contains(tests, firing) || !strings.Contains(tests, quiet) {
			t.Errorf("%s: alerts_test.yml does not show it firing and quiet", a.name)
		}
		if !strings.Contains(runbook, "| "+a.name+" |") {
			t.Errorf("%s: docs/runbook.md does not say how it was made to fire", a.name)
		}
	}
	if len(names) < 10 {
		t.Errorf("only %d alerts were found", len(names))
	}
	for _, section := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(runbook, -1) {
		if !slices.Contains(names, section[1]) {
			t.Errorf("docs/runbook.md has a section about %s, and there is no such alert", section[1])
		}
	}
}

// known has the labels of each metric, by name.
type known map[string][]string

// metrics are those of docs/metrics.md, and what Prometheus makes itself.
func metrics(t *testing.T) known {
	t.Helper()
	all := known{"up": {}, "ALERTS": {"alertname", "alertstate", "severity"}}
	line := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) \\| (.*?) \\|")
	for _, m := range line.FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		labels := regexp.MustCompile("[a-z_]+").FindAllString(m[3], -1)
		all[m[1]] = labels
		if m[2] == "histogram" {
			all[m[1]+"_bucket"], all[m[1]+"_sum"], all[m[1]+"_count"] = append([]string{"le"}, labels...), labels, labels
		}
	}
	if len(all) < 60 {
		t.Fatalf("only %d metrics were found in docs/metrics.md", len(all))
	}
	return all
}

// check says what a query names that is not there: metrics, and labels of metrics.
func (k known) check(t *testing.T, where, expr string) {
	t.Helper()
	selectors, groupings := namesOf(expr)
	if len(selectors) == 0 {
		t.Errorf("%s: no metric in %s", where, expr)
	}
	var any []string
	for _, s := range selectors {
		labels, ok := k[s.metric]
		if !ok {
			t.Errorf("%s: there is no metric %s", where, s.metric)
			continue
		}
		any = append(any, labels...)
		for _, label := range s.labels {
			if !slices.Contains(labels, label) && !slices.Contains(ofTargets(), label) {
				t.Errorf("%s: %s has no label %s", where, s.metric, label)
			}
		}
	}
	for _, label := range groupings {
		if !slices.Contains(any, label) && !slices.Contains(ofTargets(), label) {
			t.Errorf("%s: grouped by %s, which no metric of the query has", where, label)
		}
	}
}

// ofTargets are the labels that Prometheus adds.
func ofTargets() []string { return []string{"job", "instance"} }

type selector struct {
	metric string
	labels []string
}

// namesOf finds the metrics of a query with the labels that they are selected by, and
// the labels that it groups by. It knows as much of PromQL as our queries use.
func namesOf(expr string) (selectors []selector, groupings []string) {
	expr = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`).ReplaceAllString(expr, `""`)
	expr = regexp.MustCompile(`\[[^\]]*\]`).ReplaceAllString(expr, "")
	grouping := regexp.MustCompile(`\b(?:by|on|without|ignoring)\s*\(([^)]*)\)`)
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		groupings = append(groupings, regexp.MustCompile(`\w+`).FindAllString(m[1], -1)...)
	}
	expr = grouping.ReplaceAllString(expr, " ")
	name := regexp.MustCompile(`([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\()?`)
	for _, m := range name.FindAllStringSubmatch(expr, -1) {
		if m[2] == "(" || slices.Contains([]string{"and", "or", "unless", "bool", "offset"}, m[1]) {
			continue
		}
		labels := regexp.MustCompile(`(\w+)\s*[=!]`).FindAllStringSubmatch(m[2], -1)
		s := selector{metric: m[1]}
		for _, l := range labels {
			s.labels = append(s.labels, l[1])
		}
		selectors = append(selectors, s)
	}
	return selectors, groupings
}

func TestNamesOf(t *testing.T) {
	selectors, groupings := namesOf(`max by (group, topic) (min_over_time(lag{topic!~"%RETRY%.*", a="x} y"}[5m])) > 0
		unless on (group) rate(handled[1m]) or absent(up{job="a"})`)
	got := fmt.Sprint(selectors, groupings)
	if got != "[{lag [topic a]} {handled []} {up [job]}] [group topic group]" {
		t.Error(got)
	}
}

type alert struct{ name, expr, wait, severity, summary, description, runbook string }

// alerts reads alerts.yml: our own, whose form we know.
func alerts(t *testing.T) []alert {
	t.Helper()
	var all []alert
	for _, text := range strings.Split(read(t, "deploy/observability/alerts.yml"), "- alert: ")[1:] {
		field := func(pattern string) string {
			m := regexp.MustCompile(pattern).FindStringSubmatch(text)
			if m == nil {
				return ""
			}
			return strings.TrimSpace(m[1])
		}
		all = append(all, alert{
			name: field(`^(\w+)\n`), expr: field(`(?s)\n +expr: \|?(.*?)\n +for: `), wait: field(`\n +for: (\S+)\n`),
			severity: field(`\n +labels: \{severity: (\w+)\}\n`), summary: field(`\n +summary: (.+)\n`),
			description: field(`(?s)\n +description: (.+?)\n +runbook: `), runbook: field(`\n +runbook: (\S+)\n`),
		})
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(root + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
