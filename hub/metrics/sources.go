package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/exposition"
)

// MaxApplications is how many applications may have series of their own, five each
// at most: what one scrape may hold.
const MaxApplications = 24_000

// Sources is what is read for a scrape. All fields may be nil; what has no source
// is not told. None of them may wait: a scrape is answered from memory.
type Sources struct {
	// Applications and Clusters call tell with each, by name, or with none when what
	// they know may no longer hold. What they pass is not kept.
	Applications func(tell func(*Application)) error
	Clusters     func(tell func(*model.Cluster)) error
	// Most is how many applications have series of their own, at most
	// MaxApplications: the first by name. The rest are only counted.
	Most int
	// Labels of applications that are told, by name.
	Labels []string
	// Certificates are the hub's own, by name: "ca", and "web" from a file.
	Certificates func() map[string]time.Time
	// Queues are how much waits, by name.
	Queues map[string]func() int
	Pool   func() Pool
	// Workers are processes that render: all, and those at work.
	Workers func() (all, busy int)
}

// Application is what is told of one.
type Application struct {
	Name, Project, Cluster string
	Sync                   model.SyncFacet
	Health                 model.Health
	Freshness              model.Freshness
	Conditions             []model.Condition
	Labels                 map[string]string
}

// Pool is the connections to the database.
type Pool struct {
	Most, Open, Idle int32
	// Waits is how often somebody had to wait for a connection, Waited how long
	// all together.
	Waits  int64
	Waited time.Duration
}

// Watch adds what exists to what is told. Call it once.
func (s *Set) Watch(from Sources) {
	c := &collector{set: s, from: from}
	c.from.Most = min(max(0, from.Most), MaxApplications)
	if len(from.Labels) > 0 {
		c.labels = prometheus.NewDesc("hawser_app_labels", "Always 1; one for each application that has one of the labels that --metrics-app-label names, with what they are.",
			append([]string{"app", "project", "cluster"}, labelNames(from.Labels)...), nil)
	}
	s.registry.MustRegister(c)
}

var (
	descConnected = prometheus.NewDesc("hawser_cluster_connected", "1 while the cluster's agent is connected, else 0.", []string{"cluster"}, nil)
	descLastSeen  = prometheus.NewDesc("hawser_cluster_last_seen_timestamp_seconds", "When the hub heard last from the cluster's agent. A cluster whose agent never connected has none.", []string{"cluster"}, nil)
	descAgent     = prometheus.NewDesc("hawser_agent_info", "Always 1; the version of the agent that was connected last.", []string{"cluster", "version"}, nil)
	descKube      = prometheus.NewDesc("hawser_cluster_info", "Always 1; the version of Kubernetes that the cluster's agent has reported.", []string{"cluster", "kubernetes_version"}, nil)
	descCert      = prometheus.NewDesc("hawser_cert_expiry_timestamp_seconds", "When a certificate ends: the hub's authority (ca), the one for people when it is from a file (web), and those of agents (agent, by cluster).", []string{"cert", "cluster"}, nil)
	descApp       = prometheus.NewDesc("hawser_app_info", "Always 1; one for each application. When what is known is stale or there is nothing yet, sync and health are Unknown, whatever was said last.", []string{"app", "project", "cluster", "sync", "health"}, nil)
	descDrifted   = prometheus.NewDesc("hawser_app_drifted", "1 for each application whose live objects were changed in the cluster and differ; the others have none.", []string{"app", "project", "cluster"}, nil)
	descCondition = prometheus.NewDesc("hawser_app_condition", "1 for each problem that an application has now, by its type.", []string{"app", "project", "cluster", "type"}, nil)
	descStates    = prometheus.NewDesc("hawser_app_states", "Applications, by sync and health. Those of which what is known is stale, or nothing is, are Unknown in both.", []string{"sync", "health"}, nil)
	descApps      = prometheus.NewDesc("hawser_apps", "Applications, by freshness of what is known of them: live, lagging, stale or never.", []string{"freshness"}, nil)
	descLeftOut   = prometheus.NewDesc("hawser_app_series_left_out", "Applications that have no series of their own because there are too many, or the hub is told to tell of fewer.", nil, nil)
	descQueue     = prometheus.NewDesc("hawser_queue_depth", "How much waits: reports to be stored, applications to be looked at.", []string{"queue"}, nil)
	descPoolMost  = prometheus.NewDesc("hawser_database_connections_max", "Connections that the hub may have to its database.", nil, nil)
	descPool      = prometheus.NewDesc("hawser_database_connections", "Connections to the database, by state: used or idle.", []string{"state"}, nil)
	descPoolWaits = prometheus.NewDesc("hawser_database_waits_total", "Times that somebody had to wait for a connection to the database.", nil, nil)
	descPoolWait  = prometheus.NewDesc("hawser_database_wait_seconds_total", "Time spent waiting for a connection to the database.", nil, nil)
	descWorkers   = prometheus.NewDesc("hawser_render_workers", "Processes that render, by state: busy or idle.", []string{"state"}, nil)
)

// conditionTypes are those that are told by name; an agent may report others.
var conditionTypes = map[string]bool{
	"SyncError": true, "ComparisonError": true, "InvalidSpecError": true, "SharedResourceWarning": true, "RepeatedResourceWarning": true,
	"OrphanedResourceWarning": true, "PruneGuard": true, "DeletesHeld": true, "DeletionConfirmation": true, "SyncWindow": true, "FightDetected": true, "RenderWarning": true,
}

