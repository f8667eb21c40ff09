package demo

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	plots "orderflow/internal/chart"
)

// chart is what is drawn of a rush.
type chart struct {
	title   string
	samples []sample
	marks   []mark
}

const (
	chartWidth  = 9 * vg.Inch
	chartHeight = 5 * vg.Inch
)

// write draws the chart into a file.
func (c chart) write(path string) error { return plots.WriteFile(path, c.draw) }

// draw writes the chart as SVG.
func (c chart) draw(w io.Writer) error {
	p := plots.New()
	p.Title.Text, p.Title.Padding = c.title, vg.Points(6)
	p.X.Label.Text, p.Y.Label.Text = "seconds", "orders"
	p.X.Min, p.Y.Min = 0, 0
	p.X.Tick.Marker, p.Y.Tick.Marker = plots.Ticks(plain), plots.Ticks(func(v float64) string { return grouped(int64(v)) })
	p.Legend.Top, p.Legend.Left = true, true
	for i, series := range []struct {
		name string
		of   func(sample) int64
	}{
		{"accepted", func(s sample) int64 { return s.accepted }},
		{"reserved", func(s sample) int64 { return s.reserved }},
		{"backlog", sample.backlog},
	} {
		line, err := plots.Line(c.points(series.of), i)
		if err != nil {
			return err
		}
		p.Add(line)
		p.Legend.Add(series.name, line)
	}
	if err := c.addMarks(p); err != nil {
		return err
	}
	canvas := vgsvg.New(chartWidth, chartHeight)
	p.Draw(draw.New(canvas))
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	// Where the font is missing, a browser would take its default, which has serifs.
	_, err := w.Write(bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,sans-serif")))
	return err
}

func (c chart) points(of func(sample) int64) plotter.XYs {
	points := make(plotter.XYs, len(c.samples))
	for i, s := range c.samples {
		points[i] = plotter.XY{X: s.at.Seconds(), Y: float64(of(s))}
	}
	return points
}

// addMarks draws what happened as lines from top to bottom.
func (c chart) addMarks(p *plot.Plot) error {
	for _, m := range c.marks {
		line, err := plots.Mark(m.at.Seconds(), p.Y.Max)
		if err != nil {
			return err
		}
		p.Add(line)
		p.Legend.Add(fmt.Sprintf("%.1f s: %s", m.at.Round(100*time.Millisecond).Seconds(), m.what), line)
	}
	return nil
}

// plain is a number without zeros behind the point.
func plain(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
