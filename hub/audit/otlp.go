package audit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// otlp sends records as logs, by OTLP/HTTP with protobuf.
type otlp struct {
	r      Receiver
	client *http.Client
}

// maxReceiverAnswer bounds what is read of an answer, in bytes: it says how many records
// were taken.
const maxReceiverAnswer = 64 << 10

func newOTLP(r Receiver) *otlp {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: r.tls, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}
	return &otlp{r, &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (o *otlp) name() string { return o.r.String() }
func (o *otlp) close()       { o.client.CloseIdleConnections() }

func (o *otlp) send(ctx context.Context, records []taken) error {
	body, err := proto.Marshal(o.request(records))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.r.url.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range o.r.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	answer, err := o.client.Do(req)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "audit_receiver_unavailable", "no answer: %v", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxReceiverAnswer+1))
	if err == nil && len(text) > maxReceiverAnswer {
		err = errors.New("it is too long")
	}
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "audit_receiver_unavailable", "no whole answer: %v", err)
	}
	if answer.StatusCode != http.StatusOK {
		return fault.New(fault.Unavailable, "audit_receiver_unavailable", "it answered %d", answer.StatusCode)
	}
	var said collector.ExportLogsServiceResponse
	if proto.Unmarshal(text, &said) != nil {
		return fault.New(fault.Unavailable, "audit_receiver_unavailable", "its answer is none of OTLP")
	}
	if n := said.GetPartialSuccess().GetRejectedLogRecords(); n > 0 {
		why := said.GetPartialSuccess().GetErrorMessage()
		return rejected{n, strings.ToValidUTF8(why[:min(len(why), 500)], "")} // OTLP: not to be sent again
	}
	return nil
}

func (o *otlp) request(records []taken) *collector.ExportLogsServiceRequest {
	list := make([]*logs.LogRecord, len(records))
	for i, t := range records {
		at := uint64(t.record.At.UnixNano())
		l := &logs.LogRecord{TimeUnixNano: at, ObservedTimeUnixNano: at, EventName: "hawser.audit." + string(t.record.Kind), Body: text(string(t.line))}
		l.SeverityNumber, l.SeverityText = logs.SeverityNumber_SEVERITY_NUMBER_INFO, "INFO"
		switch {
		case t.record.Kind == audit.Alarm:
			l.SeverityNumber, l.SeverityText = logs.SeverityNumber_SEVERITY_NUMBER_FATAL, "FATAL"
		case t.record.Outcome == audit.Failed || t.record.Outcome == audit.Denied:
			l.SeverityNumber, l.SeverityText = logs.SeverityNumber_SEVERITY_NUMBER_WARN, "WARN"
		}
		for _, a := range [][2]string{
			{"seq", strconv.FormatInt(t.record.Seq, 10)}, {"hash", t.signed.Hash.String()}, {"signature", t.signed.Signature.String()},
			{"actor", t.record.Actor}, {"action", t.record.Action}, {"resource", t.record.Resource}, {"name", t.record.Name}, {"project", t.record.Project},
			{"cluster", t.record.Cluster}, {"outcome", string(t.record.Outcome)}, {"code", t.record.Code}, {"request", t.record.Request},
		} {
			if a[1] != "" {
				l.Attributes = append(l.Attributes, &common.KeyValue{Key: "hawser.audit." + a[0], Value: text(a[1])})
			}
		}
		list[i] = l
	}
	return &collector.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource:  &resource.Resource{Attributes: []*common.KeyValue{{Key: "service.name", Value: text("hawser-hub")}, {Key: "host.name", Value: text(o.r.host)}}},
		ScopeLogs: []*logs.ScopeLogs{{Scope: &common.InstrumentationScope{Name: "hawser/audit"}, LogRecords: list}},
	}}}
}

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}
