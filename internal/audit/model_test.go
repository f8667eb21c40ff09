package audit

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
	parkedv1 "orderflow/api/proto/parked/v1"
)

// model is both services and the time: orders go on, commit by commit, whenever a
// page is read and whenever the audit waits. It is the clock, too.
type model struct {
	rng    *rand.Rand
	now    time.Time
	pace   int // commits between two pages
	page   int // the largest page
	breaks int // every so manieth answer is an error; 0: none
	broke  int // so many errors since the last answer
	serial int

	ids          []string // of all orders and reservations, sorted
	orders       map[string]*orderv1.AuditedOrder
	reservations map[string]*inventoryv1.AuditedReservation
	known        map[string]int64 // version of the reservation that order-srv has heard of
	frozen       map[string]bool  // these do not go on
	slow         map[string]bool  // nor do these, until they are read again
	driven       map[string]bool  // what becomes of these is decided by messages only
	deaf         map[string]bool  // no message reaches inventory for these
	skewed       map[string]func(*inventoryv1.Books)
	parked       []*parkedv1.ParkedMessage

	onAfter   func() // before time passes
	redriven  [][]string
	redriveIs func(id string) (orderv1.RedriveAction, error) // before the usual answer
}

func newModel(seed uint64) *model {
	rng := rand.New(rand.NewPCG(seed, 0))
	page := 1 + rng.IntN(7)
	return &model{
		rng: rng, now: time.UnixMilli(1_790_000_000_000), pace: 4 * page, page: page, breaks: rng.IntN(2) * 15,
		orders: map[string]*orderv1.AuditedOrder{}, reservations: map[string]*inventoryv1.AuditedReservation{},
		known: map[string]int64{}, frozen: map[string]bool{}, slow: map[string]bool{}, driven: map[string]bool{}, deaf: map[string]bool{},
		skewed: map[string]func(*inventoryv1.Books){},
	}
}

func (m *model) services() Services {
	return Services{
		Orders: ordersOf{m}, Inventory: inventoryOf{m},
		Parked: []Parked{{"order-srv", parkedOf{m, 0}}, {"inventory-srv", parkedOf{m, 1}}},
	}
}

// Now is where the model's time stands.
func (m *model) Now() time.Time { return m.now }

// After lets time pass, in which the orders go on.
func (m *model) After(d time.Duration) <-chan time.Time {
	if m.onAfter != nil {
		m.onAfter()
	}
	for range 3 {
		m.goOn()
	}
	m.now = m.now.Add(max(d, 0))
	m.deliver()
	fired := make(chan time.Time, 1)
	fired <- m.now
	return fired
}

// goOn makes a few commits.
func (m *model) goOn() {
	m.now = m.now.Add(time.Duration(m.rng.IntN(20)) * time.Millisecond)
	for range m.pace {
		if m.rng.IntN(25) == 0 { // more, and the audit would not come to an end
			m.place()
			continue
		}
		m.stepNear(m.rng.IntN(len(m.ids) + 1))
	}
}

// stepNear makes one commit of an order that can go on and stands at this place or
// behind it.
func (m *model) stepNear(at int) {
	for _, id := range m.ids[min(at, len(m.ids)):] {
		o := m.orders[id]
		if o == nil || m.frozen[id] || o.GetSettled() && (o.GetStatus() == paid || o.GetStatus() == closed) {
			continue
		}
		m.step(id)
		return
	}
}

// place commits a new order. Its id was made a moment before, so that it may come to
// stand in front of others.
func (m *model) place() string {
	m.serial++
	ms := m.now.Add(-time.Duration(m.rng.IntN(50)) * time.Millisecond).UnixMilli()
	return m.placeAs(fmt.Sprintf("%08x-%04x-7000-8000-%012x", ms>>16, ms&0xffff, m.serial))
}

// placeBefore commits an order just where orders were read already, and has its stock
// reserved. Its customer is slow: see payWhileRead.
func (m *model) placeBefore(id string) {
	m.serial++
	id = m.placeAs(id[:19] + "7" + id[20:24] + fmt.Sprintf("%012x", m.serial))
	m.keep(id, reserved)
	m.hear(id)
	m.frozen[id], m.slow[id] = true, true
}

