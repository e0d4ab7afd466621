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
	"github.com/hawser-dev/hawser/hub/source/archive"
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
	// It is asked for submodules by their own URL.
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
	// Freshness is for how long what a remote base or a chart dependency
	// resolved to is taken for true; 0 means three minutes.
	Freshness time.Duration
	// Timeout bounds one sync of a repository; 0 means five minutes.
	Timeout time.Duration
	// MaxPackBytes bounds what one fetch may transfer; 0 means 2 GiB.
	MaxPackBytes int64
	// Archives bounds charts and OCI artifacts.
	Archives archive.Limits
	// OCIMediaTypes are the layers of artifacts that are taken, beside charts;
	// nil means ociregistry.DefaultMediaTypes.
	OCIMediaTypes []string
	// CacheBytes bounds the memory for trees and files; 0 means 64 MiB.
	CacheBytes int64
	// MemoryLimit of a Git process in bytes; 0 means 2 GiB.
	MemoryLimit int64
	Log         *slog.Logger
}

// Sources gives access to repositories of Git, charts and OCI artifacts. It is
// safe for concurrent use.
type Sources struct {
	opts    Options
	pool    *worker.Pool
	network chan struct{} // slots for conversations with servers
	// trees and cache: whether something has changed is told by trees, which files
	// must not push out.
	trees, cache *byteCache

	mu    sync.Mutex
	syncs map[string]*sync.Mutex // by directory: one conversation at a time
	state map[string]*repoState  // by directory
	fresh map[fleet.Target]freshCommit
	// verified are verdicts on signatures; guarded by mu.
	verified map[string]verdict

	charts charts

	apps appTokens

	place struct {
		sync.Mutex
		info os.FileInfo // of Options.Dir
	}
}

// repoState is what was learned about a repository in this process.
type repoState struct {
	commits map[string]*workerv1.GitCommit
	// What the credential that was used last asks for.
	submodules, large bool
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
	if opts.Freshness <= 0 {
		opts.Freshness = 3 * time.Minute
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
		return nil, storeFault(err)
	}
	if err := removeRemains(dir); err != nil {
		return nil, err
	}
	s := &Sources{
		opts: opts,
		pool: worker.NewPool(worker.Options{
			Name: "Git", Command: opts.WorkerCommand, Env: append(workerEnv(opts.AllowFile, opts.MemoryLimit), "TMPDIR="+opts.Dir), Max: opts.Workers,
			MemoryLimit: opts.MemoryLimit, RecycleRSS: 384 << 20, Log: opts.Log,
			OpenFiles: 1024, FileLimit: opts.MaxPackBytes + 1<<30, Sandbox: workerProfile(opts.Dir, opts.AllowFile),
			// Its view of certificates and of the resolver's file is that of its start.
			MaxAge: 10 * time.Minute,
		}),
		network: make(chan struct{}, opts.Workers-1),
		trees:   newByteCache(opts.CacheBytes / 4),
		cache:   newByteCache(opts.CacheBytes - opts.CacheBytes/4),
		syncs:   map[string]*sync.Mutex{},
		state:   map[string]*repoState{},
		fresh:   map[fleet.Target]freshCommit{},
	}
	return s, s.settle()
}

