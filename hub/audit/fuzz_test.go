package audit

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hawser-dev/hawser/shared/fault"
)

type collectorSays struct {
	status int
	body   []byte
}

func (c collectorSays) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(c.body)), Request: r}, nil
}

// Whatever a receiver of records answers: they count as taken only where it says so by
// the protocol, as refused for good only where it says that, and are sent again else.
func FuzzOTLPAnswer(f *testing.F) {
	for _, r := range []*collector.ExportLogsPartialSuccess{nil, {}, {RejectedLogRecords: 1, ErrorMessage: "too old"}, {RejectedLogRecords: -1, ErrorMessage: strings.Repeat("é", 40_000)}} {
		b, err := proto.Marshal(&collector.ExportLogsServiceResponse{PartialSuccess: r})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(200, b)
		f.Add(503, b)
	}
	f.Add(200, []byte("<html>"))
	f.Add(200, []byte("{}"))
	at, _ := url.Parse("https://collector/v1/logs")
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		o := &otlp{Receiver{url: at}, &http.Client{Transport: collectorSays{status, body}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
		err := o.send(t.Context(), []taken{{line: []byte("{}")}})
		var no rejected
		var said collector.ExportLogsServiceResponse
		readable := len(body) <= maxReceiverAnswer && proto.Unmarshal(body, &said) == nil
		switch {
		case err == nil:
			if status != 200 || !readable || said.GetPartialSuccess().GetRejectedLogRecords() > 0 {
				t.Fatalf("%d %q counts as taken", status, body)
			}
		case errors.As(err, &no):
			if status != 200 || no.n <= 0 || len(no.why) > 1000 {
				t.Fatalf("%d %q counts as refused: %d, %d bytes", status, body, no.n, len(no.why))
			}
		case !fault.HasCode(err, "audit_receiver_unavailable") || len(err.Error()) > 500:
			t.Fatalf("%d %q: %v", status, body, err)
		}
	})
}
