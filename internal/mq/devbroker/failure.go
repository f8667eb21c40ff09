package devbroker

import "fmt"

// failure says that the data folder cannot be written any more.
type failure struct {
	err    error         // nil as long as it can
	failed chan struct{} // closed when it cannot
}

func newFailure() failure { return failure{failed: make(chan struct{})} }

// Failed returns a channel that is closed when the data folder cannot be written any
// more, such as when the disk is full. Then all connections are cut, since what they
// were told may be lost, and each request is answered with SERVICE_NOT_AVAILABLE. A
// program should end; Restart begins again with what is in the folder, and with
// another channel.
func (b *Broker) Failed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failure.failed
}

// Err is why the data folder cannot be written any more; nil as long as it can.
func (b *Broker) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failure.err
}

// fail ends the service for the first error of the journal; mu is held.
func (b *Broker) fail(err error) {
	if b.failure.err != nil {
		return
	}
	b.failure.err = fmt.Errorf("data folder %s cannot be written: %w", b.settings.data, err)
	b.settings.log.Error("nothing is served any more", "error", b.failure.err)
	close(b.failure.failed)
	for c := range b.conns {
		c.close()
	}
}
