package inventory

import (
	"fmt"
	"strings"

	"gorm.io/gorm"

	"orderflow/internal/mq/message"
)

// settle sells what a RESERVED reservation holds.
func (s *Store) settle(tx *gorm.DB, current Reservation) (*Reservation, error) {
	return s.end(tx, current, StatusSold, sell)
}

// sellAtOnce holds and sells in one step: the order was paid, but its `created`
// has not arrived, or never will. If stock is short nothing is stored and the
// event is parked, because a paid order cannot be rejected.
func (s *Store) sellAtOnce(tx *gorm.DB, in incident, reason string) (*Reservation, error) {
	r := s.newReservation(in, StatusSold)
	if err := insertReservation(tx, r); err != nil {
		return nil, err
	}
	lines := newLines(in.orderID, in.lines)
	short, err := findShortages(tx, lines)
	if err != nil {
		return nil, err
	}
	if short {
		return nil, message.Permanent(reason, "order %s is paid, its reservation is absent, and stock is short: %s",
			in.orderID, describeShortages(lines))
	}
	if err := moveStock(tx, lines, sellNow, s.clock.Now()); err != nil {
		return nil, err
	}
	r.Lines = lines
	return &r, insertLines(tx, lines)
}

// end moves the stock that a RESERVED reservation holds and gives the
// reservation its last status.
func (s *Store) end(tx *gorm.DB, current Reservation, to Status, move func(int64) shift) (*Reservation, error) {
	now := s.clock.Now()
	after, err := s.changeStatus(tx, current, to, now)
	if err != nil {
		return nil, err
	}
	after.Lines, err = findLines(tx, current.OrderID)
	if err != nil {
		return nil, err
	}
	return &after, moveStock(tx, after.Lines, move, now)
}

func describeShortages(lines []Line) string {
	var parts []string
	for _, l := range lines {
		switch l.Shortage {
		case ShortageUnknown:
			parts = append(parts, l.SKU+" is unknown")
		case ShortageTooFew:
			parts = append(parts, fmt.Sprintf("%d of %s asked, %d available", l.Quantity, l.SKU, l.Available))
		case ShortageNone:
		}
	}
	return strings.Join(parts, "; ")
}
