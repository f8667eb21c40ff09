package devbroker

import (
	"slices"
	"time"

	"orderflow/internal/mq/remoting"
)

// heldPull is a pull that found nothing and waits for a message.
type heldPull struct {
	pull
	queue  *queue
	conn   *conn
	cmd    remoting.Command
	timer  *time.Timer
	closed bool
}

// maxHold is how long a pull is held at most, whatever the client asks for.
const maxHold = 2 * time.Minute

// hold keeps a pull until a message comes or its time is over, which is the
// machine's time: the client waits for an answer by its own clock.
func (b *Broker) hold(r *request, q *queue, p pull, timeout time.Duration) {
	h := &heldPull{pull: p, queue: q, conn: r.conn, cmd: r.cmd}
	q.held = append(q.held, h)
	h.timer = time.AfterFunc(min(timeout, maxHold), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !h.closed {
			b.answerHeld(h, b.read(h.queue, h.pull))
		}
	})
}

// wakeHeld answers the pulls of a queue that have something to read now.
func (b *Broker) wakeHeld(q *queue) {
	for _, h := range slices.Clone(q.held) {
		found := b.read(q, h.pull)
		if found.code == remoting.ResponsePullNotFound || found.code == remoting.ResponsePullRetry {
			h.pull.offset = found.next // what does not match is not looked at again
			continue
		}
		b.answerHeld(h, found)
	}
}

// answerHeld ends a held pull.
func (b *Broker) answerHeld(h *heldPull, found *pulled) {
	h.closed = true
	h.timer.Stop()
	h.queue.held = slices.DeleteFunc(h.queue.held, func(other *heldPull) bool { return other == h })
	answer := found.response()
	full := h.cmd.Response(answer.code, answer.remark)
	full.Ext, full.Body = answer.ext, answer.body
	h.conn.push(full)
}

// releaseHeld forgets all held pulls: their connections have ended.
func (b *Broker) releaseHeld() {
	for _, t := range b.topics {
		for _, q := range t.queues {
			for _, h := range q.held {
				h.closed = true
				h.timer.Stop()
			}
			q.held = nil
		}
	}
}
