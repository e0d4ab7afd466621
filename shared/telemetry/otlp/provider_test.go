package otlp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/hawser-dev/hawser/shared/fault"
)

// clean leaves no variable of whoever runs the test.
func clean(t *testing.T) {
	for _, n := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"} {
		t.Setenv(n, "")
	}
}

// grpcCollector takes spans over gRPC.
type grpcCollector struct {
	collector.UnimplementedTraceServiceServer
	got chan *collector.ExportTraceServiceRequest
}

func (c grpcCollector) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.got <- r
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestSpansArriveOverBothProtocols(t *testing.T) {
	got := make(chan *collector.ExportTraceServiceRequest, 10)
	overHTTP := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		var in collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(b, &in); err == nil {
			got <- &in
		}
	}))
	defer overHTTP.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	overGRPC := grpc.NewServer()
	collector.RegisterTraceServiceServer(overGRPC, grpcCollector{got: got})
	go overGRPC.Serve(ln)
	defer overGRPC.Stop()
	for protocol, endpoint := range map[string]string{"": overHTTP.URL, "http/protobuf": overHTTP.URL, "grpc": "http://" + ln.Addr().String()} {
		clean(t)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
		p, err := Start(t.Context(), "hawser-test", "v1", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		_, span := p.Tracer().Start(t.Context(), "one")
		span.End()
		if err := p.Shutdown(t.Context()); err != nil || !p.On() {
			t.Errorf("%q: %v", protocol, err)
		}
		select {
		case in := <-got:
			service := in.ResourceSpans[0].Resource.String()
			if in.ResourceSpans[0].ScopeSpans[0].Spans[0].Name != "one" || !strings.Contains(service, "hawser-test") || !strings.Contains(service, "v1") {
				t.Errorf("%q: got %v", protocol, in)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%q: nothing came", protocol)
		}
	}
}

func TestOffUnlessThereIsAnEndpoint(t *testing.T) {
	for _, env := range [][2]string{{}, {"OTEL_SDK_DISABLED", "true"}, {"OTEL_TRACES_EXPORTER", "none"}} {
		clean(t)
		if env[0] != "" {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(env[0], env[1])
		}
		p, err := Start(t.Context(), "s", "v", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if _, span := p.Tracer().Start(t.Context(), "x"); p.On() || span.IsRecording() {
			t.Errorf("%v: it is on", env)
		}
		if err := p.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatCannotBeUnderstoodIsRefused(t *testing.T) {
	for env, code := range map[[2]string]string{
		{"not a url CANARY", ""}:                "otlp_endpoint_invalid",
		{"http://u:CANARY@%zz", ""}:             "otlp_endpoint_invalid",
		{"http://127.0.0.1:1", "carrierpigeon"}: "otlp_protocol_unknown",
	} {
		clean(t)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", env[0])
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", env[1])
		_, err := Start(t.Context(), "s", "v", slog.New(slog.DiscardHandler))
		if !fault.HasCode(err, code) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%v: %v", env, err)
		}
	}
}

// A collector that is away is complained about once a minute, without what its
// address may hold, and keeps nobody from ending.
func TestACollectorThatIsAwayStopsNobody(t *testing.T) {
	clean(t)
	const endpoint = "http://127.0.0.1:1/CANARY"
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, nil))
	p, err := Start(t.Context(), "s", "v", log)
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracer().Start(t.Context(), "x")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	c := &complaints{log: log, secret: endpoint, host: "127.0.0.1:1"}
	for range 5 {
		c.Handle(errors.New("Post \"" + endpoint + "/v1/traces\": connection refused " + strings.Repeat("x", 1000)))
	}
	if text := b.String(); strings.Contains(text, "CANARY") || strings.Count(text, "traces are not delivered") > 2 || !strings.Contains(text, "traces are not delivered") {
		t.Errorf("got %s", text)
	}
}
