package source

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
)

// sync answers what revisions are, and fetches commits that are missing, in the
// child process. Trouble with one revision is in its answer; trouble with the
// repository is the error.
func (c *child) sync(ctx context.Context, req *workerv1.GitSync) (*workerv1.GitSynced, error) {
	remotePart := req.GetRemote()
	u, err := ParseURL(remotePart.GetUrl(), remotePart.GetAllowFile())
	if err != nil {
		return nil, err
	}
	store, err := c.store(req.GetDirectory())
	if err != nil {
		return nil, err
	}
	j := &syncJob{child: c, repo: u.String(), store: store, state: store.readState(), listOnly: req.GetListOnly()}
	asked := make([]string, len(req.GetRevisions()))
	for i, r := range req.GetRevisions() {
		asked[i] = askedFor(r, req.GetTagPrefixes(), i)
	}
	if req.GetOfflineCommits() && j.offline(asked) {
		return j.answer(asked)
	}
	opts, err := optionsOf(remotePart, filepath.Dir(req.GetDirectory()))
	if err != nil {
		return nil, err
	}
	j.maxPack = opts.GetMaxPackBytes()
	j.remote, err = connect(u, opts)
	if err != nil {
		return nil, err
	}
	defer j.remote.close()
	if err := j.run(ctx, asked); err != nil {
		if onDisk(err) {
			return nil, storeFault(err)
		}
		return nil, upstream(j.repo, u.Host, err)
	}
	return j.answer(asked)
}

// askedFor is one string for a revision and the prefix of the tags that a
// constraint is about; plain is the revision again.
func askedFor(revision string, prefixes []string, i int) string {
	if i < len(prefixes) && prefixes[i] != "" {
		return revision + "\x00" + prefixes[i]
	}
	return revision
}

func plain(asked string) string {
	revision, _, _ := strings.Cut(asked, "\x00")
	return revision
}

// syncJob is one conversation with a repository.
type syncJob struct {
	child    *child
	repo     string
	store    *objectStore
	state    storeState
	remote   remote
	listOnly bool
	maxPack  int64

	refs *advertised
	// By what was asked, see askedFor.
	targets  map[string]target
	problems map[string]error
	commits  map[string]string
	fetched  bool
	changed  bool // of the state
}

// offline settles revisions that are full commit ids, or short ones settled
// before, from the store alone. It reports whether that was all.
func (j *syncJob) offline(revisions []string) bool {
	j.begin()
	for _, r := range revisions {
		id := strings.ToLower(r)
		if known, ok := j.state.Prefixes[id]; ok {
			id = known
		}
		if !IsCommit(id) || !j.state.has(id) {
			return false
		}
		j.commits[r] = id
	}
	return len(revisions) > 0
}

func (j *syncJob) begin() {
	j.targets, j.problems, j.commits = map[string]target{}, map[string]error{}, map[string]string{}
	for _, m := range []*map[string]string{&j.state.Last, &j.state.Prefixes, &j.state.Missing} {
		if *m == nil {
			*m = map[string]string{}
		}
	}
}

func (j *syncJob) run(ctx context.Context, revisions []string) error {
	var err error
	if j.refs, err = j.remote.advertise(ctx); err != nil {
		return err
	}
	j.begin()
	if !j.listOnly {
		if err := j.tidy(); err != nil {
			return err
		}
	}
	for _, r := range revisions {
		revision, prefix, _ := strings.Cut(r, "\x00")
		t, err := j.refs.resolve(j.repo, revision, prefix)
		if err != nil {
			j.problems[r] = err
			continue
		}
		if t.prefix != "" {
			if id, ok := j.state.Prefixes[t.prefix]; ok {
				t = target{want: id, commit: id}
			}
		}
		j.targets[r] = t
		if t.commit != "" {
			j.commits[r] = t.commit
		}
	}
	if j.listOnly {
		return nil
	}
	if err := j.fetchAll(ctx); err != nil {
		return err
	}
	if j.changed {
		j.forgetOld(revisions)
		return j.store.writeState(j.state)
	}
	return nil
}

// tidy removes remains, and begins a new store when the old one has become
// slow. It runs after the server has answered, so that the old one is not lost
// for nothing.
func (j *syncJob) tidy() error {
	packs, err := j.store.clean()
	if err != nil {
		return err
	}
	lost, err := j.store.lost(j.state)
	if err != nil {
		return err
	}
	if lost || packs > maxPacks || len(j.state.Commits) > maxCommits {
		if err := j.store.reset(); err != nil {
			return err
		}
		prefixes := j.state.Prefixes
		j.state = storeState{}
		j.begin()
		j.state.Prefixes = prefixes
		j.changed = true
	}
	return nil
}

// forgetOld drops what the state knows about revisions that nobody asks for.
func (j *syncJob) forgetOld(revisions []string) {
	for r := range j.state.Last {
		if !slices.Contains(revisions, r) && len(j.state.Last) > 200 {
			delete(j.state.Last, r)
		}
	}
	for _, m := range []map[string]string{j.state.Prefixes, j.state.Missing} {
		for k := range m {
			if len(m) > 200 {
				delete(m, k)
			}
		}
	}
}

func (j *syncJob) answer(revisions []string) (*workerv1.GitSynced, error) {
	out := &workerv1.GitSynced{Fetched: j.fetched}
	for _, r := range revisions {
		a := &workerv1.GitRevision{Revision: plain(r), Ref: j.targets[r].ref}
		out.Revisions = append(out.Revisions, a)
		if err := j.problems[r]; err != nil {
			a.Problem = worker.Problem(err)
			continue
		}
		id := j.commits[r]
		if j.listOnly {
			a.Commit = &workerv1.GitCommit{Id: id}
			continue
		}
		commit, err := j.store.commit(id)
		if err != nil {
			return nil, j.child.errMissing(j.store.dir, err)
		}
		a.Commit = commit
		if want := j.targets[r].want; want != "" && want != commit.GetId() {
			a.Tag = want
		}
	}
	return out, nil
}

// digest is equal while a server has the same references.
func (a *advertised) digest() string {
	names := make([]string, 0, len(a.refs))
	for n := range a.refs {
		names = append(names, n)
	}
	sort.Strings(names)
	h := sha256.New()
	for _, n := range names {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(n)))
		h.Write(size[:])
		h.Write([]byte(n))
		h.Write([]byte(a.refs[n]))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func unique(ids []string) []string {
	sort.Strings(ids)
	return slices.Compact(ids)
}
