package metrics

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-dev/hawser/shared/telemetry/exposition"
)

// Set is an agent's metrics. Its methods are safe for concurrent use and do not
// block.
type Set struct {
	registry *prometheus.Registry
	from     atomic.Pointer[Sources]

	syncs      *prometheus.CounterVec
	sync       *prometheus.HistogramVec
	requests   *prometheus.CounterVec
	rtt        prometheus.Histogram
	sessions   prometheus.Counter
	reconnects prometheus.Counter
	tunnel     *prometheus.CounterVec
	sent, got  prometheus.Counter
	opened     atomic.Bool
}

// Sources is what is read for a scrape; nil fields are not told.
type Sources struct {
	// Connected: a session with the hub is open. Leading: the agent holds the
	// cluster's Lease.
	Connected, Leading func() bool
	// Applications that the agent holds, and Waiting to be worked on.
	Applications, Waiting func() int
	// Certificate is when the agent's own ends; zero when it has none.
	Certificate func() time.Time
	// Throttled is how often the API server has refused or failed writes, lately.
	Throttled func() int
	Journal   func() Journal
	// Observed is what the agent sees of its cluster, and ObservedAt until when that
	// held; zero is not told.
	Observed   func() Observed
	ObservedAt func() time.Time
	// Orphaned is how many objects no application owns; false when nobody asks.
	Orphaned func() (int, bool)
}

// Observed is how much of the cluster is observed.
type Observed struct {
	// Kinds by state, of a closed set.
	Kinds   map[string]int
	Objects int
	News    int64
}

// Journal is what the agent keeps in its cluster.
type Journal struct {
	Requests, Writes, WriteBytes, StoredBytes int64
}

// New makes a Set. Until Watch it tells only what happens.
func New(version string) *Set {
	r := exposition.NewRegistry("agent", version)
	s := &Set{
		registry: r,
		syncs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hawser_agent_sync_total",
			Help: "Runs of a sync that have ended, by what began them (automated, operation or heal) and result (succeeded, failed or interrupted)."}, []string{"trigger", "result"}),
		sync: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "hawser_agent_sync_duration_seconds",
			Help: "Time of one run of a sync, with its waves and hooks.", Buckets: exposition.LongSeconds}, []string{"trigger"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hawser_agent_kube_requests_total",
			Help: "Requests to the API server, by verb and status code; code is \"error\" when there was no answer."}, []string{"verb", "code"}),
		rtt: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "hawser_agent_rtt_seconds",
			Help: "Time from an agent's heartbeat to the hub's answer, as agents measure it.", Buckets: exposition.Seconds}),
		sessions: prometheus.NewCounter(prometheus.CounterOpts{Name: "hawser_agent_sessions_total", Help: "Sessions that agents have opened."}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{Name: "hawser_tunnel_reconnects_total",
			Help: "Sessions after the first since this program started."}),
		tunnel: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "hawser_tunnel_bytes_total",
			Help: "Bytes through the access tunnel (live objects, logs, commands): sent to the hub, received from it."}, []string{"direction"}),
	}
	s.sent, s.got = s.tunnel.WithLabelValues("sent"), s.tunnel.WithLabelValues("received")
	r.MustRegister(s.syncs, s.sync, s.requests, s.rtt, s.sessions, s.reconnects, s.tunnel, &collector{s})
	return s
}

// Watch replaces what is read for scrapes.
func (s *Set) Watch(from Sources) { s.from.Store(&from) }

// Registry is for tests and for the page of all metrics.
func (s *Set) Registry() *prometheus.Registry { return s.registry }

// Handler serves /metrics.
func (s *Set) Handler(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", exposition.Handler(s.registry, log))
	return mux
}

// RunEnded is told by agent/reconcile of each run that has ended; both words are of
// closed sets.
func (s *Set) RunEnded(trigger, result string, took time.Duration) {
	s.syncs.WithLabelValues(trigger, result).Inc()
	s.sync.WithLabelValues(trigger).Observe(took.Seconds())
}

// SessionOpened is told by agent/link of each welcomed session.
func (s *Set) SessionOpened() {
	s.sessions.Inc()
	if s.opened.Swap(true) {
		s.reconnects.Inc()
	}
}

// RoundTrip is told by agent/link of each heartbeat that was answered.
func (s *Set) RoundTrip(d time.Duration) { s.rtt.Observe(d.Seconds()) }

// Sent and Received count bytes of the access tunnel.
func (s *Set) Sent(n int) { s.sent.Add(float64(n)) }

// Received counts the other direction.
func (s *Set) Received(n int) { s.got.Add(float64(n)) }

// Transport counts the requests that go through next.
func (s *Set) Transport(next http.RoundTripper) http.RoundTripper { return counting{next, s.requests} }

type counting struct {
	http.RoundTripper
	requests *prometheus.CounterVec
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.RoundTripper.RoundTrip(r)
	code := "error"
	if err == nil {
		code = strconv.Itoa(min(max(answer.StatusCode, 0), 999))
	}
	c.requests.WithLabelValues(verb(r), code).Inc()
	return answer, err
}

// WrappedRoundTripper is for client-go, which looks for transports below others.
func (c counting) WrappedRoundTripper() http.RoundTripper { return c.RoundTripper }

