package app

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/shared/audit"
)

// A hub with --audit-export brings its chain to a receiver that was away: it says in
// its metrics how far the receiver is behind, and sends all, in order, when it is back.
// Only who has the authority of the flag, and gets the header of the environment, is
// sent anything.
func TestTheFlagsOfAuditExports(t *testing.T) {
	back := make(chan struct{}) // closed when the receiver takes records
	asked := make(chan struct{}, 1)
	got := make(chan audit.Signed, 1000)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		select {
		case <-back:
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		var req collector.ExportLogsServiceRequest
		if err := proto.Unmarshal(body, &req); err != nil || r.URL.Path != "/v1/logs" || r.Header.Get("X-Key") != "a b" {
			t.Errorf("%v: %s %v", err, r.URL, r.Header)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		for _, l := range req.ResourceLogs[0].ScopeLogs[0].LogRecords {
			var line audit.Line
			if err := json.Unmarshal([]byte(l.Body.GetStringValue()), &line); err != nil || line.Signed == nil {
				t.Errorf("no line of an export: %s", l.Body)
				continue
			}
			got <- *line.Signed
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	address := server.URL + "/v1/logs"
	h := startHubWith(t, dbtest.Postgres(t), []string{"--audit-export", address, "--audit-export-ca-file", ca}, "HAWSER_AUDIT_EXPORT_HEADERS=X-Key=a%20b")
	if status, _, err := h.call(t.Context(), "GET", "/applications", "", "", ""); err != nil || status != http.StatusUnauthorized {
		t.Fatal(status, err)
	}
	select {
	case <-asked:
	case <-time.After(30 * time.Second):
		t.Fatal("the receiver is not asked")
	}
	if n := behindOf(t, h, address); n == "" || n == "0" {
		t.Errorf("a receiver that takes nothing is %q records behind", n)
	}
	close(back)
	var last audit.Signed
	for seq := int64(1); ; seq++ {
		select {
		case s := <-got:
			var r audit.Record
			if err := json.Unmarshal(s.Record, &r); err != nil || r.Seq != seq || seq > 1 && r.Prev != last.Hash.String() {
				t.Fatalf("%d: %v, %s", seq, err, s.Record)
			}
			if last = s; r.Kind != audit.Refusal {
				continue
			}
		case <-time.After(90 * time.Second):
			t.Fatal("the refusal does not reach the receiver")
		}
		break
	}
	// That the receiver has all shows in the metrics only: they are asked again.
	for end := time.Now().Add(30 * time.Second); behindOf(t, h, address) != "0"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("a receiver that has all is %q records behind", behindOf(t, h, address))
		}
	}
}

// behindOf is how many records a receiver is behind, as a hub's metrics say.
func behindOf(t *testing.T, h hubProcess, receiver string) string {
	t.Helper()
	resp, err := h.client.Get("http://" + h.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^hawser_audit_export_behind_records\{(.*)\} (.*)$`).FindStringSubmatch(string(text))
	if m == nil || !strings.Contains(m[1], receiver) {
		return ""
	}
	return m[2]
}
