package audit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
)

// kept is a chain with a cursor.
type kept struct {
	mu     sync.Mutex
	chain  []audit.Signed
	at     audit.Head
	holder string
}

var exportKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func (m *kept) add(t *testing.T, names ...string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		r := audit.Record{Seq: int64(len(m.chain)) + 1, Kind: audit.Command, Actor: "ann", Action: "syncApplication", Name: name, Outcome: audit.Done, At: time.Unix(1700000000, 123456000)}
		if len(m.chain) > 0 {
			r.Prev = m.chain[len(m.chain)-1].Hash.String()
		}
		s, err := audit.Seal(exportKey, r)
		if err != nil {
			t.Fatal(err)
		}
		m.chain = append(m.chain, s)
	}
}

func (m *kept) HoldAuditExport(_ context.Context, _, holder string, _ time.Duration) (audit.Head, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holder == "" {
		m.holder = holder
	}
	return m.at, m.holder == holder, nil
}

func (m *kept) MoveAuditExport(_ context.Context, _, holder string, at audit.Head) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holder == holder {
		m.at = at
	}
	return nil
}

func (m *kept) LeaveAuditExport(_ context.Context, _, holder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.holder == holder {
		m.holder = ""
	}
	return nil
}

func (m *kept) AuditRecords(_ context.Context, f fleet.AuditFilter) ([]audit.Signed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := min(int(f.After), len(m.chain))
	return slices.Clone(m.chain[from:min(from+f.Limit, len(m.chain))]), nil
}

func (m *kept) AuditHead(context.Context) (audit.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.chain) == 0 {
		return audit.Head{}, nil
	}
	return audit.Head{Seq: int64(len(m.chain)), Hash: m.chain[len(m.chain)-1].Hash}, nil
}

func (m *kept) sent() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at.Seq
}

// export sends to an address until stop is called.
func export(t *testing.T, m *kept, address, ca, headers string) (stop func()) {
	t.Helper()
	r, err := ParseReceiver(address, ca, headers)
	if err != nil {
		t.Fatal(err)
	}
	e := NewExporter(r, m, &told{}, slog.New(slog.DiscardHandler))
	e.wait, e.look = 10*time.Millisecond, 10*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// told implements Behind: what was said last, "" for elsewhere.
type told struct {
	mu   sync.Mutex
	last string
}

func (b *told) AuditBehind(_ string, records int64, oldest time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = fmt.Sprint(records)
	if !oldest.IsZero() {
		b.last += " since " + oldest.UTC().Format(time.TimeOnly)
	}
}

func (b *told) AuditElsewhere(string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = ""
}

func (b *told) said() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// taker is a receiver that says what is to be said.
type taker struct{ err error }

func (t *taker) send(context.Context, []taken) error { return t.err }
func (t *taker) name() string                        { return "taker" }
func (t *taker) close()                              {}

// How far a receiver is behind is told while it takes nothing, when it has all, and
// by the hub alone that sends to it.
func TestHowFarAReceiverIsBehind(t *testing.T) {
	m, b := &kept{}, &told{}
	to := &taker{err: io.ErrUnexpectedEOF}
	e := &Exporter{cursors: m, to: to, holder: "one", behind: b, log: slog.New(slog.DiscardHandler)}
	step := func(want string) {
		t.Helper()
		_, _ = e.step(t.Context())
		if got := b.said(); got != want {
			t.Errorf("said %q, not %q", got, want)
		}
	}
	step("0")
	names := make([]string, sentAtOnce+2)
	m.add(t, names...)
	step("502 since 22:13:20")
	step("502 since 22:13:20")
	to.err = nil
	step("502 since 22:13:20") // until it has taken them
	step("2 since 22:13:20")
	step("0")
	m.mu.Lock()
	m.holder = "two"
	m.mu.Unlock()
	step("")
	m.mu.Lock()
	m.holder = "one"
	m.mu.Unlock()
	step("0")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Run(ctx); err != nil || b.said() != "" {
		t.Errorf("a hub that has ended still tells %q: %v", b.said(), err)
	}
}

// heap gathers lines, and verifies each.
type heap struct {
	mu    sync.Mutex
	names []string
	bad   []string
}

func (h *heap) take(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var l audit.Line
	var r audit.Record
	if json.Unmarshal([]byte(line), &l) != nil || l.Signed == nil || !l.Signed.Valid(exportKey.Public().(ed25519.PublicKey)) || json.Unmarshal(l.Signed.Record, &r) != nil {
		h.bad = append(h.bad, line)
		return
	}
	h.names = append(h.names, r.Name)
}

func (h *heap) await(t *testing.T, names ...string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		got, bad := slices.Clone(h.names), slices.Clone(h.bad)
		h.mu.Unlock()
		if len(bad) > 0 {
			t.Fatalf("these cannot be verified: %q", bad)
		}
		// At least once, in order: without what came again.
		if once := slices.Compact(slices.Clone(got)); slices.Equal(inOrder(once), names) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("got %v, want %v", got, names)
		}
	}
}

