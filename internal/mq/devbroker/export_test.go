package devbroker

import "time"

// SetPatience makes connections that come from now on end sooner, and Advance wait
// less for an answer; what is zero stays.
func (b *Broker) SetPatience(idle, frame, write, answer time.Duration, queued int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	set := func(to *time.Duration, d time.Duration) {
		if d > 0 {
			*to = d
		}
	}
	set(&b.patience.idle, idle)
	set(&b.patience.frame, frame)
	set(&b.patience.write, write)
	set(&b.patience.answer, answer)
	if queued > 0 {
		b.patience.queued = queued
	}
}

// SetReorderTime changes how long Reorder holds requests up that come from now on.
func (b *Broker) SetReorderTime(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.patience.reorder = d
}

// Reordered is how many requests wait for the next one of their code.
func (b *Broker) Reordered() int {
	b.faults.mu.Lock()
	defer b.faults.mu.Unlock()
	n := 0
	for _, waiting := range b.faults.waiting {
		n += len(waiting)
	}
	return n
}

// FailJournal makes whatever is written to the data folder from now on fail.
func (b *Broker) FailJournal() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.journal.Close()
}
