package source

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
	"github.com/hawser-dev/hawser/shared/signature"
)

// firstDepth is how much of a history is fetched first; each further request asks
// for deepen times as much.
const (
	firstDepth = 64
	deepen     = 4
)

// verify says who has signed a commit or tag, in the child process. What of the
// history is not here is fetched.
func (c *child) verify(ctx context.Context, req *workerv1.GitVerify) (*workerv1.GitVerified, error) {
	store, err := c.store(req.GetDirectory())
	if err != nil {
		return nil, err
	}
	h := &history{child: c, req: req, store: store, verifier: signature.NewVerifier(req.GetKeys(), time.Now()), out: &workerv1.GitVerified{}, facts: map[policy.SignatureFact]*workerv1.GitSignature{}}
	defer h.close()
	if req.GetTag() != "" {
		if err := h.tag(ctx); err != nil || !req.GetStrict() {
			return h.out, err
		}
	}
	return h.out, h.commits(ctx)
}

// history is one walk.
type history struct {
	child    *child
	req      *workerv1.GitVerify
	store    *objectStore
	verifier *signature.Verifier
	out      *workerv1.GitVerified
	facts    map[policy.SignatureFact]*workerv1.GitSignature
	job      *syncJob // to the server, nil until something is missing
	depth    int
}

func (h *history) close() {
	if h.job != nil {
		h.job.remote.close()
	}
}

// note adds a fact. Facts that differ in the object alone are one.
func (h *history) note(f policy.SignatureFact) {
	h.out.Examined++
	key := f
	key.Object, key.Author = "", ""
	if known := h.facts[key]; known != nil {
		known.Objects++
		return
	}
	s := &workerv1.GitSignature{Object: f.Object, Tag: f.Tag, State: string(f.State), KeyId: f.KeyID, PrimaryKeyId: f.PrimaryKeyID,
		Signer: f.Signer, Author: f.Author, Format: f.Format, Objects: 1}
	h.facts[key] = s
	h.out.Signatures = append(h.out.Signatures, s)
}

// tag verifies the tag itself. What it is a tag of has to be the commit.
func (h *history) tag(ctx context.Context) error {
	content, err := h.content(ctx, h.req.GetTag(), plumbing.TagObject)
	if err != nil {
		return err
	}
	f, target := h.verifier.Tag(h.req.GetTag(), content)
	for range maxTags {
		if target == "" || target == h.req.GetCommit() {
			break
		}
		inner, err := h.content(ctx, target, plumbing.TagObject)
		if err != nil {
			return err
		}
		_, target = h.verifier.Tag(target, inner)
	}
	if target != h.req.GetCommit() {
		f.State = policy.SignatureMalformed
	}
	h.note(f)
	return nil
}

// commits verifies the commit, and with strict what is before it.
func (h *history) commits(ctx context.Context) error {
	queue, seen := []string{h.req.GetCommit()}, map[string]bool{h.req.GetCommit(): true}
	for n := 0; len(queue) > 0; n++ {
		if n >= int(h.req.GetMaxCommits()) {
			h.out.Truncated = true
			return nil
		}
		id := queue[0]
		queue = queue[1:]
		content, err := h.content(ctx, id, plumbing.CommitObject)
		if err != nil {
			return err
		}
		c := h.verifier.Commit(id, content)
		h.note(c.SignatureFact)
		if !h.req.GetStrict() || c.Seals {
			continue
		}
		for _, p := range c.Parents {
			if !seen[p] {
				seen[p] = true
				queue = append(queue, p)
			}
		}
	}
	return nil
}

// content is an object as Git stores it; of its history more is fetched when it is
// not here.
func (h *history) content(ctx context.Context, id string, typ plumbing.ObjectType) ([]byte, error) {
	for {
		o, err := h.store.object(plumbing.AnyObject, id)
		switch {
		case err == nil && o.Type() != typ:
			return nil, errMalformed(id, errNotCommit)
		case err == nil:
			return contentOf(o)
		case !errors.Is(err, plumbing.ErrObjectNotFound):
			return nil, err
		}
		more, err := h.fetch(ctx, id, typ)
		if err != nil {
			return nil, err
		}
		if !more {
			return nil, fault.New(fault.Upstream, "git_history_incomplete", "%s does not hand out the history of commit %s", h.name(), short(h.req.GetCommit()))
		}
	}
}

func (h *history) name() string {
	if h.job != nil {
		return h.job.repo
	}
	return "the repository"
}

// fetch gets more of the history; false when there is no more to be had.
func (h *history) fetch(ctx context.Context, id string, typ plumbing.ObjectType) (bool, error) {
	if h.job == nil {
		u, err := ParseURL(h.req.GetRemote().GetUrl(), h.req.GetRemote().GetAllowFile())
		if err != nil {
			return false, err
		}
		opts, err := optionsOf(h.req.GetRemote(), filepath.Dir(h.req.GetDirectory()))
		if err != nil {
			return false, err
		}
		j := &syncJob{child: h.child, repo: u.String(), store: h.store, state: h.store.readState(), maxPack: opts.GetMaxPackBytes()}
		if j.remote, err = connect(u, opts); err != nil {
			return false, err
		}
		h.job = j
		if j.refs, err = j.remote.advertise(ctx); err != nil {
			return false, upstream(j.repo, u.Host, err)
		}
		j.begin()
	}
	j := h.job
	w := wanted{wants: []string{h.req.GetCommit()}, shallows: j.state.Shallow}
	switch {
	case typ == plumbing.TagObject && h.depth == 0 && j.refs.isTip(id):
		w.wants, w.depth = []string{id}, 1
	case h.depth > deepen*int(h.req.GetMaxCommits()):
		return false, nil // it was asked for all of it
	case h.depth == 0:
		h.depth = firstDepth
		w.depth = h.depth
	default:
		h.depth *= deepen
		w.depth = h.depth
	}
	if !j.refs.isTip(w.wants[0]) && !j.refs.has("allow-reachable-sha1-in-want") && !j.refs.has("allow-any-sha1-in-want") {
		// It is asked for by way of all branches and tags.
		w.wants = nil
		for name, tip := range j.refs.refs {
			if strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/") {
				w.wants = append(w.wants, tip)
			}
		}
		w.depth, w.shallows, h.depth = 0, nil, 1<<30
		if w.wants = unique(w.wants); len(w.wants) == 0 {
			return false, nil
		}
	}
	if !j.refs.has("shallow") {
		w.depth, w.shallows, h.depth = 0, nil, 1<<30
	}
	if err := j.receive(ctx, w); err != nil {
		if onDisk(err) {
			return false, storeFault(err)
		}
		var known *fault.Error
		if errors.As(err, &known) {
			return false, err
		}
		return false, upstream(j.repo, "", err)
	}
	return true, j.store.writeState(j.state)
}
