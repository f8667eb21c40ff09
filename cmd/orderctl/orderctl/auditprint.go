package orderctl

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"orderflow/internal/audit"
)

// violations is a block for each: what is expected and what is are too long for one line.
func (t *table) violations(r *audit.Report) {
	for _, v := range r.Violations {
		t.row(v.Code, about(v))
		t.row("  expected", v.Expected)
		t.row("  is", v.Actual)
		if v.Repair == audit.Mended {
			t.row("  mended")
		} else {
			t.row("  mend", v.Mend)
		}
	}
	if more := r.Summary.Found - int64(len(r.Violations)); more > 0 {
		t.row(fmt.Sprintf("and %d more, which are not shown (--max-violations)", more))
	}
	if r.Summary.Found > 0 {
		t.gap()
	}
}

// about is what a violation is about.
func about(v audit.Violation) string {
	switch {
	case v.ParkedID != "" && v.OrderID != "":
		return fmt.Sprintf("message %s in %s, of order %s", v.ParkedID, v.Service, v.OrderID)
	case v.ParkedID != "":
		return fmt.Sprintf("message %s in %s", v.ParkedID, v.Service)
	case v.OrderID != "":
		return "order " + v.OrderID
	}
	return "SKU " + v.SKU
}

func (t *table) summary(s audit.Summary) {
	t.row("read", fmt.Sprintf("%d orders (placed until %s, %v ahead as clocks differ), %d reservations, %d SKUs, %d parked messages",
		s.Orders, s.OrdersUntil.Local().Format(time.RFC3339), audit.ClockSkew, s.Reservations, s.SKUs, s.Parked))
	t.row("suspects", fmt.Sprintf("%d read again, %d of them still moving", s.Suspects, s.StillMoving))
	t.row("retries", s.Retries)
	t.row("violations", s.Found)
	for _, code := range slices.Sorted(maps.Keys(s.ByCode)) {
		t.row("  "+string(code), s.ByCode[code])
	}
	if s.Mended > 0 || s.RepairError != "" {
		t.row("mended", s.Mended)
		t.row("left", s.Left())
	}
	if s.RepairError != "" {
		t.row("repair given up", s.RepairError)
	}
	t.row("duration", time.Duration(s.Duration).Round(time.Millisecond))
	if !s.Complete {
		t.row("NOT COMPLETE", "the audit could not be finished")
	}
}
