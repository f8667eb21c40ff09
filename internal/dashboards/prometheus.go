package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	promapi "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// answer is what a panel shows: curves, or numbers.
type answer struct {
	curves  []curve
	numbers []number
}

type curve struct {
	name   string
	points []model.SamplePair
}

type number struct {
	name  string
	value float64
}

// asker asks a Prometheus for one span of time.
type asker struct {
	api       promapi.API
	span      promapi.Range
	at        time.Time
	variables *strings.Replacer // what Grafana puts into queries
}

// pointsOfCurve is as many as can be told apart in a picture.
const pointsOfCurve = 250

func newAsker(api promapi.API, d drawing) asker {
	step := max(d.end.Sub(d.begin)/pointsOfCurve, time.Second).Round(time.Second)
	return asker{
		api: api, span: promapi.Range{Start: d.begin, End: d.end, Step: step}, at: d.at,
		variables: strings.NewReplacer("$__rate_interval", model.Duration(d.rateInterval).String()),
	}
}

func (a asker) panel(ctx context.Context, p panel) (answer, error) {
	var all answer
	for _, q := range p.queries {
		if p.stat {
			numbers, err := a.numbers(ctx, q)
			if err != nil {
				return all, err
			}
			all.numbers = append(all.numbers, numbers...)
			continue
		}
		curves, err := a.curves(ctx, q)
		if err != nil {
			return all, err
		}
		all.curves = append(all.curves, curves...)
	}
	return all, nil
}

func (a asker) curves(ctx context.Context, q query) ([]curve, error) {
	value, _, _, err := a.api.QueryRange(ctx, a.variables.Replace(q.expr), a.span)
	if err != nil {
		return nil, err
	}
	series, ok := value.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("%s is no series", q.expr)
	}
	var all []curve
	for _, s := range series {
		points := slices.DeleteFunc(s.Values, func(p model.SamplePair) bool {
			return math.IsNaN(float64(p.Value)) || math.IsInf(float64(p.Value), 0) // such as a rate of nothing by nothing
		})
		if len(points) > 0 {
			all = append(all, curve{q.nameOf(s.Metric), points})
		}
	}
	slices.SortFunc(all, func(x, y curve) int { return cmp.Compare(x.name, y.name) })
	return all, nil
}

func (a asker) numbers(ctx context.Context, q query) ([]number, error) {
	value, _, _, err := a.api.Query(ctx, a.variables.Replace(q.expr), a.at)
	if err != nil {
		return nil, err
	}
	samples, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("%s is no vector", q.expr)
	}
	var all []number
	for _, s := range samples {
		all = append(all, number{q.nameOf(s.Metric), float64(s.Value)})
	}
	slices.SortFunc(all, func(x, y number) int { return cmp.Compare(x.name, y.name) })
	return all, nil
}

// nameOf fills in the legend.
func (q query) nameOf(labels model.Metric) string {
	return strings.TrimSpace(regexp.MustCompile(`\{\{(\w+)\}\}`).ReplaceAllStringFunc(q.legend, func(name string) string {
		return string(labels[model.LabelName(strings.Trim(name, "{}"))])
	}))
}
