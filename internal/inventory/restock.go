package inventory

import "gorm.io/gorm"

// release gives back what a RESERVED reservation holds.
func (s *Store) release(tx *gorm.DB, current Reservation) (*Reservation, error) {
	return s.end(tx, current, StatusReleased, giveBack)
}

// entomb remembers that an order was closed before it was reserved: a RELEASED
// reservation without lines. Its `created`, which may come much later, finds the
// tombstone and takes nothing.
func (s *Store) entomb(tx *gorm.DB, in incident) (*Reservation, error) {
	r := s.newReservation(in, StatusReleased)
	return &r, insertReservation(tx, r)
}
