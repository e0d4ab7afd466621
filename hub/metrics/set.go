package metrics

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/exposition"
)

// Set is the hub's metrics. Its methods are safe for concurrent use, do not block
// and cost a few hundred nanoseconds.
type Set struct {
	registry *prometheus.Registry
	now      func() time.Time

	requests     *prometheus.HistogramVec
	denied       *prometheus.CounterVec
	reasons      *exposition.Bounded
	routes       *exposition.Bounded
	listeners    prometheus.Gauge
	resets       prometheus.Counter
	webhooks     *prometheus.CounterVec
	git          *prometheus.CounterVec
	gitDuration  prometheus.Histogram
	renders      *prometheus.CounterVec
	render       *prometheus.HistogramVec
	gitToHealthy prometheus.Histogram
	lag          prometheus.Histogram
	reports      *prometheus.CounterVec
	stored       prometheus.Histogram
	syncs        *prometheus.CounterVec
	sync         *prometheus.HistogramVec
	sessions     prometheus.Counter
	reconnects   prometheus.Counter
	tunnel       *prometheus.CounterVec
	sent, taken  prometheus.Counter // of tunnel
	rtt          prometheus.Histogram
	refused      *prometheus.CounterVec
	auditFailed  prometheus.Counter
	purged       *prometheus.CounterVec
	exports      *exports
	scrapeErrors *prometheus.CounterVec
	cache        *prometheus.CounterVec
	cacheBytes   *prometheus.CounterVec

	mu sync.Mutex
	// waiting are desired states that came of a commit and are not yet healthy; it
	// is bounded by what exists.
	waiting map[model.AppUID]waiting
	// ended are the operations that were counted last, so that what is said again
	// counts once.
	ended endedRing
}

// waiting is a desired state that came of a commit.
type waiting struct {
	generation model.Generation
	seen       time.Time
}

// Histograms need no more buckets than somebody looks at.
var renderSeconds = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// New makes a Set. Until Watch it tells only what happens.
func New(version string, now func() time.Time) *Set {
	if now == nil {
		now = time.Now
	}
	r := exposition.NewRegistry("hub", version)
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		r.MustRegister(h)
		return h
	}
	histograms := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		r.MustRegister(h)
		return h
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		r.MustRegister(g)
		return g
	}
	s := &Set{
		registry: r, now: now, reasons: exposition.NewBounded(200), routes: exposition.NewBounded(300), waiting: map[model.AppUID]waiting{},

		requests:     histograms("hawser_api_request_duration_seconds", "Time to answer a request of the API. Streams (events, logs, commands) are not in it.", exposition.Seconds, "method", "route", "status"),
		denied:       counters("hawser_authz_denied_total", "Requests of the API that were refused as not logged in or not permitted, by the code of the problem.", "reason"),
		listeners:    gauge("hawser_event_stream_listeners", "Event streams that are open."),
		resets:       counter("hawser_event_stream_resets_total", "Times that a listener of the event stream was too slow, or came back too late, and was told to read everything anew."),
		webhooks:     counters("hawser_webhook_requests_total", "Requests of Git servers, by what became of them: accepted, refused or limited.", "result"),
		git:          counters("hawser_git_requests_total", "Looks at a repository, by result: ok, or the kind of the error.", "result"),
		gitDuration:  histogram("hawser_git_request_duration_seconds", "Time of one look at a repository: asking for its revisions and fetching what is new.", exposition.LongSeconds),
		renders:      counters("hawser_render_total", "Renders asked for, by result: rendered, unchanged (nothing that it depends on has changed, so nothing was rendered) or failed.", "result"),
		render:       histograms("hawser_render_duration_seconds", "Time of one render, waiting for a free worker included. Unchanged ones are in it.", renderSeconds, "result"),
		gitToHealthy: histogram("hawser_git_to_healthy_seconds", "Time from when the hub learnt of a commit until its application was reported Synced and Healthy at it.", exposition.LongSeconds),
		lag:          histogram("hawser_observation_lag_seconds", "Age of an agent's observation when it was stored.", exposition.Seconds),
		reports:      counters("hawser_reports_total", "Reports of agents, by result: stored, or dropped because the database refuses them.", "result"),
		stored:       histogram("hawser_report_write_duration_seconds", "Time to write one batch of reports.", exposition.Seconds),
		syncs:        counters("hawser_sync_total", "Sync operations that people asked for and that have ended, by result. What agents sync by themselves they count: hawser_agent_sync_total.", "result"),
		sync:         histograms("hawser_sync_duration_seconds", "Time from asking for a sync to its end.", exposition.LongSeconds, "result"),
		sessions:     counter("hawser_agent_sessions_total", "Sessions that agents have opened."),
		reconnects:   counter("hawser_tunnel_reconnects_total", "Sessions of agents whose cluster had one before since this hub started."),
		tunnel:       counters("hawser_tunnel_bytes_total", "Bytes through the access tunnels (live objects, logs, commands): sent to agents, received from them.", "direction"),
		refused:      counters("hawser_agent_refused_total", "Connections, calls and messages at the agents' port that were refused or held up, by the code of the log line: of strangers, and of agents that do not keep to the rules.", "reason"),
		auditFailed:  counter("hawser_audit_failures_total", "Times that audit records could not be stored. Meanwhile no command is carried out, and records of what was done wait in the memory of the hub."),
		purged:       counters("hawser_expired_removed_total", "Sessions and tokens that were removed from the database because they had expired: session, api_token, role_token or enrolment_token.", "kind"),
		rtt:          histogram("hawser_agent_rtt_seconds", "Time from an agent's heartbeat to the hub's answer, as agents measure it.", exposition.Seconds),
		cache:        counters("hawser_cache_requests_total", "Looks into a cache, by the kind of what was looked for (manifests, renders, trees, pages, sessions), by the store (memory, redis), and by result: hit, miss, error (no answer in time, or not asked because of that) or tampered (not what a hub had put there).", "cache", "store", "result"),
		cacheBytes:   counters("hawser_cache_bytes_total", "Bytes of values that were read from a cache or written to it.", "store", "direction"),
		scrapeErrors: counters("hawser_scrape_errors_total", "Times that something that is read for a scrape could not be; its metrics were left out.", "source"),
	}
	s.exports = newExports(now)
	r.MustRegister(s.exports)
	s.sent, s.taken = s.tunnel.WithLabelValues("sent"), s.tunnel.WithLabelValues("received")
	for _, result := range []string{"rendered", "unchanged", "failed"} {
		s.renders.WithLabelValues(result)
	}
	s.git.WithLabelValues("ok")
	// Alerts need the zeros: what begins with a 1 has not increased.
	s.refused.WithLabelValues("duplicate_identity")
	for _, source := range []string{"applications", "clusters"} {
		s.scrapeErrors.WithLabelValues(source)
	}
	for _, kind := range []string{"manifests", "renders", "sessions"} {
		s.cache.WithLabelValues(kind, "redis", "tampered")
	}
	return s
}

