package demo

import (
	"fmt"
	"io"
	"strings"

	inventoryv1 "orderflow/api/proto/inventory/v1"
	orderv1 "orderflow/api/proto/order/v1"
)

// story writes the demo down as it happens.
type story struct{ w io.Writer }

func newStory(w io.Writer) *story { return &story{w: w} }

// width of what was done, in front of what came back.
const width = 58

func (s *story) title(text string) { fmt.Fprintln(s.w, text) }
func (s *story) heading(n int, text string) {
	fmt.Fprintf(s.w, "\n%d  %s\n", n, strings.ToUpper(text[:1])+text[1:])
}
func (s *story) say(text string) { fmt.Fprintf(s.w, "   %s\n", text) }

func (s *story) step(did, answer string) {
	fmt.Fprintf(s.w, "   %s → %s\n", pad(did), answer)
}

func (s *story) stock(k *inventoryv1.Stock) {
	fmt.Fprintf(s.w, "   %s   received %2d = available %2d + reserved %2d + sold %2d\n",
		pad("stock of "+k.GetSku()), k.GetReceived(), k.GetAvailable(), k.GetReserved(), k.GetSold())
}

func (s *story) entry(e *orderv1.TimelineEntry) {
	what := strings.TrimPrefix(e.GetKind().String(), "TIMELINE_KIND_")
	if e.GetVersion() > 0 {
		what = fmt.Sprintf("version %d: %s", e.GetVersion(), strings.TrimPrefix(e.GetStatus().String(), "ORDER_STATUS_"))
		if e.GetStockState() != orderv1.StockState_STOCK_STATE_UNSPECIFIED {
			what += ", stock " + strings.TrimPrefix(e.GetStockState().String(), "STOCK_STATE_")
		}
	}
	line := fmt.Sprintf("     %s  %-9s  %-36s  %-8s  %s", e.GetAt().AsTime().Local().Format("15:04:05.000"),
		strings.TrimPrefix(e.GetCause().String(), "CAUSE_"), what, e.GetTag(), e.GetDetail())
	fmt.Fprintln(s.w, strings.TrimRight(line, " "))
}

func pad(text string) string {
	if n := len([]rune(text)); n < width {
		return text + strings.Repeat(" ", width-n)
	}
	return text
}
