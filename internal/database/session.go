package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// readCommitted makes MySQL connections whose transactions are READ COMMITTED: one
// statement when a connection is made, instead of a round trip in front of every
// BEGIN.
type readCommitted struct{ driver.Connector }

// Connect connects and sets the level. A connection without it is none.
func (c readCommitted) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	session, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%T cannot execute statements", conn), conn.Close())
	}
	// The statement that MySQL and MariaDB have in common; the variable's name differs.
	if _, err := session.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
