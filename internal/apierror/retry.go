package apierror

import (
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Backoff are the pauses of a client that makes a call until it is answered. The call
// has to be idempotent: one that has failed may have had its effect.
type Backoff struct{ pauses backoff.ExponentialBackOff }

// NewBackoff makes the pauses of one call: each about twice as long as the one before,
// and none longer than longest unless the service asks for that.
func NewBackoff(longest time.Duration) *Backoff {
	b := &Backoff{backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, RandomizationFactor: 0.3, Multiplier: 2, MaxInterval: longest,
	}}
	b.pauses.Reset()
	return b
}

// Next tells whether a call that has failed with err may succeed when it is made again,
// and how long to wait before that: as long as the service says, at least.
func (b *Backoff) Next(err error) (pause time.Duration, again bool) {
	if !timeMends(err) {
		return 0, false
	}
	return max(RetryDelay(err), min(b.pauses.NextBackOff(), b.pauses.MaxInterval)), true
}

// RetryDelay is how long a service tells the client whose call has failed to wait, in
// RetryInfo; 0 if it says nothing.
func RetryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if retry, is := detail.(*errdetails.RetryInfo); is {
			return retry.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// timeMends tells whether a call that has failed with err may succeed when it is made
// again: if the service says so, whatever the code is, or if the error says nothing
// definite about the call.
func timeMends(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded: // nobody is there, or nobody has answered
		return true
	case codes.Aborted: // another call was faster
		return true
	case codes.Internal, codes.Unknown: // a stream that was cut, or a fault that has no name
		return true
	default: // also ResourceExhausted, by which gRPC refuses a message that is too long
		return RetryDelay(err) > 0
	}
}
