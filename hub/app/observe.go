package app

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/hub/delivery"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/metrics"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/exposition"
	"github.com/hawser-dev/hawser/shared/telemetry/probe"
)

// This file joins what is measured and traced to the packages that do it.

// startMetrics adds what exists to the metrics, when all of it is made, and opens
// the listener.
func (h *hub) startMetrics(ctx context.Context) error {
	h.metrics.Watch(metrics.Sources{
		Applications: h.measuredApplications,
		Clusters:     h.inventory.EachCluster,
		Most:         h.cfg.MetricsApplications,
		Labels:       h.cfg.MetricsAppLabels,
		Certificates: h.certificates,
		Queues: map[string]func() int{
			"reports":      h.ingest.Waiting,
			"applications": h.delivery.Waiting,
		},
		Pool:    func() metrics.Pool { return metrics.Pool(h.store.Pool()) },
		Workers: h.render.Workers,
	})
	h.exposed = &exposition.Server{Flag: "--metrics-listen", Address: h.cfg.MetricsListen, Handler: h.metrics.Handler(h.log), Log: h.log}
	return h.exposed.Start(ctx)
}

// stopSpans sends what is left; it is the last part to stop.
func (h *hub) stopSpans(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return h.spans.Shutdown(ctx)
}

// checks are what the hub needs to be ready. The database is asked by the API.
func (h *hub) checks() []probe.Check {
	checks := []probe.Check{
		{Name: "database", Required: true, Ask: h.store.Ping},
		{Name: "authority", Required: true, Ask: func(context.Context) error {
			if now := time.Now(); now.After(h.ca.Certificate().NotAfter) {
				return fault.New(fault.Precondition, "certificate_expired", "the hub's own authority has ended")
			}
			return nil
		}},
		{Name: "render", Required: true, Ask: func(context.Context) error { return h.render.Err() }},
		{Name: "gateway", Required: true, Ask: func(context.Context) error { return h.gateway.Err() }},
	}
	if h.caches.shared != nil { // without it everything works, but slower
		checks = append(checks, probe.Check{Name: "cache", Ask: h.caches.shared.Ping})
	}
	return checks
}

// measuredApplications are all, by name, from memory.
func (h *hub) measuredApplications(tell func(*metrics.Application)) error {
	return h.inventory.EachApplication(func(row *fleet.AppRow, fresh model.Freshness) {
		tell(&metrics.Application{
			Name: row.Name, Project: row.Project, Cluster: row.Cluster, Sync: row.Sync, Health: row.Health.Status,
			Freshness: fresh, Conditions: row.Conditions, Labels: row.Labels,
		})
	})
}

// certificates are the hub's own. Those that it makes from its authority renew
// themselves; the authority and a file do not.
func (h *hub) certificates() map[string]time.Time {
	out := map[string]time.Time{"ca": h.ca.Certificate().NotAfter}
	if end := h.webCertificateEnd; !end.IsZero() {
		out["web"] = end
	}
	return out
}

// measuredResolver times looks at repositories.
type measuredResolver struct {
	source.Resolver
	metrics *metrics.Set
}

func (m measuredResolver) Resolve(ctx context.Context, repoURL string, targets []fleet.Target) (map[fleet.Target]source.Resolved, error) {
	start := time.Now()
	out, err := m.Resolver.Resolve(ctx, repoURL, targets)
	if ctx.Err() == nil || err == nil { // a hub that stops says nothing of a repository
		m.metrics.Looked(time.Since(start), err)
	}
	return out, err
}

// measuredRenderer times and traces renders.
type measuredRenderer struct {
	delivery.Renderer
	metrics *metrics.Set
	tracer  trace.Tracer
}

func (m measuredRenderer) Render(ctx context.Context, req delivery.RenderRequest) (delivery.Rendered, error) {
	start := time.Now()
	ctx, span := m.tracer.Start(ctx, "render")
	out, err := m.Renderer.Render(ctx, req)
	m.metrics.Rendered(time.Since(start), out.Unchanged, err)
	switch {
	case out.Unchanged: // a span that is not ended is not told: nothing was done
		return out, err
	case err != nil:
		span.SetStatus(codes.Error, fault.As(err).Code)
	case span.IsRecording():
		span.SetAttributes(attribute.Int("objects", len(out.Objects)), attribute.String("revision", out.Revision.Commit))
	}
	span.End()
	return out, err
}

// measuredWebhook counts answers to Git servers.
func (h *hub) measuredWebhook(hook http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		hook.ServeHTTP(seen, r)
		h.metrics.Webhook(seen.status)
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
