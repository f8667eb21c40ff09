package parking

import (
	"context"
	"strings"
	"unicode"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/apierror"
	"orderflow/internal/event"
	"orderflow/internal/page"
)

// maxDiscardReason is how many characters the reason of a discard may have.
const maxDiscardReason = 200

// api is the gRPC face of a Keeper: it checks and translates, nothing else.
type api struct {
	parkedv1.UnimplementedParkedServiceServer
	keeper *Keeper
}

// NewGRPC returns the ParkedService over k. Its errors are apierrors as parked.proto
// documents them; any other one is for the server to log and hide.
func NewGRPC(k *Keeper) parkedv1.ParkedServiceServer { return &api{keeper: k} }

// ListParked is documented in the proto.
func (a *api) ListParked(ctx context.Context, in *parkedv1.ListParkedRequest) (*parkedv1.ListParkedResponse, error) {
	var wrong apierror.Violations
	f := Filter{Group: in.GetGroup(), Reason: in.GetReason(), OrderID: in.GetOrderId()}
	checkFilter(&wrong, "group", f.Group, maxConsumer)
	checkFilter(&wrong, "reason", f.Reason, maxReason)
	checkFilter(&wrong, "order_id", f.OrderID, maxOrderID)
	size := page.Size(&wrong, in.GetPageSize())
	query := page.NewQuery("ListParked", f)
	after, _ := page.Position[Position](&wrong, query, in.GetPageToken())
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	entries, err := a.keeper.store.Page(ctx, f, after, size+1)
	if err != nil {
		return nil, forClient(err)
	}
	out := &parkedv1.ListParkedResponse{}
	if n := fitting(entries, size); n < len(entries) {
		entries = entries[:n]
		if out.NextPageToken, err = page.Token(query, entries[n-1].Position()); err != nil {
			return nil, err
		}
	}
	for _, e := range entries {
		out.Messages = append(out.Messages, toProto(e))
	}
	return out, nil
}

// maxListedDetails bounds the details of a page, in bytes. It ends early rather than
// grow beyond what a client takes: what else is known of 500 messages has 300 KiB.
const maxListedDetails = 3 << 20

// fitting is how many of the messages go on a page of that size.
func fitting(entries []Entry, size int) int {
	details := 0
	for i, e := range entries {
		if details += len(e.Parked.Detail); i == size || details > maxListedDetails {
			return i
		}
	}
	return len(entries)
}

// GetParked is documented in the proto.
func (a *api) GetParked(ctx context.Context, in *parkedv1.GetParkedRequest) (*parkedv1.GetParkedResponse, error) {
	if err := checkID(in.GetId()); err != nil {
		return nil, err
	}
	e, err := a.keeper.get(ctx, in.GetId())
	if err != nil {
		return nil, err
	}
	return &parkedv1.GetParkedResponse{Message: toProto(e)}, nil
}

// ReplayParked is documented in the proto.
func (a *api) ReplayParked(ctx context.Context, in *parkedv1.ReplayParkedRequest) (*parkedv1.ReplayParkedResponse, error) {
	if err := checkID(in.GetId()); err != nil {
		return nil, err
	}
	e, err := a.keeper.Replay(ctx, in.GetId())
	if err != nil {
		return nil, err
	}
	return &parkedv1.ReplayParkedResponse{Message: toProto(e)}, nil
}

// DiscardParked is documented in the proto.
func (a *api) DiscardParked(ctx context.Context, in *parkedv1.DiscardParkedRequest) (*parkedv1.DiscardParkedResponse, error) {
	var wrong apierror.Violations
	addID(&wrong, in.GetId())
	if !event.IsLine(in.GetReason(), maxDiscardReason) {
		wrong.Add("reason", "must have 1 to %d characters, none of them a control character", maxDiscardReason)
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	e, err := a.keeper.Discard(ctx, in.GetId(), in.GetReason())
	if err != nil {
		return nil, err
	}
	return &parkedv1.DiscardParkedResponse{Message: toProto(e)}, nil
}

func checkID(id string) error {
	var wrong apierror.Violations
	addID(&wrong, id)
	return wrong.Err()
}

func addID(wrong *apierror.Violations, id string) {
	if parsed, err := uuid.Parse(id); err != nil || parsed.String() != id {
		wrong.Add("id", "must be a UUID in its canonical form")
	}
}

// checkFilter refuses what no row can have.
func checkFilter(wrong *apierror.Violations, field, text string, most int) {
	if len(text) > most || strings.ContainsFunc(text, unicode.IsControl) {
		wrong.Add(field, "must have at most %d bytes, none of them a control character", most)
	}
}

func toProto(e Entry) *parkedv1.ParkedMessage {
	p := e.Parked
	return &parkedv1.ParkedMessage{
		Id: e.ID, Group: p.Group, Topic: p.Message.Topic, Tag: p.Message.Tag, OrderId: p.OrderID, MessageId: p.Message.ID,
		Reason: p.Reason, Detail: p.Detail, Times: e.Times, Attempt: int64(p.Message.Attempt),
		FirstAt: timestamppb.New(e.FirstAt), LastAt: timestamppb.New(e.LastAt),
		Body: p.Message.Body, Properties: p.Message.Properties,
	}
}
