package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/cmd/orderctl/replicas"
	"orderflow/internal/cli"
)

// Crowd says how the orders of a show are placed.
type Crowd struct {
	Where
	Callers       int           `default:"64" help:"How many callers place orders at once, 1 to 1000."`
	SKUs          int           `name:"skus" default:"10" help:"How many SKUs share the orders, 1 to 100."`
	PaymentWindow time.Duration `default:"10m" help:"Payment window of the orders, one that the broker has a delay level for. The show must end before it does."`
	Chart         string        `default:"" env:"-" placeholder:"FILE.svg" help:"Draw accepted, reserved and backlog over time into this file."`
}

// Validate checks the bounds.
func (c Crowd) Validate() error {
	if c.Callers < 1 || c.Callers > 1000 {
		return fmt.Errorf("--callers: must be 1 to 1000, is %d", c.Callers)
	}
	if c.SKUs < 1 || c.SKUs > 100 {
		return fmt.Errorf("--skus: must be 1 to 100, is %d", c.SKUs)
	}
	if c.Chart != "" && !strings.HasSuffix(c.Chart, ".svg") {
		return errors.New("--chart: must end with .svg")
	}
	if err := cli.CheckDuration("--payment-window", c.PaymentWindow, time.Second, 720*time.Hour); err != nil {
		return err
	}
	return c.Where.Validate()
}

// maxOrders is how many orders a show may place.
const maxOrders = 1_000_000

func checkOrders(n, least int) error {
	if n < least || n > maxOrders {
		return fmt.Errorf("--orders: must be %d to %d, is %d", least, maxOrders, n)
	}
	return nil
}

// show is a rush on running services, and who suspends inventory.
type show struct {
	*rush
	total    int
	story    *story
	operator *replicas.Inventory
}

// plan is what a show does beside looking on. What it returns is said at the end.
type plan struct {
	title  string
	total  int
	second int // orders per second; 0: as many as can be
	play   func(ctx context.Context, s *show) error
}

// perform starts the services, plays, checks the sums and draws the chart. The error says
// what was not as it must be.
func (c Crowd) perform(ctx context.Context, on services, p plan, out cli.Output) (err error) {
	story := newStory(out.Stdout)
	story.title("orderflow: " + on.Title())
	defer func() {
		// Also after a Ctrl-C, when ctx has ended.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, on.Close(ctx))
	}()
	s, leave, err := c.enter(ctx, on, p, story)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leave()) }()
	story.say(p.title)
	ctx, cancel := context.WithTimeout(ctx, c.PaymentWindow) // orders close then, and their stock goes back
	defer cancel()
	if err := s.stockUp(ctx, p.total); err != nil {
		return err
	}
	s.progress = newProgress(out.Stdout, p.total)
	err = s.both(ctx, p)
	s.progress.finish()
	// What did not end well is what one wants to see most.
	if err := errors.Join(err, c.draw(s, p.title+"\n"+on.Title())); err != nil {
		return err
	}
	l, err := s.settle(ctx)
	if err != nil {
		return err
	}
	s.tell(l)
	if err := s.check(l, p.total); err != nil {
		return err
	}
	story.say("all sums hold")
	return nil
}

// draw writes the chart, if one is wanted.
func (c Crowd) draw(s *show, title string) error {
	if c.Chart == "" || len(s.samples) == 0 {
		return nil
	}
	if err := (chart{title: title, samples: s.samples, marks: s.marks}).write(c.Chart); err != nil {
		return err
	}
	s.story.step("chart", c.Chart)
	return nil
}

// enter connects to the services.
func (c Crowd) enter(ctx context.Context, on services, p plan, story *story) (s *show, leave func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, sceneTimeout)
	defer cancel()
	orders, inventory, err := on.Start(ctx)
	if err != nil {
		return nil, nil, err
	}
	operator, err := replicas.Find(ctx, strings.Split(inventory, ",")...)
	if err != nil {
		return nil, nil, err
	}
	open := []io.Closer{operator}
	leave = func() (err error) {
		for _, c := range open {
			err = errors.Join(err, c.Close())
		}
		return err
	}
	conns := make([]*grpc.ClientConn, 2)
	for i, address := range []string{orders, inventory} {
		if conns[i], err = connectTo(address); err != nil {
			return nil, nil, errors.Join(err, leave())
		}
		open = append(open, conns[i])
	}
	r := &rush{
		orders: orderv1.NewOrderServiceClient(conns[0]), inventory: inventoryv1.NewInventoryServiceClient(conns[1]),
		run: "demo-" + uuid.NewString()[:8], window: c.PaymentWindow, callers: c.Callers, perSecond: p.second,
	}
	for i := range c.SKUs {
		r.skus = append(r.skus, fmt.Sprintf("%s-%02d", r.run, i))
	}
	return &show{rush: r, total: p.total, story: story, operator: operator}, leave, nil
}

// both plays and looks on, until inventory has reserved everything.
func (s *show) both(ctx context.Context, p plan) error {
	all, ctx := errgroup.WithContext(ctx)
	s.begin = time.Now()
	all.Go(func() error { return p.play(ctx, s) })
	all.Go(func() error { return s.watch(ctx, p.total) })
	return all.Wait()
}

// tell says what was measured.
func (s *show) tell(l ledger) {
	end := s.samples[len(s.samples)-1].at
	var largest sample
	for _, one := range s.samples {
		if one.backlog() > largest.backlog() {
			largest = one
		}
	}
	rate := func(d time.Duration) string {
		return fmt.Sprintf("%s orders in %.1f s: %s/s", grouped(int64(s.total)), d.Seconds(), grouped(int64(float64(s.total)/d.Seconds())))
	}
	spread := func(all []time.Duration) string {
		return fmt.Sprintf("p50 %s, p99 %s", short(percentile(all, 50)), short(percentile(all, 99)))
	}
	s.story.step("accepted", rate(s.last))
	s.story.step("reserved", rate(end))
	s.story.step("largest backlog", fmt.Sprintf("%s orders, %.1f s after the beginning", grouped(largest.backlog()), largest.at.Seconds()))
	s.story.step("time to drain, from the last order that was accepted", short(max(0, end-s.last)))
	s.story.step("a CreateOrder took", spread(s.took))
	s.story.step("an order waited for its stock", spread(l.waited()))
}

// short is a duration as people read it.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond / 10).String()
	}
	return d.Round(time.Second / 10).String()
}
