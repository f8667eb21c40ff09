package audit

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	orderv1 "orderflow/api/proto/order/v1"
)

func TestRepairMendsWhatMessagesMend(t *testing.T) {
	for _, f := range flaws() {
		if f.want == nil {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			m := still(t)
			id := m.wrong(t, 1, f.name)[0]
			report := auditOf(t, m, repairing())
			redrives := slices.ContainsFunc(report.Violations, func(v Violation) bool { return v.redrive })
			if redrives != (len(m.redriven) > 0) {
				t.Fatalf("%v were sent again for %+v", m.redriven, report.Violations)
			}
			for _, v := range report.Violations {
				if want := map[bool]string{true: Mended, false: Left}[redrives]; v.Repair != want {
					t.Errorf("%s is %s, want %s: %+v", v.Code, v.Repair, want, v)
				}
				if v.redrive != (v.Mend == mendRepair) {
					t.Errorf("%s: sent again: %v, but %q mends it", v.Code, v.redrive, v.Mend)
				}
			}
			if left := report.Summary.Left(); (left == 0) != redrives {
				t.Errorf("%d are left", left)
			}
			if redrives { // nothing is found any more
				m.now = m.now.Add(2 * tolerance)
				if again := auditOf(t, m, testConfig()); again.Summary.Found != 0 {
					t.Errorf("afterwards: %+v", again.Violations)
				}
			}
			if m.orders[id] == nil && m.reservations[id] == nil {
				t.Error("both are gone")
			}
		})
	}
}

func TestRepairSendsInBatchesAndOnce(t *testing.T) {
	m := still(t)
	ids := m.wrong(t, 2*redriveBatch+5, "closed lost")
	report := auditOf(t, m, repairing())
	if s := report.Summary; s.Mended != int64(len(ids)) || s.Left() != 0 {
		t.Errorf("got %+v", s)
	}
	var sent []string
	for _, some := range m.redriven {
		if len(some) > redriveBatch {
			t.Errorf("%d at once", len(some))
		}
		sent = append(sent, some...)
	}
	slices.Sort(sent)
	slices.Sort(ids)
	if !slices.Equal(sent, ids) {
		t.Errorf("%d were sent again, want each of %d once", len(sent), len(ids))
	}
}

func TestWithoutRepairNothingIsSent(t *testing.T) {
	m := still(t)
	m.wrong(t, 3, "closed lost")
	report := auditOf(t, m, testConfig())
	if m.redriven != nil || report.Summary.Left() != 3 || report.Violations[0].Repair != "" {
		t.Errorf("%v were sent again, %+v", m.redriven, report)
	}
}

// What the service cannot do at the moment is asked for again.
func TestRepairAsksAgain(t *testing.T) {
	m := still(t)
	id := m.wrong(t, 1, "paid lost")[0]
	tries := 0
	m.redriveIs = func(string) (orderv1.RedriveAction, error) {
		switch tries++; tries {
		case 1:
			return 0, status.Error(codes.Unavailable, "broker")
		case 2, 3:
			return orderv1.RedriveAction_REDRIVE_ACTION_UNSPECIFIED, nil
		}
		return orderv1.RedriveAction_REDRIVE_ACTION_PAID, nil
	}
	report := auditOf(t, m, repairing())
	if report.Summary.Mended != 1 || tries != 4 {
		t.Errorf("after %d tries: %+v", tries, report)
	}
	if m.reservations[id].GetStatus() != sold {
		t.Error("it is not sold")
	}
}

// With inventory down, an order that was overdue is closed, and holds its stock still:
// that is not mended, and the report says how it stands now.
func TestRepairSaysWhatIsLeft(t *testing.T) {
	m := still(t)
	id := m.wrong(t, 1, "overdue")[0]
	m.deaf[id] = true
	report := auditOf(t, m, repairing())
	if len(report.Violations) != 1 || report.Summary.Left() != 1 {
		t.Fatalf("got %+v", report)
	}
	v := report.Violations[0]
	if v.Repair != Left || !strings.Contains(v.Actual, "; now: order CLOSED (TIMEOUT)") || !strings.Contains(v.Actual, "reservation RESERVED") {
		t.Errorf("got %+v", v)
	}
}

func TestRepairIsGivenUp(t *testing.T) {
	t.Run("when it mends nothing", func(t *testing.T) {
		m := still(t)
		for _, id := range m.wrong(t, 5*batch, "closed lost") {
			m.deaf[id] = true
		}
		began := m.Now()
		s := auditOf(t, m, repairing()).Summary
		if s.Left() != 5*batch || s.RepairError == "" {
			t.Errorf("got %+v", s)
		}
		tried := map[string]bool{}
		for _, some := range m.redriven {
			for _, id := range some {
				tried[id] = true
			}
		}
		if len(tried) != maxUseless*batch || m.Now().Sub(began) > 2*maxUseless*repairing().RepairWait {
			t.Errorf("%d were tried in %v, want %d", len(tried), m.Now().Sub(began), maxUseless*batch)
		}
	})
	t.Run("when order-srv refuses", func(t *testing.T) {
		m := still(t)
		m.wrong(t, 3*batch, "closed lost")
		m.redriveIs = func(string) (orderv1.RedriveAction, error) {
			return 0, status.Error(codes.Unimplemented, "an old order-srv")
		}
		s := auditOf(t, m, repairing()).Summary
		if s.Left() != 3*batch || !strings.Contains(s.RepairError, "an old order-srv") || len(m.redriven) != 1 {
			t.Errorf("after %d calls: %+v", len(m.redriven), s)
		}
	})
}
