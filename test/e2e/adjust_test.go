package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	inventoryv1 "orderflow/api/proto/inventory/v1"
)

// adjustment corrects a SKU's stock, with an id of its own.
func adjustment(sku string, difference int64) *inventoryv1.AdjustStockRequest {
	return &inventoryv1.AdjustStockRequest{AdjustmentId: uuid.NewString(), Sku: sku, Difference: difference, Reason: "a count"}
}

func (s *system) adjust(r *inventoryv1.AdjustStockRequest) (*inventoryv1.Stock, error) {
	answer, err := repeat(s.t.Context(), func(ctx context.Context) (*inventoryv1.AdjustStockResponse, error) {
		return s.stockClient.AdjustStock(ctx, r)
	})
	return answer.GetStock(), err
}

// Stock is corrected up and down, and goods come in, while orders take from it, are
// paid and give back: nothing is lost, and nothing counts twice.
func TestT48AdjustmentsAndOrdersInParallel(t *testing.T) {
	onStacks(t, needs{}, func(t *testing.T, on stack) {
		s := sharedSystem(t, on)
		const rounds = 20 // of each of the three
		tea := s.stocked("tea", 1000)
		errs := make(chan error, 3*rounds)
		var all sync.WaitGroup
		for i := range rounds {
			all.Go(func() {
				r := adjustment(tea, int64(7-10*(i%2))) // 7 more, 3 less
				for range 2 {
					_, err := s.adjust(r)
					errs <- err
				}
			})
			all.Go(func() { errs <- s.buy(tea, i) })
		}
		all.Wait()
		close(errs)
		for err := range errs {
			s.must(err)
		}
		s.skus[tea] += rounds / 2 * (7 - 3)
		s.waitStock(tea, 1000+rounds/2*4-rounds/2, 0, rounds/2)

		_, err := s.adjust(adjustment(tea, -10_000))
		wantReason(t, err, codes.FailedPrecondition, "NOT_ENOUGH_AVAILABLE")
		_, err = s.adjust(adjustment(s.sku("nothing"), 1))
		wantReason(t, err, codes.NotFound, "SKU_NOT_FOUND")
		r := adjustment(tea, 1)
		stock, err := s.adjust(r)
		s.must(err)
		s.skus[tea]++
		if stock.GetReceived() != s.skus[tea] {
			t.Errorf("stock is %v, want %d received", stock, s.skus[tea])
		}
		r.Difference = 2
		_, err = s.adjust(r)
		wantReason(t, err, codes.AlreadyExists, "ADJUSTMENT_ID_REUSED")
		s.audit()
	})
}

// buy places an order of one unit, and pays or cancels it when its stock is reserved.
func (s *system) buy(sku string, i int) error {
	r := s.request(tenMinutes, line(sku, 1))
	r.WaitForStock = true
	o, err := s.insist(r)
	if err != nil {
		return err
	}
	if o.GetStatus() != reserved {
		return fmt.Errorf("order %s is %s, want RESERVED: its call has waited for that", o.GetOrderId(), o.GetStatus())
	}
	if i%2 == 0 {
		_, err = s.cancel(o, "")
		return err
	}
	answer, err := s.payWith(payment(o))
	if err == nil && answer.GetOrder().GetStatus() != paid {
		err = errors.New("the payment has not paid")
	}
	return err
}
