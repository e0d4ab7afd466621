package inventory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// maxAttention lines are told, mostOfKind of one kind before the rest is a number.
	maxAttention = 20
	mostOfKind   = 4
	// maxMessage of a line, in bytes.
	maxMessage = 200
	// stuckAfter an operation that is under way is looked at.
	stuckAfter = 30 * time.Minute
	// certificateSoon is when a certificate of 30 days should long have been renewed.
	certificateSoon = 5 * 24 * time.Hour
	// maxGroups are the values of a label that something can be grouped by, and
	// maxLabels the labels that are told; maxUnlisted of the others are named.
	maxGroups, maxLabels, maxUnlisted = 200, 30, 100
)

var mapState = func() map[string]int {
	out := map[string]int{}
	for i, s := range fleet.MapStates {
		out[s] = i
	}
	return out
}()

// worst is the word of fleet.MapStates of an application, as it was known last.
func (a seenApp) worst() string {
	switch {
	case a.fresh == model.FreshNever:
		return "stale"
	case a.health == "degraded" || a.health == "missing":
		return a.health
	case a.op == "failed" || a.op == "expired":
		return "failed"
	case a.sync == "outofsync" && a.reason == "drifted":
		return "drifted"
	case a.health == "progressing" || a.op == "running" || a.op == "queued":
		return "progressing"
	case a.sync == "outofsync" || a.aside:
		return "pending"
	case a.health == "suspended" || a.health == "healthy":
		return a.health
	}
	return "unknown"
}

// Map answers all clusters that are seen, in columns.
func (x *Index) Map(ctx context.Context, q fleet.MapQuery) (fleet.FleetMap, error) {
	m := x.moment(x.current(ctx))
	if q.Project != "" {
		q.Sight = within(q.Sight, q.Project)
	}
	filters, err := x.terms(fleet.ListQuery{Filter: q.Filter, Sight: q.Sight}, Clusters)
	if err != nil {
		return fleet.FleetMap{}, err
	}
	var tests []func(*model.Cluster) bool
	for _, t := range filters.Terms {
		tests = append(tests, m.testOfClusters(t))
	}
	apps := m.seen(&q.Sight)
	views, places := m.viewsOf(apps, q.Sight, q.Project)
	sum := m.summaryOf(apps, views, &q.Sight)
	out := fleet.FleetMap{
		AsOf: m.asOf.UTC(), Away: m.away, ClusterCounts: sum.Clusters, ApplicationCounts: sum.Applications, Names: make([]string, len(views)),
		LastSeen: make([]int64, len(views)), Applications: make([]int, len(views)), Counts: map[string][]int{},
	}
	worst := make([]int, len(views))
	for i := range worst {
		worst[i] = mapState["none"]
	}
	for i := range apps {
		a := &apps[i]
		at, ok := places[a.ClusterID]
		if !ok {
			continue
		}
		word := a.worst()
		worst[at] = min(worst[at], mapState[word])
		if !a.trusted() {
			word = "stale"
		}
		column := out.Counts[word]
		if column == nil {
			column = make([]int, len(views))
			out.Counts[word] = column
		}
		column[at]++
	}
	state, worsts, kubernetes, agents := newColumn(len(views)), newColumn(len(views)), newColumn(len(views)), newColumn(len(views))
	for i, c := range views {
		out.Names[i], out.Applications[i] = c.Name, c.Applications
		if !c.Connected && c.LastSeen != nil {
			out.LastSeen[i] = c.LastSeen.Unix()
		}
		state.put(i, mapStateOf(c))
		worsts.put(i, fleet.MapStates[worst[i]])
		kubernetes.put(i, c.KubeVersion)
		agents.put(i, c.AgentVersion)
		for _, test := range tests {
			if !test(c) {
				out.Dimmed = append(out.Dimmed, i)
				break
			}
		}
	}
	out.State, out.Worst, out.Kubernetes, out.Agent = state.Column, worsts.Column, kubernetes.Column, agents.Column
	out.Labels, out.Unlisted = labelColumns(views)
	out.Attention = m.attention(apps, views)
	return out, nil
}

// viewsOf are the clusters that somebody sees, who sees these applications, and their
// places: with a project those that have some or are reserved for it.
func (m moment) viewsOf(apps []seenApp, sight fleet.Sight, project string) ([]*model.Cluster, map[model.ClusterID]int) {
	onCluster := make(map[model.ClusterID]int, len(m.clusters))
	for i := range apps {
		onCluster[apps[i].ClusterID]++
	}
	views := make([]*model.Cluster, 0, len(m.clusters))
	places := make(map[model.ClusterID]int, len(m.clusters))
	for _, c := range m.clusters {
		view := m.view(c)
		view.Applications = onCluster[c.ID]
		if sight.SeesCluster != nil && !sight.SeesCluster(&view) || project != "" && view.Applications == 0 && view.Project != project {
			continue
		}
		places[c.ID] = len(views)
		views = append(views, &view)
	}
	return views, places
}

// within is a sight of one project.
func within(s fleet.Sight, project string) fleet.Sight {
	sees, seesProject := s.Sees, s.SeesProject
	s.Sees = func(p string) bool { return p == project && (sees == nil || sees(p)) }
	s.SeesProject = func(p string) bool { return p == project && (seesProject == nil || seesProject(p)) }
	s.Key = nil
	return s
}

// mapStateOf is the state of a cluster of lists, or that it is held.
func mapStateOf(c *model.Cluster) string {
	if c.Held != "" && !c.Revoked {
		return "held"
	}
	return stateOf(c)
}

