package devbroker

import (
	"errors"
	"time"

	"orderflow/internal/mq/devbroker/wal"
	"orderflow/internal/mq/remoting"
)

// errCut ends a connection that a fault cuts.
var errCut = errors.New("cut by a fault")

// serveFaulty handles a request that something happens to.
func (b *Broker) serveFaulty(c *conn, cmd remoting.Command, action Action) error {
	switch action.kind {
	case actionDrop:
		return nil
	case actionAnswer:
		return b.replyTo(c, plainAnswer(cmd, action.code, action.remark), 0)
	case actionCut:
		return errors.Join(c.flush(), errCut)
	case actionCutAfter:
		err := c.flush()
		b.answer(c, cmd)
		return errors.Join(err, errCut)
	case actionLoseReply:
		cmd.Flag |= remoting.FlagOneWay
	case actionDuplicate:
		answer, safe := b.answer(c, cmd)
		again := cmd
		again.Flag |= remoting.FlagOneWay
		_, safeAgain := b.answer(c, again)
		return b.replyTo(c, answer, max(safe, safeAgain))
	case actionDelay, actionReorder:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.later(action, cmd.Code, func() {
			err := b.serveNow(c, cmd)
			if err == nil {
				err = c.flush()
			}
			if err != nil {
				c.close()
			}
		})
		return nil
	}
	return b.serveNow(c, cmd)
}

// replyTo writes an answer, if there is one.
func (b *Broker) replyTo(c *conn, answer *remoting.Command, safe wal.Position) error {
	if answer == nil {
		return nil
	}
	return c.reply(*answer, safe)
}

// later does something when its time has come, unless the broker ends before; mu
// is held.
func (b *Broker) later(action Action, code int, do func()) {
	if b.listener == nil {
		return
	}
	var sooner <-chan struct{}
	delay := action.delay
	if action.kind == actionReorder {
		sooner, delay = b.faults.await(code), b.patience.reorder
	}
	ending := b.ending
	b.serving.Go(func() {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		over := false
		select {
		case <-ending:
			over = true
		case <-timer.C:
		case <-sooner:
		}
		if sooner != nil {
			b.faults.forget(code, sooner)
		}
		if !over {
			do()
		}
	})
}

// push sends a request of the broker's own, which wants no answer, as far as the
// faults let it; about are the fields by which they find it, if those that it has
// do not do. It tells whether the request is on its way. mu is held.
func (b *Broker) push(c *conn, cmd remoting.Command, about map[string]string) bool {
	cmd.Flag |= remoting.FlagOneWay
	if about == nil {
		about = cmd.Ext
	}
	action := b.faults.next(cmd.Code, about)
	switch action.kind {
	case actionDrop, actionAnswer:
		return false
	case actionCut:
		c.close()
		return false
	case actionDelay, actionReorder:
		b.later(action, cmd.Code, func() { c.push(cmd) })
		return false
	case actionDuplicate:
		c.push(cmd)
	}
	c.push(cmd)
	if action.kind == actionCutAfter {
		c.close()
	}
	b.faults.handled(cmd.Code)
	return true
}