// maxConditions of one application.
const maxConditions = 2

type collector struct {
	set    *Set
	from   Sources
	labels *prometheus.Desc // nil when no labels are told
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descConnected, descLastSeen, descAgent, descCert, descApp, descDrifted, descCondition, descStates, descApps, descLeftOut,
		descQueue, descPoolMost, descPool, descPoolWaits, descPoolWait, descWorkers, descKube} {
		out <- d
	}
	if c.labels != nil {
		out <- c.labels
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if c.from.Applications != nil {
		c.collectApps(gauge)
	}
	if c.from.Clusters != nil {
		if err := c.from.Clusters(func(cl *model.Cluster) { collectCluster(gauge, cl) }); err != nil {
			c.set.ScrapeFailed("clusters")
		}
	}
	if c.from.Certificates != nil {
		for name, end := range c.from.Certificates() {
			gauge(descCert, float64(end.Unix()), name, "")
		}
	}
	for name, depth := range c.from.Queues {
		gauge(descQueue, float64(depth()), name)
	}
	if c.from.Pool != nil {
		p := c.from.Pool()
		gauge(descPoolMost, float64(p.Most))
		gauge(descPool, float64(p.Open-p.Idle), "used")
		gauge(descPool, float64(p.Idle), "idle")
		out <- prometheus.MustNewConstMetric(descPoolWaits, prometheus.CounterValue, float64(p.Waits))
		out <- prometheus.MustNewConstMetric(descPoolWait, prometheus.CounterValue, p.Waited.Seconds())
	}
	if c.from.Workers != nil {
		all, busy := c.from.Workers()
		gauge(descWorkers, float64(busy), "busy")
		gauge(descWorkers, float64(all-busy), "idle")
	}
}

type gauging func(d *prometheus.Desc, v float64, labels ...string)

func collectCluster(gauge gauging, cl *model.Cluster) {
	connected := 0.0
	if cl.Connected {
		connected = 1
	}
	gauge(descConnected, connected, cl.Name)
	if cl.LastSeen != nil {
		gauge(descLastSeen, float64(cl.LastSeen.UnixMilli())/1000, cl.Name)
	}
	if cl.AgentVersion != "" {
		gauge(descAgent, 1, cl.Name, limit(cl.AgentVersion))
	}
	if cl.KubeVersion != "" {
		gauge(descKube, 1, cl.Name, limit(cl.KubeVersion))
	}
	if cl.CertNotAfter != nil && !cl.Revoked {
		gauge(descCert, float64(cl.CertNotAfter.Unix()), "agent", cl.Name)
	}
}

// limit is what an agent says of itself, as a label.
func limit(s string) string {
	if len(s) > 64 {
		return exposition.Other
	}
	return s
}

// state of an application, in words of closed sets.
type state struct{ sync, health string }

func (c *collector) collectApps(gauge gauging) {
	byFreshness := map[model.Freshness]int{model.FreshLive: 0, model.FreshLagging: 0, model.FreshStale: 0, model.FreshNever: 0}
	byState := map[state]int{}
	all := 0
	err := c.from.Applications(func(a *Application) {
		all++
		byFreshness[a.Freshness]++
		drifted := false
		st := state{"Unknown", "Unknown"}
		if a.Freshness == model.FreshLive || a.Freshness == model.FreshLagging {
			st = state{closed(string(a.Sync.Status), syncs), closed(string(a.Health), healths)}
			drifted = a.Sync.Status == model.SyncOutOfSync && a.Sync.Reason == model.ReasonDrifted
		}
		byState[st]++
		if all > c.from.Most {
			return
		}
		gauge(descApp, 1, a.Name, a.Project, a.Cluster, st.sync, st.health)
		if drifted {
			gauge(descDrifted, 1, a.Name, a.Project, a.Cluster)
		}
		for _, t := range told(a.Conditions) {
			gauge(descCondition, 1, a.Name, a.Project, a.Cluster, t)
		}
		c.collectLabels(gauge, a)
	})
	if err != nil {
		c.set.ScrapeFailed("applications")
		return
	}
	for st, n := range byState {
		gauge(descStates, float64(n), st.sync, st.health)
	}
	for f, n := range byFreshness {
		gauge(descApps, float64(n), closed(string(f), freshnesses))
	}
	gauge(descLeftOut, float64(max(0, all-c.from.Most)))
}

// told are the types of conditions that an application has series of.
func told(conditions []model.Condition) (types []string) {
	for i := range conditions {
		t := conditions[i].Type
		if !conditionTypes[t] {
			t = "Other"
		}
		if !slices.Contains(types, t) && len(types) < maxConditions {
			types = append(types, t)
		}
	}
	return types
}

var (
	syncs       = []string{string(model.SyncSynced), string(model.SyncOutOfSync)}
	healths     = []string{string(model.HealthHealthy), string(model.HealthSuspended), string(model.HealthProgressing), string(model.HealthMissing), string(model.HealthDegraded)}
	freshnesses = []string{string(model.FreshLive), string(model.FreshLagging), string(model.FreshStale), string(model.FreshNever)}
)

// closed is v when it is one of the values, else "Unknown": agents say what it is.
func closed(v string, values []string) string {
	for _, known := range values {
		if v == known {
			return v
		}
	}
	return "Unknown"
}
