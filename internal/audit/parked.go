package audit

import (
	"context"
	"fmt"

	parkedv1 "orderflow/api/proto/parked/v1"
)

// parkedPage is how many parked messages are read at once: their details may be long.
const parkedPage = 100

// readParked finds what the services have put aside.
func (r *run) readParked(ctx context.Context) error {
	for _, p := range r.services.Parked {
		token := ""
		for {
			var page *parkedv1.ListParkedResponse
			err := r.retry(ctx, "list parked messages of "+p.Service, func() (err error) {
				ctx, cancel := context.WithTimeout(ctx, r.config.CallTimeout)
				defer cancel()
				page, err = p.Client.ListParked(ctx, &parkedv1.ListParkedRequest{PageSize: parkedPage, PageToken: token})
				return err
			})
			if err != nil {
				return err
			}
			for _, m := range page.GetMessages() {
				r.report.Summary.Parked++
				r.add(ofParked(p.Service, m))
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
	}
	return nil
}

func ofParked(service string, m *parkedv1.ParkedMessage) Violation {
	return Violation{
		Code: MessageParked, OrderID: m.GetOrderId(), ParkedID: m.GetId(), Service: service,
		Expected: "nothing parked",
		Actual: fmt.Sprintf("%s of group %s, %d times since %s: %s: %s", m.GetTag(), m.GetGroup(), m.GetTimes(),
			moment(m.GetFirstAt().AsTime().UnixMilli()), m.GetReason(), m.GetDetail()),
		Mend: personMust("orderctl parked show " + m.GetId() + ", then replay or discard it"),
	}
}
