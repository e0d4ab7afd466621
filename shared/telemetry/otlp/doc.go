// Package otlp sends spans to a collector (OpenTelemetry, OTLP over HTTP or gRPC).
// It is off, and costs nothing, unless the standard environment names an endpoint.
// The programs' main parts call it; everything else makes spans through a tracer
// that it is handed, see shared/telemetry/tracing.
package otlp
