package order

import (
	"testing"

	"orderflow/internal/database"
	"orderflow/internal/database/databasetest"
	"orderflow/migrations"
)

// databases are what benchmarks run on.
func databases() map[string]func(testing.TB) *database.DB {
	return map[string]func(testing.TB) *database.DB{
		"sqlite": func(t testing.TB) *database.DB { return databasetest.NewSQLite(t, migrations.Order()) },
		"mysql":  func(t testing.TB) *database.DB { return databasetest.NewMySQL(t, migrations.Order()) },
	}
}

// BenchmarkSweep is what the sweeper costs the database: a round that finds nothing, of
// which there is one each --sweep-interval, and one order whose event is sent again. The
// broker is a fake: what sending costs is measured in test/bench.
//
//	go test -run '^$' -bench Sweep ./internal/order/
func BenchmarkSweep(b *testing.B) {
	const orders = 200
	for name, open := range databases() {
		b.Run(name+"/idle", func(b *testing.B) {
			w := newWorld(b, open(b))
			for range orders {
				w.place(request())
			}
			for b.Loop() {
				w.sweepAll()
			}
		})
		b.Run(name+"/healed", func(b *testing.B) {
			w := newWorld(b, open(b))
			for range orders {
				w.place(request())
			}
			for b.Loop() {
				b.StopTimer()
				w.clock.Advance(3 * schedule().ResendAfter) // all of them are due
				b.StartTimer()
				w.sweepAll()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*orders), "µs/order")
		})
	}
}
