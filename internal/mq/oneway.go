package mq

import (
	"context"
	"fmt"

	"orderflow/internal/mq/message"
)

// SendOneWay writes m to the broker's connection and awaits no answer: nil says
// that it was written, not that the broker has stored it, or ever will. An error
// wraps ErrUnavailable; unless it wraps ErrNotSent too, the message may be on the
// broker all the same.
func (p *Producer) SendOneWay(ctx context.Context, m message.Message) (err error) {
	ctx, end := p.observe(ctx, &m)
	defer func() { end(err) }()
	library, msg, err := p.prepare(m)
	if err != nil {
		return err
	}
	p.oneWays.Store(true)
	return p.sends.run(ctx, func() error {
		if err := library.SendOneWay(ctx, msg); err != nil {
			return fmt.Errorf("%w: %w", message.ErrUnavailable, err)
		}
		return nil
	})
}
