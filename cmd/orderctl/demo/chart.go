package demo

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"os"
	"strconv"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
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
func (c chart) write(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make the chart: %w", err)
	}
	if err := c.draw(file); err != nil {
		_ = file.Close()
		return fmt.Errorf("draw the chart: %w", err)
	}
	return file.Close()
}

// draw writes the chart as SVG.
func (c chart) draw(w io.Writer) error {
	p := plot.New()
	p.Title.Text, p.Title.Padding = c.title, vg.Points(6)
	p.X.Label.Text, p.Y.Label.Text = "seconds", "orders"
	p.X.Min, p.Y.Min = 0, 0
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(plainTicks), plot.TickerFunc(groupedTicks)
	p.Legend.Top, p.Legend.Left = true, true
	p.BackgroundColor = color.White
	p.Add(plotter.NewGrid())
	for _, series := range []struct {
		name  string
		of    func(sample) int64
		color color.RGBA
	}{
		{"accepted", func(s sample) int64 { return s.accepted }, color.RGBA{R: 31, G: 119, B: 180, A: 255}},
		{"reserved", func(s sample) int64 { return s.reserved }, color.RGBA{R: 44, G: 160, B: 44, A: 255}},
		{"backlog", sample.backlog, color.RGBA{R: 214, G: 39, B: 40, A: 255}},
	} {
		line, err := c.line(series.of)
		if err != nil {
			return err
		}
		line.Color, line.Width = series.color, vg.Points(1.5)
		p.Add(line)
		p.Legend.Add(series.name, line)
	}
	if err := c.addMarks(p); err != nil {
		return err
	}
	for _, style := range []*draw.TextStyle{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		style.Font.Variant = "Sans"
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

func (c chart) line(of func(sample) int64) (*plotter.Line, error) {
	points := make(plotter.XYs, len(c.samples))
	for i, s := range c.samples {
		points[i] = plotter.XY{X: s.at.Seconds(), Y: float64(of(s))}
	}
	return plotter.NewLine(points)
}

// addMarks draws what happened as lines from top to bottom.
func (c chart) addMarks(p *plot.Plot) error {
	for _, m := range c.marks {
		line, err := plotter.NewLine(plotter.XYs{{X: m.at.Seconds(), Y: 0}, {X: m.at.Seconds(), Y: p.Y.Max}})
		if err != nil {
			return err
		}
		line.Color, line.Dashes = color.Gray{Y: 96}, []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(line)
		p.Legend.Add(fmt.Sprintf("%.1f s: %s", m.at.Round(100*time.Millisecond).Seconds(), m.what), line)
	}
	return nil
}

// plainTicks are the usual ones, without zeros behind the point.
func plainTicks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = strconv.FormatFloat(ticks[i].Value, 'g', 6, 64)
		}
	}
	return ticks
}

// groupedTicks are the usual ones, with numbers as people write them.
func groupedTicks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = grouped(int64(ticks[i].Value))
		}
	}
	return ticks
}
