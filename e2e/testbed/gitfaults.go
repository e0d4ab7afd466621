package testbed

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// GitFault is a way in which a Git server misbehaves. The zero value behaves.
type GitFault struct {
	kind     faultKind
	code     int
	location string
	every    time.Duration
	limit    int64
	cleared  <-chan struct{} // set when installed
}

type faultKind int

const (
	faultNone faultKind = iota
	faultHTML
	faultStatus
	faultRedirect
	faultHang
	faultSlow
	faultTruncate
)

// FaultHTML answers every request with status 200 and a page of HTML, as a
// captive portal or a login page does.
func FaultHTML() GitFault { return GitFault{kind: faultHTML} }

// FaultStatus answers every request with an HTTP status.
func FaultStatus(code int) GitFault { return GitFault{kind: faultStatus, code: code} }

// FaultRedirect redirects every request to the same path below base, for
// instance the address of another server.
func FaultRedirect(base string) GitFault {
	return GitFault{kind: faultRedirect, location: strings.TrimSuffix(base, "/")}
}

// FaultHang accepts requests and sends nothing until the fault is cleared or the
// client leaves.
func FaultHang() GitFault { return GitFault{kind: faultHang} }

// FaultSlowBody sends right answers, one byte at a time with this pause between
// them.
func FaultSlowBody(every time.Duration) GitFault { return GitFault{kind: faultSlow, every: every} }

// FaultTruncate breaks the connection after this many bytes of an answer.
func FaultTruncate(bytes int64) GitFault { return GitFault{kind: faultTruncate, limit: bytes} }

// gitFaults are the faults in force: per repository, and for all under "".
type gitFaults struct {
	mu      sync.Mutex
	byRepo  map[string]GitFault
	changed chan struct{}
}

// SetFault makes the server misbehave for these repositories, or for all when
// none is named, from the next request on. It replaces all faults before it.
func (s *GitServer) SetFault(fault GitFault, repos ...string) {
	if len(repos) == 0 {
		repos = []string{""}
	}
	s.faults.set(fault, repos)
}

// ClearFaults makes the server behave; hanging requests are answered with 503.
func (s *GitServer) ClearFaults() { s.faults.clear() }

func (f *gitFaults) set(fault GitFault, repos []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reset()
	fault.cleared = f.changed
	for _, repo := range repos {
		f.byRepo[repo] = fault
	}
}

func (f *gitFaults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reset()
}

func (f *gitFaults) reset() {
	if f.changed != nil {
		close(f.changed)
	}
	f.changed = make(chan struct{})
	f.byRepo = map[string]GitFault{}
}

func (f *gitFaults) of(repo string) GitFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault, ok := f.byRepo[repo]; ok {
		return fault
	}
	return f.byRepo[""]
}

// answer answers instead of the server when the fault says so.
func (f GitFault) answer(w http.ResponseWriter, req *http.Request) bool {
	switch f.kind {
	case faultHTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>\n")
	case faultStatus:
		http.Error(w, http.StatusText(f.code), f.code)
	case faultRedirect:
		http.Redirect(w, req, f.location+req.URL.RequestURI(), http.StatusFound)
	case faultHang:
		select {
		case <-req.Context().Done():
		case <-f.cleared:
			http.Error(w, "gave up", http.StatusServiceUnavailable)
		}
	default:
		return false
	}
	return true
}

// writer is where the answer goes: w, or something worse.
func (f GitFault) writer(w http.ResponseWriter, req *http.Request) io.Writer {
	switch f.kind {
	case faultSlow:
		return &slowWriter{w: w, req: req, fault: f}
	case faultTruncate:
		return &truncatingWriter{w: w, left: f.limit}
	}
	return w
}

// slowWriter sends single bytes with pauses, at full speed once the fault is
// cleared.
type slowWriter struct {
	w     http.ResponseWriter
	req   *http.Request
	fault GitFault
}

func (s *slowWriter) Write(p []byte) (int, error) {
	flush := http.NewResponseController(s.w)
	for i := range p {
		select {
		case <-s.req.Context().Done():
			return i, s.req.Context().Err()
		case <-s.fault.cleared:
			n, err := s.w.Write(p[i:])
			return i + n, err
		case <-time.After(s.fault.every):
		}
		if _, err := s.w.Write(p[i : i+1]); err != nil {
			return i, err
		}
		if err := flush.Flush(); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// truncatingWriter breaks the connection in the middle of an answer.
type truncatingWriter struct {
	w    http.ResponseWriter
	left int64
}

func (t *truncatingWriter) Write(p []byte) (int, error) {
	if int64(len(p)) < t.left {
		t.left -= int64(len(p))
		return t.w.Write(p)
	}
	n, _ := t.w.Write(p[:t.left])
	t.left = 0
	flush := http.NewResponseController(t.w)
	flush.Flush()
	if conn, _, err := flush.Hijack(); err == nil {
		conn.Close()
	}
	return n, io.ErrShortWrite
}
