package order

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"orderflow/internal/clock"
)

const (
	// watchBatch is how many orders one statement of a poll asks about.
	watchBatch = 500
	// watchTimeout bounds one read of a poll or of a stream: neither has a caller
	// whose deadline would.
	watchTimeout = 5 * time.Second
	// watchPatience is how long a database may be down before the streams end. A
	// restart or a failover does not break them; of more than that, clients are told.
	watchPatience = 30 * time.Second
)

// hub wakes those who watch orders. It says that an order may have changed, never
// what has: whoever is woken reads. So it keeps no changes, and a watcher that is
// slow costs one pending signal.
//
// A change of this replica wakes its watchers at once ([hub.changed]); one of
// another replica is found by the poll, which asks for the versions of all watched
// orders together ([Service.PollChanges]).
type hub struct {
	clock clock.Clock
	begun chan struct{} // capacity 1: a first watch wakes the poll

	mu      sync.Mutex
	watches map[string]map[*watch]struct{} // by order id
	streams int
	down    time.Time // since when polls fail; zero if the last one did not
}

// watch is somebody's interest in an order.
type watch struct {
	hub      *hub
	id       string
	signal   chan struct{} // capacity 1: there may be something to read
	isStream bool

	// Guarded by the hub's mutex.
	seen int64 // the version that was read last
	lost bool  // the database has been down for too long
}

func newHub(clk clock.Clock) *hub {
	return &hub{clock: clk, begun: make(chan struct{}, 1), watches: map[string]map[*watch]struct{}{}}
}

// watch begins to watch an order; leave ends it.
func (h *hub) watch(id string) *watch {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.add(&watch{id: id})
}

// stream is watch for a stream, of which there are at most limit at a time: ok is
// false if there is no place.
func (h *hub) stream(id string, limit int) (w *watch, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams >= limit {
		return nil, false
	}
	h.streams++
	return h.add(&watch{id: id, isStream: true}), true
}

func (h *hub) add(w *watch) *watch {
	w.hub, w.signal = h, make(chan struct{}, 1)
	if h.watches[w.id] == nil {
		h.watches[w.id] = map[*watch]struct{}{}
	}
	h.watches[w.id][w] = struct{}{}
	wake(h.begun)
	return w
}

// leave ends the watch and frees its place.
func (w *watch) leave() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.hub.watches[w.id], w)
	if len(w.hub.watches[w.id]) == 0 {
		delete(w.hub.watches, w.id)
	}
	if w.isStream {
		w.hub.streams--
	}
}

// saw notes the version that was read. Each poll wakes for a greater one, so that
// whoever could not read reads again.
func (w *watch) saw(version int64) {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	w.seen = version
}

// isLost tells whether the hub has given up.
func (w *watch) isLost() bool {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	return w.lost
}

// changed wakes the watchers of orders that this replica has changed. It never
// waits for them.
func (h *hub) changed(ids ...string) {
	if len(ids) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		for w := range h.watches[id] {
			wake(w.signal)
		}
	}
}

// watched are the ids of the watched orders, sorted.
func (h *hub) watched() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.watches))
}

// found wakes those who have not seen the versions of a poll. An order without a
// version is gone, which its watchers find out by themselves.
func (h *hub) found(ids []string, versions map[string]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		version, exists := versions[id]
		for w := range h.watches[id] {
			if !exists || version > w.seen {
				wake(w.signal)
			}
		}
	}
}

// polled notes how a poll went, and gives up on all streams when polls have failed
// for too long. It tells whether an outage has begun.
func (h *hub) polled(err error) (began bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.clock.Now()
	if err == nil {
		h.down = time.Time{}
		return false
	}
	began = h.down.IsZero()
	if began {
		h.down = now
	}
	if now.Sub(h.down) < watchPatience {
		return began
	}
	for _, watches := range h.watches {
		for w := range watches {
			w.lost = true
			wake(w.signal)
		}
	}
	return began
}

// wake leaves a signal, unless there is one.
func wake(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// PollChanges looks for changes of watched orders that other replicas made, every
// WatchInterval, until ctx ends. While nothing is watched it asks nothing. The first
// error of an outage is reported; the polls go on.
func (s *Service) PollChanges(ctx context.Context, report func(error)) {
	for {
		if len(s.store.hub.watched()) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-s.store.hub.begun:
				s.store.hub.polled(nil) // of an outage that nobody watched nobody saw the end
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-s.clock.After(s.config.WatchInterval):
		}
		err := s.pollChanges(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.store.hub.polled(err) {
			report(err)
		}
	}
}

func (s *Service) pollChanges(ctx context.Context) error {
	for ids := range slices.Chunk(s.store.hub.watched(), watchBatch) {
		versions, err := s.store.versions(ctx, ids)
		if err != nil {
			return err
		}
		s.store.hub.found(ids, versions)
	}
	return nil
}