// inOrder leaves out what came before already.
func inOrder(names []string) (out []string) {
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func TestRecordsAreSentByOTLP(t *testing.T) {
	var h heap
	var mu sync.Mutex
	away := true
	var asked int
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked++
		gone := away
		mu.Unlock()
		if gone {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		var req collector.ExportLogsServiceRequest
		if err := proto.Unmarshal(body, &req); err != nil || r.URL.Path != "/v1/logs" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("Authorization") != "Bearer a b" {
			t.Errorf("%v: %s %v", err, r.URL, r.Header)
		}
		for _, l := range req.ResourceLogs[0].ScopeLogs[0].LogRecords {
			if l.TimeUnixNano != 1700000000123456000 || l.SeverityNumber != logs.SeverityNumber_SEVERITY_NUMBER_INFO {
				t.Errorf("%+v", l)
			}
			h.take(l.Body.GetStringValue())
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer server.Close()
	ca := caOf(t, server.Certificate().Raw)
	m := &kept{}
	m.add(t, "a", "b")
	stop := export(t, m, server.URL+"/v1/logs", ca, "Authorization=Bearer%20a%20b")
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		n := asked
		mu.Unlock()
		if n > 2 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it is not tried again")
		}
	}
	if m.sent() != 0 {
		t.Error("the cursor moved without an answer")
	}
	mu.Lock()
	away = false
	mu.Unlock()
	h.await(t, "a", "b")
	m.add(t, "c")
	h.await(t, "a", "b", "c")
	stop()
	// A hub that starts goes on where the last one was.
	m.add(t, "d")
	export(t, m, server.URL+"/v1/logs", ca, "Authorization=Bearer%20a%20b")
	h.await(t, "a", "b", "c", "d")
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.names) != 4 {
		t.Errorf("sent again without a reason: %v", h.names)
	}
}

// What OTLP says to have rejected is not sent again, and does not hold up the rest.
func TestWhatOTLPRejectsIsNotSentAgain(t *testing.T) {
	var mu sync.Mutex
	bodies := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		bodies++
		mu.Unlock()
		b, _ := proto.Marshal(&collector.ExportLogsServiceResponse{PartialSuccess: &collector.ExportLogsPartialSuccess{RejectedLogRecords: 1, ErrorMessage: "too old"}})
		_, _ = w.Write(b)
	}))
	defer server.Close()
	m := &kept{}
	for i, name := range []string{"a", "b"} {
		m.add(t, name)
		stop := export(t, m, server.URL, "", "")
		for end := time.Now().Add(10 * time.Second); m.sent() != int64(i)+1; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it stays at %d", m.sent())
			}
		}
		stop()
	}
	mu.Lock()
	defer mu.Unlock()
	if bodies != 2 {
		t.Errorf("%d requests", bodies)
	}
}