// payWhileRead pays some of the slow orders among those that are read again, and has
// them sold: between their reading at one service and at the other.
func (m *model) payWhileRead(ids []string) {
	for _, id := range ids {
		if m.slow[id] && m.rng.IntN(2) == 0 {
			m.change(id, paid)
			m.handle(id)
			delete(m.slow, id)
			delete(m.frozen, id)
		}
	}
}

func (m *model) placeAs(id string) string {
	expires := m.now.Add(time.Hour).UnixMilli()
	switch m.rng.IntN(3) {
	case 0:
		expires = 0 // exempt
	case 1:
		expires = m.now.Add(-time.Second).UnixMilli() // its timer is on its way
	}
	m.add(id)
	m.orders[id] = &orderv1.AuditedOrder{
		OrderId: id, Status: placed, Version: 1, ExpiresAtMs: expires, UpdatedAtMs: m.now.UnixMilli(),
		Settled: m.rng.IntN(2) == 0, // says nothing of a PLACED order
		Lines:   []*orderv1.AuditedLine{{Sku: "a", Quantity: 1 + int64(m.serial%3)}, {Sku: fmt.Sprintf("s%d", m.serial%7), Quantity: 2}},
	}
	return id
}

// add makes an id known, whatever it will belong to.
func (m *model) add(id string) {
	at, _ := slices.BinarySearch(m.ids, id)
	m.ids = slices.Insert(m.ids, at, id)
}

// step makes one commit that an order can be next to, at one of the services.
func (m *model) step(id string) {
	o, v := m.orders[id], m.reservations[id]
	switch {
	case v.GetVersion() > m.known[id] && m.rng.IntN(2) == 0:
		m.hear(id)
	case isOpen(o) && m.rng.IntN(8) == 0:
		m.change(id, closed)
		o.CloseReason = orderv1.CloseReason_CLOSE_REASON_TIMEOUT
	case o.GetStatus() == awaitsPayment && m.rng.IntN(2) == 0:
		m.change(id, paid)
	default:
		m.handle(id)
	}
}

// handle is inventory handling the order's last event.
func (m *model) handle(id string) {
	o, v := m.orders[id], m.reservations[id]
	switch is := v.GetStatus(); {
	case o.GetStatus() == placed && is == none && m.rng.IntN(5) == 0:
		m.keep(id, rejected)
	case isOpen(o) && is == none:
		m.keep(id, reserved)
	case o.GetStatus() == paid && (is == reserved || is == none):
		m.keep(id, sold)
	case o.GetStatus() == closed && (is == reserved || is == none):
		m.keep(id, released)
	}
}

// hear is order-srv handling inventory's last event.
func (m *model) hear(id string) {
	o, v := m.orders[id], m.reservations[id]
	to := o.GetStatus()
	switch {
	case to == placed && v.GetStatus() == reserved:
		to = awaitsPayment
	case to == placed && v.GetStatus() == rejected:
		to, o.CloseReason = closed, orderv1.CloseReason_CLOSE_REASON_OUT_OF_STOCK
	}
	m.known[id] = v.GetVersion()
	o.StockState = orderv1.StockState(v.GetStatus())
	m.change(id, to)
}

// change commits an order.
func (m *model) change(id string, to orderv1.OrderStatus) {
	o := m.orders[id]
	o.Status, o.Version, o.UpdatedAtMs = to, o.GetVersion()+1, m.now.UnixMilli()
	switch o.GetStockState() {
	case orderv1.StockState_STOCK_STATE_RESERVED:
		o.Settled = to == awaitsPayment
	case orderv1.StockState_STOCK_STATE_SOLD:
		o.Settled = to == paid
	default:
		o.Settled = to == closed && o.GetStockState() != 0
	}
}

// keep commits a reservation.
func (m *model) keep(id string, to inventoryv1.ReservationStatus) {
	v := m.reservations[id]
	if v == nil {
		v = &inventoryv1.AuditedReservation{OrderId: id}
		for _, l := range m.orders[id].GetLines() {
			if to != released { // a tombstone has no lines
				v.Lines = append(v.Lines, &inventoryv1.AuditedLine{Sku: l.GetSku(), Quantity: l.GetQuantity()})
			}
		}
		m.reservations[id] = v
	}
	v.Status, v.Version, v.UpdatedAtMs = to, v.GetVersion()+1, m.now.UnixMilli()
}

