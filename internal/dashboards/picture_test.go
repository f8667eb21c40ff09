package main

import (
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"orderflow/internal/chart"
)

// fakePrometheus answers every range with two curves, the second of which has a gap and
// a value that is none, and every instant with one number.
type fakePrometheus struct {
	number string
	empty  bool // has no series at all

	mu    sync.Mutex
	asked []string
}

func (f *fakePrometheus) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	expr := r.FormValue("query")
	f.mu.Lock()
	f.asked = append(f.asked, expr)
	f.mu.Unlock()
	labels := func(name string) map[string]string {
		return map[string]string{"job": name, "group": name, "status": name, "alertname": name}
	}
	kind, result := "vector", []any{map[string]any{"metric": labels("order-srv"), "value": []any{number64(r, "time"), f.number}}}
	if strings.HasSuffix(r.URL.Path, "/query_range") {
		kind, result = "matrix", []any{
			map[string]any{"metric": labels("order-srv"), "values": series(r, func(int) string { return "5" })},
			map[string]any{"metric": labels("inventory-srv"), "values": series(r, func(i int) string {
				switch {
				case i%10 == 3:
					return "NaN"
				case i%10 > 5:
					return ""
				}
				return strconv.Itoa(i)
			})},
		}
	}
	if f.empty {
		result = []any{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": kind, "result": result}})
}

func (f *fakePrometheus) queries() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func number64(r *http.Request, name string) float64 {
	v, _ := strconv.ParseFloat(r.FormValue(name), 64)
	return v
}

// series has what value says at each step, unless it says nothing.
func series(r *http.Request, value func(i int) string) []any {
	var all []any
	i := 0
	for at := number64(r, "start"); at <= number64(r, "end"); at += number64(r, "step") {
		if v := value(i); v != "" {
			all = append(all, []any{at, v})
		}
		i++
	}
	return all
}

// drawn makes the picture of what the fake answers.
func drawn(t *testing.T, fake http.Handler, flags ...string) (image.Image, error) {
	t.Helper()
	server := httptest.NewServer(fake)
	defer server.Close()
	path := filepath.Join(t.TempDir(), "overview.png")
	args := append([]string{"draw", "--prometheus=" + server.URL, "--end=2026-01-31T12:00:00Z"}, flags...)
	if err := run(t.Context(), append(args, path)); err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	picture, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	return picture, nil
}

// dotsOf counts the dots of a colour.
func dotsOf(c color.Color, in image.Image) int {
	n, want := 0, color.RGBAModel.Convert(c)
	for y := in.Bounds().Min.Y; y < in.Bounds().Max.Y; y++ {
		for x := in.Bounds().Min.X; x < in.Bounds().Max.X; x++ {
			if color.RGBAModel.Convert(in.At(x, y)) == want {
				n++
			}
		}
	}
	return n
}

func TestAllPanelsAreAskedForAndDrawn(t *testing.T) {
	t.Parallel()
	for _, d := range all() {
		fake := &fakePrometheus{number: "0"}
		picture, err := drawn(t, fake, "--dashboard="+d.name, "--rate-interval=90s")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{firing}
		for _, tile := range d.tiles() {
			if tile.panel == nil {
				continue
			}
			for _, q := range tile.panel.queries {
				want = append(want, strings.ReplaceAll(q.expr, "$__rate_interval", "1m30s"))
			}
		}
		if got := fake.queries(); !slices.Equal(got, want) {
			t.Errorf("%s: asked\n%s\nwant\n%s", d.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for i := range 2 {
			if n := dotsOf(chart.Color(i), picture); n < 1000 { // the legends have some 500
				t.Errorf("%s: the picture has %d dots of curve %d", d.name, n, i)
			}
		}
	}
}

// A number that is too large is what the picture is looked at for.
func TestNumbersAreRedWhenTheyAreBad(t *testing.T) {
	t.Parallel()
	dots := func(fake *fakePrometheus) (good, bad int) {
		picture, err := drawn(t, fake)
		if err != nil {
			t.Fatal(err)
		}
		return dotsOf(goodColor(), picture), dotsOf(badColor(), picture)
	}
	if good, bad := dots(&fakePrometheus{number: "0"}); good == 0 || bad > 0 {
		t.Errorf("0: %d dots are green, %d red", good, bad)
	}
	if good, bad := dots(&fakePrometheus{number: "1000"}); good == 0 || bad == 0 { // replicas have no bound
		t.Errorf("1000: %d dots are green, %d red", good, bad)
	}
	if good, bad := dots(&fakePrometheus{empty: true}); good > 0 || bad > 0 {
		t.Errorf("no data: %d dots are green, %d red", good, bad)
	}
}

func TestNothingIsDrawnOfAPrometheusThatFails(t *testing.T) {
	t.Parallel()
	fails := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"status":"error","errorType":"execution","error":"too many samples"}`))
	})
	if _, err := drawn(t, fails); err == nil || !strings.Contains(err.Error(), "too many samples") {
		t.Errorf("got %v", err)
	}
}

func TestArgumentsThatAreWrong(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"usage":               {},
		"one file":            {"draw"},
		"no dashboard":        {"draw", "--dashboard=other", "x.png"},
		"before --end":        {"draw", "--begin=2026-01-31T12:00:00Z", "--end=2026-01-31T11:00:00Z", "x.png"},
		"--at between":        {"draw", "--at=2026-01-31T13:00:00Z", "--end=2026-01-31T12:00:00Z", "x.png"},
		`invalid value "now"`: {"draw", "--end=now", "x.png"},
	} {
		if err := run(t.Context(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
}

func TestLegend(t *testing.T) {
	t.Parallel()
	q := query{legend: "{{group}}: {{topic}} {{other}}"}
	if got := q.nameOf(model.Metric{"group": "g", "topic": "t"}); got != "g: t" {
		t.Errorf("got %q", got)
	}
}

// A line over a time at which nothing was measured would be a lie.
func TestGapsOfACurve(t *testing.T) {
	t.Parallel()
	p := picture{step: 2 * time.Second}
	c := curve{points: []model.SamplePair{{Timestamp: 0, Value: 1}, {Timestamp: 2000, Value: 2}, {Timestamp: 8000, Value: 3}}}
	got := p.pieces(c)
	if len(got) != 2 || len(got[0]) != 2 || len(got[1]) != 2 || got[1][0].X != 7 || got[1][1].X != 9 || got[1][0].Y != 3 {
		t.Errorf("got %v", got)
	}
	if spans := p.spans([]curve{c}); len(spans) != 2 || spans[0] != (span{0, 2}) {
		t.Errorf("got %v", spans)
	}
}

func TestCurvesThatStayAtZero(t *testing.T) {
	t.Parallel()
	flat := curve{name: "flat", points: []model.SamplePair{{Value: 0}}}
	moves := curve{name: "moves", points: []model.SamplePair{{Value: 0}, {Value: 1}}}
	if got := worthALine([]curve{flat, moves}); len(got) != 1 || got[0].name != "moves" {
		t.Errorf("got %v", got)
	}
	if got := worthALine([]curve{flat, flat}); len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit string
		v    float64
		want string
	}{
		{"short", 1617, "1.62 K"},
		{"short", 999, "999"},
		{"short", 2.5e6, "2.5 M"},
		{"ops", 12.34, "12.3/s"},
		{"percentunit", 0.000548, "0.0548 %"},
		{"s", 0, "0 s"},
		{"s", 0.025, "25 ms"},
		{"s", 57.6, "57.6 s"},
		{"s", 90, "1.5 min"},
		{"s", 7200, "2 h"},
	} {
		if got := inUnit(c.unit, c.v); got != c.want {
			t.Errorf("%v %s: got %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestTicksOfDurations(t *testing.T) {
	t.Parallel()
	var got []string
	for _, tick := range durations(0, 130, seconds) {
		got = append(got, tick.Label)
	}
	if strings.Join(got, ", ") != "0 s, 30 s, 1 min, 1.5 min, 2 min" {
		t.Errorf("got %v", got)
	}
	for _, one := range ticks("ops").Ticks(0, 40) {
		if one.IsMinor() {
			t.Errorf("%v has no number", one)
		}
	}
}
