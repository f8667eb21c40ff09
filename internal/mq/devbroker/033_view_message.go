package devbroker

import "orderflow/internal/mq/remoting"

// ViewMessageById (33) gives the message at a place in the log.
//
// Asked by: mqadmin queryMsgById; the Java client, which takes the place, and the broker's address, from
//
//	an offset message id.
//
// Fields:   offset (physical); topic, which is not used, may lack.
// Answers:  0 with the message; 1 if there is none.
func (b *Broker) viewMessage(r *request) (*response, error) {
	physical := r.integer("offset")
	if err := r.err(); err != nil {
		return nil, err
	}
	e := b.find(physical)
	if e == nil {
		return nil, refuse(remoting.ResponseSystemError, "can not find message by the offset, %d", physical)
	}
	return &response{body: e.frame}, nil
}
