package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	dataKey      = "state"
	packKey      = "pack"
	headName     = "hawser-state-head"
	shardPrefix  = "hawser-state-"
	packPrefix   = "hawser-bundle-"
	retryFirst   = 200 * time.Millisecond
	retryCap     = 10 * time.Second
	createdRatio = 4 // how much smaller a record is guessed to be when encoded
)

func shardName(i int) string { return fmt.Sprintf("%s%02d", shardPrefix, i) }

// job is one Secret to be written by a flush.
type job struct {
	secret Secret
	update bool
	shard  int // index, or -1
	named  map[string]bool
}

// flush writes everything that is due. It repeats a write that fails until it
// succeeds, ctx ends, or somebody else has written.
func (s *Store) flush(ctx context.Context) (written int64, err error) {
	s.mu.Lock()
	flight := s.next
	s.next, s.inFlight = newFlight(), flight
	s.due, s.urgent = false, false
	jobs, packs, err := s.prepare()
	s.mu.Unlock()
	// Packs before what names them, the head before the records.
	rest := slices.Concat(packs, jobs)
	for err == nil && len(rest) > 0 {
		var n int64
		failpoint.Hit("journal.write.before")
		n, err = s.write(ctx, rest[0])
		failpoint.Hit("journal.write.after")
		written += n
		if err == nil {
			rest = rest[1:]
		}
	}
	s.mu.Lock()
	s.stats.Flushes++
	s.inFlight = nil
	if err != nil {
		if fault.HasCode(err, "journal_conflict") {
			s.failed = err
			flight.land(err)
			s.next.land(err)
			s.next = newFlight()
			s.mu.Unlock()
			return written, err
		}
		// ctx ended: what was not written stays due, in the same flight.
		s.restore(rest, flight)
		s.mu.Unlock()
		return written, err
	}
	s.sized()
	s.mu.Unlock()
	failpoint.Hit("journal.flight.before")
	flight.land(nil)
	s.collect(ctx)
	return written, nil
}

// restore makes due again what a flush has not written. Called with mu held.
func (s *Store) restore(rest []job, flight *Flight) {
	for _, j := range rest {
		switch {
		case j.secret.Immutable:
			delete(s.packs, j.secret.Name)
			for _, b := range s.bundles {
				if slices.ContainsFunc(b.parts, func(p bundlePart) bool { return p.Pack == j.secret.Name }) {
					b.parts = nil
				}
			}
		case j.shard >= 0:
			s.shards[j.shard].dirty = true
		default:
			s.headDue = true
		}
	}
	s.next.joined = append(s.next.joined, flight)
	s.due, s.urgent, s.since = true, true, s.now()
}

// prepare takes what is due and encodes it. Called with mu held.
func (s *Store) prepare() (jobs, packs []job, err error) {
	uids := make([]model.AppUID, 0, len(s.dirty))
	for uid := range s.dirty {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	for _, uid := range uids {
		if err := s.refreshRecord(uid); err != nil {
			return nil, nil, err
		}
	}
	clear(s.dirty)
	if packs, err = s.packBundles(); err != nil {
		return nil, nil, err
	}
	if s.headDue {
		s.headDue = false
		s.head.seq++
		data, err := s.code.encode(headDoc{Seq: s.head.seq, Head: s.book.Head})
		if err != nil {
			return nil, nil, err
		}
		jobs = append(jobs, job{secret: s.stateSecret(headName, s.head, data), update: s.head.resourceVersion != "", shard: -1})
	}
	// A record that moves is written in its new shard before it leaves the old
	// one, so higher shards go first: records only ever move upwards.
	var shards []job
	for i := 0; i < MaxShards; i++ {
		if !s.shards[i].dirty {
			continue
		}
		j, err := s.encodeShard(i)
		if err != nil {
			return nil, nil, err
		}
		shards = append(shards, j)
	}
	slices.Reverse(shards)
	return append(jobs, shards...), packs, nil
}

// refreshRecord encodes a record and finds its shard.
func (s *Store) refreshRecord(uid model.AppUID) error {
	at, placed := s.place[uid]
	r := s.book.Apps[uid]
	if r == nil {
		if placed {
			s.shards[at].dirty = true
			s.shards[at].rawBytes -= s.raw[uid].size
		}
		delete(s.place, uid)
		delete(s.raw, uid)
		return nil
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "journal_encode", "the record of application %q cannot be encoded", r.Name)
	}
	if placed {
		s.shards[at].rawBytes += len(raw) - s.raw[uid].size
	} else {
		if at, err = s.shardFor(len(raw), 0); err != nil {
			return err
		}
		s.place[uid] = at
		s.shards[at].rawBytes += len(raw)
	}
	s.raw[uid] = pressed(raw)
	s.shards[at].dirty = true
	return nil
}

