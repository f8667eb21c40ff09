package order

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"gorm.io/gorm"

	orderv1 "orderflow/api/proto/order/v1"
	"orderflow/internal/database/databasetest"
	"orderflow/migrations"
)

// recorded stores payments as they are.
func (w *world) recorded(payments ...Payment) {
	w.t.Helper()
	if err := w.db.With(w.t.Context()).Create(&payments).Error; err != nil {
		w.t.Fatal(err)
	}
}

func refundDue(id string, recordedAt int64) Payment {
	return Payment{ID: id, OrderID: uuid.NewString(), AmountMinor: 150, Currency: "EUR", Outcome: RefundDue, RefundReason: PastDue, RecordedAt: recordedAt}
}

// dueIDs reads all pages of the refunds that are due.
func (w *world) dueIDs(size int32) (ids []string) {
	w.t.Helper()
	in := &orderv1.ListRefundsDueRequest{PageSize: size}
	for {
		out, err := NewGRPC(w.service).ListRefundsDue(w.t.Context(), in)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, p := range out.GetPayments() {
			ids = append(ids, p.GetPaymentId())
		}
		if in.PageToken = out.GetNextPageToken(); in.PageToken == "" {
			return ids
		}
	}
}

func TestListRefundsDue(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		if got := w.dueIDs(0); got != nil {
			t.Errorf("%v", got)
		}
		var want []string
		for i := range 20 { // two of each moment
			p := refundDue(fmt.Sprintf("p-%02d", i), start.UnixMilli()+int64(i/2))
			w.recorded(p)
			want = append(want, p.ID)
		}
		paid, refunded := refundDue("paid", 1), refundDue("refunded", 2)
		paid.Outcome, paid.RefundReason = PaymentAccepted, NoRefund
		refunded.RefundID, refunded.RefundedAt = "r", 3
		w.recorded(paid, refunded)
		for _, size := range []int32{0, 1, 3, 20, 500} {
			if got := w.dueIDs(size); !slices.Equal(got, want) {
				t.Errorf("pages of %d: %v", size, got)
			}
		}
	})
}

// A page of refunds is a range of the index that has its order.
func TestListRefundsDueSortsNoTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, databasetest.NewMySQL(t, migrations.Order()))
	var payments []Payment
	for i := range 3000 {
		p := refundDue(fmt.Sprintf("p-%04d", i), int64(i))
		if i%3 > 0 {
			p.RefundedAt = 1
		}
		payments = append(payments, p)
	}
	w.recorded(payments...)
	if err := w.db.With(t.Context()).Exec("ANALYZE TABLE payments").Error; err != nil {
		t.Fatal(err)
	}
	var plan struct {
		Key   string `gorm:"column:key"`
		Extra string `gorm:"column:Extra"`
	}
	err := w.db.With(t.Context()).Raw("EXPLAIN SELECT * FROM payments WHERE outcome = 2 AND refunded_at = 0 AND " +
		"(recorded_at >= 900 AND (recorded_at > 900 OR id > 'p-0900')) ORDER BY recorded_at, id LIMIT 51").Scan(&plan).Error
	if err != nil || plan.Key != "payments_refunds" || strings.Contains(plan.Extra, "filesort") {
		t.Errorf("%+v, %v", plan, err)
	}
}

