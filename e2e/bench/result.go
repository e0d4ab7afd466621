package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// report is the whole result; doc.go describes the JSON.
type report struct {
	Started  time.Time              `json:"started"`
	Machine  machine                `json:"machine"`
	Versions versions               `json:"versions"`
	Repeat   int                    `json:"repeat"`
	Metrics  []*metric              `json:"metrics"`
	Requests map[string]requestKind `json:"requests,omitempty"`
	Errors   map[string]string      `json:"errors,omitempty"`
}

// metric is one measured quantity.
type metric struct {
	Name    string    `json:"name"`
	What    string    `json:"what"`
	Unit    string    `json:"unit"`
	Samples []float64 `json:"samples"`
	Median  float64   `json:"median"`
	P50     float64   `json:"p50"`
	P75     float64   `json:"p75"`
	P99     float64   `json:"p99"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Floor   *float64  `json:"floor,omitempty"`
	Ratio   *float64  `json:"ratio,omitempty"`
	Goals   []goal    `json:"goals,omitempty"`
	Met     *bool     `json:"met,omitempty"`

	floorOf string // name of the metric that is its floor
}

// goal is a limit of one statistic, from above unless AtLeast is set.
type goal struct {
	Of      string  `json:"of"`
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"atLeast,omitempty"`
	Got     float64 `json:"got"`
	Met     bool    `json:"met"`
}

// add adds a sample and makes the metric at the first.
func (r *report) add(name, what, unit string, sample float64) *metric {
	m := r.metric(name)
	if m == nil {
		m = &metric{Name: name, What: what, Unit: unit}
		r.Metrics = append(r.Metrics, m)
	}
	m.Samples = append(m.Samples, sample)
	return m
}

func (r *report) metric(name string) *metric {
	for _, m := range r.Metrics {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// atMost sets a goal, once.
func (m *metric) atMost(of string, limit float64) *metric {
	return m.aim(goal{Of: of, Limit: limit})
}

// atLeast sets a goal from below, once.
func (m *metric) atLeast(of string, limit float64) *metric {
	return m.aim(goal{Of: of, Limit: limit, AtLeast: true})
}

func (m *metric) aim(g goal) *metric {
	if !slices.ContainsFunc(m.Goals, func(old goal) bool { return old.Of == g.Of }) {
		m.Goals = append(m.Goals, g)
	}
	return m
}

// over names the floor that the metric is compared with.
func (m *metric) over(floor string) *metric {
	m.floorOf = floor
	return m
}

// conclude computes the statistics and judges the goals.
func (r *report) conclude() {
	for _, m := range r.Metrics {
		m.statistics()
	}
	for _, m := range r.Metrics {
		if floor := r.metric(m.floorOf); floor != nil && floor.Median > 0 {
			f, ratio := floor.Median, round(m.Median/floor.Median)
			m.Floor, m.Ratio = &f, &ratio
		}
		m.judge()
	}
}

func (m *metric) statistics() {
	s := slices.Sorted(slices.Values(m.Samples))
	if len(s) == 0 {
		return
	}
	m.Min, m.Max = s[0], s[len(s)-1]
	m.P50, m.P75, m.P99 = rank(s, 50), rank(s, 75), rank(s, 99)
	m.Median = round((s[(len(s)-1)/2] + s[len(s)/2]) / 2)
}

// rank is the nearest-rank percentile of sorted samples.
func rank(sorted []float64, percent int) float64 {
	return sorted[max((len(sorted)*percent+99)/100, 1)-1]
}

func (m *metric) judge() {
	if len(m.Goals) == 0 {
		return
	}
	all := true
	for i := range m.Goals {
		g := &m.Goals[i]
		switch g.Of {
		case "median":
			g.Got = m.Median
		case "p50":
			g.Got = m.P50
		case "p75":
			g.Got = m.P75
		case "p99":
			g.Got = m.P99
		case "max":
			g.Got = m.Max
		case "ratio":
			g.Got = math.Inf(1) // without a floor it is not met
			if m.Ratio != nil {
				g.Got = *m.Ratio
			}
		}
		g.Met = g.Got <= g.Limit
		if g.AtLeast {
			g.Met = g.Got >= g.Limit
		}
		all = all && g.Met
		if math.IsInf(g.Got, 1) {
			g.Got = -1
		}
	}
	m.Met = &all
}

func round(x float64) float64 { return math.Round(x*1e4) / 1e4 }

func seconds(d time.Duration) float64 { return round(d.Seconds()) }

func mib(bytes int64) float64 { return math.Round(float64(bytes)/(1<<20)*10) / 10 }

// save writes the JSON in one step, so that a reader never sees half of it.
func (r *report) save(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// table prints one line per metric.
func (r *report) table(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %d cores, %s, Kubernetes %s, hawser %s\n\n", r.Machine.CPU, r.Machine.Cores, r.Machine.OS, r.Versions.Kubernetes, r.Versions.Hawser)
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "METRIC\tUNIT\tN\tMEDIAN\tP75\tP99\tMIN…MAX\tFLOOR\tRATIO\tGOAL\t")
	for _, m := range r.Metrics {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s…%s\t%s\t%s\t%s\t\n", m.Name, m.Unit, len(m.Samples),
			number(m.Median), number(m.P75), number(m.P99), number(m.Min), number(m.Max), optional(m.Floor), optional(m.Ratio), m.goalText())
	}
	t.Flush()
	for _, name := range slices.Sorted(mapsKeys(r.Requests)) {
		fmt.Fprintf(w, "\nAPI requests, %s: %s\n", name, r.Requests[name])
	}
	for _, name := range slices.Sorted(mapsKeys(r.Errors)) {
		fmt.Fprintf(w, "\nnot measured: %s: %s\n", name, r.Errors[name])
	}
}

func (m *metric) goalText() string {
	var parts []string
	for _, g := range m.Goals {
		verdict, sign := "met", "≤"
		if g.AtLeast {
			sign = "≥"
		}
		if !g.Met {
			verdict = "MISSED by " + number(math.Abs(g.Got-g.Limit))
		}
		parts = append(parts, fmt.Sprintf("%s %s %s %s", g.Of, sign, number(g.Limit), verdict))
	}
	return strings.Join(parts, ", ")
}

func number(x float64) string {
	switch {
	case x == math.Trunc(x):
		return fmt.Sprintf("%.0f", x)
	case math.Abs(x) < 1:
		return fmt.Sprintf("%.3f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func optional(x *float64) string {
	if x == nil {
		return ""
	}
	return number(*x)
}
