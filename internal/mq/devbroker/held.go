package devbroker

import (
	"slices"
	"time"

	"orderflow/internal/mq/remoting"
)

// heldPull is a pull that found nothing and waits for a message.
type heldPull struct {
	pull
	queue *queue
	conn  *conn
	cmd   remoting.Command // without what came with it: nobody reads that again
	timer *time.Timer
	over  bool
}

// maxHold is how long a pull is held at most, whatever the client asks for.
const maxHold = 2 * time.Minute

// hold keeps a pull until a message comes or its time is over, which is the
// machine's time: the client waits for an answer by its own clock.
func (b *Broker) hold(r *request, q *queue, p pull, timeout time.Duration) {
	h := &heldPull{pull: p, queue: q, conn: r.conn, cmd: remoting.Command{Opaque: r.cmd.Opaque, Flag: r.cmd.Flag}}
	q.held = append(q.held, h)
	r.conn.held[h] = true
	h.timer = time.AfterFunc(min(timeout, maxHold), func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !h.over {
			b.answerHeld(h, b.read(h.queue, h.pull))
		}
	})
}

// wakeHeld answers the pulls of a queue that have something to read now.
func (b *Broker) wakeHeld(q *queue) {
	waiting := q.held[:0]
	for _, h := range q.held {
		found := b.read(q, h.pull)
		if found.code == remoting.ResponsePullNotFound || found.code == remoting.ResponsePullRetry {
			h.pull.offset = found.next // what does not match is not looked at again
			waiting = append(waiting, h)
			continue
		}
		h.answer(found)
	}
	clear(q.held[len(waiting):])
	q.held = waiting
}

// answerHeld ends a held pull. With nothing found its connection has ended.
func (b *Broker) answerHeld(h *heldPull, found *pulled) {
	h.queue.held = slices.DeleteFunc(h.queue.held, func(other *heldPull) bool { return other == h })
	h.answer(found)
}

func (h *heldPull) answer(found *pulled) {
	h.over = true
	h.timer.Stop()
	delete(h.conn.held, h)
	if found == nil || h.cmd.IsOneWay() {
		return
	}
	answer := found.response()
	full := h.cmd.Response(answer.code, answer.remark)
	full.Ext, full.Body = answer.ext, answer.body
	h.conn.push(full)
}

// releaseTopic ends all pulls that wait for a message of a topic that is gone. The
// next pull learns that.
func (b *Broker) releaseTopic(t *topic) {
	for _, q := range t.queues {
		for _, h := range slices.Clone(q.held) {
			b.answerHeld(h, b.read(q, h.pull))
		}
	}
}