// shardFor finds the first shard from the given one that has room. A full
// journal uses the emptiest: a record is never refused, bundles are.
func (s *Store) shardFor(raw, from int) (int, error) {
	best := -1
	for i := from; i < MaxShards; i++ {
		sh := &s.shards[i]
		if sh.quarantined {
			continue
		}
		if sh.guess(raw) <= shardTarget || sh.rawBytes == 0 {
			return i, nil
		}
		if best < 0 || sh.rawBytes < s.shards[best].rawBytes {
			best = i
		}
	}
	if best < 0 {
		return 0, fault.New(fault.Precondition, "journal_full", "no part of the agent's journal takes another application")
	}
	return best, nil
}

// guess is the encoded size with more bytes of records.
func (sh *shard) guess(more int) int {
	if sh.encoded > 0 && sh.rawBytes > 0 {
		return int(int64(sh.encoded) * int64(sh.rawBytes+more) / int64(sh.rawBytes))
	}
	return (sh.rawBytes + more) / createdRatio
}

func (s *Store) encodeShard(i int) (job, error) {
	sh := &s.shards[i]
	for {
		var uids []model.AppUID
		for uid, at := range s.place {
			if at == i {
				uids = append(uids, uid)
			}
		}
		slices.Sort(uids)
		sh.seq++
		doc := shardDoc{Seq: sh.seq, Bundles: map[model.Digest][]bundlePart{}}
		sh.rawBytes = 0
		for _, uid := range uids {
			plain, err := s.raw[uid].json()
			if err != nil {
				return job{}, fault.Wrap(err, fault.Internal, "journal_encode", "the record of %q cannot be read back", uid)
			}
			doc.Records = append(doc.Records, plain)
			sh.rawBytes += s.raw[uid].size
			if d := s.book.Apps[uid].Desired; d != nil {
				if b := s.bundles[d.Bundle]; b != nil && b.parts != nil {
					doc.Bundles[d.Bundle] = b.parts
				}
			}
		}
		data, err := s.code.encode(doc)
		if err != nil {
			return job{}, fault.Wrap(err, fault.Internal, "journal_encode", "a part of the journal cannot be encoded")
		}
		if len(data) > shardMax && len(uids) > 1 && s.giveAway(i, uids, len(data)) {
			continue
		}
		sh.encoded, sh.dirty = len(data), false
		return job{secret: s.stateSecret(shardName(i), sh.slot, data), update: sh.exists, shard: i, named: packsOf(doc.Bundles)}, nil
	}
}

// giveAway moves records to later shards until this one is small enough. It
// reports whether any was moved.
func (s *Store) giveAway(i int, uids []model.AppUID, encoded int) bool {
	over := encoded - shardTarget
	moved := false
	for k := len(uids) - 1; k > 0 && over > 0; k-- {
		uid := uids[k]
		to, err := s.shardFor(s.raw[uid].size, i+1)
		if err != nil || to <= i {
			return moved
		}
		s.place[uid] = to
		s.shards[to].rawBytes += s.raw[uid].size
		s.shards[to].dirty = true
		over -= max(1, s.raw[uid].size*encoded/max(1, s.shards[i].rawBytes))
		moved = true
	}
	return moved
}

