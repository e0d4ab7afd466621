package testbed

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// GitOptions say what an HTTP Git server serves and to whom.
type GitOptions struct {
	// Repos are served when set; otherwise the server makes a set of its own in
	// Dir, or in a temporary directory when Dir is empty.
	Repos *Repos
	Dir   string
	// User and Password are asked for (HTTP basic) when one of them is set.
	User, Password string
	// TLS serves HTTPS with a certificate of an own authority, see CAData.
	TLS bool
	// AllowPush accepts git push as well.
	AllowPush bool
}

// GitRequest is one line of the access log.
type GitRequest struct {
	Time time.Time
	// Repo is the repository's name, also when there is none of that name.
	Repo string
	// Kind says what was asked for.
	Kind GitRequestKind
	// User is the basic auth user that was sent, right or wrong.
	User      string
	UserAgent string
	// Status is the HTTP status; 0 when the client left before one was sent.
	Status int
}

// GitRequestKind is what a client asks of a Git server.
type GitRequestKind string

// The kinds of requests. An ls-remote is one GitRefs request, and with protocol
// version 2 a GitListRefs request after it; a fetch is one or more GitFetch
// requests after those.
const (
	GitRefs     GitRequestKind = "refs"      // GET info/refs
	GitListRefs GitRequestKind = "list-refs" // POST git-upload-pack, command ls-refs
	GitFetch    GitRequestKind = "fetch"     // POST git-upload-pack for objects
	GitPush     GitRequestKind = "push"      // info/refs of and POST git-receive-pack
	GitOther    GitRequestKind = "other"
)

// GitCounts count requests of one repository or of all.
type GitCounts struct{ Refs, ListRefs, Fetch, Push, Other int }

// GitServer serves repositories with Git's smart HTTP protocol, answered by the
// git command itself.
type GitServer struct {
	// Repos are the repositories that are served.
	Repos *Repos

	opts     GitOptions
	port     *port
	ca       *authority
	tls      *tls.Config
	ownRepos bool
	faults   gitFaults

	mu             sync.Mutex
	http           *http.Server // nil while down
	closed         bool
	user, password string
	requests       []GitRequest
}

// StartGitServer starts a server on a port of 127.0.0.1 that it keeps also while
// it is down.
func StartGitServer(ctx context.Context, opts GitOptions) (_ *GitServer, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &GitServer{opts: opts, Repos: opts.Repos, user: opts.User, password: opts.Password}
	if s.Repos == nil {
		s.ownRepos = true
		if s.Repos, err = NewRepos(opts.Dir); err != nil {
			return nil, err
		}
	}
	scheme := "http"
	if opts.TLS {
		scheme = "https"
		if err := s.makeCertificate(); err != nil {
			s.closeRepos()
			return nil, err
		}
	}
	if s.port, err = reservePort(); err == nil {
		if err = s.Up(); err != nil {
			s.port.release()
		}
	}
	if err != nil {
		s.closeRepos()
		return nil, err
	}
	s.Repos.mu.Lock()
	if s.Repos.baseURL == "" {
		s.Repos.baseURL = scheme + "://" + s.port.address() + "/"
	}
	s.Repos.mu.Unlock()
	return s, nil
}

func (s *GitServer) makeCertificate() error {
	ca, err := newAuthority("hawser-testbed-git")
	if err != nil {
		return err
	}
	certPEM, keyPEM, err := ca.server()
	if err != nil {
		return err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return err
	}
	s.ca = ca
	s.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
	return nil
}

func (s *GitServer) closeRepos() {
	if s.ownRepos {
		s.Repos.Close()
	}
}

// CreateRepo makes an empty repository, which is served at once.
func (s *GitServer) CreateRepo(ctx context.Context, name string) (*Repo, error) {
	return s.Repos.Create(ctx, name)
}

// URL is the address of a repository, existing or not.
func (s *GitServer) URL(repo string) string {
	scheme := "http"
	if s.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + s.port.address() + "/" + repo + ".git"
}

// CAData is the PEM certificate of the authority behind an HTTPS server, nil
// otherwise.
func (s *GitServer) CAData() []byte {
	if s.ca == nil {
		return nil
	}
	return s.ca.pem
}

// SetCredentials changes what is asked for from the next request on; two empty
// strings ask for nothing.
func (s *GitServer) SetCredentials(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user, s.password = user, password
}

// Down closes the port and every connection: clients are refused.
func (s *GitServer) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil {
		s.http.Close()
		s.http = nil
	}
}

// Up opens the port again; it does nothing when it is open.
func (s *GitServer) Up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil || s.closed {
		return nil
	}
	ln, err := s.port.listen()
	if err != nil {
		return fmt.Errorf("testbed: git server: %w", err)
	}
	if s.tls != nil {
		ln = tls.NewListener(ln, s.tls)
	}
	// Broken handshakes are what some tests cause; they need no log.
	server := &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0)}
	s.http = server
	go server.Serve(ln) // ends with Down
	return nil
}

// Close ends the server, and removes its repositories when they are in a
// temporary directory that it made.
func (s *GitServer) Close() {
	s.Down()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.faults.clear()
	s.port.release()
	s.closeRepos()
}

// Requests is the access log so far, in the order in which requests ended.
func (s *GitServer) Requests() []GitRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]GitRequest(nil), s.requests...)
}

