package inventory

import (
	"fmt"

	"gorm.io/gorm"
)

// reserve holds every line of the order, or none: then the reservation is
// REJECTED, and its lines say what was short.
//
// The reservation row goes first: it keeps every other event of the order out
// until this transaction ends, so that stock is deducted once.
func (s *Store) reserve(tx *gorm.DB, in incident) (*Reservation, error) {
	r := s.newReservation(in, StatusReserved)
	if err := insertReservation(tx, r); err != nil {
		return nil, err
	}
	lines := newLines(in.orderID, in.lines)
	short, err := findShortages(tx, lines)
	if err != nil {
		return nil, err
	}
	if short {
		r.Status = StatusRejected
		if err := s.reject(tx, r); err != nil {
			return nil, err
		}
	} else if err := moveStock(tx, lines, hold, s.clock.Now()); err != nil {
		return nil, err
	}
	r.Lines = lines
	return &r, insertLines(tx, lines)
}

// findShortages locks the stock of the lines, marks each line that cannot be
// held, and tells whether there is one. What it finds stays true until the
// transaction ends.
func findShortages(tx *gorm.DB, lines []Line) (short bool, err error) {
	stocks, err := lockStocks(tx, lines)
	if err != nil {
		return false, err
	}
	for i := range lines {
		l := &lines[i]
		stock, known := stocks[l.SKU]
		switch {
		case !known:
			l.Shortage = ShortageUnknown
		case stock.Available < l.Quantity:
			l.Shortage, l.Available = ShortageTooFew, stock.Available
		default:
			continue
		}
		short = true
	}
	return short, nil
}

// reject corrects the status of a row that this very transaction has inserted;
// nobody has seen it yet, so the version stays.
func (s *Store) reject(tx *gorm.DB, r Reservation) error {
	result := tx.Exec("UPDATE reservations SET status = ?, sweep_at = ? WHERE order_id = ? AND status = ?",
		StatusRejected, s.sweepAt(StatusRejected, r.ExpiresAt), r.OrderID, StatusReserved)
	if result.Error != nil {
		return fmt.Errorf("reject the reservation: %w", result.Error)
	}
	if result.RowsAffected != 1 {
		return fmt.Errorf("reject the reservation: %d rows", result.RowsAffected)
	}
	return nil
}
