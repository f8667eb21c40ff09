package inventory

import (
	"errors"

	"orderflow/internal/apierror"
	"orderflow/internal/database"
)

// Reasons of the API's errors, as inventory.proto names them.
const (
	ReasonReceiptIDReused     = "RECEIPT_ID_REUSED"
	ReasonAdjustmentIDReused  = "ADJUSTMENT_ID_REUSED"
	ReasonNotEnoughAvailable  = "NOT_ENOUGH_AVAILABLE"
	ReasonStockOverflow       = "STOCK_OVERFLOW"
	ReasonSKUNotFound         = "SKU_NOT_FOUND"
	ReasonReservationNotFound = "RESERVATION_NOT_FOUND"
	ReasonHandlersRunning     = "HANDLERS_RUNNING"
)

// errOvertaken says that another transaction inserted a row which this one found
// missing. The transaction is abandoned and run again: after a duplicate error
// it holds a shared lock on the row, and two that ask for more deadlock.
var errOvertaken = errors.New("another transaction was faster")

// maxOvertaken bounds how often that may happen to one call. Rows are never
// deleted, so the second run finds the row unless the other one rolled back.
const maxOvertaken = 5

// forClient is err as a client may see it: a database that does not answer, or in
// which others were faster every time, is Unavailable, and what is neither that nor an apierror stays as it is, for the
// server to log and hide.
func forClient(err error) error {
	var shown *apierror.Error
	if err == nil || errors.As(err, &shown) {
		return err
	}
	if database.IsUnavailable(err) || errors.Is(err, errOvertaken) {
		return apierror.Unavailable("database", err)
	}
	return err
}
