package reconcile

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// RunObserver counts. Its methods must not block.
type RunObserver interface {
	// RunEnded: a run has ended. trigger is automated, operation or heal; result is
	// succeeded, failed or interrupted.
	RunEnded(trigger, result string, took time.Duration)
}

// The triggers and results of runs.
const (
	triggerAutomated = "automated"
	triggerOperation = "operation"
	triggerHeal      = "heal"

	resultSucceeded   = "succeeded"
	resultFailed      = "failed"
	resultInterrupted = "interrupted"
)

// traced is a run that brought about what a trace is about, whose success is not
// seen yet.
type traced struct {
	at         trace.SpanContext // of the run
	generation model.Generation
	ended      time.Time
}

// Spans of this package, each in the trace of what led to it: "agent.accept" until
// a desired state is durable, "agent.sync" for a run with "agent.apply" in it, and
// "agent.healthy" from the end of the run until the application is seen Synced and
// Healthy. Only what the hub has traced is traced here.
func (e *Engine) spanOf(ctx context.Context, parent, name, app string, generation model.Generation) (context.Context, trace.Span) {
	if parent == "" {
		return ctx, trace.SpanFromContext(context.Background()) // goes nowhere
	}
	ctx, span := e.o.Tracer.Start(tracing.Within(ctx, parent), name)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("application", app), attribute.Int64("generation", int64(generation)))
	}
	return ctx, span
}

// spanWithin is a span of what a traced run does.
func (e *Engine) spanWithin(ctx context.Context, name string) (context.Context, trace.Span) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, trace.SpanFromContext(context.Background())
	}
	return e.o.Tracer.Start(ctx, name)
}

// endWith ends a span, with the code of an error: messages may quote manifests.
func endWith(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, fault.As(err).Code)
	}
	span.End()
}

func (at *attempt) trigger() string {
	switch {
	case !at.automated:
		return triggerOperation
	case at.selected != nil:
		return triggerHeal
	}
	return triggerAutomated
}

// watch measures and traces a run; end is called once, when it is over.
func (at *attempt) watch(ctx context.Context) (_ context.Context, end func(error)) {
	e, d, start := at.engine, at.s.desired, at.engine.now()
	trigger, parent := at.trigger(), d.TraceParent
	switch {
	case trigger == triggerHeal:
		parent = "" // nobody asked for it
	case trigger == triggerOperation && at.s.op != nil && at.s.op.Spec.TraceParent != "":
		parent = at.s.op.Spec.TraceParent
	}
	ctx, span := e.spanOf(ctx, parent, "agent.sync", d.Name, d.Generation)
	return ctx, func(err error) {
		result := resultSucceeded
		failed, _ := at.verdict()
		switch {
		case err != nil:
			result = resultInterrupted
		case failed:
			result = resultFailed
		}
		if e.o.Runs != nil {
			e.o.Runs.RunEnded(trigger, result, e.now().Sub(start))
		}
		if span.IsRecording() {
			span.SetAttributes(attribute.String("trigger", trigger), attribute.String("result", result))
		}
		if failed && err == nil {
			span.SetStatus(codes.Error, resultFailed)
		}
		endWith(span, err)
		if sc := span.SpanContext(); sc.IsSampled() && result == resultSucceeded && !at.dryRun {
			at.app.mu.Lock()
			at.app.traced = &traced{at: sc, generation: d.Generation, ended: e.now()}
			at.app.mu.Unlock()
		}
	}
}

// arrived has the next report carry on a trace whose end st shows. a.mu is held.
func (e *Engine) arrived(a *app, name string, st model.AppStatus) {
	t := a.traced
	if t == nil || st.Generation < t.generation || st.Sync.Status != model.SyncSynced || st.Health.Status != model.HealthHealthy {
		return
	}
	a.traced = nil
	ctx, span := e.o.Tracer.Start(tracing.At(context.Background(), t.at), "agent.healthy", trace.WithTimestamp(t.ended))
	if span.IsRecording() {
		span.SetAttributes(attribute.String("application", name), attribute.Int64("generation", int64(st.Generation)))
	}
	a.carried = tracing.Parent(ctx)
	span.End(trace.WithTimestamp(e.now()))
}

// Trace hands out, once, the place in a trace that the application's next report
// carries on; "" for none.
func (e *Engine) Trace(uid model.AppUID) string {
	e.mu.Lock()
	a := e.apps[uid]
	e.mu.Unlock()
	if a == nil {
		return ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	carried := a.carried
	a.carried = ""
	return carried
}

// Waiting is the number of applications that are ready to be worked on.
func (e *Engine) Waiting() int {
	e.queue.mu.Lock()
	defer e.queue.mu.Unlock()
	return len(e.queue.ready)
}
