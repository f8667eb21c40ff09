package main

import (
	"bytes"
	"encoding/json"
)

// dashboard is what we say of one; encode adds what Grafana wants besides.
type dashboard struct {
	name, title, description string
	rows                     []row
}

// row is a question that its panels answer together.
type row struct {
	title  string
	height int
	panels []panel // they share the width
}

// panel answers one question.
type panel struct {
	title       string
	description string  // the question, and what is normal
	unit        string  // as Grafana names it: short, s, reqps, percentunit
	stat        bool    // one number, and not a curve
	bad         float64 // of a stat: at this number and above it is red; 0: never
	queries     []query
}

type query struct{ expr, legend string }

// width is the grid's.
const width = 24

type object map[string]any

// source is the datasource that whoever looks has chosen.
func source() object { return object{"type": "prometheus", "uid": "${datasource}"} }

// tile is the title of a row, or a panel, in its place in the grid.
type tile struct {
	title      string
	panel      *panel // nil: a row's title
	x, y, w, h int
}

// tiles are what is to be seen, from the top.
func (d dashboard) tiles() []tile {
	var all []tile
	y := 0
	for _, r := range d.rows {
		all = append(all, tile{title: r.title, y: y, w: width, h: 1})
		y++
		for i := range r.panels {
			left, right := i*width/len(r.panels), (i+1)*width/len(r.panels)
			all = append(all, tile{title: r.panels[i].title, panel: &r.panels[i], x: left, y: y, w: right - left, h: r.height})
		}
		y += r.height
	}
	return all
}

// firing are the alerts, as marks on all panels.
const firing = `max by (alertname, severity) (ALERTS{alertstate="firing"})`

// encode is Grafana's JSON model of the dashboard.
func (d dashboard) encode() ([]byte, error) {
	var panels []object
	for i, t := range d.tiles() {
		id, at := i+1, object{"x": t.x, "y": t.y, "w": t.w, "h": t.h}
		if t.panel == nil {
			panels = append(panels, object{
				"id": id, "type": "row", "title": t.title, "collapsed": false, "panels": []any{}, "gridPos": at,
			})
		} else {
			panels = append(panels, t.panel.encode(id, at))
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(object{
		"uid": "orderflow-" + d.name, "title": d.title, "description": d.description, "tags": []string{"orderflow"},
		"schemaVersion": 41, "editable": false, "graphTooltip": 1, "refresh": "10s",
		"time": object{"from": "now-30m", "to": "now"}, "timezone": "browser",
		"templating": object{"list": []object{
			{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus", "current": object{"text": "Prometheus", "value": "prometheus"}},
		}},
		"annotations": object{"list": []object{{
			"name": "alerts", "enable": true, "iconColor": "red", "datasource": source(),
			"expr": firing, "titleFormat": "{{alertname}}", "tagKeys": "severity",
		}}},
		"links": []object{{
			"type": "dashboards", "tags": []string{"orderflow"}, "title": "orderflow", "asDropdown": false, "keepTime": true,
		}},
		"panels": panels,
	})
	return text.Bytes(), err
}

func (p panel) encode(id int, at object) object {
	var targets []object
	for i, q := range p.queries {
		targets = append(targets, object{
			"refId": string(rune('A' + i)), "datasource": source(), "expr": q.expr, "legendFormat": q.legend, "instant": p.stat, "range": !p.stat,
		})
	}
	encoded := object{
		"id": id, "title": p.title, "description": p.description, "datasource": source(), "gridPos": at, "targets": targets,
	}
	defaults := object{"unit": p.unit, "min": 0}
	if !p.stat {
		defaults["custom"] = object{"fillOpacity": 8, "lineWidth": 2, "showPoints": "never"}
		encoded["type"] = "timeseries"
		encoded["options"] = object{
			"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"},
		}
	} else {
		steps := []object{{"color": "green", "value": nil}}
		if p.bad > 0 {
			steps = append(steps, object{"color": "red", "value": p.bad})
		}
		defaults["thresholds"] = object{"mode": "absolute", "steps": steps}
		encoded["type"] = "stat"
		encoded["options"] = object{
			"colorMode": "background", "graphMode": "none", "textMode": "auto", "reduceOptions": object{"calcs": []string{"lastNotNull"}},
		}
	}
	encoded["fieldConfig"] = object{"defaults": defaults, "overrides": []any{}}
	return encoded
}
