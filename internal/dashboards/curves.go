package main

import (
	"image/color"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"orderflow/internal/chart"
)

// drawCurves draws a panel of curves: title, axes, and its legend at the bottom.
func (p picture) drawCurves(on draw.Canvas, of panel, curves []curve) error {
	on.SetColor(color.White)
	on.StrokeLines(draw.LineStyle{Color: color.Gray{Y: 205}, Width: 0.7}, outline(on))
	on = inside(inside(on))
	write(on, on.Min.X, on.Max.Y, of.title, style(titleText, color.Black, text.XLeft, text.YTop))
	curves = worthALine(curves)
	below := drawLegend(on, curves)

	axes := p.axes(of.unit)
	for i, c := range curves {
		for _, points := range p.pieces(c) {
			line, err := chart.Line(points, i)
			if err != nil {
				return err
			}
			axes.Add(line)
		}
	}
	if axes.Y.Max *= 1.05; axes.Y.Max <= 0 {
		axes.Y.Max = 1
	}
	mark, err := chart.Mark(unix(p.at), axes.Y.Max)
	if err != nil {
		return err
	}
	axes.Add(mark)
	axes.Draw(draw.Crop(on, 0, -margin, below, -titleText-margin))
	if len(curves) == 0 {
		write(on, on.Center().X, on.Center().Y, "no data", style(titleText, color.Gray{Y: 128}, text.XCenter, text.YCenter))
	}
	return nil
}

// axes is a plot with its background, and without curves.
func (p picture) axes(unit string) *plot.Plot {
	axes := chart.New()
	axes.BackgroundColor = nil
	axes.X.Tick.Label.Font, axes.Y.Tick.Label.Font = chart.Font(smallText), chart.Font(smallText)
	axes.X.Tick.Marker, axes.Y.Tick.Marker = timeTicks(), ticks(unit)
	axes.X.Min, axes.X.Max = unix(p.begin), unix(p.end)
	axes.Y.Min, axes.Y.Max = 0, 0
	axes.X.Padding, axes.Y.Padding = 0, 0
	axes.Add(bands{p.spans(p.firing), color.NRGBA{R: 214, G: 39, B: 40, A: 22}})
	return axes
}

// worthALine leaves out the curves that stay at 0, which hide each other and fill the
// legend, unless all do.
func worthALine(curves []curve) []curve {
	var worth []curve
	for _, c := range curves {
		if slices.ContainsFunc(c.points, func(p model.SamplePair) bool { return p.Value != 0 }) {
			worth = append(worth, c)
		}
	}
	if len(worth) == 0 {
		return curves
	}
	return worth
}

func outline(c draw.Canvas) []vg.Point {
	return []vg.Point{c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}, c.Min}
}

// drawLegend writes the names of the curves, one behind the other, and returns their height.
func drawLegend(on draw.Canvas, curves []curve) vg.Length {
	const swatch, gap, high = vg.Length(10), vg.Length(4), vg.Length(13)
	named := style(smallText, color.Black, text.XLeft, text.YCenter)
	type place struct {
		x   vg.Length
		row int
	}
	places, x, row := make([]place, len(curves)), on.Min.X, 0
	for i, c := range curves {
		wide := swatch + gap + named.Width(c.name)
		if x > on.Min.X && x+wide > on.Max.X {
			x, row = on.Min.X, row+1
		}
		places[i] = place{x, row}
		x += wide + 2*gap
	}
	for i, c := range curves {
		y := on.Min.Y + vg.Length(row-places[i].row)*high + high/2
		on.StrokeLine2(draw.LineStyle{Color: chart.Color(i), Width: 2}, places[i].x, y, places[i].x+swatch, y)
		write(on, places[i].x+swatch+gap, y, c.name, named)
	}
	return vg.Length(row+1)*high + margin/2
}

// pieces are the parts of a curve between which nothing was measured. What was measured
// once is as wide as a step, so that it can be seen.
func (p picture) pieces(c curve) []plotter.XYs {
	var all []plotter.XYs
	for i, at := range c.points {
		point := plotter.XY{X: float64(at.Timestamp) / 1e3, Y: float64(at.Value)}
		if i == 0 || p.apart(c.points[i-1].Timestamp, at.Timestamp) {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], point)
	}
	half := p.step.Seconds() / 2
	for i, piece := range all {
		if len(piece) == 1 {
			all[i] = plotter.XYs{{X: piece[0].X - half, Y: piece[0].Y}, {X: piece[0].X + half, Y: piece[0].Y}}
		}
	}
	return all
}

// apart says that there is none between two samples, but was asked for.
func (p picture) apart(before, after model.Time) bool { return after.Sub(before) > p.step*3/2 }

// spans are the times at which there is a curve.
func (p picture) spans(curves []curve) []span {
	var all []span
	for _, c := range curves {
		for _, piece := range p.pieces(c) {
			all = append(all, span{piece[0].X, piece[len(piece)-1].X})
		}
	}
	return all
}

type span struct{ begin, end float64 }

// bands is a background from the bottom to the top.
type bands struct {
	spans []span
	color color.Color
}

// Plot implements plot.Plotter.
func (b bands) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for _, s := range b.spans {
		left, right := max(x(s.begin), c.Min.X), min(x(s.end), c.Max.X)
		c.FillPolygon(b.color, []vg.Point{{X: left, Y: c.Min.Y}, {X: right, Y: c.Min.Y}, {X: right, Y: c.Max.Y}, {X: left, Y: c.Max.Y}})
	}
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }

func timeTicks() plot.Ticker {
	return plot.TickerFunc(func(low, high float64) []plot.Tick {
		layout := "15:04"
		if high-low <= 150 { // between ticks there is less than a minute
			layout = time.TimeOnly
		}
		return durations(low, high, func(v float64) string { return time.Unix(int64(v), 0).UTC().Format(layout) })
	})
}