// Registry is for tests and for the page of all metrics.
func (s *Set) Registry() *prometheus.Registry { return s.registry }

// AuditFailed is told by hub/audit when records cannot be stored.
func (s *Set) AuditFailed() { s.auditFailed.Inc() }

// Purged counts what the hub's upkeep has removed.
func (s *Set) Purged(p fleet.Purged) {
	for kind, n := range map[string]int{"session": p.Sessions, "api_token": p.APITokens, "role_token": p.RoleTokens, "enrolment_token": p.EnrolmentTokens} {
		s.purged.WithLabelValues(kind).Add(float64(n))
	}
}

// Handler serves /metrics.
func (s *Set) Handler(log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", exposition.Handler(s.registry, log))
	return mux
}

// Request is told by hub/api of each request that was answered. route is the
// pattern of the route, "" for none.
func (s *Set) Request(method, route string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default: // strangers choose it
		method = exposition.Other
	}
	if route == "" {
		route = "unknown"
	}
	class := strconv.Itoa(min(max(status, 100), 599)/100) + "xx"
	s.requests.WithLabelValues(method, s.routes.Value(route), class).Observe(took.Seconds())
}

// Denied is told by hub/api of each refusal.
func (s *Set) Denied(code string) { s.denied.WithLabelValues(s.reasons.Value(code)).Inc() }

// StreamOpened, StreamClosed and StreamReset are told by hub/api of event streams.
func (s *Set) StreamOpened() { s.listeners.Inc() }

// StreamClosed is the end of one.
func (s *Set) StreamClosed() { s.listeners.Dec() }

// StreamReset is a listener that has missed events.
func (s *Set) StreamReset() { s.resets.Inc() }

// Webhook is told of the answer to a Git server.
func (s *Set) Webhook(status int) {
	result := "refused"
	switch {
	case status < 300:
		result = "accepted"
	case status == http.StatusTooManyRequests:
		result = "limited"
	case status >= 500:
		result = "failed"
	}
	s.webhooks.WithLabelValues(result).Inc()
}

// Looked is told of each look at a repository.
func (s *Set) Looked(took time.Duration, err error) {
	s.git.WithLabelValues(resultOf(err)).Inc()
	s.gitDuration.Observe(took.Seconds())
}