// column makes a fleet.Column.
type column struct {
	fleet.Column
	known map[string]int
}

func newColumn(n int) *column {
	return &column{Column: fleet.Column{Values: []string{}, Of: make([]int, n)}, known: map[string]int{}}
}

func (c *column) put(at int, value string) {
	i, ok := c.known[value]
	if !ok {
		i = len(c.Values)
		c.known[value] = i
		c.Values = append(c.Values, value)
	}
	c.Of[at] = i
}

// labelColumns are the labels that clusters can be grouped by, those that most
// clusters have when there are too many, and the names of the others.
func labelColumns(views []*model.Cluster) (listed map[string]fleet.Column, unlisted []string) {
	carried := map[string]int{}
	values := map[string]map[string]struct{}{}
	for _, c := range views {
		for name, v := range c.Labels {
			carried[name]++
			if values[name] == nil {
				values[name] = map[string]struct{}{}
			}
			if len(values[name]) <= maxGroups {
				values[name][v] = struct{}{}
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(carried), func(a, b string) int {
		return cmp.Or(carried[b]-carried[a], strings.Compare(a, b))
	})
	listed = map[string]fleet.Column{}
	for _, name := range names {
		if len(values[name]) > maxGroups || len(listed) == maxLabels {
			unlisted = append(unlisted, name)
			continue
		}
		col := newColumn(len(views))
		for i, c := range views {
			col.put(i, c.Labels[name])
		}
		listed[name] = col.Column
	}
	slices.Sort(unlisted)
	if len(unlisted) > maxUnlisted {
		unlisted = unlisted[:maxUnlisted]
	}
	return listed, unlisted
}

// attentionKinds in their order.
var attentionKinds = []string{
	fleet.AttentionHeld, fleet.AttentionOffline, fleet.AttentionDegraded, fleet.AttentionMissing, fleet.AttentionFailed,
	fleet.AttentionStuck, fleet.AttentionUnrendered, fleet.AttentionDrifted, fleet.AttentionCertificate,
}

// attention is what somebody should look at. Applications on clusters that do not
// report are not in it: nobody knows how they are, and their cluster is.
func (m moment) attention(apps []seenApp, views []*model.Cluster) []fleet.Attention {
	found := map[string][]fleet.Attention{}
	add := func(a fleet.Attention) { found[a.Kind] = append(found[a.Kind], a) }
	for _, c := range views {
		line := fleet.Attention{Cluster: c.Name, Production: production(c.Labels)}
		switch {
		case c.Revoked:
			continue // somebody wanted it
		case c.Held != "":
			line.Kind, line.Message = fleet.AttentionHeld, c.Held
			add(line)
		case !c.Connected:
			line.Kind, line.Since = fleet.AttentionOffline, c.LastSeen
			add(line)
		case c.CertNotAfter != nil && c.CertNotAfter.Sub(m.now) < certificateSoon:
			line.Kind, line.Since = fleet.AttentionCertificate, c.CertNotAfter
			add(line)
		}
	}
	for i := range apps {
		a := &apps[i]
		if !a.trusted() {
			continue
		}
		line := fleet.Attention{Cluster: a.Cluster, Application: a.Name, Project: a.Project}
		op := a.Operation
		switch {
		case a.health == "degraded" || a.health == "missing":
			line.Kind, line.Since, line.Message = a.health, a.Health.Since, a.Health.Message
		case op != nil && (a.op == "failed" || a.op == "expired"):
			line.Kind, line.Since, line.Message = fleet.AttentionFailed, op.FinishedAt, op.Message
		case op != nil && (a.op == "running" || a.op == "queued") && op.CreatedAt != nil && m.now.Sub(*op.CreatedAt) > stuckAfter:
			line.Kind, line.Since, line.Message = fleet.AttentionStuck, op.CreatedAt, op.Message
		case a.aside:
			line.Kind = fleet.AttentionUnrendered
			for j := range a.Conditions {
				if a.Conditions[j].OfSource() {
					line.Since, line.Message = a.Conditions[j].Since, a.Conditions[j].Message
					break
				}
			}
		case a.sync == "outofsync" && a.reason == "drifted":
			line.Kind = fleet.AttentionDrifted
		default:
			continue
		}
		line.Production = production(m.labelsOf(a.ClusterID))
		line.Message = upTo(line.Message, maxMessage)
		add(line)
	}
	out := []fleet.Attention{}
	for _, kind := range attentionKinds {
		lines := found[kind]
		// Production first, then what is newest: that somebody may not know of yet.
		slices.SortFunc(lines, func(a, b fleet.Attention) int {
			if a.Production != b.Production {
				if a.Production {
					return -1
				}
				return 1
			}
			return cmp.Or(timeOf(b.Since).Compare(timeOf(a.Since)), strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Application, b.Application))
		})
		if len(lines) > mostOfKind+1 {
			lines = append(slices.Clone(lines[:mostOfKind]), fleet.Attention{Kind: kind, More: len(lines) - mostOfKind})
		}
		out = append(out, lines...)
	}
	return out[:min(len(out), maxAttention)]
}

// production reports whether labels say that a cluster is used in earnest.
func production(labels map[string]string) bool {
	for _, key := range []string{"env", "environment", "stage", "tier"} {
		switch strings.ToLower(labels[key]) {
		case "prod", "production", "live":
			return true
		}
	}
	return false
}

// upTo cuts a text to so many bytes, between characters.
func upTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}
