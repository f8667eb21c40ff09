package audit

import (
	"context"
	"fmt"

	inventoryv1 "orderflow/api/proto/inventory/v1"
)

// readBooks checks the sums of every SKU. Each is of one moment, so that what does
// not add up never did.
func (r *run) readBooks(ctx context.Context) error {
	books := r.booksCursor()
	defer books.close()
	for {
		b, more, err := books.peek(ctx)
		if err != nil || !more {
			return err
		}
		books.next()
		r.report.Summary.SKUs++
		for _, v := range checkBooks(b) {
			r.add(v)
		}
	}
}

// checkBooks says what does not add up about one SKU. The first sum alone would hide
// what is given back twice.
func checkBooks(b *inventoryv1.Books) []Violation {
	s := b.GetStock()
	sku := s.GetSku()
	if b.GetMissing() {
		if b.GetReceipts() == 0 && b.GetHeld() == 0 && b.GetBought() == 0 {
			return nil // it was ordered, and refused because nobody has ever received it
		}
		return []Violation{ofSKU(StockRowMissing, sku, "a row of stock", fmt.Sprintf(
			"none, but receipts of %d, RESERVED reservations of %d, SOLD ones of %d", b.GetReceipts(), b.GetHeld(), b.GetBought()))}
	}
	var found []Violation
	check := func(ok bool, code Code, expected, actual string) {
		if !ok {
			found = append(found, ofSKU(code, sku, expected, actual))
		}
	}
	check(s.GetAvailable() >= 0 && s.GetReserved() >= 0 && s.GetSold() >= 0 && s.GetReceived() >= 0, StockNegative, "nothing below 0",
		fmt.Sprintf("available %d, reserved %d, sold %d, received %d", s.GetAvailable(), s.GetReserved(), s.GetSold(), s.GetReceived()))
	check(s.GetReceived() == s.GetAvailable()+s.GetReserved()+s.GetSold(), StockSumWrong,
		fmt.Sprintf("received %d, as available %d + reserved %d + sold %d",
			s.GetAvailable()+s.GetReserved()+s.GetSold(), s.GetAvailable(), s.GetReserved(), s.GetSold()),
		fmt.Sprintf("received %d", s.GetReceived()))
	check(s.GetReceived() == b.GetReceipts(), StockReceiptsDiffers,
		fmt.Sprintf("received %d, as receipts and adjustments say", b.GetReceipts()), fmt.Sprintf("received %d", s.GetReceived()))
	check(s.GetReserved() == b.GetHeld(), StockReservedDiffers,
		fmt.Sprintf("reserved %d, as RESERVED reservations hold", b.GetHeld()), fmt.Sprintf("reserved %d", s.GetReserved()))
	check(s.GetSold() == b.GetBought(), StockSoldDiffers,
		fmt.Sprintf("sold %d, as SOLD reservations say", b.GetBought()), fmt.Sprintf("sold %d", s.GetSold()))
	return found
}
