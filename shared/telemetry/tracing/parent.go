package tracing

import (
	"context"
	"encoding/hex"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// parentLen is that of "00-<32 hexadecimal digits>-<16>-<2>".
const parentLen = 55

// Parent is the place in a trace that ctx is at, as it travels; "" when there is
// none, or nobody collects it.
func Parent(ctx context.Context) string {
	return Format(trace.SpanContextFromContext(ctx))
}

// Format is Parent of a span context.
func Format(sc trace.SpanContext) string {
	if !sc.IsValid() || !sc.IsSampled() {
		return ""
	}
	b := make([]byte, 0, parentLen)
	traceID, spanID := sc.TraceID(), sc.SpanID()
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, traceID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, spanID[:])
	return string(append(b, "-01"...))
}

// Parse reads what Parent wrote, or what a client sent in its header of that name.
// Anything else is the zero value, never an error: a trace decides nothing.
func Parse(s string) trace.SpanContext {
	if len(s) < parentLen || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" || s[:2] == "00" && len(s) != parentLen {
		return trace.SpanContext{}
	}
	traceID, err := trace.TraceIDFromHex(s[3:35])
	if err != nil {
		return trace.SpanContext{}
	}
	spanID, err := trace.SpanIDFromHex(s[36:52])
	if err != nil {
		return trace.SpanContext{}
	}
	var flags [1]byte
	if _, err := hex.Decode(flags[:], []byte(s[53:55])); err != nil {
		return trace.SpanContext{}
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true})
}

// Within is ctx at the place that Parent wrote; ctx itself when it wrote nothing.
func Within(ctx context.Context, parent string) context.Context {
	if parent == "" {
		return ctx
	}
	return At(ctx, Parse(parent))
}

// At is ctx at a place in a trace; ctx itself for none.
func At(ctx context.Context, sc trace.SpanContext) context.Context {
	if !sc.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, sc)
}

// ID is the trace that ctx is in, as people look for it; "" for none.
func ID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() && sc.IsSampled() {
		return sc.TraceID().String()
	}
	return ""
}

// Off is a tracer whose spans go nowhere.
func Off() trace.Tracer { return noop.NewTracerProvider().Tracer("") }

// Or is t, or Off when it is nil.
func Or(t trace.Tracer) trace.Tracer {
	if t == nil {
		return Off()
	}
	return t
}
