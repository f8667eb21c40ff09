package wal

import "time"

// write gives what is appended to the file system until the log is closed or
// fails. What is appended while it writes or syncs is the next batch: the slower
// the disk, the more records share a sync.
func (l *Log) write() {
	for {
		batch, last := l.take()
		if batch == nil {
			return
		}
		if err := l.store(batch); err != nil {
			l.fail(err)
			return
		}
		l.publish(batch, last)
	}
}

// take waits for records and takes them all. It returns nil when there will be
// none any more.
func (l *Log) take() (batch []byte, last Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.pending) == markSize && !l.closed && l.err == nil {
		l.work.Wait()
	}
	if len(l.pending) == markSize || l.err != nil {
		return nil, 0
	}
	batch = l.pending
	l.pending, l.spare = l.spare, nil
	l.room.Broadcast()
	return batch, l.appended
}

// store writes a batch and, if Wait promises that, puts it on disk.
func (l *Log) store(batch []byte) error {
	l.files.Lock()
	defer l.files.Unlock()
	if err := l.gen.write(batch); err != nil {
		return err
	}
	l.size.Store(l.gen.size())
	if l.options.Fsync != Always {
		return nil
	}
	return l.gen.last.sync()
}

// publish tells waiters that all up to the position is safe, and keeps the batch
// as a buffer, unless it is of an unusual size.
func (l *Log) publish(batch []byte, last Position) {
	if cap(batch) > 2*maxPending {
		batch = emptyBuffer()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spare = batch[:markSize]
	l.safe = last
	l.progress.Broadcast()
}

// syncEvery puts on disk what has been written, again and again, until the log is
// closed or fails. Writing goes on meanwhile.
func (l *Log) syncEvery() {
	ticker := time.NewTicker(l.options.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-ticker.C:
		}
		l.files.Lock()
		last := l.gen.last
		l.files.Unlock()
		if err := last.sync(); err != nil {
			l.fail(err)
			return
		}
	}
}
