package orderctl

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/cmd/orderctl/replicas"
)

// explain says what went wrong: the message and the reason, every field that is
// wrong on a line of its own, and whether to repeat the call; of several errors each.
func explain(err error) string {
	if all, several := err.(interface{ Unwrap() []error }); several {
		var texts []string
		for _, one := range all.Unwrap() {
			texts = append(texts, explain(one))
		}
		return strings.Join(texts, "\n")
	}
	var replica *replicas.Error
	if errors.As(err, &replica) {
		return fmt.Sprintf("inventory-srv at %s: %s", replica.Address, explain(replica.Err))
	}
	// status.FromError would put the text of every wrapper into the message.
	var answer interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &answer) {
		return err.Error()
	}
	st := answer.GRPCStatus()
	if st.Code() == codes.Unavailable && len(st.Details()) == 0 { // not from a service: there is none
		return "Unavailable: the service does not answer; is it running, and is its address right (--order-service, --inventory-service, --notify-service)?\n  " + st.Message()
	}
	text := fmt.Sprintf("%s: %s", st.Code(), st.Message())
	var more []string
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			text = fmt.Sprintf("%s (%s): %s", st.Code(), d.GetReason(), st.Message())
		case *errdetails.BadRequest:
			for _, f := range d.GetFieldViolations() {
				line := f.GetField() + ": " + f.GetDescription()
				text = strings.TrimSuffix(text, ": "+line) // where the message is the one violation
				more = append(more, "  "+line)
			}
		case *errdetails.RetryInfo:
			more = append(more, fmt.Sprintf("  repeat the call in %v", d.GetRetryDelay().AsDuration()))
		}
	}
	return strings.Join(append([]string{text}, more...), "\n")
}
