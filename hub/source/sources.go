package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Options of Sources.
type Options struct {
	// Dir is where object stores are kept; made when missing. It is a cache:
	// it may be deleted while the hub is stopped.
	Dir string
	// WorkerCommand is the hub binary with its hidden subcommand worker-git.
	WorkerCommand []string
	// Workers is the most Git processes at a time; 0 means 6. One of them is
	// kept for reading, so that slow servers delay no render.
	Workers int
	// Credentials finds the credential of a repository, nil when there is none.
	Credentials func(ctx context.Context, url string) (*fleet.Credential, error)
	// AllowFile allows file:// URLs, for demos and tests.
	AllowFile bool
	// AllowHTTPCredentials allows credentials over plain http, for tests.
	AllowHTTPCredentials bool
	// AllowedHosts are globs of hosts that may be contacted; empty means any.
	AllowedHosts []string
	// Blocked are networks that are never contacted; nil means
	// DefaultBlocked().
	Blocked []netip.Prefix
	// Timeout bounds one sync of a repository; 0 means five minutes.
	Timeout time.Duration
	// MaxPackBytes bounds what one fetch may transfer; 0 means 2 GiB.
	MaxPackBytes int64
	// CacheBytes bounds the memory for trees and files; 0 means 64 MiB.
	CacheBytes int64
	// MemoryLimit of a Git process in bytes; 0 means 2 GiB.
	MemoryLimit int64
	Log         *slog.Logger
}

// Sources gives access to Git repositories. It is safe for concurrent use.
type Sources struct {
	opts    Options
	pool    *worker.Pool
	network chan struct{} // slots for conversations with servers
	cache   *byteCache

	mu    sync.Mutex
	syncs map[string]*sync.Mutex // by directory: one conversation at a time
	state map[string]*repoState  // by directory
}

// repoState is what was learned about a repository in this process.
type repoState struct {
	commits map[string]*workerv1.GitCommit
}

// New makes Sources; Close ends its processes.
func New(opts Options) (*Sources, error) {
	if opts.Workers <= 0 {
		opts.Workers = 6
	}
	opts.Workers = max(opts.Workers, 2)
	if opts.Blocked == nil {
		opts.Blocked = DefaultBlocked()
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 5 * time.Minute
	}
	if opts.MaxPackBytes <= 0 {
		opts.MaxPackBytes = 2 << 30
	}
	if opts.CacheBytes <= 0 {
		opts.CacheBytes = 64 << 20
	}
	if opts.MemoryLimit <= 0 {
		opts.MemoryLimit = 2 << 30
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, err
	}
	opts.Dir = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "git_store_unavailable", "the hub cannot use its directory for repositories")
	}
	if err := removeRemains(dir); err != nil {
		return nil, err
	}
	return &Sources{
		opts: opts,
		pool: worker.NewPool(worker.Options{
			Name: "Git", Command: opts.WorkerCommand, Env: workerEnv(opts.AllowFile, opts.MemoryLimit), Max: opts.Workers,
			MemoryLimit: opts.MemoryLimit, RecycleRSS: 384 << 20, Log: opts.Log,
		}),
		network: make(chan struct{}, opts.Workers-1),
		cache:   newByteCache(opts.CacheBytes),
		syncs:   map[string]*sync.Mutex{},
		state:   map[string]*repoState{},
	}, nil
}

