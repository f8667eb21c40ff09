package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/apierror"
)

const (
	callTimeout   = 10 * time.Second       // of one call
	orderPatience = time.Minute            // of an order's call and its repetitions
	sampleEvery   = 100 * time.Millisecond // how often inventory is asked how far it is
	longestPause  = time.Second            // between two of them, unless the service says more
)

// rush is many orders that are placed at once, each of one unit, and what became of
// them. It knows of inventory what inventory says.
type rush struct {
	orders    orderv1.OrderServiceClient
	inventory inventoryv1.InventoryServiceClient
	run       string // the customer, and the beginning of SKUs and keys
	skus      []string
	window    time.Duration // payment window of the orders
	callers   int
	perSecond int // how many are placed in a second at most; 0: as many as can be
	progress  progress

	mu         sync.Mutex
	begin      time.Time
	ids        []string        // of the orders that were accepted
	took       []time.Duration // how long each CreateOrder took, repetitions included
	last       time.Duration   // when the last one was accepted, from begin
	samples    []sample
	marks      []mark
	unanswered error // what inventory said last instead of an answer
}

// sample is how far things were at a moment, from the beginning.
type sample struct {
	at                 time.Duration
	accepted, reserved int64
}

// backlog is how many orders wait. Inventory can know of one before its caller does.
func (s sample) backlog() int64 { return max(0, s.accepted-s.reserved) }

// mark is something that happened at a moment.
type mark struct {
	at   time.Duration
	what string
}

// stockUp makes SKUs known and puts in enough for n orders each.
func (r *rush) stockUp(ctx context.Context, n int) error {
	for _, sku := range r.skus {
		_, err := r.inventory.AddStock(ctx, &inventoryv1.AddStockRequest{ReceiptId: sku, Sku: sku, Quantity: int64(n)})
		if err != nil {
			return fmt.Errorf("put stock in: %w", err)
		}
	}
	return nil
}

// sku is that of an order, by its number.
func (r *rush) sku(i int) string { return r.skus[i%len(r.skus)] }

// place places the orders with the numbers from one up to another, and returns when all
// are accepted.
func (r *rush) place(ctx context.Context, from, to int) error {
	all, ctx := errgroup.WithContext(ctx)
	numbers := make(chan int)
	all.Go(func() error { defer close(numbers); return r.feed(ctx, numbers, from, to) })
	for range r.callers {
		all.Go(func() error {
			for i := range numbers {
				if err := r.placeOne(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// feed hands out the numbers of orders, in time.
func (r *rush) feed(ctx context.Context, numbers chan<- int, from, to int) error {
	var tick <-chan time.Time
	if r.perSecond > 0 {
		ticker := time.NewTicker(time.Second / time.Duration(r.perSecond))
		defer ticker.Stop()
		tick = ticker.C
	}
	for i := from; i < to; i++ {
		if tick != nil {
			select {
			case <-tick:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		select {
		case numbers <- i:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// placeOne places an order. While the service says that a repetition may help, it is
// repeated with the same key: an order that was placed without an answer is the answer.
func (r *rush) placeOne(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, orderPatience)
	defer cancel()
	request := &orderv1.CreateOrderRequest{
		IdempotencyKey: fmt.Sprintf("%s-%d", r.run, i), CustomerId: r.run, CurrencyCode: "EUR",
		Lines:         []*orderv1.OrderLine{{Sku: r.sku(i), Quantity: 1, UnitPriceMinor: 1999}},
		PaymentWindow: durationpb.New(r.window),
	}
	begin, pauses := time.Now(), apierror.NewBackoff(longestPause)
	for {
		answer, err := r.create(ctx, request)
		if err == nil {
			r.accept(answer.GetOrder().GetOrderId(), time.Since(begin))
			return nil
		}
		pause, again := pauses.Next(err)
		if !again {
			return fmt.Errorf("order %d: %w", i, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("order %d: %w", i, errors.Join(err, ctx.Err()))
		}
	}
}

func (r *rush) create(ctx context.Context, request *orderv1.CreateOrderRequest) (*orderv1.CreateOrderResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.orders.CreateOrder(ctx, request)
}

func (r *rush) accept(id string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids, r.took, r.last = append(r.ids, id), append(r.took, took), time.Since(r.begin)
}

// mark notes and says that something has happened.
func (r *rush) mark(what string) {
	r.mu.Lock()
	m := mark{time.Since(r.begin), what}
	r.marks = append(r.marks, m)
	r.mu.Unlock()
	r.progress.say(fmt.Sprintf("%5.1f s  %s", m.at.Seconds(), what))
}

// watch asks inventory how far it is, until it has reserved all n orders.
func (r *rush) watch(ctx context.Context, n int) error {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		if s, ok := r.sample(ctx); ok {
			r.progress.show(s)
			if s.reserved >= int64(n) && s.accepted >= int64(n) {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("inventory has not reserved all orders: %w", ctx.Err()), r.unanswered)
		}
	}
}

// sample asks once. On a busy machine a question may stay without an answer; the next one
// is soon.
func (r *rush) sample(ctx context.Context) (sample, bool) {
	reserved, err := r.reserved(ctx)
	if r.unanswered = err; err != nil {
		return sample{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s := sample{time.Since(r.begin), int64(len(r.ids)), reserved}
	r.samples = append(r.samples, s)
	return s, true
}

// reserved is how many units inventory holds, by its own account.
func (r *rush) reserved(ctx context.Context) (sum int64, err error) {
	stocks, err := r.stocks(ctx)
	for _, s := range stocks {
		sum += s.GetReserved() + s.GetSold()
	}
	return sum, err
}

func (r *rush) stocks(ctx context.Context) ([]*inventoryv1.Stock, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := r.inventory.GetStock(ctx, &inventoryv1.GetStockRequest{Skus: r.skus})
	return answer.GetStocks(), err
}

// percentile is the duration that so many hundredths of all do not exceed.
func percentile(all []time.Duration, hundredths int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max(0, (len(sorted)*hundredths+99)/100-1)]
}
