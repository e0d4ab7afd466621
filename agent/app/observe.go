package app

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/agent/metrics"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/lifecycle"
	"github.com/hawser-dev/hawser/shared/telemetry"
	"github.com/hawser-dev/hawser/shared/telemetry/exposition"
	"github.com/hawser-dev/hawser/shared/telemetry/otlp"
	"github.com/hawser-dev/hawser/shared/telemetry/probe"
)

// instruments outlive the agents of one process: it starts over when another
// takes the Lease, and its counters go on.
type instruments struct {
	metrics *metrics.Set
	spans   *otlp.Provider
	tracer  trace.Tracer
	// What the agent that runs now has made so far; nil between two.
	lease   atomic.Pointer[journal.Lease]
	journal atomic.Pointer[journal.Store]
	link    atomic.Pointer[link.Link]
}

// parts of the process: listeners and spans, which are there before the first
// agent and after the last.
func (i *instruments) parts(cfg Config, log *slog.Logger) []lifecycle.Part {
	exposed := &exposition.Server{Flag: "--metrics-listen", Address: cfg.MetricsListen, Handler: i.metrics.Handler(log), Log: log}
	probes := &exposition.Server{Flag: "--health-listen", Address: cfg.HealthListen, Handler: i.probes(), Log: log}
	return []lifecycle.Part{
		{Name: "spans", Stop: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			return i.spans.Shutdown(ctx)
		}},
		{Name: "metrics", Start: exposed.Start, Run: exposed.Run},
		{Name: "probes", Start: probes.Start, Run: probes.Run},
	}
}

func newInstruments(ctx context.Context, log *slog.Logger) (*instruments, error) {
	spans, err := otlp.Start(ctx, "hawser-agent", telemetry.Version, log)
	if err != nil {
		return nil, err
	}
	return &instruments{metrics: metrics.New(telemetry.Version), spans: spans, tracer: spans.Tracer()}, nil
}

// probes answer the kubelet. Live is who answers; ready is who holds the Lease and
// has a journal. The hub is told of and not required: an agent works alone.
func (i *instruments) probes() http.Handler {
	return probe.Handler(
		probe.Check{Name: "lease", Required: true, Ask: func(context.Context) error {
			if l := i.lease.Load(); l != nil {
				return l.Held()
			}
			return fault.New(fault.Unavailable, "starting", "the API server has not answered yet")
		}},
		probe.Check{Name: "journal", Required: true, Ask: func(context.Context) error {
			if j := i.journal.Load(); j != nil {
				return j.Err()
			}
			return fault.New(fault.Unavailable, "starting", "it is not read yet")
		}},
		probe.Check{Name: "hub", Ask: func(context.Context) error {
			if l := i.link.Load(); l == nil || !l.Status().Connected {
				return fault.New(fault.Unavailable, "hub_away", "no session is open")
			}
			return nil
		}},
	)
}

// forget is the end of an agent.
func (i *instruments) forget() {
	i.lease.Store(nil)
	i.journal.Store(nil)
	i.link.Store(nil)
}

// watch tells what exists of an agent whose parts are all made.
func (i *instruments) watch(a *agent) {
	i.link.Store(a.link)
	i.metrics.Watch(metrics.Sources{
		Connected:    func() bool { return a.link.Status().Connected },
		Leading:      func() bool { return a.lease.Held() == nil },
		Applications: func() int { return len(a.engine.Apps()) },
		Waiting:      a.engine.Waiting,
		Certificate:  a.link.CertificateEnd,
		Observed:     func() metrics.Observed { return metrics.Observed(a.observer.Size()) },
		ObservedAt:   a.observer.ObservedAt,
		Orphaned:     a.orphans.Total,
		Throttled:    func() int { n, _ := a.engine.Throttled(); return n },
		Journal: func() metrics.Journal {
			st := a.journal.Stats()
			return metrics.Journal{Requests: st.Requests, Writes: st.Writes, WriteBytes: st.WriteBytes, StoredBytes: st.StoredBytes}
		},
	})
}
