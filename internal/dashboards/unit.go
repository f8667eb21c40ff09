package main

import (
	"slices"
	"strconv"

	"gonum.org/v1/plot"

	"orderflow/internal/chart"
)

// inUnit is a number as people read it; units are named as Grafana does.
func inUnit(unit string, v float64) string {
	switch unit {
	case "percentunit":
		return plain(v*100) + " %"
	case "s":
		return seconds(v)
	case "reqps", "ops":
		return thousands(v) + "/s"
	}
	return thousands(v)
}

func plain(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

func thousands(v float64) string {
	switch {
	case v >= 1e6:
		return plain(v/1e6) + " M"
	case v >= 1e3:
		return plain(v/1e3) + " K"
	}
	return plain(v)
}

func seconds(v float64) string {
	switch {
	case v == 0:
		return "0 s"
	case v < 1:
		return plain(v*1e3) + " ms"
	case v < 60:
		return plain(v) + " s"
	case v < 3600:
		return plain(v/60) + " min"
	}
	return plain(v/3600) + " h"
}

// ticks are where an axis in a unit has its numbers: only there, as panels are small.
func ticks(unit string) plot.Ticker {
	usual := chart.Ticks(func(v float64) string { return inUnit(unit, v) })
	return plot.TickerFunc(func(low, high float64) []plot.Tick {
		if unit == "s" && high-low >= 10 {
			return durations(low, high, seconds)
		}
		return slices.DeleteFunc(usual.Ticks(low, high), plot.Tick.IsMinor)
	})
}

// durations are ticks at whole seconds, minutes or hours, where the usual ones would be
// at 1.67 minutes.
func durations(low, high float64, format func(float64) string) []plot.Tick {
	const most = 5
	steps := []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 6 * 3600, 24 * 3600}
	step := steps[len(steps)-1]
	for _, s := range steps {
		if (high-low)/s <= most {
			step = s
			break
		}
	}
	var all []plot.Tick
	for n := int64(low / step); float64(n)*step <= high; n++ {
		if v := float64(n) * step; v >= low {
			all = append(all, plot.Tick{Value: v, Label: format(v)})
		}
	}
	return all
}
