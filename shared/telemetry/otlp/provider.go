package otlp

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// scope names the instrumentation in each span.
const scope = "github.com/hawser-dev/hawser"

// Provider makes the tracer of one program.
type Provider struct {
	sdk *sdk.TracerProvider // nil: off
}

// Start reads the standard environment (OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, _PROTOCOL, _HEADERS, _CERTIFICATE, …,
// OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED). Without an
// endpoint it does nothing. Unless a sampler is named every trace is taken that
// begins here, and of those that begin elsewhere what their beginning decided. It
// does not wait for the collector; what cannot be delivered is dropped and logged.
// service is what the spans are of: "hawser-hub".
func Start(ctx context.Context, service, version string, log *slog.Logger) (*Provider, error) {
	endpoint := first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if endpoint == "" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return &Provider{}, nil
	}
	where, err := url.Parse(endpoint)
	if err != nil || where.Host == "" {
		// The value may hold a password.
		return nil, fault.New(fault.Invalid, "otlp_endpoint_invalid", "the endpoint for traces is not a URL").
			WithField("OTEL_EXPORTER_OTLP_ENDPOINT").WithFix("use http://HOST:4318 for OTLP over HTTP, or http://HOST:4317 with OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	}
	exporter, err := newExporter(ctx)
	if err != nil {
		return nil, err
	}
	res, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", serviceName(service)), attribute.String("service.version", version)))
	if err != nil && res == nil {
		return nil, fault.Wrap(err, fault.Invalid, "otlp_resource_invalid", "the attributes for traces cannot be understood").WithField("OTEL_RESOURCE_ATTRIBUTES")
	}
	// The SDK has one handler for a process.
	otel.SetErrorHandler(&complaints{log: log, secret: endpoint, host: where.Host})
	log.Info("traces are sent", "to", where.Host)
	return &Provider{sdk: sdk.NewTracerProvider(sdk.WithResource(res), sdk.WithBatcher(exporter, sdk.WithBatchTimeout(time.Second)))}, nil
}

func first(names ...string) string {
	for _, n := range names {
		if v := os.Getenv(n); v != "" {
			return v
		}
	}
	return ""
}

func serviceName(def string) string {
	if v := os.Getenv("OTEL_SERVICE_NAME"); v != "" {
		return v
	}
	return def
}

func newExporter(ctx context.Context) (*otlptrace.Exporter, error) {
	protocol := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	var (
		exporter *otlptrace.Exporter
		err      error
	)
	switch protocol {
	case "", "http/protobuf":
		exporter, err = otlptracehttp.New(ctx)
	case "grpc":
		exporter, err = otlptracegrpc.New(ctx)
	default:
		return nil, fault.New(fault.Invalid, "otlp_protocol_unknown", "the protocol %q for traces is unknown", protocol).
			WithField("OTEL_EXPORTER_OTLP_PROTOCOL").WithFound(protocol, "http/protobuf, grpc")
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "otlp_endpoint_invalid", "the collector of traces cannot be used").WithField("OTEL_EXPORTER_OTLP_ENDPOINT")
	}
	return exporter, nil
}

// Tracer makes spans; they go nowhere when tracing is off.
func (p *Provider) Tracer() trace.Tracer {
	if p.sdk == nil {
		return tracing.Off()
	}
	return p.sdk.Tracer(scope)
}

// On reports whether spans go anywhere.
func (p *Provider) On() bool { return p.sdk != nil }

// Shutdown sends what is left, until ctx ends.
func (p *Provider) Shutdown(ctx context.Context) error {
	if p.sdk == nil {
		return nil
	}
	// A collector that is away must not keep a program from ending well.
	_ = p.sdk.Shutdown(ctx)
	return nil
}

// complaints logs what the SDK has to say, at most once a minute.
type complaints struct {
	log          *slog.Logger
	secret, host string

	mu   sync.Mutex
	last time.Time
}

func (c *complaints) Handle(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.last) < time.Minute {
		return
	}
	c.last = now
	// A path can hold a key.
	c.log.Warn("traces are not delivered", "to", c.host, "error", c.mask(err.Error()))
}

func (c *complaints) mask(text string) string {
	text = strings.ReplaceAll(text, strings.TrimSuffix(c.secret, "/"), c.host)
	if len(text) > 300 {
		text = text[:300]
	}
	return text
}
