package order

import (
	"errors"
	"time"

	"google.golang.org/grpc/codes"

	"orderflow/internal/apierror"
	"orderflow/internal/database"
	"orderflow/internal/event"
	"orderflow/internal/mq/message"
)

// Reasons of the errors that clients see; the proto says which call returns which.
const (
	ReasonKeyReused         = "IDEMPOTENCY_KEY_REUSED"
	ReasonOrderNotFound     = "ORDER_NOT_FOUND"
	ReasonStockNotConfirmed = "STOCK_NOT_CONFIRMED"
	ReasonPaymentIDReused   = "PAYMENT_ID_REUSED"
	ReasonContention        = "CONTENTION"
	ReasonOrderPaid         = "ORDER_PAID"
	ReasonOrderClosed       = "ORDER_CLOSED"
	ReasonWindowEnded       = "PAYMENT_WINDOW_ENDED"
	ReasonTimeoutExempt     = "TIMEOUT_EXEMPT"
	ReasonNotLater          = "NOT_LATER"
	ReasonRequestIDReused   = "REQUEST_ID_REUSED"
)

// Reasons for which stock events are parked.
const (
	ReasonUnknownOrder = "STOCK_EVENT_OF_UNKNOWN_ORDER"
	ReasonOpenButSold  = "OPEN_BUT_SOLD" // the payment is forgotten that the stock was sold for
)

// ParkReasons are all for which the handler of stock events parks.
func ParkReasons() []string {
	return append(event.ParkReasons(), ReasonUnknownOrder, ReasonOpenButSold)
}

// errStale says that a row was not in the state from which it was to change: the
// caller looks again and decides anew.
var errStale = errors.New("the order has changed meanwhile")

// errAborted says that a check-back has fenced the local transaction off: it came
// too late and must not commit.
var errAborted = errors.New("the half message was rolled back by a check-back")

// errTooLate says that the payment window ended before the order was committed.
var errTooLate = errors.New("the payment window ended before the order was committed")

func errOrderNotFound(id string) error {
	return apierror.NotFound(ReasonOrderNotFound, "there is no order %s", id)
}

func errKeyReused() error {
	return apierror.AlreadyExists(ReasonKeyReused, "this idempotency key came with another request before")
}

func errPaymentIDReused() error {
	return apierror.AlreadyExists(ReasonPaymentIDReused, "this payment id was recorded for another order, amount or currency")
}

func errStockNotConfirmed() error {
	return apierror.FailedPrecondition(ReasonStockNotConfirmed, time.Second, "the order's stock is not confirmed yet")
}

// errEnded says that an order is paid or closed, if it is.
func errEnded(o Order) error {
	switch o.Status {
	case Paid:
		return apierror.FailedPrecondition(ReasonOrderPaid, 0, "the order is paid")
	case Closed:
		return apierror.FailedPrecondition(ReasonOrderClosed, 0, "the order was closed before: %s", o.CloseReason)
	default:
		return nil
	}
}

func errWindowEnded() error {
	return apierror.FailedPrecondition(ReasonWindowEnded, 0, "the order's payment window has ended")
}

func errTimeoutExempt() error {
	return apierror.FailedPrecondition(ReasonTimeoutExempt, 0, "the order is exempt from the timeout: it has no payment window to extend")
}

func errNotLater() error {
	return apierror.FailedPrecondition(ReasonNotLater, 0, "the new payment window would end before the present one")
}

func errRequestIDReused() error {
	return apierror.AlreadyExists(ReasonRequestIDReused, "this request id came with another payment window before")
}

// errContention says that an order changed under every attempt to decide about it.
func errContention() error {
	return &apierror.Error{Code: codes.Unavailable, Reason: ReasonContention,
		Message: "the order is being changed by others; repeat the call", RetryAfter: time.Second, Cause: errStale}
}

// forClient turns what went wrong below into what a client may see. Errors made
// for clients stay as they are; what is neither the broker's nor the database's
// is a bug, and shown as an internal error.
func forClient(err error) error {
	var visible *apierror.Error
	switch {
	case err == nil || errors.As(err, &visible):
		return err
	case errors.Is(err, message.ErrUnavailable):
		return apierror.Unavailable("broker", err)
	case database.IsUnavailable(err):
		return apierror.Unavailable("database", err)
	case errors.Is(err, errAborted), errors.Is(err, errTooLate):
		return apierror.Unavailable("order service", err)
	}
	return err
}
