package inventory

// Stock is the stock of one SKU and its row. At every moment
// Received = Available + Reserved + Sold, and none of them is negative: the
// database checks it too.
type Stock struct {
	SKU       string `gorm:"column:sku;primaryKey"`
	Available int64  // units that can be reserved
	Reserved  int64  // units held for orders that are not paid yet
	Sold      int64  // units of paid orders
	Received  int64  // units ever received
	CreatedAt int64  `gorm:"autoCreateTime:false"` // epoch milliseconds, as all times of rows
	UpdatedAt int64  `gorm:"autoUpdateTime:false"`
}

// TableName is the table's name for gorm.
func (Stock) TableName() string { return "stocks" }

// shift is a move of units of one SKU; its parts add up to zero.
type shift struct{ available, reserved, sold int64 }

// The four moves of n units.
func hold(n int64) shift     { return shift{available: -n, reserved: +n} }
func giveBack(n int64) shift { return shift{available: +n, reserved: -n} }
func sell(n int64) shift     { return shift{reserved: -n, sold: +n} }
func sellNow(n int64) shift  { return shift{available: -n, sold: +n} }