// verb is what the API server is asked to do; lists count as get.
func verb(r *http.Request) string {
	switch r.Method {
	case http.MethodGet:
		if q := r.URL.Query(); q.Get("watch") == "true" || q.Get("watch") == "1" {
			return "watch"
		}
		return "get"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		if r.Header.Get("Content-Type") == "application/apply-patch+yaml" {
			return "apply"
		}
		return "patch"
	case http.MethodDelete:
		return "delete"
	}
	return exposition.Other
}

var (
	descKinds     = prometheus.NewDesc("hawser_agent_observed_kinds", "Kinds that the agent watches, by what it knows of their objects: live, listing, broken (the watch is lost, and what it shows may be old) or gone (not served).", []string{"state"}, nil)
	descObjects   = prometheus.NewDesc("hawser_agent_observed_objects", "Objects of the cluster that the agent has in memory.", nil, nil)
	descNews      = prometheus.NewDesc("hawser_agent_observed_changes_total", "Changes of objects that watches have brought and that matter to the agent.", nil, nil)
	descAt        = prometheus.NewDesc("hawser_agent_observed_timestamp_seconds", "Until when what the agent knows of its cluster held: now, unless all its watches are broken.", nil, nil)
	descOrphaned  = prometheus.NewDesc("hawser_agent_orphaned_objects", "Objects that no application owns, in the namespaces that a project has them looked for in. None when no project does.", nil, nil)
	descConnected = prometheus.NewDesc("hawser_agent_connected", "1 while a session with the hub is open, else 0.", nil, nil)
	descLeading   = prometheus.NewDesc("hawser_agent_leading", "1 while this agent holds its cluster's Lease, else 0.", nil, nil)
	descApps      = prometheus.NewDesc("hawser_agent_apps", "Applications that the agent holds.", nil, nil)
	descQueue     = prometheus.NewDesc("hawser_agent_queue_depth", "Applications that wait to be worked on.", nil, nil)
	descCert      = prometheus.NewDesc("hawser_cert_expiry_timestamp_seconds", "When the agent's certificate ends. It renews itself at two thirds of its life.", []string{"cert"}, nil)
	descThrottled = prometheus.NewDesc("hawser_agent_kube_throttled", "Writes that the API server has refused or failed because it is too busy, since it was last at ease.", nil, nil)
	descJournalRq = prometheus.NewDesc("hawser_agent_journal_requests_total", "Requests to the API server for the agent's own state.", nil, nil)
	descJournalWr = prometheus.NewDesc("hawser_agent_journal_writes_total", "Writes of the agent's own state.", nil, nil)
	descJournalBy = prometheus.NewDesc("hawser_agent_journal_written_bytes_total", "Bytes written of the agent's own state.", nil, nil)
	descJournalSt = prometheus.NewDesc("hawser_agent_journal_stored_bytes", "Bytes of the agent's own state in the cluster now.", nil, nil)
)

type collector struct{ set *Set }

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descConnected, descLeading, descApps, descQueue, descCert, descThrottled, descJournalRq, descJournalWr, descJournalBy, descJournalSt,
		descKinds, descObjects, descNews, descAt, descOrphaned} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	from := c.set.from.Load()
	if from == nil {
		return
	}
	tell := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	yes := func(d *prometheus.Desc, f func() bool) {
		if f == nil {
			return
		}
		v := 0.0
		if f() {
			v = 1
		}
		tell(d, prometheus.GaugeValue, v)
	}
	number := func(d *prometheus.Desc, f func() int) {
		if f != nil {
			tell(d, prometheus.GaugeValue, float64(f()))
		}
	}
	yes(descConnected, from.Connected)
	yes(descLeading, from.Leading)
	number(descApps, from.Applications)
	number(descQueue, from.Waiting)
	number(descThrottled, from.Throttled)
	if from.Certificate != nil {
		if end := from.Certificate(); !end.IsZero() {
			tell(descCert, prometheus.GaugeValue, float64(end.Unix()), "agent")
		}
	}
	if from.Journal != nil {
		j := from.Journal()
		tell(descJournalRq, prometheus.CounterValue, float64(j.Requests))
		tell(descJournalWr, prometheus.CounterValue, float64(j.Writes))
		tell(descJournalBy, prometheus.CounterValue, float64(j.WriteBytes))
		tell(descJournalSt, prometheus.GaugeValue, float64(j.StoredBytes))
	}
	if from.Observed != nil {
		seen := from.Observed()
		for state, n := range seen.Kinds {
			tell(descKinds, prometheus.GaugeValue, float64(n), state)
		}
		tell(descObjects, prometheus.GaugeValue, float64(seen.Objects))
		tell(descNews, prometheus.CounterValue, float64(seen.News))
	}
	if from.ObservedAt != nil {
		if at := from.ObservedAt(); !at.IsZero() {
			tell(descAt, prometheus.GaugeValue, float64(at.UnixMilli())/1000)
		}
	}
	if from.Orphaned != nil {
		if n, asked := from.Orphaned(); asked {
			tell(descOrphaned, prometheus.GaugeValue, float64(n))
		}
	}
}