// deliver has the messages handled that were sent again.
func (m *model) deliver() {
	for id := range m.driven {
		if m.deaf[id] {
			continue
		}
		if m.orders[id].GetStatus() == placed && m.reservations[id] == nil {
			m.keep(id, reserved)
		}
		m.handle(id)
		m.hear(id)
	}
}

// books are the sums of this moment.
func (m *model) books() []*inventoryv1.Books {
	const received = 1_000_000
	all := map[string]*inventoryv1.Books{}
	for _, v := range m.reservations {
		for _, l := range v.GetLines() {
			b := all[l.GetSku()]
			if b == nil {
				b = &inventoryv1.Books{Stock: &inventoryv1.Stock{Sku: l.GetSku(), Available: received, Received: received}, Receipts: received}
				all[l.GetSku()] = b
			}
			switch v.GetStatus() {
			case reserved:
				b.Held, b.Stock.Reserved = b.Held+l.GetQuantity(), b.Stock.Reserved+l.GetQuantity()
				b.Stock.Available -= l.GetQuantity()
			case sold:
				b.Bought, b.Stock.Sold = b.Bought+l.GetQuantity(), b.Stock.Sold+l.GetQuantity()
				b.Stock.Available -= l.GetQuantity()
			}
		}
	}
	for sku, skew := range m.skewed {
		if b := all[sku]; b != nil {
			skew(b)
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b *inventoryv1.Books) int {
		return strings.Compare(a.GetStock().GetSku(), b.GetStock().GetSku())
	})
}

// fails is now and then an error of the way between.
func (m *model) fails() error {
	if m.breaks > 0 && m.broke < 2 && m.rng.IntN(m.breaks) == 0 {
		m.broke++
		return status.Error(codes.Unavailable, "the connection broke")
	}
	return nil
}

// rows is a page of what is there now.
func rows[R proto.Message](m *model, all map[string]R, after, until string, ids []string) ([]R, string, error) {
	m.goOn()
	if err := m.fails(); err != nil {
		return nil, after, err
	}
	var page []R
	m.broke = 0
	if ids == nil {
		ids = m.ids
	} else {
		defer m.payWhileRead(ids)
	}
	begin, _ := slices.BinarySearch(ids, after+"\x00")
	for _, id := range ids[begin:] {
		row, there := all[id]
		if !there || until != "" && id > until {
			continue
		}
		page, after = append(page, proto.CloneOf(row)), id
		if len(page) == m.page {
			break
		}
	}
	if len(page) == 0 {
		return nil, after, io.EOF
	}
	// What has just been read moves on, before the other service is read.
	for range m.pace {
		if m.rng.IntN(8*m.pace) == 0 {
			m.placeBefore(after)
		}
		at, _ := slices.BinarySearch(m.ids, after)
		m.stepNear(max(at-m.rng.IntN(m.page+1), 0))
	}
	return page, after, nil
}

// stream is a gRPC stream of pages.
type stream[M any] struct {
	grpc.ClientStream
	recv func() (*M, error)
}

func (s stream[M]) Recv() (*M, error) { return s.recv() }

type ordersOf struct{ *model }

func (f ordersOf) StreamOrders(
	_ context.Context, in *orderv1.StreamOrdersRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[orderv1.StreamOrdersResponse], error) {
	after := in.GetAfterOrderId()
	return stream[orderv1.StreamOrdersResponse]{recv: func() (*orderv1.StreamOrdersResponse, error) {
		page, last, err := rows(f.model, f.orders, after, in.GetUntilOrderId(), in.GetOrderIds())
		after = last
		return &orderv1.StreamOrdersResponse{Orders: page}, err
	}}, f.fails()
}

