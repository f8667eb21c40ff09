package main

import (
	"fmt"
	"image/color"
	"image/png"
	"io"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"orderflow/internal/chart"
)

// picture is a dashboard with all answers.
type picture struct {
	dashboard      dashboard
	tiles          []tile
	note           string
	begin, end, at time.Time
	step           time.Duration
	firing         []curve
	answers        map[*panel]answer
}

// Sizes are such that the README, which shows less than half of the dots, is readable.
const (
	columnWidth = vg.Length(36) // of the grid
	lineHeight  = vg.Length(22) // of the grid
	head        = vg.Length(62)
	margin      = vg.Length(6)
	dots        = 120 // per inch

	largeText, titleText, smallText = 26, 12, 9.5
)

// draw writes the picture as PNG.
func (p picture) draw(w io.Writer) error {
	last := p.tiles[len(p.tiles)-1]
	canvas := vgimg.NewWith(vgimg.UseWH(width*columnWidth+2*margin, head+vg.Length(last.y+last.h)*lineHeight+margin), vgimg.UseDPI(dots))
	page := draw.New(canvas)
	p.drawHead(page)
	for _, t := range p.tiles {
		left, top := margin+vg.Length(t.x)*columnWidth, page.Max.Y-head-vg.Length(t.y)*lineHeight
		on := draw.Canvas{Canvas: page, Rectangle: vg.Rectangle{
			Min: vg.Point{X: left, Y: top - vg.Length(t.h)*lineHeight},
			Max: vg.Point{X: left + vg.Length(t.w)*columnWidth, Y: top},
		}}
		var err error
		switch {
		case t.panel == nil:
			write(on, on.Min.X+margin, on.Center().Y, t.title, style(titleText+2, color.Black, text.XLeft, text.YCenter))
		case t.panel.stat:
			drawNumbers(inside(on), *t.panel, p.answers[t.panel].numbers)
		default:
			err = p.drawCurves(inside(on), *t.panel, p.answers[t.panel].curves)
		}
		if err != nil {
			return fmt.Errorf("%q: %w", t.title, err)
		}
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	return encoder.Encode(w, canvas.Image())
}

func (p picture) drawHead(page draw.Canvas) {
	gray := style(smallText+1, color.Gray{Y: 80}, text.XLeft, text.YTop)
	legend := fmt.Sprintf("%s to %s UTC. Red: an alert fires. Curves that stay at 0 are left out.",
		p.begin.UTC().Format(time.DateTime), p.end.UTC().Format(time.TimeOnly))
	if slices.ContainsFunc(p.tiles, func(t tile) bool { return t.panel != nil && t.panel.stat }) {
		legend += fmt.Sprintf(" The numbers are those of the dashed line, at %s.", p.at.UTC().Format(time.TimeOnly))
	}
	y := page.Max.Y - margin
	write(page, 2*margin, y, p.dashboard.title, style(titleText+6, color.Black, text.XLeft, text.YTop))
	write(page, 2*margin, y-24, legend, gray)
	write(page, 2*margin, y-38, p.note, gray)
}

// drawNumbers draws a stat panel: one number large, several as a list.
func drawNumbers(on draw.Canvas, p panel, numbers []number) {
	background := goodColor()
	for _, n := range numbers {
		if p.bad > 0 && n.value >= p.bad {
			background = badColor()
		}
	}
	if len(numbers) == 0 {
		background = color.Gray{Y: 110}
	}
	on.SetColor(background)
	on.Fill(on.Path())
	write(on, on.Min.X+margin, on.Max.Y-margin, p.title, style(smallText+0.5, color.White, text.XLeft, text.YTop))
	large := style(largeText, color.White, text.XCenter, text.YCenter)
	switch {
	case len(numbers) == 0:
		large.Font.Size = titleText
		write(on, on.Center().X, on.Center().Y-margin, "no data", large)
	case len(numbers) == 1 && numbers[0].name == "":
		write(on, on.Center().X, on.Center().Y-margin, inUnit(p.unit, numbers[0].value), large)
	default:
		for i, n := range numbers {
			y := on.Max.Y - margin - 26 - vg.Length(i)*17
			write(on, on.Min.X+margin, y, n.name, style(smallText+0.5, color.White, text.XLeft, text.YCenter))
			write(on, on.Max.X-margin, y, inUnit(p.unit, n.value), style(titleText, color.White, text.XRight, text.YCenter))
		}
	}
}

func goodColor() color.Color { return color.RGBA{R: 38, G: 115, B: 60, A: 255} }
func badColor() color.Color  { return color.RGBA{R: 176, G: 32, B: 47, A: 255} }

// inside is a canvas without what keeps it apart from its neighbours.
func inside(c draw.Canvas) draw.Canvas {
	const half = margin / 2
	return draw.Crop(c, half, -half, half, -half)
}

func style(size vg.Length, c color.Color, x text.XAlignment, y text.YAlignment) text.Style {
	return text.Style{Color: c, Font: chart.Font(size), XAlign: x, YAlign: y, Handler: plot.DefaultTextHandler}
}

func write(on draw.Canvas, x, y vg.Length, what string, s text.Style) {
	on.FillText(s, vg.Point{X: x, Y: y}, what)
}
