package order

import (
	"context"
	"fmt"
)

// changesPage is how many changes one read of a watch takes: an order has about five
// in its life.
const changesPage = 100

// changes is what a watch reads at once.
type changes struct {
	entries []Entry // by version
	more    bool    // there may be more behind them
	final   bool    // behind them nothing can change any more
}

// head reads an order without its lines; found is false if there is none.
func (s *Store) head(ctx context.Context, id string) (o Order, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	result := s.db.With(ctx).Where("id = ?", id).Limit(1).Find(&o)
	if result.Error != nil {
		return o, false, fmt.Errorf("read order: %w", result.Error)
	}
	return o, result.RowsAffected == 1, nil
}

// versions reads the versions of orders; one that does not exist has none.
func (s *Store) versions(ctx context.Context, ids []string) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	var rows []struct {
		ID      string
		Version int64
	}
	if err := s.db.With(ctx).Table("orders").Select("id, version").Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read versions of orders: %w", err)
	}
	versions := make(map[string]int64, len(rows))
	for _, r := range rows {
		versions[r.ID] = r.Version
	}
	return versions, nil
}

// changesBehind reads the changes of an order behind a version. The order is read
// first: every change up to its version has committed by then, and is seen by the
// second statement.
//
// A change that is not in the timeline was made by a program that keeps none (during
// a rollout, or before it). The last one is then told from the order's row, without
// its cause, so that a watch always comes to the present state.
func (s *Store) changesBehind(ctx context.Context, id string, version int64) (changes, error) {
	o, found, err := s.head(ctx, id)
	if err != nil {
		return changes{}, err
	}
	if !found {
		return changes{}, errOrderNotFound(id)
	}
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	var c changes
	err = s.db.With(ctx).Where("order_id = ? AND kind = ? AND version > ?", id, KindChanged, version).
		Order("version").Limit(changesPage).Find(&c.entries).Error
	if err != nil {
		return changes{}, fmt.Errorf("read changes of an order: %w", err)
	}
	if len(c.entries) == changesPage {
		c.more = true
		return c, nil
	}
	last := version
	if n := len(c.entries); n > 0 {
		last = c.entries[n-1].Version
	}
	if last > o.Version {
		c.more = true // it has changed in between: the next read says whether it is final
		return c, nil
	}
	if last < o.Version {
		c.entries = append(c.entries, o.entry())
	}
	c.final = o.final()
	return c, nil
}

// entry is the order's last change as its row tells it.
func (o Order) entry() Entry {
	return Entry{
		OrderID: o.ID, At: o.UpdatedAt, Kind: KindChanged, Version: o.Version,
		Status: o.Status, CloseReason: o.CloseReason, StockState: o.StockState, ExpiresAt: o.ExpiresAt,
	}
}