// Counts counts the requests so far for a repository, or for all when the name
// is empty.
func (s *GitServer) Counts(repo string) GitCounts {
	var c GitCounts
	for _, r := range s.Requests() {
		if repo != "" && r.Repo != repo {
			continue
		}
		switch r.Kind {
		case GitRefs:
			c.Refs++
		case GitListRefs:
			c.ListRefs++
		case GitFetch:
			c.Fetch++
		case GitPush:
			c.Push++
		default:
			c.Other++
		}
	}
	return c
}

// ServeHTTP answers one request; it is exported for http.Server only.
func (s *GitServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	repo, action, service := splitGitPath(req)
	entry := GitRequest{Time: time.Now(), Repo: repo, UserAgent: req.UserAgent()}
	entry.User, _, _ = req.BasicAuth()
	// Buffered, so that the kind of request can be read and the body still be
	// passed on.
	body, bodyErr := requestBody(req)
	entry.Kind = gitKind(action, service, body)
	rec := &statusRecorder{ResponseWriter: w}
	defer func() {
		entry.Status = rec.status
		s.mu.Lock()
		s.requests = append(s.requests, entry)
		s.mu.Unlock()
	}()
	if bodyErr != nil {
		http.Error(rec, "unreadable body", http.StatusBadRequest)
		return
	}
	fault := s.faults.of(repo)
	if fault.answer(rec, req) {
		return
	}
	s.mu.Lock()
	user, password := s.user, s.password
	s.mu.Unlock()
	if (user != "" || password != "") && !sentCredentials(req, user, password) {
		rec.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(rec, "authentication required", http.StatusUnauthorized)
		return
	}
	r := s.Repos.Repo(repo)
	if r == nil {
		http.Error(rec, "repository not found", http.StatusNotFound)
		return
	}
	if service != "git-upload-pack" && !(service == "git-receive-pack" && s.opts.AllowPush) {
		http.Error(rec, "service not enabled", http.StatusForbidden)
		return
	}
	switch {
	case req.Method == http.MethodGet && action == "info/refs":
		rec.Header().Set("Content-Type", "application/x-"+service+"-advertisement")
		s.runGit(rec, req, fault, r, service, nil, true)
	case req.Method == http.MethodPost && action == service:
		rec.Header().Set("Content-Type", "application/x-"+service+"-result")
		if service == "git-receive-pack" {
			r.mu.Lock()
			defer r.mu.Unlock()
		}
		s.runGit(rec, req, fault, r, service, body, false)
	default:
		http.Error(rec, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// runGit lets the git command answer in the stateless form that HTTP uses.
func (s *GitServer) runGit(w *statusRecorder, req *http.Request, fault GitFault, repo *Repo, service string, body *bufio.Reader, advertise bool) {
	args := []string{strings.TrimPrefix(service, "git-"), "--stateless-rpc"}
	if advertise {
		args = append(args, "--advertise-refs")
	}
	cmd := exec.CommandContext(req.Context(), "git", append(args, repo.dir)...)
	cmd.Env = gitEnv()
	protocol := req.Header.Get("Git-Protocol")
	if protocol != "" {
		cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+protocol)
	}
	if body != nil {
		cmd.Stdin = body
	}
	w.Header().Set("Cache-Control", "no-cache")
	out := fault.writer(w, req)
	if advertise && !strings.Contains(protocol, "version=2") {
		line := "# service=" + service + "\n"
		fmt.Fprintf(out, "%04x%s0000", len(line)+4, line)
	}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &stderr
	if err := cmd.Run(); err != nil && !w.wrote {
		http.Error(w, "git: "+strings.TrimSpace(stderr.String()), http.StatusInternalServerError)
	}
}

// splitGitPath reads /NAME.git/info/refs?service=S and /NAME.git/S.
func splitGitPath(req *http.Request) (repo, action, service string) {
	path := strings.TrimPrefix(req.URL.Path, "/")
	for _, action := range []string{"info/refs", "git-upload-pack", "git-receive-pack"} {
		if name, ok := strings.CutSuffix(path, "/"+action); ok {
			service := action
			if action == "info/refs" {
				service = req.URL.Query().Get("service")
			}
			return strings.TrimSuffix(name, ".git"), action, service
		}
	}
	return strings.TrimSuffix(path, ".git"), "", ""
}

func requestBody(req *http.Request) (*bufio.Reader, error) {
	if req.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(req.Body)
		return bufio.NewReader(z), err
	}
	return bufio.NewReader(req.Body), nil
}

func gitKind(action, service string, body *bufio.Reader) GitRequestKind {
	switch {
	case service == "git-receive-pack":
		return GitPush
	case action == "info/refs":
		return GitRefs
	case action != "git-upload-pack":
		return GitOther
	}
	// A protocol version 2 request begins with its command in a pkt-line.
	const command = "command=ls-refs"
	if start, _ := body.Peek(4 + len(command)); len(start) > 4 && string(start[4:]) == command {
		return GitListRefs
	}
	return GitFetch
}

func sentCredentials(req *http.Request, user, password string) bool {
	u, p, ok := req.BasicAuth()
	return ok && subtle.ConstantTimeCompare([]byte(u+"\x00"+p), []byte(user+"\x00"+password)) == 1
}

// statusRecorder keeps the status for the access log.
type statusRecorder struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (r *statusRecorder) WriteHeader(code int) {
	r.status, r.wrote = code, true
	r.ResponseWriter.WriteHeader(code)
}

func (r *statusRecorder) Write(p []byte) (int, error) {
	if !r.wrote {
		r.WriteHeader(http.StatusOK)
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController flush.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
