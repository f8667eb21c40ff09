package orderctl

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/cli"
)

// Parked says where the services are, each of which has parked messages of its own.
type Parked struct {
	Both
	NotifyService []string `default:"127.0.0.1:7003" placeholder:"HOST:PORT" help:"Address of the notifier, or of several of its replicas."`
	Service       string   `default:"both" enum:"both,order,inventory,notify" help:"Whose parked messages: ${enum}; both is order and inventory."`
}

// Validate checks the addresses.
func (p Parked) Validate() error {
	if err := cli.CheckAddresses(p.NotifyService); err != nil {
		return fmt.Errorf("--notify-service: %w", err)
	}
	return p.Both.Validate()
}

// shelf is where one service keeps its parked messages.
type shelf struct {
	service   string
	addresses []string
}

// shelves are those that are meant.
func (p Parked) shelves() []shelf {
	if p.Service == "notify" {
		return []shelf{{"notify", p.NotifyService}}
	}
	var meant []shelf
	for _, s := range []shelf{{"order", p.OrderService}, {"inventory", p.InventoryService}} {
		if p.Service == s.service || p.Service == "both" {
			meant = append(meant, s)
		}
	}
	return meant
}

// call runs f with a client of the service and the call's deadline.
func (p Parked) call(ctx context.Context, s shelf, f func(context.Context, parkedv1.ParkedServiceClient) error) error {
	return dial(ctx, s.addresses, p.Timeout, func(ctx context.Context, conn *grpc.ClientConn) error {
		return f(ctx, parkedv1.NewParkedServiceClient(conn))
	})
}

// wholeMessage lets an answer have the largest body that a broker takes, 4 MiB, and
// headers.
func wholeMessage() grpc.CallOption { return grpc.MaxCallRecvMsgSize(5 << 20) }

// find finds out which of the services has the message. A service that does not
// answer may be the one.
func (p Parked) find(ctx context.Context, id string) (s shelf, m *parkedv1.ParkedMessage, err error) {
	var unknown error
	for _, s := range p.shelves() {
		err := p.call(ctx, s, func(ctx context.Context, parked parkedv1.ParkedServiceClient) error {
			answer, err := parked.GetParked(ctx, &parkedv1.GetParkedRequest{Id: id}, wholeMessage())
			m = answer.GetMessage()
			return err
		})
		switch {
		case err == nil:
			return s, m, nil
		case unknown == nil || status.Code(unknown) == codes.NotFound:
			unknown = err
		}
	}
	return shelf{}, nil, unknown
}

// ListParked lists parked messages.
type ListParked struct {
	Parked
	Group     string `env:"-" help:"Only of this consumer group."`
	Reason    string `env:"-" help:"Only with this reason, such as DEAD_LETTER."`
	Order     string `env:"-" help:"Only of this order."`
	Limit     int32  `default:"50" help:"How many of each service at most, 1 to 500."`
	PageToken string `env:"-" help:"Where the page before ended; it says so. Needs --service."`
}

// Help is more about it.
func (ListParked) Help() string {
	return `What cannot be handled as it is, and would not be by another delivery. Where a service
does not answer, the other's are shown.

  orderctl parked list
  orderctl parked list --service inventory --reason PAID_BUT_SHORT`
}

// Validate checks what goes together.
func (c ListParked) Validate() error {
	if c.Limit < 1 || c.Limit > 500 {
		return fmt.Errorf("--limit: must be 1 to 500, is %d", c.Limit)
	}
	if c.PageToken != "" && c.Service == "both" {
		return errors.New("--page-token: needs --service, for it is of one of them")
	}
	return c.Parked.Validate()
}

// Run is the command. What one service has is shown even if the other one fails.
func (c ListParked) Run(ctx context.Context, out cli.Output) error {
	req := &parkedv1.ListParkedRequest{
		Group: c.Group, Reason: c.Reason, OrderId: c.Order, PageSize: c.Limit, PageToken: c.PageToken,
	}
	var pages []parkedPage
	var failed []error
	for _, s := range c.shelves() {
		failed = append(failed, c.call(ctx, s, func(ctx context.Context, parked parkedv1.ParkedServiceClient) error {
			resp, err := parked.ListParked(ctx, req)
			if err == nil {
				pages = append(pages, parkedPage{s.service, resp})
			}
			return err
		}))
	}
	if len(pages) > 0 {
		failed = append(failed, c.showPages(out, pages))
	}
	return errors.Join(failed...)
}

// ShowParked shows a parked message.
type ShowParked struct {
	Parked
	ID string `arg:"" help:"The parked message."`
}

// Help is more about it.
func (ShowParked) Help() string {
	return `Why it was parked, how often it came, and what it says.

  orderctl parked show 01a1fd27-bf53-7f20-a476-7e3424b73351`
}

// Run is the command.
func (c ShowParked) Run(ctx context.Context, out cli.Output) error {
	s, m, err := c.find(ctx, c.ID)
	if err != nil {
		return err
	}
	return c.showMessage(out, s.service, "", m)
}

// ReplayParked has a parked message handled once more.
type ReplayParked struct {
	Parked
	ID string `arg:"" help:"The parked message."`
}

// Help is more about it.
func (ReplayParked) Help() string {
	return `Its own handler gets the message once more, at once; it is removed if that succeeds.
What makes no sense as things stand, such as created of an order that is closed, is
refused.

  orderctl parked replay 01a1fd27-bf53-7f20-a476-7e3424b73351`
}

// Run is the command.
func (c ReplayParked) Run(ctx context.Context, out cli.Output) error {
	s, _, err := c.find(ctx, c.ID)
	if err != nil {
		return err
	}
	return c.call(ctx, s, func(ctx context.Context, parked parkedv1.ParkedServiceClient) error {
		resp, err := parked.ReplayParked(ctx, &parkedv1.ReplayParkedRequest{Id: c.ID}, wholeMessage())
		if err != nil {
			return err
		}
		return c.showMessage(out, s.service, "replayed, and removed", resp.GetMessage())
	})
}

// DiscardParked removes a parked message for good.
type DiscardParked struct {
	Parked
	ID  string `arg:"" help:"The parked message."`
	Why string `required:"" env:"-" help:"Why it may go, for the service's log: 1 to 200 characters."`
}

// Help is more about it.
func (DiscardParked) Help() string {
	return `Nothing handles it any more: for what another command has put right, or what a person
has settled. The service's log keeps its body and why it went.

  orderctl parked discard 01a1fd27-bf53-7f20-a476-7e3424b73351 --why "the order was refunded"`
}

// Run is the command.
func (c DiscardParked) Run(ctx context.Context, out cli.Output) error {
	s, _, err := c.find(ctx, c.ID)
	if err != nil {
		return err
	}
	return c.call(ctx, s, func(ctx context.Context, parked parkedv1.ParkedServiceClient) error {
		resp, err := parked.DiscardParked(ctx, &parkedv1.DiscardParkedRequest{Id: c.ID, Reason: c.Why}, wholeMessage())
		if err != nil {
			return err
		}
		return c.showMessage(out, s.service, "discarded", resp.GetMessage())
	})
}