// settle makes the directory again when somebody has removed it. Processes that
// were started before may not use the new one, and have the old one open.
func (s *Sources) settle() error {
	s.place.Lock()
	defer s.place.Unlock()
	now, err := os.Stat(s.opts.Dir)
	if err == nil && s.place.info != nil && os.SameFile(now, s.place.info) {
		return nil
	}
	if err = os.MkdirAll(s.opts.Dir, 0o700); err == nil {
		now, err = os.Stat(s.opts.Dir)
	}
	if err != nil {
		return storeFault(err)
	}
	if s.place.info != nil {
		s.opts.Log.Warn("the directory for repositories was removed; it is filled anew")
		s.pool.Renew()
	}
	s.place.info = now
	return nil
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

// workerProfile lets Git processes talk to servers and keep what they fetched,
// and no more. Repositories of this machine, in demos and tests, are read by the
// git command wherever they are.
func workerProfile(dir string, allowFile bool) *worker.Profile {
	if allowFile {
		return &worker.Profile{Network: true, Commands: true, Read: []string{"/"}, Write: []string{dir, "/dev/null"}}
	}
	return &worker.Profile{Network: true, Read: worker.ClientFiles(), Write: []string{dir}}
}

// Close stops what is running and returns when all processes have ended.
func (s *Sources) Close() { s.pool.Close() }

// Resolved is what a target is at the moment.
type Resolved struct {
	// Commit of Git, or what stands for a version of a chart or an artifact; At
	// takes it. It is empty when Err is set.
	Commit string
	// Ref is the full name of the branch or tag, empty for a commit.
	Ref string
	// Tag is the annotated tag that the target names, empty when it names none.
	Tag string
	// Revision describes the commit.
	Revision model.Revision
	// Err says why this one target cannot be resolved.
	Err error
}

// Resolve asks a repository what its targets are, and fetches what is not here
// yet, in one conversation. The error is about the repository as a whole (no
// answer, no permission); a target that does not exist has its own in its
// Resolved. One conversation per repository runs at a time, others wait for
// their turn.
func (s *Sources) Resolve(ctx context.Context, repoURL string, targets []fleet.Target) (map[fleet.Target]Resolved, error) {
	var git, others []fleet.Target
	for _, t := range targets {
		if t.Type() == fleet.Git {
			git = append(git, t)
		} else {
			others = append(others, t)
		}
	}
	if len(git) == 0 && len(others) > 0 {
		return s.resolveCharts(ctx, repoURL, others)
	}
	out, err := s.resolveGit(ctx, repoURL, git)
	if err != nil || len(others) == 0 {
		return out, err
	}
	// One URL for both kinds is a mistake in one of the applications; the other
	// ones go on.
	charts, err := s.resolveCharts(ctx, repoURL, others)
	for _, t := range others {
		if err != nil {
			out[t] = Resolved{Err: err}
		} else {
			out[t] = charts[t]
		}
	}
	return out, nil
}

func (s *Sources) resolveGit(ctx context.Context, repoURL string, targets []fleet.Target) (map[fleet.Target]Resolved, error) {
	cred, err := s.credential(ctx, repoURL)
	if err != nil {
		return nil, err
	}
	req := &workerv1.GitSync{OfflineCommits: true}
	for _, t := range targets {
		req.Revisions = append(req.Revisions, t.Revision)
		req.TagPrefixes = append(req.TagPrefixes, t.TagPrefix)
	}
	synced, err := s.sync(ctx, repoURL, cred, req)
	if err != nil {
		return nil, err
	}
	out := make(map[fleet.Target]Resolved, len(targets))
	for i, r := range synced.GetRevisions() {
		if i >= len(targets) {
			break
		}
		if r.GetProblem() != nil {
			out[targets[i]] = Resolved{Err: worker.Fault(r.GetProblem())}
			continue
		}
		out[targets[i]] = Resolved{Commit: r.GetCommit().GetId(), Ref: r.GetRef(), Tag: r.GetTag(), Revision: revisionOf(r.GetCommit())}
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

// directory is where the objects of a repository are.
func (s *Sources) directory(u URL) string { return s.storeDirectory(u.Identity()) }

// storeDirectory is the object store of something with this identity. Its name
// says nothing about it.
func (s *Sources) storeDirectory(identity string) string {
	sum := sha256.Sum256([]byte(identity))
	return filepath.Join(s.opts.Dir, hex.EncodeToString(sum[:16]))
}

// remote is how a worker reaches a URL and is let in. cred may be nil.
func (s *Sources) remote(url string, cred *fleet.Credential) *workerv1.Remote {
	r := &workerv1.Remote{
		Url: url, AllowedHosts: s.opts.AllowedHosts, AllowHttpCredentials: s.opts.AllowHTTPCredentials,
		AllowFile: s.opts.AllowFile, MaxPackBytes: s.opts.MaxPackBytes,
	}
	for _, p := range s.opts.Blocked {
		r.BlockedNetworks = append(r.BlockedNetworks, p.String())
	}
	if cred == nil {
		return r
	}
	r.Username, r.Password, r.BearerToken = cred.Username, cred.Password, cred.BearerToken
	r.ForceBasicAuth, r.PassCredentials = cred.ForceBasicAuth, cred.PassCredentials
	r.SshKey, r.KnownHosts, r.InsecureIgnoreHostKey = cred.SSHKey, cred.KnownHosts, cred.InsecureIgnoreHostKey
	r.CaBundle, r.ClientCert, r.ClientKey = cred.CABundle, cred.ClientCert, cred.ClientKey
	r.InsecureSkipVerify, r.InsecurePlainHttp = cred.InsecureSkipVerify, cred.InsecurePlainHTTP
	r.Proxy, r.NoProxy = cred.Proxy, cred.NoProxy
	if cred.GitHubAppID != 0 {
		r.GithubApp = &workerv1.GitHubApp{
			AppId: cred.GitHubAppID, InstallationId: cred.GitHubAppInstallationID,
			PrivateKey: cred.GitHubAppPrivateKey, BaseUrl: cred.GitHubAppBaseURL,
		}
	}
	return r
}

// checkURL is what a repository's URL has to pass before anything is done with
// it.
func (s *Sources) checkURL(repoURL string) (URL, error) {
	u, err := ParseURL(repoURL, s.opts.AllowFile)
	if err != nil {
		return URL{}, err
	}
	if u.Scheme != "file" && !hostAllowed(u.Host, s.opts.AllowedHosts) {
		return URL{}, errHostNotAllowed(u.Host, s.opts.AllowedHosts)
	}
	return u, nil
}

// sync has one conversation with a Git repository.
func (s *Sources) sync(ctx context.Context, repoURL string, cred *fleet.Credential, req *workerv1.GitSync) (*workerv1.GitSynced, error) {
	u, err := s.checkURL(repoURL)
	if err != nil {
		return nil, err
	}
	req.Directory = s.directory(u)
	var answer *workerv1.GitAnswer
	err = s.withAccess(ctx, u, cred, func(r *workerv1.Remote) (err error) {
		req.Remote = r
		answer, err = s.converse(ctx, req.Directory, u.String(), &workerv1.GitRequest{Request: &workerv1.GitRequest_Sync{Sync: req}})
		return err
	})
	if err != nil {
		return nil, err
	}
	synced := answer.GetSynced()
	if !req.GetListOnly() {
		s.remember(req.Directory, cred, synced)
	}
	return synced, nil
}

// converse has a worker talk to a server, one conversation at a time for each
// directory, and not more than there are slots for. repo is for messages.
func (s *Sources) converse(ctx context.Context, dir, repo string, request *workerv1.GitRequest) (*workerv1.GitAnswer, error) {
	return s.conversation(ctx, dir, repo, request, nil)
}

// conversation is converse with answers that come in parts, see ask.
func (s *Sources) conversation(ctx context.Context, dir, repo string, request *workerv1.GitRequest, part func(*workerv1.GitAnswer) bool) (*workerv1.GitAnswer, error) {
	unlock, err := s.lock(ctx, dir)
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
	answer, err := s.ask(ctx, s.opts.Timeout, request, part)
	if fault.HasCode(err, "git_objects_missing") {
		// The worker has dropped what it believed to have.
		s.opts.Log.Warn("objects of a repository are missing and are fetched again", "repository", repo)
		answer, err = s.ask(ctx, s.opts.Timeout, request, part)
	}
	if fault.HasCode(err, "worker_timeout") {
		return nil, fault.Wrap(err, fault.Upstream, "git_unavailable", "%s did not finish within %s", repo, s.opts.Timeout)
	}
	return answer, err
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

func (s *Sources) remember(dir string, cred *fleet.Credential, synced *workerv1.GitSynced) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.state[dir]
	if !ok {
		st = &repoState{commits: map[string]*workerv1.GitCommit{}}
		s.state[dir] = st
	}
	st.submodules, st.large = cred != nil && cred.EnableSubmodules, cred != nil && cred.EnableLFS
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

// known is a commit that is here, nil when it is not, and what the repository's
// credential asks for.
func (s *Sources) known(dir, commit string) (c *workerv1.GitCommit, submodules, large bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st, ok := s.state[dir]; ok {
		return st.commits[commit], st.submodules, st.large
	}
	return nil, false, false
}

func (s *Sources) forget(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.state, dir)
}

// ask sends one request to a worker. Where part is given it gets each answer, in
// this goroutine, and says whether another one follows; else there is one. A
// worker that crashed before it said anything is tried a second time: perhaps
// another job had filled its memory.
func (s *Sources) ask(ctx context.Context, limit time.Duration, req *workerv1.GitRequest, part func(*workerv1.GitAnswer) bool) (*workerv1.GitAnswer, error) {
	var answer *workerv1.GitAnswer
	begun := false
	try := func() error {
		return s.pool.Do(ctx, limit, func(c *worker.Conn) error {
			if err := c.Send(req); err != nil {
				return err
			}
			for {
				answer = &workerv1.GitAnswer{}
				if err := c.Receive(answer); err != nil {
					return err
				}
				if part == nil || !part(answer) {
					break
				}
				begun = true
			}
			c.Finished()
			return nil
		})
	}
	err := s.settle()
	if err == nil {
		err = try()
	}
	if fault.HasCode(err, "worker_crashed") && !begun {
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
