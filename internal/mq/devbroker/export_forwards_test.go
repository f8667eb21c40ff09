package devbroker

import "time"

// SetForwardTime is how long clients have from now on to answer a request that
// somebody else asks, on connections that come later.
func (b *Broker) SetForwardTime(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.patience.forward = d
}

// MaxForwards is how many requests a client can have to answer.
const MaxForwards = maxForwards
