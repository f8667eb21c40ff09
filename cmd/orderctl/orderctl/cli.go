// Package orderctl is the command line of the operator's tool.
package orderctl

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/cmd/orderctl/demo"
	"orderflow/cmd/orderctl/dev"
	"orderflow/cmd/orderctl/load"
	"orderflow/cmd/orderctl/notifysrv"
	"orderflow/internal/cli"
	"orderflow/internal/connect"
)

// Grammar is every command of orderctl.
type Grammar struct {
	Order struct {
		Create   CreateOrder   `cmd:"" help:"Place an order."`
		Get      GetOrder      `cmd:"" help:"Show an order as it is now."`
		List     ListOrders    `cmd:"" help:"List orders, the newest first."`
		Watch    WatchOrder    `cmd:"" help:"Follow an order: a line for each change, until it has ended."`
		Timeline OrderTimeline `cmd:"" help:"Show all that happened to an order, in both services."`
		Pay      PayOrder      `cmd:"" help:"Record a payment of an order."`
		Cancel   CancelOrder   `cmd:"" help:"Close an order that is not paid; its stock goes back."`
		Extend   ExtendOrder   `cmd:"" help:"Give the customer a new payment window, counted from now."`
		Exempt   ExemptOrder   `cmd:"" help:"Let an order wait for its payment without a time limit."`
		Redrive  RedriveOrders `cmd:"" help:"Send the event of each order's present status again."`
	} `cmd:"" help:"Place, show, pay and end orders."`

	Refund struct {
		List    ListRefunds   `cmd:"" help:"List the payments that have to be refunded, the oldest first."`
		Resolve ResolveRefund `cmd:"" help:"Record that a payment was refunded."`
	} `cmd:"" help:"Show and settle the refunds that are due."`

	Stock struct {
		Add    AddStock    `cmd:"" help:"Record a receipt of goods."`
		Adjust AdjustStock `cmd:"" help:"Correct what is available of a SKU, by a difference."`
		Get    GetStock    `cmd:"" help:"Show the stock of SKUs."`
		List   ListStock   `cmd:"" help:"List the stock of all SKUs, sorted by SKU."`
	} `cmd:"" help:"Add, correct and show stock."`

	Reservation struct {
		Get  GetReservation   `cmd:"" help:"Show what inventory holds for an order."`
		List ListReservations `cmd:"" help:"List reservations, the newest first."`
	} `cmd:"" help:"Show reservations."`

	Parked struct {
		List    ListParked    `cmd:"" help:"List parked messages, the oldest first."`
		Show    ShowParked    `cmd:"" help:"Show a parked message with its body and headers."`
		Replay  ReplayParked  `cmd:"" help:"Have a parked message handled once more, now."`
		Discard DiscardParked `cmd:"" help:"Remove a parked message for good; it goes to the service's log."`
	} `cmd:"" help:"See to the messages that could not be handled."`

	Consumers struct {
		Suspend SuspendConsumers `cmd:"" help:"Make inventory-srv handle no messages for a while."`
		Resume  ResumeConsumers  `cmd:"" help:"Make it handle messages again."`
		Status  ConsumersStatus  `cmd:"" help:"Show whether it is suspended, and how many messages wait."`
	} `cmd:"" help:"Suspend and resume the consumers of inventory-srv."`

	MQ struct {
		Init InitMQ `cmd:"" help:"Create the topics and consumer groups that the services need."`
	} `cmd:"" name:"mq" help:"Prepare the broker."`

	Audit Audit `cmd:"" help:"Compare the books of both services, and have mended what messages can mend."`

	Health Health `cmd:"" help:"Ask the services whether they are ready."`

	Dev    dev.Command       `cmd:"" help:"Run the broker and both services in this process, on SQLite."`
	Broker dev.BrokerCommand `cmd:"" help:"Run the embedded broker alone: RocketMQ's wire protocol without a JVM."`
	Clock  struct {
		Advance dev.AdvanceCommand `cmd:"" help:"Push the clock of \"orderctl dev\" or \"orderctl broker\" forward."`
	} `cmd:"" help:"Push the clock of \"orderctl dev\" or \"orderctl broker\"."`

	Notify notifysrv.Command `cmd:"" help:"Tell customers what happens to their orders: a consumer group of its own, in the log or by a signed webhook."`

	Load load.Command `cmd:"" help:"Place orders at a steady rate, follow each to its end, and say what became of them."`

	Demo demo.Commands `cmd:"" help:"Tell the story of an order."`

	Version cli.Version `cmd:"" help:"Print the version."`
}

