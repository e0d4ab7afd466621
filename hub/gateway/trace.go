package gateway

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// sending is a span of sending something that is traced, and the place that the
// agent goes on from. Nothing is made of what is not traced.
func (s *session) sending(ctx context.Context, name, parent string) (trace.Span, string) {
	if parent == "" {
		return nil, ""
	}
	ctx, span := s.g.opts.Tracer.Start(tracing.Within(ctx, parent), name)
	if !span.IsRecording() { // this hub does not collect, the agent may
		return nil, parent
	}
	span.SetAttributes(attribute.String("cluster.id", string(s.cluster)))
	return span, tracing.Parent(ctx)
}