func resultOf(err error) string {
	if err == nil {
		return "ok"
	}
	return string(fault.As(err).Kind) // a closed set
}

// Rendered is told of each render.
func (s *Set) Rendered(took time.Duration, unchanged bool, err error) {
	result := "rendered"
	switch {
	case err != nil:
		result = "failed"
	case unchanged:
		result = "unchanged"
	}
	s.renders.WithLabelValues(result).Inc()
	s.render.WithLabelValues(result).Observe(took.Seconds())
}

// Delivered is told by hub/delivery of each new generation that came of a commit
// which the hub saw at the time seen.
func (s *Set) Delivered(app model.AppUID, generation model.Generation, seen time.Time) {
	if seen.IsZero() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.waiting[app]; ok && old.generation < generation {
		delete(s.waiting, app) // it was overtaken, and never got there
	}
	if len(s.waiting) < MaxApplications {
		s.waiting[app] = waiting{generation, seen}
	}
}

// Stored is told by hub/ingest of each batch that was written.
func (s *Set) Stored(reports []fleet.Report, took time.Duration) {
	now := s.now()
	s.stored.Observe(took.Seconds())
	s.reports.WithLabelValues("stored").Add(float64(len(reports)))
	for i := range reports {
		s.lag.Observe(max(0, now.Sub(reports[i].ObservedAt).Seconds()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return
	}
	for i := range reports {
		r := &reports[i]
		w, ok := s.waiting[r.App]
		if !ok || r.Generation < w.generation || r.Status.Sync.Status != model.SyncSynced || r.Status.Health.Status != model.HealthHealthy {
			continue
		}
		delete(s.waiting, r.App)
		if r.Generation == w.generation {
			s.gitToHealthy.Observe(max(0, r.ObservedAt.Sub(w.seen).Seconds()))
		}
	}
}

// Dropped is told by hub/ingest of reports that the database refuses for good.
func (s *Set) Dropped(n int) { s.reports.WithLabelValues("dropped").Add(float64(n)) }

// Operations is told of operations as they are after a change.
func (s *Set) Operations(ops []model.OperationInfo) {
	for i := range ops {
		op := &ops[i]
		if op.Kind != model.OperationSync || !op.Phase.Terminal() {
			continue
		}
		s.mu.Lock()
		again := !s.ended.add(op.ID)
		s.mu.Unlock()
		if again {
			continue
		}
		result := lower(op.Phase)
		s.syncs.WithLabelValues(result).Inc()
		if op.CreatedAt != nil && op.FinishedAt != nil {
			s.sync.WithLabelValues(result).Observe(max(0, op.FinishedAt.Sub(*op.CreatedAt).Seconds()))
		}
	}
}

func lower(p model.OperationPhase) string {
	switch p {
	case model.PhaseSucceeded:
		return "succeeded"
	case model.PhaseFailed:
		return "failed"
	case model.PhaseSuperseded:
		return "superseded"
	case model.PhaseExpired:
		return "expired"
	case model.PhaseTerminated:
		return "terminated"
	}
	return exposition.Other
}

// SessionOpened is told by hub/gateway of each welcomed session; again: its
// cluster had one before.
func (s *Set) SessionOpened(again bool) {
	s.sessions.Inc()
	if again {
		s.reconnects.Inc()
	}
}

// RoundTrip is what an agent measured between a heartbeat and its answer.
func (s *Set) RoundTrip(d time.Duration) { s.rtt.Observe(d.Seconds()) }

// Refused is told by hub/gateway of what it refuses at the agents' port.
func (s *Set) Refused(code string) { s.refused.WithLabelValues(s.reasons.Value(code)).Inc() }

// ScrapeFailed counts that something could not be read for a scrape.
func (s *Set) ScrapeFailed(source string) { s.scrapeErrors.WithLabelValues(source).Inc() }

// Sent and Received count bytes of access tunnels.
func (s *Set) Sent(n int) { s.sent.Add(float64(n)) }

// Received counts the other direction.
func (s *Set) Received(n int) { s.taken.Add(float64(n)) }

// endedRing remembers the newest ids.
type endedRing struct {
	ids  map[model.OperationID]bool
	ring [4096]model.OperationID
	next int
}

// add reports whether id is new.
func (r *endedRing) add(id model.OperationID) bool {
	if r.ids[id] {
		return false
	}
	if r.ids == nil {
		r.ids = map[model.OperationID]bool{}
	}
	delete(r.ids, r.ring[r.next])
	r.ring[r.next] = id
	r.next = (r.next + 1) % len(r.ring)
	r.ids[id] = true
	return true
}
