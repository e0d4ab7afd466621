package source

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
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
	if req.GetOfflineCommits() && j.offline(req.GetRevisions()) {
		return j.answer(req.GetRevisions())
	}
	opts, err := optionsOf(remotePart, filepath.Dir(req.GetDirectory()))
	if err != nil {
		return nil, err
	}
	j.maxPack = opts.maxPackBytes
	j.remote, err = connect(u, opts)
	if err != nil {
		return nil, err
	}
	defer j.remote.close()
	if err := j.run(ctx, req.GetRevisions()); err != nil {
		var disk *os.PathError
		if errors.As(err, &disk) {
			return nil, fault.Wrap(err, fault.Unavailable, "git_store_unavailable", "the hub cannot write to its directory for repositories")
		}
		return nil, upstream(j.repo, u.Host, err)
	}
	return j.answer(req.GetRevisions())
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

	refs     *advertised
	targets  map[string]target
	problems map[string]error
	commits  map[string]string // revision → commit
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
		t, err := j.refs.resolve(j.repo, r)
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
	if packs > maxPacks || len(j.state.Commits) > maxCommits {
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

// fetchAll gets what is missing, with as few requests as possible:
// tips seen before get what was added since, new ones a single commit, commits
// that are no tips are asked for one by one, and as a last resort everything.
func (j *syncJob) fetchAll(ctx context.Context) error {
	var updates, fresh, loose, whole []string // revisions
	for r, t := range j.targets {
		switch {
		case t.commit != "" && j.state.has(t.commit):
		case t.prefix != "":
			whole = append(whole, r)
		case !j.refs.isTip(t.want):
			loose = append(loose, r)
		case j.state.has(j.state.Last[r]):
			updates = append(updates, r)
		default:
			fresh = append(fresh, r)
		}
	}
	for _, list := range [][]string{updates, fresh, loose, whole} {
		sort.Strings(list)
	}
	if len(updates) > 0 {
		haves := []string{}
		for _, r := range updates {
			haves = append(haves, j.state.Last[r])
		}
		if err := j.fetch(ctx, updates, wanted{haves: unique(haves), shallows: j.state.Shallow}); err != nil {
			return err
		}
	}
	if len(fresh) > 0 {
		if err := j.fetch(ctx, fresh, wanted{depth: 1}); err != nil {
			return err
		}
	}
	digest := j.refs.digest()
	for _, r := range loose {
		id := j.targets[r].want
		if j.state.has(id) {
			continue // came with another
		}
		if j.state.Missing[id] == digest {
			j.problems[r] = j.unknownCommit(r)
			continue
		}
		if j.refs.has("allow-reachable-sha1-in-want") || j.refs.has("allow-any-sha1-in-want") {
			err := j.fetch(ctx, []string{r}, wanted{depth: 1})
			var said *errRemote
			if err == nil {
				continue
			}
			if !errors.As(err, &said) {
				return err
			}
		}
		whole = append(whole, r)
	}
	return j.fetchWhole(ctx, whole, digest)
}

// fetchWhole gets all history, to find commits that are no tips.
func (j *syncJob) fetchWhole(ctx context.Context, revisions []string, digest string) error {
	open := slices.DeleteFunc(slices.Clone(revisions), func(r string) bool {
		t := j.targets[r]
		if j.state.Missing[t.want+t.prefix] == digest {
			j.problems[r] = j.unknownCommit(r)
			return true
		}
		return false
	})
	if len(open) == 0 {
		return nil
	}
	var tips []string
	for name, id := range j.refs.refs {
		if strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/") {
			tips = append(tips, id)
		}
	}
	if tips = unique(tips); len(tips) > 0 {
		if err := j.receive(ctx, wanted{wants: tips}); err != nil {
			return err
		}
	}
	for _, r := range open {
		t := j.targets[r]
		id, err := j.find(t)
		switch {
		case err != nil:
			j.problems[r] = err
			if fault.HasCode(err, "revision_not_found") {
				j.state.Missing[t.want+t.prefix] = digest
				j.problems[r] = j.unknownCommit(r)
			}
		default:
			j.commits[r] = id
			j.state.add(id)
			if t.prefix != "" {
				j.state.Prefixes[t.prefix] = id
			}
		}
		j.changed = true
	}
	return nil
}

// find looks a commit up in the store, which has all history.
func (j *syncJob) find(t target) (string, error) {
	if t.prefix == "" {
		if got, err := j.store.commit(t.want); err == nil && got.GetId() == t.want {
			return t.want, nil
		}
		return "", notFound("no such commit")
	}
	// Half a byte more than asked for must be compared by hand.
	even := t.prefix[:len(t.prefix)/2*2]
	raw, err := hex.DecodeString(even)
	if err != nil {
		return "", notFound("no such commit")
	}
	j.store.objects.Reindex()
	hashes, err := j.store.objects.HashesWithPrefix(raw)
	if err != nil {
		return "", err
	}
	var found []string
	for _, h := range hashes {
		id := h.String()
		if !strings.HasPrefix(id, t.prefix) {
			continue
		}
		if got, err := j.store.commit(id); err == nil && got.GetId() == id {
			found = append(found, id)
		}
	}
	switch found = unique(found); len(found) {
	case 0:
		return "", notFound("no such commit")
	case 1:
		return found[0], nil
	}
	return "", fault.New(fault.Unprocessable, "revision_ambiguous", "%q matches %d commits; give 40 characters", t.prefix, len(found))
}

func (j *syncJob) unknownCommit(revision string) error {
	return notFound("commit %q is not in %s; it may have been removed by a forced push", clip(revision, 80), j.repo)
}

// fetch gets the objects of some revisions and notes them as present.
func (j *syncJob) fetch(ctx context.Context, revisions []string, w wanted) error {
	for _, r := range revisions {
		w.wants = append(w.wants, j.targets[r].want)
	}
	w.wants = unique(w.wants)
	if !j.refs.has("shallow") {
		w.depth, w.shallows = 0, nil
	}
	if err := j.receive(ctx, w); err != nil {
		return err
	}
	for _, r := range revisions {
		c, err := j.store.commit(j.targets[r].want)
		if err != nil {
			if errors.Is(err, errNotCommit) {
				j.problems[r] = notFound("%q of %s is not a commit", clip(r, 80), j.repo)
				continue
			}
			return err
		}
		j.commits[r] = c.GetId()
		j.state.add(c.GetId())
		j.state.Last[r] = c.GetId()
	}
	j.changed = true
	return nil
}

func (j *syncJob) receive(ctx context.Context, w wanted) error {
	body := w.encode(j.refs)
	out, err := j.remote.request(ctx, body)
	if err != nil {
		return err
	}
	pack, err := newPackReader(bufio.NewReaderSize(out, 64<<10), j.maxPack)
	if err != nil {
		return err
	}
	if err := j.store.addPack(pack); err != nil {
		return err
	}
	j.fetched = true
	j.state.Shallow = unique(append(j.state.Shallow, pack.shallows...))
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
		a := &workerv1.GitRevision{Revision: r, Ref: j.targets[r].ref}
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