// removeRemains deletes what a killed process left half deleted.
func removeRemains(dir string) error {
	for _, pattern := range []string{"trash-*", "known-hosts-*"} {
		old, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range old {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// workerEnv is the environment of Git processes: proxies and trusted
// certificates of the machine, and nothing else.
func workerEnv(withPath bool, memory int64) []string {
	names := []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"}
	if withPath {
		names = append(names, "PATH")
	}
	env := []string{"GOMAXPROCS=2", "GOTRACEBACK=single", fmt.Sprintf("GOMEMLIMIT=%d", memory*3/4)}
	for _, n := range names {
		if v, ok := os.LookupEnv(n); ok {
			env = append(env, n+"="+v)
		}
	}
	return env
}

// Close stops what is running and returns when all processes have ended.
func (s *Sources) Close() { s.pool.Close() }

// Resolved is what a revision is at the moment.
type Resolved struct {
	// Commit is empty when Err is set.
	Commit string
	// Ref is the full name of the branch or tag, empty for a commit.
	Ref string
	// Revision describes the commit.
	Revision model.Revision
	// Err says why this one revision cannot be resolved.
	Err error
}

// Resolve asks a repository what its revisions are, and fetches the commits that
// are not here yet, in one conversation; "" means HEAD. The error is about the
// repository as a whole (no answer, no permission); a revision that does not
// exist has its own in its Resolved. One conversation per repository runs at a
// time, others wait for their turn.
func (s *Sources) Resolve(ctx context.Context, repoURL string, revisions []string) (map[string]Resolved, error) {
	cred, err := s.credential(ctx, repoURL)
	if err != nil {
		return nil, err
	}
	synced, err := s.sync(ctx, repoURL, cred, &workerv1.GitSync{Revisions: revisions, OfflineCommits: true})
	if err != nil {
		return nil, err
	}
	out := make(map[string]Resolved, len(revisions))
	for i, r := range synced.GetRevisions() {
		if i >= len(revisions) {
			break
		}
		if r.GetProblem() != nil {
			out[revisions[i]] = Resolved{Err: worker.Fault(r.GetProblem())}
			continue
		}
		out[revisions[i]] = Resolved{Commit: r.GetCommit().GetId(), Ref: r.GetRef(), Revision: revisionOf(r.GetCommit())}
	}
	return out, nil
}

// Check asks a repository for its references with a credential that is not
// stored yet (nil: none), and fetches nothing.
func (s *Sources) Check(ctx context.Context, repoURL string, cred *fleet.Credential) error {
	_, err := s.sync(ctx, repoURL, cred, &workerv1.GitSync{ListOnly: true})
	return err
}

func revisionOf(c *workerv1.GitCommit) model.Revision {
	r := model.Revision{Commit: c.GetId(), Message: c.GetSubject(), Author: c.GetAuthor()}
	if c.GetCommittedUnix() != 0 {
		r.CommittedAt = time.Unix(c.GetCommittedUnix(), 0).UTC()
	}
	return r
}

func (s *Sources) credential(ctx context.Context, repoURL string) (*fleet.Credential, error) {
	if s.opts.Credentials == nil {
		return nil, nil
	}
	return s.opts.Credentials(ctx, repoURL)
}

// directory is where the objects of a repository are. Its name says nothing
// about the repository.
func (s *Sources) directory(u URL) string {
	sum := sha256.Sum256([]byte(u.Identity()))
	return filepath.Join(s.opts.Dir, hex.EncodeToString(sum[:16]))
}

// sync has one conversation.
func (s *Sources) sync(ctx context.Context, repoURL string, cred *fleet.Credential, req *workerv1.GitSync) (*workerv1.GitSynced, error) {
	u, err := ParseURL(repoURL, s.opts.AllowFile)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "file" && !hostAllowed(u.Host, s.opts.AllowedHosts) {
		return nil, errHostNotAllowed(u.Host, s.opts.AllowedHosts)
	}
	req.Directory = s.directory(u)
	req.Remote = &workerv1.GitRemote{
		Url: repoURL, AllowedHosts: s.opts.AllowedHosts, AllowHttpCredentials: s.opts.AllowHTTPCredentials,
		AllowFile: s.opts.AllowFile, MaxPackBytes: s.opts.MaxPackBytes,
	}
	for _, p := range s.opts.Blocked {
		req.Remote.BlockedNetworks = append(req.Remote.BlockedNetworks, p.String())
	}
	if cred != nil {
		req.Remote.Username, req.Remote.Password = cred.Username, cred.Password
		req.Remote.SshKey, req.Remote.KnownHosts, req.Remote.CaBundle = cred.SSHKey, cred.KnownHosts, cred.CABundle
	}
	unlock, err := s.lock(ctx, req.Directory)
	if err != nil {
		return nil, err
	}
	defer unlock()
	select {
	case s.network <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-s.network }()
	request := &workerv1.GitRequest{Request: &workerv1.GitRequest_Sync{Sync: req}}
	answer, err := s.ask(ctx, s.opts.Timeout, request)
	if fault.HasCode(err, "git_objects_missing") {
		// The worker has dropped what it believed to have.
		s.opts.Log.Warn("objects of a repository are missing and are fetched again", "repository", u)
		answer, err = s.ask(ctx, s.opts.Timeout, request)
	}
	if fault.HasCode(err, "worker_timeout") {
		return nil, fault.Wrap(err, fault.Upstream, "git_unavailable", "%s did not finish within %s", u, s.opts.Timeout)
	}
	if err != nil {
		return nil, err
	}
	synced := answer.GetSynced()
	s.remember(req.Directory, synced)
	return synced, nil
}

// lock waits for the repository's turn.
func (s *Sources) lock(ctx context.Context, dir string) (unlock func(), err error) {
	s.mu.Lock()
	l, ok := s.syncs[dir]
	if !ok {
		l = &sync.Mutex{}
		s.syncs[dir] = l
	}
	s.mu.Unlock()
	if l.TryLock() {
		return l.Unlock, nil
	}
	// Waiting may end with ctx; the lock is then passed on when it comes.
	got := make(chan struct{})
	go func() {
		l.Lock()
		close(got)
	}()
	select {
	case <-got:
		return l.Unlock, nil
	case <-ctx.Done():
		go func() {
			<-got
			l.Unlock()
		}()
		return nil, context.Cause(ctx)
	}
}

// maxRemembered bounds the commits kept for one repository.
const maxRemembered = 256

func (s *Sources) remember(dir string, synced *workerv1.GitSynced) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.state[dir]
	if !ok {
		st = &repoState{commits: map[string]*workerv1.GitCommit{}}
		s.state[dir] = st
	}
	for _, r := range synced.GetRevisions() {
		c := r.GetCommit()
		if c.GetTree() == "" {
			continue
		}
		if len(st.commits) >= maxRemembered {
			for id := range st.commits {
				delete(st.commits, id)
				break
			}
		}
		st.commits[c.GetId()] = c
	}
}

func (s *Sources) known(dir, commit string) *workerv1.GitCommit {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st, ok := s.state[dir]; ok {
		return st.commits[commit]
	}
	return nil
}

func (s *Sources) forget(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.state, dir)
}

// ask sends one request to a worker. A worker that crashed is tried a second
// time: perhaps another job had filled its memory.
func (s *Sources) ask(ctx context.Context, limit time.Duration, req *workerv1.GitRequest) (*workerv1.GitAnswer, error) {
	var answer *workerv1.GitAnswer
	try := func() error {
		answer = &workerv1.GitAnswer{}
		return s.pool.Do(ctx, limit, func(c *worker.Conn) error {
			if err := c.Send(req); err != nil {
				return err
			}
			if err := c.Receive(answer); err != nil {
				return err
			}
			c.Finished()
			return nil
		})
	}
	err := try()
	if fault.HasCode(err, "worker_crashed") {
		err = try()
	}
	if err != nil {
		return nil, err
	}
	if p := answer.GetProblem(); p != nil {
		return nil, worker.Fault(p)
	}
	return answer, nil
}

// errNoCommit is a mistake of the caller.
var errNoCommit = errors.New("a snapshot needs a full commit id")
