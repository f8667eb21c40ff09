package orderctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/audit"
	"orderflow/internal/cli"
	"orderflow/internal/clock"
)

// exitUnable says that the books could not be compared to the end, which is neither
// good nor bad news of them.
const exitUnable = 2

// Audit compares the books of both services.
type Audit struct {
	Both
	OverdueAfter  time.Duration `default:"5m" help:"How long behind its payment window an order may be open, and how long order-srv may wait for what inventory has to say, 0s to 24h. More than the sweepers' --sweep-grace and than the broker may be behind."`
	Grace         time.Duration `default:"5s" help:"How long an order and its reservation must disagree without a change of either, 100ms to 10m."`
	MaxViolations int           `default:"1000" help:"How many violations are shown, 0 to 1000000; all are counted."`
	Repair        bool          `env:"-" help:"Have the events sent again that the other half lacks. Rows are never edited."`
	RepairWait    time.Duration `default:"30s" help:"How long they may take to have their effect, for 500 orders at a time, 0s to 1h."`
}

// Help is what "orderctl audit --help" says of it.
func (Audit) Help() string {
	return `Reads all orders and all reservations side by side, without locking anything, and
checks that

  - an order that is not paid is closed when its payment window has ended
  - an order that waits for payment has its stock RESERVED, line by line
  - a PAID order has it SOLD, line by line; a CLOSED one holds nothing
  - nothing is reserved or sold without an order
  - order-srv knows what became of each order's stock
  - for each SKU: received = available + reserved + sold = its receipts and adjustments,
    reserved = the lines of RESERVED reservations, sold = those of SOLD ones, nothing is
    negative
  - no message is parked

An order that disagrees with its reservation is read again after --grace, and reported
only if neither has changed; what order-srv waits for is reported only after
--overdue-after. So an audit can run while orders do.

It ends with 0 if all is well, with 1 if something is not (with --repair: is not even
now), and with 2 if it could not be finished.

  orderctl audit
  orderctl audit --repair -o json`
}

// Validate checks the addresses and the bounds.
func (c Audit) Validate() error {
	if c.MaxViolations < 0 || c.MaxViolations > 1_000_000 {
		return fmt.Errorf("--max-violations: must be 0 to 1000000, is %d", c.MaxViolations)
	}
	return errors.Join(
		cli.CheckDuration("--overdue-after", c.OverdueAfter, 0, 24*time.Hour),
		cli.CheckDuration("--grace", c.Grace, 100*time.Millisecond, 10*time.Minute),
		cli.CheckDuration("--repair-wait", c.RepairWait, 0, time.Hour),
		c.Both.Validate(),
	)
}

// Run is the command.
func (c Audit) Run(ctx context.Context, out cli.Output) error {
	orders, err := dialReplicas(c.OrderService)
	if err != nil {
		return &cli.ExitError{Code: exitUnable, Err: err}
	}
	defer func() { _ = orders.Close() }() // everything has been answered
	inventory, err := dialReplicas(c.InventoryService)
	if err != nil {
		return &cli.ExitError{Code: exitUnable, Err: err}
	}
	defer func() { _ = inventory.Close() }()
	report, err := audit.Audit(ctx, audit.Services{
		Orders:    orderv1.NewAuditServiceClient(orders),
		Inventory: inventoryv1.NewAuditServiceClient(inventory),
		Parked: []audit.Parked{
			{Service: "order-srv", Client: parkedv1.NewParkedServiceClient(orders)},
			{Service: "inventory-srv", Client: parkedv1.NewParkedServiceClient(inventory)},
		},
	}, audit.Config{
		OverdueAfter: c.OverdueAfter, Grace: c.Grace, CallTimeout: c.Timeout, MaxViolations: c.MaxViolations,
		Repair: c.Repair, RepairWait: c.RepairWait,
	}, clock.System{})
	if shown := c.report(out, report); shown != nil {
		return &cli.ExitError{Code: exitUnable, Err: errors.Join(err, shown)}
	}
	if err != nil {
		return &cli.ExitError{Code: exitUnable, Err: err}
	}
	if left := report.Summary.Left(); left > 0 {
		return fmt.Errorf("%d violations are left of %d that were found", left, report.Summary.Found)
	}
	return nil
}

// report writes what was found, be it all or not.
func (c Audit) report(out cli.Output, r *audit.Report) error {
	if c.Output == "json" {
		text, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return fmt.Errorf("write report: %w", err)
		}
		_, err = fmt.Fprintln(out.Stdout, string(text))
		return err
	}
	if !r.Summary.Complete && r.Summary.Orders+r.Summary.Reservations == 0 {
		return nil // there is nothing to tell
	}
	t := newTable(out)
	t.violations(r)
	t.summary(r.Summary)
	return t.flush()
}
