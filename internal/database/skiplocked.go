package database

import "gorm.io/gorm/clause"

// SkipLocked locks the rows that a query of a transaction finds, as FOR UPDATE does,
// and leaves out those that another transaction has locked instead of waiting for
// them: of many replicas that look for work at once, each takes other rows.
//
//	tx.Clauses(database.SkipLocked()).Where("sweep_at <= ?", now).Order("sweep_at").Limit(n).Find(&rows)
//
// MySQL has it from 8.0 on, MariaDB from 10.6 on. SQLite has no row locks, and its
// statements go without the clause: BEGIN IMMEDIATE has locked everything.
func SkipLocked() clause.Locking {
	return clause.Locking{Strength: clause.LockingStrengthUpdate, Options: clause.LockingOptionsSkipLocked}
}