// Help is what a new user should know first.
func (Grammar) Help() string {
	return `Everything can be tried on this machine, without any other service:

  orderctl dev &
  orderctl stock add apple 10
  orderctl order create --customer ann --currency EUR --line apple:2:150 --wait
  orderctl order list
  orderctl clock advance 30m

Answers go to stdout, as tables or with -o json as JSON; remarks, ids that were made, and
errors go to stderr. The exit code is 0 if all went well, 1 if it did not, and 2 if the command
line is wrong. A flag whose help names a $VARIABLE can be given in the environment instead.`
}

// Program is orderctl.
func Program() cli.Program {
	return cli.Program{
		Name:        "orderctl",
		Description: "Operate the order and inventory services.",
		EnvPrefix:   "ORDERCTL",
		Grammar:     &Grammar{},
		Explain:     explain,
	}
}

// View says how a call is made and its answer shown.
type View struct {
	Timeout time.Duration `default:"10s" help:"How long a call may take, 1ms to 10m."`
	Output  string        `default:"table" enum:"table,json" short:"o" help:"Form of the answer: ${enum}."`
}

// Validate checks the bounds.
func (v View) Validate() error {
	return cli.CheckDuration("--timeout", v.Timeout, time.Millisecond, 10*time.Minute)
}

// Orders says where order-srv is.
type Orders struct {
	OrderService []string `default:"127.0.0.1:7001" placeholder:"HOST:PORT" help:"Address of order-srv, or of several of its replicas; ${default} if missing."`
	View
}

// Validate checks the address.
func (o Orders) Validate() error {
	if err := cli.CheckAddresses(o.OrderService); err != nil {
		return fmt.Errorf("--order-service: %w", err)
	}
	return o.View.Validate()
}

// call runs f with a client and the call's deadline.
func (o Orders) call(ctx context.Context, f func(context.Context, orderv1.OrderServiceClient) error) error {
	return dial(ctx, o.OrderService, o.Timeout, func(ctx context.Context, conn *grpc.ClientConn) error {
		return f(ctx, orderv1.NewOrderServiceClient(conn))
	})
}

// calls runs f with a client for many calls, whose deadlines are f's business.
func (o Orders) calls(f func(orderv1.OrderServiceClient) error) error {
	return withConnection(o.OrderService, func(conn *grpc.ClientConn) error {
		return f(orderv1.NewOrderServiceClient(conn))
	})
}

// Inventory says where inventory-srv is.
type Inventory struct {
	InventoryService []string `default:"127.0.0.1:7002" placeholder:"HOST:PORT" help:"Address of inventory-srv, or of several of its replicas; ${default} if missing."`
	View
}

// Validate checks the address.
func (i Inventory) Validate() error {
	if err := cli.CheckAddresses(i.InventoryService); err != nil {
		return fmt.Errorf("--inventory-service: %w", err)
	}
	return i.View.Validate()
}

// call runs f with a client and the call's deadline.
func (i Inventory) call(ctx context.Context, f func(context.Context, inventoryv1.InventoryServiceClient) error) error {
	return dial(ctx, i.InventoryService, i.Timeout, func(ctx context.Context, conn *grpc.ClientConn) error {
		return f(ctx, inventoryv1.NewInventoryServiceClient(conn))
	})
}

// calls runs f with a client for many calls, whose deadlines are f's business.
func (i Inventory) calls(f func(inventoryv1.InventoryServiceClient) error) error {
	return withConnection(i.InventoryService, func(conn *grpc.ClientConn) error {
		return f(inventoryv1.NewInventoryServiceClient(conn))
	})
}

// Both says where both services are.
type Both struct {
	Orders
	InventoryService []string `default:"127.0.0.1:7002" placeholder:"HOST:PORT" help:"Address of inventory-srv, or of several of its replicas; ${default} if missing."`
}

// Validate checks the addresses.
func (b Both) Validate() error {
	if err := b.inventory().Validate(); err != nil {
		return err
	}
	return b.Orders.Validate()
}

func (b Both) inventory() Inventory {
	return Inventory{InventoryService: b.InventoryService, View: b.View}
}

// dial runs f with a connection and a deadline.
func dial(ctx context.Context, addresses []string, timeout time.Duration, f func(context.Context, *grpc.ClientConn) error) error {
	return withConnection(addresses, func(conn *grpc.ClientConn) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return f(ctx, conn)
	})
}

// largestAnswer is the largest answer that is taken: a page of 500 orders of 100 lines
// each can have about 5 MB.
const largestAnswer = 16 << 20

// dialReplicas makes a connection that is established when it is first used.
func dialReplicas(addresses []string) (*grpc.ClientConn, error) {
	return connect.To(addresses, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestAnswer)))
}

// withConnection runs f with a connection.
func withConnection(addresses []string, f func(*grpc.ClientConn) error) error {
	conn, err := dialReplicas(addresses)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // everything has been answered
	return f(conn)
}
