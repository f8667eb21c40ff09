// Package chart is what the pictures of this tree have in common: those of orderctl demo
// and those of the dashboards. gonum/plot draws them.
package chart

import (
	"fmt"
	"image/color"
	"io"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// New is an empty plot in the tree's style.
func New() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Add(plotter.NewGrid())
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		style.Font = Font(style.Font.Size)
	}
	return p
}

// Font is the one that all text is written in.
func Font(size vg.Length) font.Font {
	f := font.From(plot.DefaultFont, size)
	f.Variant = "Sans"
	return f
}

// Color is that of the nth curve.
func Color(n int) color.Color {
	colors := [...]color.RGBA{
		{R: 31, G: 119, B: 180, A: 255}, // blue
		{R: 44, G: 160, B: 44, A: 255},  // green
		{R: 214, G: 39, B: 40, A: 255},  // red
		{R: 255, G: 127, B: 14, A: 255}, // orange
		{R: 148, G: 103, B: 189, A: 255},
		{R: 140, G: 86, B: 75, A: 255},
		{R: 23, G: 190, B: 207, A: 255},
		{R: 227, G: 119, B: 194, A: 255},
		{R: 188, G: 189, B: 34, A: 255},
		{R: 127, G: 127, B: 127, A: 255},
	}
	return colors[n%len(colors)]
}

// Line is a curve.
func Line(points plotter.XYer, n int) (*plotter.Line, error) {
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = Color(n), vg.Points(1.5)
	return line, nil
}

// Mark is a dashed line from the bottom to the top, where something happened.
func Mark(x, top float64) (*plotter.Line, error) {
	line, err := plotter.NewLine(plotter.XYs{{X: x, Y: 0}, {X: x, Y: top}})
	if err != nil {
		return nil, err
	}
	line.Color, line.Dashes = color.Gray{Y: 96}, []vg.Length{vg.Points(4), vg.Points(3)}
	return line, nil
}

// Ticks are the usual ones, with the numbers as format writes them.
func Ticks(format func(float64) string) plot.Ticker {
	return plot.TickerFunc(func(low, high float64) []plot.Tick {
		ticks := plot.DefaultTicks{}.Ticks(low, high)
		for i := range ticks {
			if ticks[i].Label != "" {
				ticks[i].Label = format(ticks[i].Value)
			}
		}
		return ticks
	})
}

// WriteFile makes a file of what draw writes.
func WriteFile(path string, draw func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make the chart: %w", err)
	}
	if err := draw(file); err != nil {
		_ = file.Close()
		return fmt.Errorf("draw the chart: %w", err)
	}
	return file.Close()
}
