package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// bundle is an encoded bundle in memory, and where it is stored.
type bundle struct {
	encoded []byte
	parts   []bundlePart // nil: not stored yet
}

// pack is an immutable Secret that holds encoded bundles one after the other.
type pack struct {
	size int
	live int // bytes that records still name
	// kept: a record that could not be read may name it, and a person may want
	// to restore that.
	kept bool
}

// Packs of which less than a quarter is named are written anew when that frees
// at least worthwhile bytes.
const worthwhile = 64 << 10

// packBundles places the bundles that records name and that are not stored yet
// into new packs, and marks the shards that must name them. Called with mu
// held.
func (s *Store) packBundles() ([]job, error) {
	s.dropUnreferenced()
	s.repack()
	var rest []model.Digest
	for d, b := range s.bundles {
		if b.parts == nil && s.referenced(d) {
			rest = append(rest, d)
		}
	}
	slices.Sort(rest)
	var jobs []job
	var buf []byte
	type piece struct {
		digest         model.Digest
		offset, length int
	}
	var pieces []piece
	parts := map[model.Digest][]bundlePart{}
	closePack := func() {
		if len(buf) == 0 {
			return
		}
		sum := sha256.Sum256(buf)
		name := packPrefix + hex.EncodeToString(sum[:])[:40]
		for _, p := range pieces {
			parts[p.digest] = append(parts[p.digest], bundlePart{Pack: name, Offset: p.offset, Length: p.length})
		}
		s.packs[name] = &pack{size: len(buf), live: len(buf)}
		jobs = append(jobs, job{shard: -1, secret: Secret{
			Name: name, Immutable: true, Labels: map[string]string{labelPart: partBundle}, Writer: s.opts.Instance,
			Data: map[string][]byte{packKey: buf},
		}})
		buf, pieces = nil, nil
	}
	for _, d := range rest {
		rest := s.bundles[d].encoded
		// A bundle that fits into a pack is not split: half-filled packs cost
		// less than two Secrets for each application.
		if len(rest) <= PackMax && len(buf)+len(rest) > PackMax {
			closePack()
		}
		for len(rest) > 0 {
			if len(buf) == PackMax {
				closePack()
			}
			n := min(len(rest), PackMax-len(buf))
			pieces = append(pieces, piece{d, len(buf), n})
			buf = append(buf, rest[:n]...)
			rest = rest[n:]
		}
	}
	closePack()
	for d, p := range parts {
		s.bundles[d].parts = p
	}
	if len(parts) > 0 {
		for uid, r := range s.book.Apps {
			if r.Desired == nil {
				continue
			}
			if _, moved := parts[r.Desired.Bundle]; moved {
				if at, ok := s.place[uid]; ok {
					s.shards[at].dirty = true
				}
			}
		}
	}
	return jobs, nil
}

func (s *Store) referenced(d model.Digest) bool {
	for _, r := range s.book.Apps {
		if r.Desired != nil && r.Desired.Bundle == d {
			return true
		}
	}
	return false
}

// dropUnreferenced forgets stored bundles that no record names. Those that are
// not stored yet stay: their record may be about to come.
func (s *Store) dropUnreferenced() {
	named := make(map[model.Digest]bool, len(s.book.Apps))
	for _, r := range s.book.Apps {
		if r.Desired != nil {
			named[r.Desired.Bundle] = true
		}
	}
	for d, b := range s.bundles {
		if b.parts != nil && !named[d] {
			delete(s.bundles, d)
		}
	}
	s.recount()
}

func (s *Store) recount() {
	for _, p := range s.packs {
		p.live = 0
	}
	for _, b := range s.bundles {
		for _, part := range b.parts {
			if p := s.packs[part.Pack]; p != nil {
				p.live += part.Length
			}
		}
	}
}

// repack takes the bundles out of packs that are mostly dead, so that they are
// written anew and the pack can go.
func (s *Store) repack() {
	for _, b := range s.bundles {
		for _, part := range b.parts {
			if p := s.packs[part.Pack]; p != nil && p.live*4 < p.size && p.size-p.live >= worthwhile {
				b.parts = nil
				break
			}
		}
	}
	s.recount()
}

// packsOf are the packs that a shard names.
func packsOf(bundles map[model.Digest][]bundlePart) map[string]bool {
	named := map[string]bool{}
	for _, parts := range bundles {
		for _, p := range parts {
			named[p.Pack] = true
		}
	}
	return named
}

// isNamed reports whether a shard as it is in the cluster names the pack.
func (s *Store) isNamed(pack string) bool {
	for i := range s.shards {
		if s.shards[i].named[pack] {
			return true
		}
	}
	return false
}

// collect deletes packs that nothing names any more. It runs after the shards
// that named them are written. A pack that cannot be deleted now is tried again
// after the next flush.
func (s *Store) collect(ctx context.Context) {
	s.mu.Lock()
	s.dropUnreferenced()
	var dead []string
	for name, p := range s.packs {
		if p.live == 0 && !p.kept && !s.isNamed(name) {
			dead = append(dead, name)
		}
	}
	slices.Sort(dead)
	s.mu.Unlock()
	for _, name := range dead {
		failpoint.Hit("journal.collect.before")
		err := s.opts.Secrets.Delete(ctx, name)
		s.count(0)
		if err != nil && !fault.Is(err, fault.NotFound) {
			s.log.Warn("a bundle that is no longer needed was not deleted", "secret", name, "error", err)
			return
		}
		s.mu.Lock()
		delete(s.packs, name)
		s.sized()
		s.mu.Unlock()
	}
}
