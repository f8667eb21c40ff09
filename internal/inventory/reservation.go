package inventory

import (
	"slices"
	"strings"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/database"
)

// Status is where a reservation stands. The values are those of the API.
type Status int16

// The statuses; statusNone stands for a reservation that does not exist.
const (
	statusNone     Status = 0
	StatusReserved Status = 1 // every line is held
	StatusRejected Status = 2 // a line was short or unknown; nothing is held
	StatusReleased Status = 3 // given back, or closed before it was reserved
	StatusSold     Status = 4 // sold
)

// String is the status's name in logs and reasons.
func (s Status) String() string {
	switch s {
	case statusNone:
		return "absent"
	case StatusReserved:
		return "RESERVED"
	case StatusRejected:
		return "REJECTED"
	case StatusReleased:
		return "RELEASED"
	case StatusSold:
		return "SOLD"
	default:
		return "UNKNOWN"
	}
}

// Reservation is what inventory holds, or held, for an order, and its row. The
// primary key is what makes an order's events count once.
type Reservation struct {
	OrderID     string `gorm:"primaryKey"`
	CustomerID  string // who placed the order; empty if no event that says so has arrived
	Status      Status
	Version     int64   // 1 at first, growing by one with each change
	ExpiresAt   int64   // when the order's payment window ends, as far as we know
	SweepAt     int64   // when the sweeper has to look at it, see Store.sweepAt
	SweepCount  int64   // how often the sweeper has looked in vain
	CreatedAt   int64   `gorm:"autoCreateTime:false"`
	UpdatedAt   int64   `gorm:"autoUpdateTime:false"` // when it came into its status
	Traceparent *string // the span in which it was made; nil if none is recorded
	Lines       []Line  `gorm:"-"` // sorted by SKU; none if it was closed before it was reserved
}

// TableName is the table's name for gorm.
func (Reservation) TableName() string { return "reservations" }

// reservationKey is the primary key, whose duplicate error says that somebody
// else handles an event of the same order.
func reservationKey() database.Key {
	return database.Key{Index: "PRIMARY", Columns: []string{"order_id"}}
}

// Shortage says why a line could not be reserved.
type Shortage int16

// The shortages.
const (
	ShortageNone    Shortage = 0 // the line could be reserved
	ShortageTooFew  Shortage = 1 // fewer units were available
	ShortageUnknown Shortage = 2 // the SKU was never received
)

// Line is one SKU of a reservation and its row. Lines never change.
type Line struct {
	OrderID   string `gorm:"primaryKey"`
	SKU       string `gorm:"column:sku;primaryKey"`
	Quantity  int64
	Shortage  Shortage
	Available int64 // units available when a shortage was found; else 0
}

// TableName is the table's name for gorm.
func (Line) TableName() string { return "reservation_lines" }

// newLines are an event's lines as rows of orderID, in the order in which stock
// is locked.
func newLines(orderID string, lines []*eventv1.Line) []Line {
	rows := make([]Line, len(lines))
	for i, l := range lines {
		rows[i] = Line{OrderID: orderID, SKU: l.GetSku(), Quantity: l.GetQuantity()}
	}
	slices.SortFunc(rows, func(a, b Line) int { return strings.Compare(a.SKU, b.SKU) })
	return rows
}
