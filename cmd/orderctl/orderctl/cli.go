// Package orderctl is the command line of the operator's tool.
package orderctl

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/cmd/orderctl/demo"
	"orderflow/cmd/orderctl/dev"
	"orderflow/internal/cli"
)

// Grammar is every command of orderctl.
type Grammar struct {
	Order struct {
		Create CreateOrder `cmd:"" help:"Place an order."`
		Get    GetOrder    `cmd:"" help:"Show an order as it is now."`
		Pay    PayOrder    `cmd:"" help:"Record a payment of an order."`
	} `cmd:"" help:"Place, show and pay orders."`

	Stock struct {
		Add AddStock `cmd:"" help:"Record a receipt of goods."`
		Get GetStock `cmd:"" help:"Show the stock of SKUs."`
	} `cmd:"" help:"Add and show stock."`

	Reservation struct {
		Get GetReservation `cmd:"" help:"Show what inventory holds for an order."`
	} `cmd:"" help:"Show reservations."`

	MQ struct {
		Init InitMQ `cmd:"" help:"Create the topics and consumer groups that the services need."`
	} `cmd:"" name:"mq" help:"Prepare the broker."`

	Audit Audit `cmd:"" help:"Compare the books of both services, and have mended what messages can mend."`

	Dev    dev.Command       `cmd:"" help:"Run the broker and both services in this process, on SQLite."`
	Broker dev.BrokerCommand `cmd:"" help:"Run the embedded broker alone: RocketMQ's wire protocol without a JVM."`
	Clock  struct {
		Advance dev.AdvanceCommand `cmd:"" help:"Push the clock forward; what is due by then happens."`
	} `cmd:"" help:"Push the clock of \"orderctl dev\" or \"orderctl broker\"."`

	Demo demo.Commands `cmd:"" help:"Tell the story of an order."`

	Version cli.Version `cmd:"" help:"Print the version."`
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
	OrderService string `default:"127.0.0.1:7001" placeholder:"HOST:PORT" help:"Address of order-srv."`
	View
}

// Validate checks the address.
func (o Orders) Validate() error {
	if err := cli.CheckAddress(o.OrderService); err != nil {
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

// Inventory says where inventory-srv is.
type Inventory struct {
	InventoryService string `default:"127.0.0.1:7002" placeholder:"HOST:PORT" help:"Address of inventory-srv."`
	View
}

// Validate checks the address.
func (i Inventory) Validate() error {
	if err := cli.CheckAddress(i.InventoryService); err != nil {
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

func dial(ctx context.Context, address string, timeout time.Duration, f func(context.Context, *grpc.ClientConn) error) (err error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, err)
	}
	defer func() { _ = conn.Close() }() // everything has been answered
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return f(ctx, conn)
}
