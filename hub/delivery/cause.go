package delivery

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// cause is what made an application be looked at.
type cause struct {
	// trace is the place in the trace of whatever it was; invalid for none.
	trace trace.SpanContext
	// seen is when the hub learnt that the repository had moved, zero when it was
	// something else.
	seen time.Time
}

// and is the cause of a look for which there are two: the trace is that of the
// newest, the time that of the first commit.
func (c cause) and(newer cause) cause {
	if newer.trace.IsValid() {
		c.trace = newer.trace
	}
	if c.seen.IsZero() {
		c.seen = newer.seen
	}
	return c
}

func causeOf(ctx context.Context) cause { return cause{trace: trace.SpanContextFromContext(ctx)} }

// Spans of this package: "deliver" is a look at one application that came to
// something, with "policy" and "desired.write" in it, and the renders that the
// Renderer traces. A span that is not ended is not told, which is what becomes of
// looks that come to nothing.
func (d *Delivery) span(ctx context.Context, app fleet.App) (context.Context, trace.Span) {
	ctx, span := d.Tracer.Start(ctx, "deliver")
	if span.IsRecording() {
		span.SetAttributes(attribute.String("application", app.Name), attribute.String("project", app.Project), attribute.String("cluster", app.ClusterName))
	}
	return ctx, span
}

// end ends the span of an outcome, with its error if it has one.
func (o outcome) end(err error) {
	if o.span == nil || !o.span.IsRecording() {
		return
	}
	switch {
	case err != nil:
		failed(o.span, err)
	case o.state != nil && o.state.Error != nil:
		o.span.SetStatus(codes.Error, o.state.Error.Code)
	case o.change != nil && o.change.Source.Error != nil:
		o.span.SetStatus(codes.Error, o.change.Source.Error.Code)
	}
	o.span.End()
}

// failed marks a span with the code of an error: messages may quote what is in a
// repository.
func failed(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, fault.As(err).Code)
	}
}

// writing starts the span of writing what is desired, and has its place stored
// with it.
func (d *Delivery) writing(ctx context.Context, o outcome) trace.Span {
	if o.span == nil || !o.span.IsRecording() {
		return nil
	}
	ctx, span := d.Tracer.Start(trace.ContextWithSpan(ctx, o.span), "desired.write")
	o.change.Desired.TraceParent = tracing.Parent(ctx)
	return span
}
