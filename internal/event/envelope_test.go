package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	eventv1 "orderflow/api/proto/event/v1"
	"orderflow/internal/event"
)

const id = "0197a1b2-0000-7000-8000-000000000001"

// orderEvent is a good event as JSON, with one field replaced.
func orderEvent(field, value string) string {
	fields := map[string]string{
		"orderId": `"` + id + `"`, "expiresAtMs": "1800000000000", "lines": `[{"sku":"tea","quantity":1}]`,
	}
	if value == "" {
		delete(fields, field)
	} else if field != "" {
		fields[field] = value
	}
	var parts []string
	for name, value := range fields {
		parts = append(parts, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func envelope(events ...string) string {
	return `{"schemaVersion":1,"dueAtMs":"1800000000000","events":[` + strings.Join(events, ",") + `]}`
}

// reasonOf is the reason of a *DecodeError.
func reasonOf(err error) string {
	var broken *event.DecodeError
	if errors.As(err, &broken) {
		return broken.Reason
	}
	return fmt.Sprint(err)
}

// What is encoded is decoded as the same events, whatever they say.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Int64Range(1, math.MaxInt64)
		order := rapid.Custom(func(t *rapid.T) *eventv1.OrderEvent {
			e := &eventv1.OrderEvent{
				OrderId: newID(t), CustomerId: rapid.String().Draw(t, "customer"), ExpiresAtMs: number.Draw(t, "expires"),
				PaymentWindowMs: rapid.Int64().Draw(t, "window"), OccurredAtMs: rapid.Int64().Draw(t, "at"),
				CloseReason: eventv1.CloseReason(rapid.Int32Range(0, 3).Draw(t, "reason")), PaymentId: rapid.String().Draw(t, "payment"),
			}
			skus := rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Za-z0-9._:-]{1,64}`), 1, 100, rapid.ID).Draw(t, "skus")
			for _, sku := range skus {
				e.Lines = append(e.Lines, &eventv1.Line{Sku: sku, Quantity: rapid.Int64Range(1, event.MaxQuantity).Draw(t, "quantity")})
			}
			return e
		})
		orders := rapid.SliceOfN(order, 1, 4).Draw(t, "orders")
		body, err := event.EncodeOrderEvents(orders...)
		if err != nil {
			t.Fatal(err)
		}
		items, err := event.DecodeOrderEvents(rapid.SampledFrom([]event.Tag{event.TagCreated, event.TagPaid, event.TagClosed}).Draw(t, "tag"), body)
		same(t, orders, items, err)

		stock := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) *eventv1.StockEvent {
			return &eventv1.StockEvent{OrderId: newID(t), Version: number.Draw(t, "version"), OccurredAtMs: rapid.Int64().Draw(t, "at"),
				Shortages: []*eventv1.Shortage{{Sku: rapid.String().Draw(t, "sku"), Available: rapid.Int64().Draw(t, "available"), UnknownSku: rapid.Bool().Draw(t, "unknown")}}}
		}), 1, 4).Draw(t, "stock")
		if body, err = event.EncodeStockEvents(stock...); err != nil {
			t.Fatal(err)
		}
		stockItems, err := event.DecodeStockEvents(event.TagRejected, body)
		same(t, stock, stockItems, err)

		due := number.Draw(t, "due")
		timers := []*eventv1.PaymentTimeout{{OrderId: newID(t)}, {OrderId: newID(t)}}
		if body, err = event.EncodePaymentTimeouts(due, timers...); err != nil {
			t.Fatal(err)
		}
		timerItems, dueAt, err := event.DecodePaymentTimeouts(event.TagTimeout, body)
		same(t, timers, timerItems, err)
		if dueAt != due {
			t.Fatalf("due at %d, want %d", dueAt, due)
		}
	})
}

func newID(t *rapid.T) string {
	var raw uuid.UUID
	copy(raw[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	return raw.String()
}

func same[E interface {
	proto.Message
	GetOrderId() string
}](t *rapid.T, want []E, items []event.Item[E], err error) {
	if err != nil || len(items) != len(want) {
		t.Fatalf("%d items of %d, %v", len(items), len(want), err)
	}
	for i, item := range items {
		if diff := cmp.Diff(want[i], item.Event, protocmp.Transform()); diff != "" || item.Err != nil || item.OrderID != want[i].GetOrderId() {
			t.Fatalf("item %d: %v %s", i, item.Err, diff)
		}
	}
}

// An envelope holds 1 to 64 events, on the way out and on the way in.
func TestEnvelopeSize(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 64, 65} {
		fits := n == 1 || n == 64
		timers := slices.Repeat([]*eventv1.PaymentTimeout{{OrderId: id}}, n)
		if _, err := event.EncodePaymentTimeouts(1, timers...); (err == nil) != fits {
			t.Errorf("encode %d timers: %v", n, err)
		}
		if _, err := event.EncodeOrderEvents(slices.Repeat([]*eventv1.OrderEvent{{}}, n)...); (err == nil) != fits {
			t.Errorf("encode %d orders: %v", n, err)
		}
		if _, err := event.EncodeStockEvents(slices.Repeat([]*eventv1.StockEvent{{}}, n)...); (err == nil) != fits {
			t.Errorf("encode %d stock events: %v", n, err)
		}
		items, err := event.DecodeOrderEvents(event.TagCreated, []byte(envelope(slices.Repeat([]string{orderEvent("", "")}, n)...)))
		if (err == nil) != fits || !fits && reasonOf(err) != event.ReasonEnvelopeSize || fits && len(items) != n {
			t.Errorf("decode %d: %d items, %v", n, len(items), err)
		}
	}
}

// A body that is no envelope of this version has a reason why.
func TestBrokenBodies(t *testing.T) {
	t.Parallel()
	good := orderEvent("", "")
	for body, reason := range map[string]string{
		"": event.ReasonBadBody, "x": event.ReasonBadBody, "[]": event.ReasonBadBody, `""`: event.ReasonBadBody, "\xff\xfe": event.ReasonBadBody,
		envelope(good) + "x":                              event.ReasonBadBody,
		envelope(good)[:40]:                               event.ReasonBadBody,
		`{"schemaVersion":1,"events":1}`:                  event.ReasonBadBody,
		`{"schemaVersion":"one","events":[` + good + `]}`: event.ReasonBadBody,
		`{"schemaVersion":true,"events":[` + good + `]}`:  event.ReasonBadBody,
		"null": event.ReasonUnknownVersion, "{}": event.ReasonUnknownVersion,
		`{"events":[` + good + `]}`:                                      event.ReasonUnknownVersion,
		`{"schemaVersion":null,"events":[` + good + `]}`:                 event.ReasonUnknownVersion,
		`{"schemaVersion":0,"events":[` + good + `]}`:                    event.ReasonUnknownVersion,
		`{"schemaVersion":2,"events":[` + good + `]}`:                    event.ReasonUnknownVersion,
		`{"schemaVersion":2}`:                                            event.ReasonUnknownVersion, // whatever version 2 looks like
		`{"schemaVersion":-1,"events":[` + good + `]}`:                   event.ReasonUnknownVersion,
		`{"schemaVersion":99999999999999999999,"events":[` + good + `]}`: event.ReasonUnknownVersion,
		`{"schemaVersion":1.5,"events":[` + good + `]}`:                  event.ReasonUnknownVersion,
		`{"schemaVersion":1}`:                                            event.ReasonEnvelopeSize,
		`{"schemaVersion":1,"events":null}`:                              event.ReasonEnvelopeSize,
	} {
		if items, err := event.DecodeOrderEvents(event.TagCreated, []byte(body)); reasonOf(err) != reason || items != nil {
			t.Errorf("%q: %v, want %s", body, err, reason)
		}
	}
}

// Every envelope has tags of its own; one of another topic is refused.
func TestTags(t *testing.T) {
	t.Parallel()
	body := []byte(envelope(orderEvent("", "")))
	orders := []event.Tag{event.TagCreated, event.TagPaid, event.TagClosed}
	stock := []event.Tag{event.TagReserved, event.TagRejected, event.TagReleased, event.TagSold}
	for _, tag := range append(append([]event.Tag{event.TagTimeout, "", "Created", "created ", "*"}, orders...), stock...) {
		_, orderErr := event.DecodeOrderEvents(tag, body)
		_, stockErr := event.DecodeStockEvents(tag, body)
		_, _, timerErr := event.DecodePaymentTimeouts(tag, body)
		for name, c := range map[string]struct {
			err error
			own bool
		}{
			"orders": {orderErr, slices.Contains(orders, tag)}, "stock": {stockErr, slices.Contains(stock, tag)}, "timers": {timerErr, tag == event.TagTimeout},
		} {
			if c.own != (c.err == nil) || !c.own && reasonOf(c.err) != event.ReasonUnknownTag {
				t.Errorf("%s, tag %q: %v", name, tag, c.err)
			}
		}
	}
}

// Receivers ignore what they do not know, at every level, and enum values from
// the future.
func TestUnknownFields(t *testing.T) {
	t.Parallel()
	e := orderEvent("closeReason", "17")
	e = strings.Replace(e, `"sku":`, `"colour":{"r":[1]},"sku":`, 1)
	e = strings.Replace(e, "{", `{"priority":"high",`, 1)
	body := strings.Replace(envelope(e), "{", `{"sender":{"host":"a"},`, 1)
	items, err := event.DecodeOrderEvents(event.TagClosed, []byte(body))
	if err != nil || items[0].Err != nil || items[0].Event.GetLines()[0].GetSku() != "tea" {
		t.Errorf("%+v, %v", items, err)
	}
	named := orderEvent("closeReason", `"CLOSE_REASON_FROM_THE_FUTURE"`)
	if items, err := event.DecodeOrderEvents(event.TagClosed, []byte(envelope(named))); err != nil || items[0].Err != nil {
		t.Errorf("a reason with a new name: %+v, %v", items, err)
	}
}

// Numbers come as strings and as numbers, up to the bounds of an int64, where a
// float would have lost digits.
func TestNumbers(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int64{
		"1": 1, `"1"`: 1, "9223372036854775807": math.MaxInt64, `"9223372036854775807"`: math.MaxInt64, "9007199254740993": 1<<53 + 1, "1.8e12": 1_800_000_000_000,
		"0": 0, "-1": 0, "9223372036854775808": 0, `"9223372036854775808"`: 0, "1.5": 0, `"x"`: 0, `""`: 0, "true": 0, "null": 0,
	} {
		items, err := event.DecodeOrderEvents(event.TagCreated, []byte(envelope(orderEvent("expiresAtMs", value))))
		if err != nil || (items[0].Err == nil) != (want > 0) || want > 0 && items[0].Event.GetExpiresAtMs() != want {
			t.Errorf("expiresAtMs %s: %+v, %v", value, items, err)
		}
		if value == "1.8e12" {
			continue // the frame takes whole numbers as they are usually written
		}
		body := fmt.Sprintf(`{"schemaVersion":"1","dueAtMs":%s,"events":[{"orderId":%q}]}`, value, id)
		_, due, err := event.DecodePaymentTimeouts(event.TagTimeout, []byte(body))
		if (err == nil) != (want > 0) || due != want || err != nil && reasonOf(err) != event.ReasonBadBody {
			t.Errorf("dueAtMs %s: %d, %v", value, due, err)
		}
	}
	if _, _, err := event.DecodePaymentTimeouts(event.TagTimeout, fmt.Appendf(nil, `{"schemaVersion":1,"events":[{"orderId":%q}]}`, id)); reasonOf(err) != event.ReasonBadBody {
		t.Errorf("no dueAtMs: %v", err)
	}
}

// An event that a receiver could not act on is broken, and it alone.
func TestBrokenEvents(t *testing.T) {
	t.Parallel()
	good := orderEvent("", "")
	lines := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"sku":"s%d","quantity":1}`, i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	for _, bad := range []string{
		"null", "1", `"x"`, "[]", "{}", orderEvent("orderId", ""), orderEvent("orderId", `"x"`), orderEvent("orderId", "7"),
		orderEvent("orderId", `"`+strings.ToUpper(id)+`"`), orderEvent("orderId", `"{`+id+`}"`), orderEvent("orderId", `"urn:uuid:`+id+`"`),
		orderEvent("expiresAtMs", ""), orderEvent("lines", ""), orderEvent("lines", "[]"), orderEvent("lines", lines(101)),
		orderEvent("lines", `[{"sku":"tea","quantity":1},{"sku":"tea","quantity":1}]`), orderEvent("lines", `[{"quantity":1}]`),
		orderEvent("lines", `[{"sku":"a b","quantity":1}]`), orderEvent("lines", `[{"sku":"tea"}]`), orderEvent("lines", `[{"sku":"tea","quantity":-1}]`),
		orderEvent("lines", `[{"sku":"tea","quantity":1000001}]`), orderEvent("lines", `[null]`), orderEvent("customerId", "7"), orderEvent("customerId", `"\ud800"`),
	} {
		items, err := event.DecodeOrderEvents(event.TagCreated, []byte(envelope(good, bad, good)))
		if err != nil || len(items) != 3 || items[0].Err != nil || items[2].Err != nil {
			t.Errorf("%s: %+v, %v", bad, items, err)
			continue
		}
		if broken := items[1].Err; broken == nil || broken.Reason != event.ReasonBadEvent || string(items[1].Raw) != bad {
			t.Errorf("%s: %v, raw %s", bad, broken, items[1].Raw)
		}
	}
	if items, err := event.DecodeOrderEvents(event.TagCreated, []byte(envelope(orderEvent("lines", lines(100))))); err != nil || items[0].Err != nil {
		t.Errorf("100 lines: %v", err)
	}
	items, err := event.DecodeOrderEvents(event.TagCreated, []byte(envelope(orderEvent("lines", "7"))))
	if err != nil || items[0].Err == nil || items[0].OrderID != id { // as far as it can be read
		t.Errorf("%+v, %v", items, err)
	}
	for _, bad := range []string{`{"orderId":"` + id + `"}`, `{"orderId":"` + id + `","version":0}`, `{"orderId":"` + id + `","version":-1}`, `{"version":1}`} {
		items, err := event.DecodeStockEvents(event.TagSold, []byte(envelope(bad)))
		if err != nil || items[0].Err == nil {
			t.Errorf("stock event %s: %+v, %v", bad, items, err)
		}
	}
}

// The bounds of texts.
func TestTexts(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"a": true, "Az09-_.:": true, strings.Repeat("s", 64): true, "": false, strings.Repeat("s", 65): false, "a b": false, "ä": false, "a\x00": false, "a/b": false,
	} {
		if event.IsSKU(s) != want {
			t.Errorf("IsSKU(%q) is %t", s, !want)
		}
	}
	for s, want := range map[string]bool{"!": true, "~~~": true, "": false, "1234": false, " ": false, "a ": false, "\x7f": false, "ä": false} {
		if event.IsVisibleASCII(s, 3) != want {
			t.Errorf("IsVisibleASCII(%q) is %t", s, !want)
		}
	}
}

// Every name of a deployment carries its prefix, and none stands twice.
func TestNames(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(event.NewNames("p-"))
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]string
	if err := json.Unmarshal(body, &names); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for field, name := range names {
		if !strings.HasPrefix(name, "p-") || seen[name] {
			t.Errorf("%s is %q", field, name)
		}
		seen[name] = true
	}
	n := event.NewNames("")
	want := []event.Topic{{"order-events", event.Transaction}, {"order-timeouts", event.Delay}, {"stock-events", event.Normal}}
	if !slices.Equal(n.Topics(), want) || len(n.ConsumerGroups()) != 7 {
		t.Errorf("%v, %v", n.Topics(), n.ConsumerGroups())
	}
}

// fuzz feeds a decoder; what it gives must be whole.
func fuzz[E proto.Message](f *testing.F, decode func(tag event.Tag, body []byte) ([]event.Item[E], error), tag event.Tag) {
	f.Add(string(tag), []byte(envelope(orderEvent("", ""), "{}", `{"orderId":"`+id+`","version":"1"}`)))
	f.Add(string(tag), []byte(`{"schemaVersion":2,"events":[null]}`))
	f.Add("", []byte{0xff})
	f.Fuzz(func(t *testing.T, tag string, body []byte) {
		items, err := decode(event.Tag(tag), body)
		if err != nil {
			var broken *event.DecodeError
			if !errors.As(err, &broken) || broken.Reason == "" || items != nil {
				t.Fatalf("%v with %d items", err, len(items))
			}
			return
		}
		if len(items) < 1 || len(items) > event.MaxEvents {
			t.Fatalf("%d items", len(items))
		}
		for _, item := range items {
			if item.Err == nil && !event.IsOrderID(item.OrderID) || !json.Valid(item.Raw) {
				t.Fatalf("item %+v", item)
			}
		}
	})
}

func FuzzDecodeOrderEvents(f *testing.F) { fuzz(f, event.DecodeOrderEvents, event.TagCreated) }
func FuzzDecodeStockEvents(f *testing.F) { fuzz(f, event.DecodeStockEvents, event.TagReserved) }
func FuzzDecodePaymentTimeouts(f *testing.F) {
	fuzz(f, func(tag event.Tag, body []byte) ([]event.Item[*eventv1.PaymentTimeout], error) {
		items, _, err := event.DecodePaymentTimeouts(tag, body)
		return items, err
	}, event.TagTimeout)
}
