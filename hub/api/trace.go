package api

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// headerTrace is the W3C header of the trace that a caller is in.
const headerTrace = "Traceparent"

// traced makes the span of a request: of each that changes something, and of those
// that are in a trace of the caller. Reads begin no traces of their own, or there
// would be nothing else.
func (a *api) traced(c *gin.Context) {
	parent := tracing.Parse(c.GetHeader(headerTrace))
	reads := c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead
	if c.FullPath() == "" || reads && !parent.IsValid() {
		return
	}
	ctx, span := a.opts.Tracer.Start(tracing.At(c.Request.Context(), parent), c.Request.Method+" "+c.FullPath(), trace.WithSpanKind(trace.SpanKindServer))
	if !span.IsRecording() {
		return // nobody collects, or not this one
	}
	defer span.End()
	span.SetAttributes(attribute.String("http.request.method", c.Request.Method), attribute.String("http.route", c.FullPath()), attribute.String("request", requestID(c)))
	c.Request = c.Request.WithContext(ctx)
	c.Next()
	span.SetAttributes(attribute.Int("http.response.status_code", c.Writer.Status()))
	if last := c.Errors.Last(); last != nil && c.Writer.Status() >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, fault.As(last.Err).Code)
	}
}

// written has applications looked at anew, in the trace of ctx.
func (a *api) written(ctx context.Context, uids ...model.AppUID) {
	type inTrace interface {
		ApplicationsWrittenIn(ctx context.Context, apps ...model.AppUID)
	}
	if d, ok := a.opts.Delivery.(inTrace); ok {
		d.ApplicationsWrittenIn(ctx, uids...)
		return
	}
	a.opts.Delivery.ApplicationsWritten(uids...)
}
