package order

import (
	"testing"

	"github.com/google/uuid"

	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// BenchmarkCheckBack is the first question about a half message that another process
// has sent and committed: answered, and its line written behind that or, as the floor,
// before it.
//
//	go test -run '^$' -bench CheckBack ./internal/order/
func BenchmarkCheckBack(b *testing.B) {
	for name, open := range databases() {
		w := newWorld(b, open(b))
		w.place(request())
		asked := w.broker.lastHalf().message
		ask := func(b *testing.B, l *Listener) {
			for b.Loop() {
				m := message.Message{Tag: asked.Tag, Keys: []string{uuid.NewString()}, Properties: asked.Properties}
				l.known = newOutcomes(1) // each is the first question
				if answer := l.CheckLocalTransaction(b.Context(), m); answer != message.StateCommit {
					b.Fatalf("answer %s to %s", answer, m.Properties[event.PropertyBarrier])
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
		}
		b.Run(name+"/before", func(b *testing.B) { ask(b, w.listener()) })
		b.Run(name+"/behind", func(b *testing.B) {
			l, _, end := w.telling()
			ask(b, l)
			b.StopTimer()
			end()
		})
	}
}