func TestResolveRefund(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		api := NewGRPC(w.service)
		due, other, paid := refundDue("due", 1000), refundDue("other", 1000), refundDue("paid", 1000)
		paid.Outcome, paid.RefundReason = PaymentAccepted, NoRefund
		w.recorded(due, other, paid)
		want := &orderv1.ResolveRefundResponse{Payment: &orderv1.Payment{
			PaymentId: "due", OrderId: due.OrderID, Amount: &orderv1.Money{CurrencyCode: "EUR", MinorUnits: 150},
			Outcome: orderv1.PaymentOutcome_PAYMENT_OUTCOME_REFUND_DUE, RefundReason: orderv1.RefundReason_REFUND_REASON_PAST_DUE,
			RecordedAt: timestamppb.New(time.UnixMilli(1000)), RefundId: "r-1", RefundedAt: timestamppb.New(start),
		}}
		for range 2 {
			got, err := api.ResolveRefund(t.Context(), &orderv1.ResolveRefundRequest{PaymentId: "due", RefundId: "r-1"})
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
			w.clock.Advance(time.Minute) // the second call changes nothing
		}
		wantError(t, resolveRefund("due", "r-2")(t.Context(), api), codes.AlreadyExists, ReasonRefundAlreadyResolved)
		wantError(t, resolveRefund("paid", "r-1")(t.Context(), api), codes.FailedPrecondition, ReasonNoRefundDue)
		wantError(t, resolveRefund("none", "r-1")(t.Context(), api), codes.NotFound, ReasonPaymentNotFound)
		if got := w.dueIDs(0); !slices.Equal(got, []string{"other"}) {
			t.Errorf("%v", got)
		}
		w.wantRows(map[string]int64{"order_timeline": 1})
		entries, _, err := w.service.Timeline(t.Context(), due.OrderID)
		if err != nil || len(entries) != 1 || entries[0].Kind != KindPayment || entries[0].Cause != ByClient ||
			entries[0].Detail != "payment due was refunded: refund r-1" || entries[0].At != start.UnixMilli() {
			t.Errorf("%+v, %v", entries, err)
		}
	})
}

// Of many who resolve one refund at once under ids of their own, one wins, and the
// timeline has it once.
func TestResolveRefundAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.recorded(refundDue("due", 1000))
		var mu sync.Mutex
		won := map[string]bool{}
		atOnce(8, func(i int) {
			id := fmt.Sprintf("r-%d", i%4) // each twice
			p, err := w.service.ResolveRefund(t.Context(), Refund{paymentID: "due", refundID: id})
			if err != nil {
				if got := statusOf(t, err); got.reason != ReasonRefundAlreadyResolved {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			won[p.RefundID] = true
		})
		if len(won) != 1 {
			t.Errorf("%v have won", won)
		}
		w.wantRows(map[string]int64{"order_timeline": 1})
	})
}

// A refund and its entry are written together or not at all.
func TestResolveRefundThatFailsHalfWay(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.recorded(refundDue("due", 1000))
		w.faults.set(failStatements(isEntry))
		if err := resolveRefund("due", "r")(t.Context(), NewGRPC(w.service)); err == nil {
			t.Error("it has not failed")
		}
		w.faults.set(nil)
		w.wantRows(map[string]int64{"order_timeline": 0})
		if got := w.dueIDs(0); !slices.Equal(got, []string{"due"}) {
			t.Errorf("%v", got)
		}
	})
}

// isEntry is the insert of entries of a timeline.
func isEntry(db *gorm.DB) bool {
	_, ok := db.Statement.Dest.(*[]Entry)
	return ok && !isQuery(db)
}

// A payment that is recorded at that very moment is not called refunded.
func TestRefundOfAPaymentThatAppears(t *testing.T) {
	t.Parallel()
	w := newWorld(t, databasetest.NewMySQL(t, migrations.Order())) // SQLite has one writer
	o := w.reserved()
	p := payment(t, o)
	p.AmountMinor++
	var once sync.Once
	w.faults.set(func(db *gorm.DB) error {
		if isQuery(db) && db.Statement.Table == "payments" {
			once.Do(func() { w.faults.set(nil); w.pay(p) })
		}
		return nil
	})
	r, err := NewRefund(p.ID, "refund-1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.service.ResolveRefund(t.Context(), r)
	wantError(t, err, codes.Unavailable, ReasonContention)
	if got, err := w.service.ResolveRefund(t.Context(), r); err != nil || got.RefundID != "refund-1" {
		t.Errorf("then: %+v, %v", got, err)
	}
}
