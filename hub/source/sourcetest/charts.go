package sourcetest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// Asked is one request that a server got.
type Asked struct {
	Method, Path  string
	Authorization string
	Status        int
}

// log remembers requests.
type log struct {
	mu    sync.Mutex
	asked []Asked
}

func (l *log) add(r *http.Request, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, Asked{r.Method, r.URL.Path, r.Header.Get("Authorization"), status})
}

// Asked returns the requests since the last call.
func (l *log) Asked() []Asked {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.asked
	l.asked = nil
	return out
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Flush lets handlers send what they have.
func (w *statusWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Recorder answers 200 with a body and remembers who asked: for hosts that must
// not get a credential.
type Recorder struct {
	log
	Body []byte
}

func (s *Recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.add(r, http.StatusOK)
	_, _ = w.Write(s.Body) // a client that went away
}

// Charts is a chart repository. Fields are set before it serves, or under Lock.
type Charts struct {
	log
	sync.Mutex
	// User and Password, when set, are asked for.
	User, Password string
	// Index in place of the one made of what was added.
	Index []byte
	// Handle answers a request in place of the server when it returns true.
	Handle func(w http.ResponseWriter, r *http.Request) bool

	files   map[string][]byte
	entries map[string][]string // chart → versions as YAML
	order   []string
	changes int
}

// Add adds an archive with its digest in the index; url "" is the usual place,
// digest "" the right one, "-" none.
func (s *Charts) Add(name, version, url, digest string, archive []byte) {
	s.Lock()
	defer s.Unlock()
	if s.files == nil {
		s.files, s.entries = map[string][]byte{}, map[string][]string{}
	}
	file := fmt.Sprintf("charts/%s-%s.tgz", name, version)
	s.files["/"+file] = archive
	if url == "" {
		url = file
	}
	switch digest {
	case "":
		sum := sha256.Sum256(archive)
		digest = hex.EncodeToString(sum[:])
	case "-":
		digest = ""
	}
	s.changes++
	if s.entries[name] == nil {
		s.order = append(s.order, name)
	}
	s.entries[name] = append(s.entries[name], fmt.Sprintf("  - apiVersion: v2\n    appVersion: \"7\"\n    created: \"2026-01-02T03:04:05.%dZ\"\n    digest: %q\n    name: %s\n    urls: [%q]\n    version: %q\n",
		s.changes, digest, name, url, version))
}

// Replace forgets a chart's versions, for a repository that publishes again.
func (s *Charts) Replace(name, version string, archive []byte) {
	s.Lock()
	s.entries[name] = []string{}
	s.Unlock()
	s.Add(name, version, "", "", archive)
}

func (s *Charts) index() []byte {
	if s.Index != nil {
		return s.Index
	}
	var b strings.Builder
	b.WriteString("apiVersion: v1\nentries:\n")
	for _, name := range s.order {
		b.WriteString("  " + name + ":\n" + strings.Join(s.entries[name], ""))
	}
	return []byte(b.String())
}

func (s *Charts) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w := &statusWriter{out, http.StatusOK}
	defer func() { s.add(r, w.status) }()
	s.Lock()
	handle := s.Handle
	s.Unlock()
	if handle != nil && handle(w, r) {
		return
	}
	s.Lock()
	defer s.Unlock()
	if user, password, _ := r.BasicAuth(); s.User != "" && (user != s.User || password != s.Password) {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/index.yaml") {
		index := s.index()
		sum := sha256.Sum256(index)
		etag := `"` + hex.EncodeToString(sum[:8]) + `"`
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(index) // a client that went away
		return
	}
	i := strings.Index(r.URL.Path, "/charts/")
	file, ok := s.files[r.URL.Path[max(i, 0):]]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/gzip")
	_, _ = w.Write(file) // a client that went away
}