func (s *Store) stateSecret(name string, at slot, data []byte) Secret {
	return Secret{
		Name: name, ResourceVersion: at.resourceVersion,
		Labels: map[string]string{labelPart: partState},
		Writer: s.writer(at.seq),
		Data:   map[string][]byte{dataKey: data},
	}
}

// writer marks a write, so that one whose answer was lost is recognised.
func (s *Store) writer(seq int64) string { return fmt.Sprintf("%s/%d", s.opts.Instance, seq) }

// write sends one Secret until it is stored.
func (s *Store) write(ctx context.Context, j job) (int64, error) {
	size := int64(0)
	for _, d := range j.secret.Data {
		size += int64(len(d))
	}
	var written int64
	for pause := retryFirst; ; pause = min(2*pause, retryCap) {
		var stored Secret
		var err error
		if j.update {
			stored, err = s.opts.Secrets.Update(ctx, j.secret)
		} else {
			stored, err = s.opts.Secrets.Create(ctx, j.secret)
		}
		s.count(size)
		written += size
		if j.update && fault.Is(err, fault.NotFound) {
			// Somebody deleted it. The memory has all that it held, and a create
			// fails when another agent has written it anew meanwhile.
			s.log.Warn("a part of the journal was deleted; it is written again", "secret", j.secret.Name)
			j.update = false
			continue
		}
		if fault.Is(err, fault.Conflict) {
			stored, err = s.mine(ctx, j, err)
		}
		if err == nil {
			s.mu.Lock()
			s.condition("write", "", "")
			switch {
			case j.secret.Immutable:
			case j.shard >= 0:
				sh := &s.shards[j.shard]
				sh.resourceVersion, sh.exists, sh.named = stored.ResourceVersion, true, j.named
			default:
				s.head.resourceVersion = stored.ResourceVersion
			}
			s.mu.Unlock()
			return written, nil
		}
		if fault.HasCode(err, "journal_conflict") {
			return written, err
		}
		s.mu.Lock()
		s.condition("write", "journal_unwritable", "the journal cannot be written: %s", fault.As(err).Message)
		s.mu.Unlock()
		s.log.Warn("writing the journal failed, trying again", "secret", j.secret.Name, "error", err, "pause", pause)
		if !sleep(ctx, pause) {
			return written, context.Cause(ctx)
		}
	}
}

// mine decides a conflict: our own write whose answer was lost is a success,
// anything else means that somebody else writes this journal.
func (s *Store) mine(ctx context.Context, j job, conflict error) (Secret, error) {
	stored, err := s.opts.Secrets.Get(ctx, j.secret.Name)
	s.countRead()
	switch {
	case err == nil && j.secret.Immutable: // named by its content
		return stored, nil
	case err == nil && stored.Writer == j.secret.Writer:
		return stored, nil
	case err == nil || fault.Is(err, fault.NotFound):
		return Secret{}, fault.Wrap(conflict, fault.Conflict, "journal_conflict",
			"Secret %s of the agent's journal was changed by somebody else; this agent stops acting", j.secret.Name)
	}
	return Secret{}, err
}

func (s *Store) count(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Requests++
	s.stats.Writes++
	s.stats.WriteBytes += bytes
	s.recent = append(s.recent, s.now())
}

func (s *Store) countRead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Requests++
}

// sized sums up what is stored. Called with mu held.
func (s *Store) sized() {
	var n int64
	for i := range s.shards {
		n += int64(s.shards[i].encoded)
	}
	for _, p := range s.packs {
		n += int64(p.size)
	}
	s.stats.StoredBytes = n
	if n*10 > s.opts.MaxBytes*8 {
		s.condition("size", "journal_nearly_full", "the journal holds %d bytes in the cluster; the limit is %d", n, s.opts.MaxBytes)
	} else {
		s.condition("size", "", "")
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
