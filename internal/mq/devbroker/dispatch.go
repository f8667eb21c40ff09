package devbroker

import (
	"errors"
	"fmt"
	"runtime/debug"

	"orderflow/internal/mq/devbroker/wal"
	"orderflow/internal/mq/remoting"
)

// request is a request as its handler sees it.
type request struct {
	fields
	cmd  remoting.Command
	conn *conn
	now  int64 // epoch milliseconds, by the broker's clock
}

// response is what a handler answers with. Code 0 is success.
type response struct {
	code   int
	remark string
	ext    map[string]string
	body   []byte
}

// handler handles the requests of one code, with the broker's mu held: it must
// not wait. Without a response and an error there is no answer, or it comes later
// by conn.push.
type handler func(b *Broker, r *request) (*response, error)

// service is an entry of the table of request codes.
type service struct {
	name   string
	handle handler
	// server tells who serves it: requests to the name server are not signed.
	server role
}

type role int

const (
	ofBroker role = iota
	ofNameServer
)

// refusal is an error that is answered with a code of its own. All others are
// answered with SYSTEM_ERROR.
type refusal struct {
	code   int
	remark string
}

// Error is the remark.
func (r *refusal) Error() string { return r.remark }

func refuse(code int, format string, args ...any) error {
	return &refusal{code: code, remark: fmt.Sprintf(format, args...)}
}

// serve handles a request that has come over c, as far as the faults let it. An
// error ends the connection.
func (b *Broker) serve(c *conn, cmd remoting.Command) error {
	action := b.faults.next(cmd.Code, cmd.Ext)
	if action.kind == actionNone {
		return b.serveNow(c, cmd)
	}
	return b.serveFaulty(c, cmd, action)
}

// serveNow handles a request and writes its answer.
func (b *Broker) serveNow(c *conn, cmd remoting.Command) error {
	answer, safe := b.answer(c, cmd)
	return b.replyTo(c, answer, safe)
}

// answer handles a request. What the answer promises is on disk when safe is.
func (b *Broker) answer(c *conn, cmd remoting.Command) (answer *remoting.Command, safe wal.Position) {
	defer b.faults.handled(cmd.Code)
	served, known := b.services[cmd.Code]
	if !known {
		return plainAnswer(cmd, remoting.ResponseNotSupported, fmt.Sprintf("request type %d not supported", cmd.Code)), 0
	}
	if err := b.authenticate(served, cmd); err != nil {
		return plainAnswer(cmd, remoting.ResponseNoPermission, err.Error()), 0
	}
	answered, safe := b.handle(c, cmd, served)
	if answered == nil || cmd.IsOneWay() {
		return nil, safe
	}
	full := cmd.Response(answered.code, answered.remark)
	full.Ext, full.Body = answered.ext, answered.body
	return &full, safe
}

func plainAnswer(cmd remoting.Command, code int, remark string) *remoting.Command {
	if cmd.IsOneWay() {
		return nil
	}
	answer := cmd.Response(code, remark)
	return &answer
}

// handle runs the handler under the lock.
func (b *Broker) handle(c *conn, cmd remoting.Command, served service) (answered *response, safe wal.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.conns[c] {
		return nil, 0 // a fault has held the request up for too long
	}
	if b.failure.err != nil {
		return &response{code: remoting.ResponseServiceNotAvailable, remark: b.failure.err.Error()}, 0
	}
	defer func() {
		if p := recover(); p != nil { // a bug must cost one request only
			b.settings.log.Error("handler panicked", "code", cmd.Code, "name", served.name, "panic", p, "stack", string(debug.Stack()))
			answered = &response{code: remoting.ResponseSystemError, remark: fmt.Sprintf("%s failed: %v", served.name, p)}
		}
		safe = b.writeRecord()
	}()
	r := &request{fields: fields{ext: cmd.Ext}, cmd: cmd, conn: c, now: b.now()}
	answered, err := served.handle(b, r)
	if err == nil {
		return answered, 0
	}
	code := remoting.ResponseSystemError
	var refused *refusal
	if errors.As(err, &refused) {
		code = refused.code
	}
	b.settings.log.Debug("request refused", "code", cmd.Code, "name", served.name, "answer", code, "error", err)
	return &response{code: code, remark: err.Error()}, 0
}

// authenticate checks the signature where one is needed.
func (b *Broker) authenticate(served service, cmd remoting.Command) error {
	if b.settings.accessKey == "" || served.server == ofNameServer {
		return nil
	}
	return remoting.Verify(cmd, func(accessKey string) (string, bool) {
		return b.settings.secretKey, accessKey == b.settings.accessKey
	})
}
