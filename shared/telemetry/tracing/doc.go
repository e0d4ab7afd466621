// Package tracing is what hub and agent need to follow one change through both:
// the text in which a place in a trace travels and is stored (W3C trace context,
// "traceparent"), a tracer that costs nothing while nobody collects, and the trace
// id in log lines. Where spans go is decided in shared/telemetry/otlp; packages
// that make spans know only the API.
package tracing
