package archtest

import (
	"slices"
	"strings"
	"testing"
)

// direction says that no package below from reaches one below to, not even
// through others.
type direction struct {
	from, to []string
	why      string
}

func directions() []direction {
	orders, stock := []string{"internal/order"}, []string{"internal/inventory"}
	both := []string{"internal/order", "internal/inventory"}
	return []direction{
		{orders, stock, "the services meet in api/proto and in topics only, or they could not be deployed apart"},
		{stock, orders, "the services meet in api/proto and in topics only, or they could not be deployed apart"},
		{
			[]string{"internal/mq", "internal/database", "internal/server", "internal/telemetry", "internal/tracing", "internal/parking", "internal/page", "internal/sweep"}, both,
			"what both services stand on knows neither of them",
		},
		{
			[]string{"internal/audit"}, append(both, "internal/database"),
			"an audit compares what the services say, by their API, and would share their mistakes otherwise",
		},
		{
			[]string{"internal/notify"}, both,
			"a consumer of order events is told all that it needs, and asks no service",
		},
		{both, []string{"internal/notify"}, "whoever publishes an event does not know who hears it"},
		{[]string{"internal"}, []string{"internal/assembly"}, "the parts do not know how they are put together"},
		{
			[]string{"internal/order", "internal/inventory", "internal/notify", "internal/event", "internal/mq", "internal/database"},
			[]string{"cmd", "internal/cli", "internal/server", "internal/lifecycle"},
			"the domain knows nothing of flags, listeners and processes",
		},
	}
}

func TestTheDomainLinksNoClientLibrary(t *testing.T) {
	graph := imports(t)
	for folder, next := range graph {
		graph[folder] = slices.DeleteFunc(next, func(name string) bool { return name == "internal/mq/message" })
	}
	for _, folder := range []string{"internal/order", "internal/inventory", "internal/notify", "internal/event", "internal/parking", "internal/audit", "internal/sweep", "internal/database"} {
		if chain := findPath(graph, folder, []string{"internal/mq"}, nil); chain != nil {
			t.Errorf("%s\n\tbut the domain knows internal/mq/message only, so that its tests run with the race detector, "+
				"which the client library does not pass", strings.Join(chain, " imports "))
		}
	}
}

func TestDependenciesPointOneWay(t *testing.T) {
	graph := imports(t)
	for _, d := range directions() {
		for folder := range graph {
			if !within(folder, d.from...) || within(folder, d.to...) || within(folder, "internal/configdoc", "internal/metricdoc") {
				continue // they document the programs
			}
			if chain := findPath(graph, folder, d.to, nil); chain != nil {
				t.Errorf("%s\n\tbut %s", strings.Join(chain, " imports "), d.why)
			}
		}
	}
}

// imports is which package imports which of ours, tests aside.
func imports(t *testing.T) map[string][]string {
	graph := map[string][]string{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, name := range s.imports {
			if inner, ok := strings.CutPrefix(name, module+"/"); ok {
				graph[s.folder()] = append(graph[s.folder()], inner)
			}
		}
	}
	return graph
}

// findPath returns the chain of imports from a package to one below the roots.
func findPath(graph map[string][]string, from string, to []string, seen []string) []string {
	if slices.Contains(seen, from) {
		return nil
	}
	seen = append(seen, from)
	for _, next := range graph[from] {
		if within(next, to...) {
			return append(seen, next)
		}
		if chain := findPath(graph, next, to, seen); chain != nil {
			return chain
		}
	}
	return nil
}

// place says that only some files import a library.
type place struct {
	library string
	only    func(s source) bool
	why     string
}

func places() []place {
	return []place{
		{
			"github.com/apache/rocketmq-client-go",
			// The benchmark's floor is the bare library, on purpose.
			func(s source) bool { return s.folder() == "internal/mq" || s.folder() == "test/bench" },
			"only internal/mq knows the client library: it is frozen, and its traps are hidden in one place",
		},
		{
			"github.com/google/wire",
			func(s source) bool { return within(s.path, "cmd") && strings.HasSuffix(s.path, "/wire.go") },
			"dependency injection is how programs are put together, and nothing for the parts",
		},
		{
			"gorm.io",
			func(s source) bool {
				return within(s.folder(), "internal/database", "internal/parking", "internal/order", "internal/inventory", "internal/notify")
			},
			"SQL stays with the stores",
		},
		{
			"github.com/alecthomas/kong",
			func(s source) bool { return within(s.folder(), "internal/cli", "internal/configdoc") },
			"flags are parsed in one place; commands have plain structs",
		},
	}
}

func TestLibrariesHaveTheirPlace(t *testing.T) {
	for _, s := range sources(t) {
		for _, p := range places() {
			if slices.ContainsFunc(s.imports, func(name string) bool { return within(name, p.library) }) && !p.only(s) {
				t.Errorf("%s imports %s\n\tbut %s", s.path, p.library, p.why)
			}
		}
	}
}

func TestSQLAndTransportDoNotMeetInAFile(t *testing.T) {
	uses := func(s source, roots ...string) bool {
		return slices.ContainsFunc(s.imports, func(name string) bool { return within(name, roots...) })
	}
	for _, s := range sources(t) {
		if s.test || !uses(s, "gorm.io") {
			continue
		}
		if uses(s, "google.golang.org/grpc", module+"/api/proto/order", module+"/api/proto/inventory") {
			t.Errorf("%s imports gorm and gRPC\n\tbut a store file stores, and an API file translates", s.path)
		}
	}
}
