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
