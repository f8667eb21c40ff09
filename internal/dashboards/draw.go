package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/client_golang/api"
	promapi "github.com/prometheus/client_golang/api/prometheus/v1"

	"orderflow/internal/chart"
)

// drawing is what is drawn, and of which time.
type drawing struct {
	url, dashboard, note, file string
	begin, end, at             time.Time
	rateInterval, timeout      time.Duration
}

func drawPicture(ctx context.Context, args []string) error {
	d, err := parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	p, err := d.read(ctx)
	if err != nil {
		return err
	}
	return chart.WriteFile(d.file, func(w io.Writer) error { return p.draw(w) })
}

func parse(args []string) (drawing, error) {
	var d drawing
	flags := flag.NewFlagSet("dashboards draw", flag.ContinueOnError)
	flags.StringVar(&d.url, "prometheus", "http://127.0.0.1:9090", "`URL` of the Prometheus that is asked")
	flags.StringVar(&d.dashboard, "dashboard", "overview", "`name` of the dashboard")
	flags.StringVar(&d.note, "note", "", "a line of `text` below the title: what happens here")
	flags.Func("begin", "the left edge: a `time` such as 2026-01-31T12:00:00Z (default: half an hour before the end)", into(&d.begin))
	flags.Func("end", "the right edge: a `time` (default: now)", into(&d.end))
	flags.Func("at", "the `time` of the panels that are numbers (default: the end)", into(&d.at))
	flags.DurationVar(&d.rateInterval, "rate-interval", time.Minute, "$__rate_interval; Grafana takes four scrapes at least")
	flags.DurationVar(&d.timeout, "timeout", time.Minute, "for all answers together")
	flags.Usage = func() {
		_, _ = fmt.Fprintln(flags.Output(), "usage: dashboards draw [FLAG...] FILE.png")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return d, err
	}
	if flags.NArg() != 1 {
		return d, errors.New("draw needs the name of one file, after the flags")
	}
	d.file = flags.Arg(0)
	if d.end.IsZero() {
		d.end = time.Now()
	}
	if d.begin.IsZero() {
		d.begin = d.end.Add(-30 * time.Minute)
	}
	if d.at.IsZero() {
		d.at = d.end
	}
	if !d.begin.Before(d.end) || d.at.Before(d.begin) || d.at.After(d.end) {
		return d, errors.New("--begin is before --end, and --at between them")
	}
	return d, nil
}

func into(t *time.Time) func(string) error {
	return func(text string) (err error) {
		*t, err = time.Parse(time.RFC3339, text)
		return err
	}
}

// read asks Prometheus what the panels ask.
func (d drawing) read(ctx context.Context) (picture, error) {
	p := picture{note: d.note, begin: d.begin, end: d.end, at: d.at, answers: map[*panel]answer{}}
	found := false
	for _, one := range all() {
		if one.name == d.dashboard {
			p.dashboard, found = one, true
		}
	}
	if !found {
		return p, fmt.Errorf("no dashboard is called %q", d.dashboard)
	}
	client, err := api.NewClient(api.Config{Address: d.url})
	if err != nil {
		return p, fmt.Errorf("--prometheus: %w", err)
	}
	ask := newAsker(promapi.NewAPI(client), d)
	p.step = ask.span.Step
	if p.firing, err = ask.curves(ctx, query{expr: firing, legend: "{{alertname}}"}); err != nil {
		return p, fmt.Errorf("ask for alerts: %w", err)
	}
	p.tiles = p.dashboard.tiles()
	for _, t := range p.tiles {
		if t.panel == nil {
			continue
		}
		if p.answers[t.panel], err = ask.panel(ctx, *t.panel); err != nil {
			return p, fmt.Errorf("ask for %q: %w", t.title, err)
		}
	}
	return p, nil
}
