package inventory

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	"orderflow/internal/apierror"
)

// operatorAPI is the gRPC face of Consumers.
type operatorAPI struct {
	inventoryv1.UnimplementedOperatorServiceServer
	consumers *Consumers
	log       *slog.Logger
}

// NewOperatorGRPC returns the OperatorService over c. Its errors are apierrors as
// operator.proto documents them.
func NewOperatorGRPC(c *Consumers, log *slog.Logger) inventoryv1.OperatorServiceServer {
	return &operatorAPI{consumers: c, log: log}
}

// SuspendConsumers suspends the consumers for a while.
func (a *operatorAPI) SuspendConsumers(
	ctx context.Context, in *inventoryv1.SuspendConsumersRequest,
) (*inventoryv1.SuspendConsumersResponse, error) {
	d, err := suspension(in)
	if err != nil {
		return nil, err
	}
	until, err := a.consumers.Suspend(ctx, d)
	if err != nil {
		return nil, err
	}
	return &inventoryv1.SuspendConsumersResponse{State: a.state(until)}, nil
}

// ResumeConsumers lets them handle messages again.
func (a *operatorAPI) ResumeConsumers(
	ctx context.Context, _ *inventoryv1.ResumeConsumersRequest,
) (*inventoryv1.ResumeConsumersResponse, error) {
	if err := a.consumers.Resume(ctx); err != nil {
		return nil, err
	}
	return &inventoryv1.ResumeConsumersResponse{State: a.state(time.Time{})}, nil
}

// GetConsumers tells how they stand. A broker that does not answer is no reason not to
// say the rest.
func (a *operatorAPI) GetConsumers(
	ctx context.Context, _ *inventoryv1.GetConsumersRequest,
) (*inventoryv1.GetConsumersResponse, error) {
	state := a.state(a.consumers.Until())
	ctx, cancel := context.WithTimeout(ctx, lagTimeout)
	defer cancel()
	for i, m := range a.consumers.members {
		lag, err := m.Consumer.Lag(ctx)
		if err != nil {
			a.log.WarnContext(ctx, "cannot tell how many messages wait", "group", m.Group, "error", err)
			continue
		}
		state.Consumers[i].Lag = &lag
	}
	return &inventoryv1.GetConsumersResponse{State: state}, nil
}

func (a *operatorAPI) state(until time.Time) *inventoryv1.ConsumersState {
	out := &inventoryv1.ConsumersState{}
	if !until.IsZero() {
		out.Suspended, out.SuspendedUntil = true, timestamppb.New(until)
	}
	for _, m := range a.consumers.members {
		out.Consumers = append(out.Consumers, &inventoryv1.Consumer{Group: m.Group, Topic: m.Topic})
	}
	return out
}

func suspension(in *inventoryv1.SuspendConsumersRequest) (time.Duration, error) {
	var wrong apierror.Violations
	d := in.GetDuration()
	switch {
	case d == nil:
		wrong.Add("duration", "is missing")
	case !d.IsValid() || d.AsDuration() <= 0 || d.AsDuration() > maxSuspension:
		wrong.Add("duration", "must be more than 0s and at most %s", maxSuspension)
	}
	return d.AsDuration(), wrong.Err()
}
