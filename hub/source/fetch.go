package source

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// fetchAll gets what is missing, with as few requests as possible:
// tips seen before get what was added since, new ones a single commit, commits
// that are no tips are asked for one by one, and as a last resort everything.
func (j *syncJob) fetchAll(ctx context.Context) error {
	var updates, fresh, loose, whole []string // see askedFor
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
	return notFound("commit %q is not in %s; it may have been removed by a forced push", clip(plain(revision), 80), j.repo)
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
				j.problems[r] = notFound("%q of %s is not a commit", clip(plain(r), 80), j.repo)
				continue
			}
			if fault.HasCode(err, "commit_malformed") {
				j.problems[r] = err
				continue
			}
			return j.child.errMissing(j.store.dir, err)
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
	err = j.store.addPack(pack, j.maxPack)
	if errors.Is(err, errNoBase) && len(w.haves) > 0 || errors.Is(err, errDamaged) {
		// The server builds on what it was told to be here.
		return j.child.errMissing(j.store.dir, err)
	}
	if err != nil {
		return err
	}
	j.fetched = true
	j.state.Shallow = unique(append(j.state.Shallow, pack.shallows...))
	return nil
}
