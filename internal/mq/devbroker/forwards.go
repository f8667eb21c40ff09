package devbroker

import (
	"time"

	"orderflow/internal/mq/remoting"
)

// forward is a request that the broker has sent to a client and wants answered.
type forward struct {
	conn   *conn // the client's
	opaque int32
	timer  *time.Timer
	done   func(answer remoting.Command) // called once, with the broker's mu held
}

// maxForwards is how many requests one connection can have that its client has not
// answered.
const maxForwards = 64

// forward sends a request to a client. It does not wait: done is called later, with
// the client's answer or with one that says why there is none. The time that the
// client has is the machine's; mu is held. The error is about too many requests.
func (b *Broker) forward(c *conn, cmd remoting.Command, done func(answer remoting.Command)) error {
	if len(c.asked) >= maxForwards {
		return refuse(remoting.ResponseSystemBusy, "the client has %d requests to answer already", maxForwards)
	}
	b.forwarded++
	cmd.Opaque = b.forwarded
	f := &forward{conn: c, opaque: cmd.Opaque, done: done}
	c.asked[f.opaque] = f
	f.timer = time.AfterFunc(c.patience.forward, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		f.end(f.failure(remoting.ResponseConsumeTimeout, "the client has not answered within "+c.patience.forward.String()))
	})
	c.push(cmd)
	return nil
}

// answered passes on what a client has answered. An answer that nobody waits for,
// or no longer, is ignored.
func (b *Broker) answered(c *conn, answer remoting.Command) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := c.asked[answer.Opaque]; f != nil {
		f.end(answer)
	}
}

// abandon ends the requests that a connection which has ended will not answer.
func (c *conn) abandon() {
	for _, f := range c.asked {
		f.end(f.failure(remoting.ResponseSystemError, "the client's connection has ended"))
	}
}

// failure is what takes the place of an answer.
func (f *forward) failure(code int, remark string) remoting.Command {
	return remoting.Command{Opaque: f.opaque}.Response(code, remark)
}

func (f *forward) end(answer remoting.Command) {
	if f.conn.asked[f.opaque] != f {
		return // it is over
	}
	delete(f.conn.asked, f.opaque)
	f.timer.Stop()
	f.done(answer)
}

// promise is what is left of a request that is answered later: nobody reads again
// what came with it.
type promise struct {
	conn *conn
	cmd  remoting.Command
}

func (r *request) promise() promise {
	return promise{conn: r.conn, cmd: remoting.Command{Opaque: r.cmd.Opaque, Flag: r.cmd.Flag}}
}

// keep answers the request.
func (p promise) keep(answer *response) {
	if p.cmd.IsOneWay() {
		return
	}
	full := p.cmd.Response(answer.code, answer.remark)
	full.Ext, full.Body = answer.ext, answer.body
	p.conn.push(full)
}

// relay sends a request on to a member of a group, and answers it with what the
// client answers.
func (b *Broker) relay(r *request, name, clientID string, ext map[string]string, body []byte) (*response, error) {
	var m *member
	if g := b.groups[name]; g != nil {
		m = g.members[clientID]
	}
	if m == nil {
		return nil, refuse(remoting.ResponseSystemError, "The Consumer <%s> <%s> not online", name, clientID)
	}
	asker := r.promise()
	return nil, b.forward(m.conn, remoting.NewRequest(r.cmd.Code, ext, body), func(answer remoting.Command) {
		asker.keep(&response{code: answer.Code, remark: answer.Remark, ext: answer.Ext, body: answer.Body})
	})
}