func (f ordersOf) RedriveOrders(
	_ context.Context, in *orderv1.RedriveOrdersRequest, _ ...grpc.CallOption,
) (*orderv1.RedriveOrdersResponse, error) {
	f.redriven = append(f.redriven, in.GetOrderIds())
	resp := &orderv1.RedriveOrdersResponse{}
	for _, id := range in.GetOrderIds() {
		action := orderv1.RedriveAction_REDRIVE_ACTION_CREATED // or another: the audit does not mind
		if f.redriveIs != nil {
			var err error
			if action, err = f.redriveIs(id); err != nil {
				return nil, err
			}
		}
		resp.Results = append(resp.Results, &orderv1.RedriveResult{OrderId: id, Action: action})
		if action == orderv1.RedriveAction_REDRIVE_ACTION_UNSPECIFIED || f.orders[id] == nil {
			continue
		}
		f.driven[id] = true
		if o := f.orders[id]; isOpen(o) && o.GetExpiresAtMs() > 0 && o.GetExpiresAtMs() <= f.now.UnixMilli() {
			o.CloseReason = orderv1.CloseReason_CLOSE_REASON_TIMEOUT
			f.change(id, closed)
		}
	}
	return resp, nil
}

type inventoryOf struct{ *model }

func (f inventoryOf) StreamReservations(
	_ context.Context, in *inventoryv1.StreamReservationsRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[inventoryv1.StreamReservationsResponse], error) {
	after := in.GetAfterOrderId()
	return stream[inventoryv1.StreamReservationsResponse]{recv: func() (*inventoryv1.StreamReservationsResponse, error) {
		page, last, err := rows(f.model, f.reservations, after, in.GetUntilOrderId(), in.GetOrderIds())
		after = last
		return &inventoryv1.StreamReservationsResponse{Reservations: page}, err
	}}, f.fails()
}

func (f inventoryOf) StreamBooks(
	_ context.Context, in *inventoryv1.StreamBooksRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[inventoryv1.StreamBooksResponse], error) {
	after := in.GetAfterSku()
	return stream[inventoryv1.StreamBooksResponse]{recv: func() (*inventoryv1.StreamBooksResponse, error) {
		f.goOn()
		if err := f.fails(); err != nil {
			return nil, err
		}
		f.broke = 0
		page := &inventoryv1.StreamBooksResponse{}
		for _, b := range f.books() {
			if b.GetStock().GetSku() > after && len(page.Books) < f.page {
				page.Books = append(page.Books, b)
			}
		}
		if len(page.Books) == 0 {
			return nil, io.EOF
		}
		after = page.Books[len(page.Books)-1].GetStock().GetSku()
		return page, nil
	}}, nil
}

// parkedOf shows every second parked message.
type parkedOf struct {
	*model
	half int
}

func (f parkedOf) ListParked(_ context.Context, in *parkedv1.ListParkedRequest, _ ...grpc.CallOption) (*parkedv1.ListParkedResponse, error) {
	if err := f.fails(); err != nil {
		return nil, err
	}
	f.broke = 0
	at := f.half
	if token := in.GetPageToken(); token != "" {
		if _, err := fmt.Sscan(token, &at); err != nil {
			return nil, status.Error(codes.InvalidArgument, "page_token")
		}
	}
	resp := &parkedv1.ListParkedResponse{}
	if at < len(f.parked) {
		resp.Messages = append(resp.Messages, f.parked[at])
	}
	if at+2 < len(f.parked) {
		resp.NextPageToken = fmt.Sprint(at + 2)
	}
	return resp, nil
}

func (parkedOf) GetParked(context.Context, *parkedv1.GetParkedRequest, ...grpc.CallOption) (*parkedv1.GetParkedResponse, error) {
	return nil, status.Error(codes.Unimplemented, "the audit does not ask")
}

func (parkedOf) ReplayParked(context.Context, *parkedv1.ReplayParkedRequest, ...grpc.CallOption) (*parkedv1.ReplayParkedResponse, error) {
	return nil, status.Error(codes.Unimplemented, "the audit changes nothing")
}

func (parkedOf) DiscardParked(context.Context, *parkedv1.DiscardParkedRequest, ...grpc.CallOption) (*parkedv1.DiscardParkedResponse, error) {
	return nil, status.Error(codes.Unimplemented, "the audit changes nothing")
}

// park puts a message aside.
func (m *model) park(id string) {
	m.parked = append(m.parked, &parkedv1.ParkedMessage{
		Id: id, Group: "g", Tag: "created", OrderId: "the-order", Reason: "ORDER_UNKNOWN", Detail: "nobody knows it", Times: 1,
		FirstAt: timestamppb.New(m.now),
	})
}