func caOf(t *testing.T, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

var rfc5424 = regexp.MustCompile(`^<(\d+)>1 (2023-11-14T22:13:20\.123456Z) ([!-~]{1,255}) hawser-hub - command - (\{.*\})$`)

// collect reads messages of RFC 5424 by their lengths, until the connection ends.
func collect(t *testing.T, conn net.Conn, h *heap) {
	in := bufio.NewReader(conn)
	for {
		size, err := in.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(size, " "))
		if err != nil || n <= 0 {
			t.Errorf("a length is %q", size)
			return
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(in, b); err != nil {
			return
		}
		m := rfc5424.FindSubmatch(b)
		if m == nil || string(m[1]) != "109" || bytes.ContainsAny(b, "\r\n\x00") {
			t.Errorf("it is no message of RFC 5424: %q", b)
			return
		}
		h.take(string(m[4]))
	}
}

func TestRecordsAreSentBySyslog(t *testing.T) {
	server := httptest.NewUnstartedServer(nil) // for its certificate
	server.StartTLS()
	defer server.Close()
	for scheme, config := range map[string]*tls.Config{"syslog+tcp": nil, "syslog+tls": {Certificates: server.TLS.Certificates}} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			var h heap
			listen := func(address string) net.Listener {
				l, err := net.Listen("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				if config != nil {
					l = tls.NewListener(l, config)
				}
				return l
			}
			l := listen("127.0.0.1:0")
			address := l.Addr().String()
			m := &kept{}
			m.add(t, "a", "b\n<13>1 forged")
			stop := export(t, m, scheme+"://"+address, caOf(t, server.Certificate().Raw), "")
			// The first receiver takes the bytes, and dies with them.
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			l.Close()
			if m.sent() != 0 {
				t.Error("the cursor moved, and nobody has the records")
			}
			l = listen(address)
			defer l.Close()
			var wg sync.WaitGroup
			defer wg.Wait()
			defer l.Close()
			defer stop() // which ends its connection
			wg.Go(func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					wg.Go(func() { defer conn.Close(); collect(t, conn, &h) })
				}
			})
			h.await(t, "a", "b\ufffd<13>1 forged")
			m.add(t, "c")
			h.await(t, "a", "b\ufffd<13>1 forged", "c")
			for end := time.Now().Add(20 * time.Second); m.sent() != 3; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("the cursor is at %d", m.sent())
				}
			}
		})
	}
}

// S13: a chain that was cut behind what was sent is said, and goes on from its end.
func TestS13_ACutChainIsSaidByWhoSentMore(t *testing.T) {
	var h heap
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var req collector.ExportLogsServiceRequest
		if proto.Unmarshal(body, &req) == nil {
			for _, l := range req.ResourceLogs[0].ScopeLogs[0].LogRecords {
				h.take(l.Body.GetStringValue())
			}
		}
	}))
	defer server.Close()
	m := &kept{}
	m.add(t, "a", "b", "c")
	r, err := ParseReceiver(server.URL, "", "")
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	e := NewExporter(r, m, &told{}, slog.New(slog.NewTextHandler(&said, nil)))
	defer e.to.close()
	step := func() {
		t.Helper()
		if _, err := e.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	step()
	m.chain = m.chain[:1]
	step()
	if !strings.Contains(said.String(), "not in the database any more") || m.sent() != 1 {
		t.Errorf("at %d: %s", m.sent(), &said)
	}
	m.add(t, "d")
	step()
	h.await(t, "a", "b", "c", "d")
	said.Reset()
	m.chain = m.chain[:1]
	m.add(t, "x", "y") // another second one
	step()
	if !strings.Contains(said.String(), "removed or changed before they were sent") {
		t.Errorf("%s", &said)
	}
}

func TestAddressesOfReceivers(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://otel.example.org/v1/logs": true, "http://127.0.0.1:4318/v1/logs": true, "http://localhost:4318": true, "syslog+tls://logs.example.org": true, "syslog+tcp://10.0.0.1:601": true,
		"http://otel.example.org/v1/logs": false, "https://ann:secret@otel.example.org": false, "https://otel.example.org?token=secret": false, "syslog://x": false, "": false, "x": false,
		"syslog+tls://x/path": false, "file:///etc/passwd": false,
	} {
		r, err := ParseReceiver(address, "", "")
		if (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error tells what is secret: %v", address, err)
		}
		if ok && strings.HasPrefix(address, "syslog+tls") && r.String() != "syslog+tls://logs.example.org:6514" {
			t.Errorf("%s", r)
		}
	}
	for _, headers := range []string{"a", "=b", "a=b%0d%0aX: y", "a b=c", "a:=b"} {
		if _, err := ParseReceiver("https://x", "", headers); err == nil || strings.Contains(fmt.Sprint(err), "X: y") {
			t.Errorf("%q: %v", headers, err)
		}
	}
	if _, err := ParseReceiver("https://x", filepath.Join(t.TempDir(), "none"), ""); err == nil {
		t.Error("a file that is not there")
	}
}
