package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// load reads everything. What cannot be read is set aside: its Secret is never
// overwritten and never deleted, and the applications it held are as unknown,
// so nothing of theirs is pruned.
func (s *Store) load(ctx context.Context) error {
	secrets, err := s.opts.Secrets.List(ctx)
	s.countRead()
	if err != nil {
		return fault.Wrap(err, fault.As(err).Kind, fault.As(err).Code, "the agent's journal cannot be read: %s", fault.As(err).Message)
	}
	packs := map[string][]byte{}
	var shards []loadedShard
	lost := false
	for _, sec := range secrets {
		switch {
		case strings.HasPrefix(sec.Name, packPrefix):
			packs[sec.Name] = sec.Data[packKey]
			s.packs[sec.Name] = &pack{size: len(sec.Data[packKey])}
		case sec.Name == headName:
			var doc headDoc
			s.head.resourceVersion = sec.ResourceVersion
			if err := s.code.decode(sec.Data[dataKey], &doc); err != nil {
				return fault.Wrap(err, fault.Precondition, "journal_corrupt",
					"Secret %s of the agent's journal cannot be read: it holds the highest session number, without which an old hub could not be told from the present one", headName).
					WithFix("restore the Secret from a backup, or delete it to trust the hub's next session")
			}
			s.book.Head, s.head.seq = doc.Head, doc.Seq
		case strings.HasPrefix(sec.Name, shardPrefix):
			var i int
			if _, err := fmt.Sscanf(sec.Name[len(shardPrefix):], "%02d", &i); err != nil || i < 0 || i >= MaxShards || sec.Name != shardName(i) {
				continue
			}
			sh := &s.shards[i]
			sh.exists, sh.resourceVersion, sh.encoded = true, sec.ResourceVersion, len(sec.Data[dataKey])
			doc := loadedShard{index: i}
			err := s.code.decode(sec.Data[dataKey], &doc.shardDoc)
			if err == nil {
				err = doc.decodeRecords()
			}
			if err != nil {
				lost = true
				sh.quarantined = true
				s.condition("shard"+sec.Name, "journal_corrupt", "Secret %s of the agent's journal cannot be read (%v) and is set aside; the applications in it are taken from the hub again, and nothing of theirs is pruned until they were synced once", sec.Name, err)
				s.log.Error("a part of the journal cannot be read and is set aside", "secret", sec.Name, "error", err)
				continue
			}
			sh.seq, sh.named = doc.Seq, packsOf(doc.Bundles)
			shards = append(shards, doc)
		}
	}
	s.adopt(shards, packs, lost)
	s.sized()
	return nil
}

type loadedShard struct {
	shardDoc
	index   int
	decoded []*Record
}

func (l *loadedShard) decodeRecords() error {
	words := map[string]string{}
	for _, raw := range l.Records {
		r := &Record{}
		if err := json.Unmarshal(raw, r); err != nil {
			return err
		}
		r.share(words)
		if r.App == "" {
			return fmt.Errorf("a record names no application")
		}
		l.decoded = append(l.decoded, r)
	}
	return nil
}

// share has words that come again and again in inventories kept once: what is read
// lives as long as the application.
func (r *Record) share(words map[string]string) {
	once := func(s *string) {
		if have, ok := words[*s]; ok {
			*s = have
		} else {
			words[*s] = *s
		}
	}
	for i := range r.Inventory {
		o := &r.Inventory[i]
		once(&o.Key.Group)
		once(&o.Key.Kind)
		once(&o.Key.Namespace)
		once(&o.Key.Name)
		once(&o.Version)
	}
}

// adopt puts what was read into the book. Records move only to higher shards,
// so of two copies the one in the higher shard is the newer.
func (s *Store) adopt(shards []loadedShard, packs map[string][]byte, lost bool) {
	slices.SortFunc(shards, func(a, b loadedShard) int { return b.index - a.index })
	for _, sh := range shards {
		for i, r := range sh.decoded {
			if _, twice := s.book.Apps[r.App]; twice {
				s.shards[sh.index].dirty = true
				s.due = true
				continue
			}
			s.book.Apps[r.App] = r
			s.place[r.App] = sh.index
			s.raw[r.App] = pressed(sh.Records[i])
			s.shards[sh.index].rawBytes += len(sh.Records[i])
			if r.Desired == nil {
				continue
			}
			d := r.Desired.Bundle
			if s.bundles[d] != nil {
				continue
			}
			if encoded, ok := assemble(sh.Bundles[d], packs); ok {
				s.bundles[d] = &bundle{encoded: encoded, parts: sh.Bundles[d]}
			} else {
				s.condition("bundle"+string(d), "journal_bundle_lost", "the manifests of application %q are missing from the agent's journal; the hub is asked for them again", r.Name)
				s.log.Error("a bundle is missing from the journal", "application", r.Name, "bundle", d)
			}
		}
	}
	for _, p := range s.packs {
		p.kept = lost
	}
	s.recount()
}

func assemble(parts []bundlePart, packs map[string][]byte) ([]byte, bool) {
	if len(parts) == 0 {
		return nil, false
	}
	if len(parts) == 1 {
		return cutPart(parts[0], packs)
	}
	var out []byte
	for _, p := range parts {
		b, ok := cutPart(p, packs)
		if !ok {
			return nil, false
		}
		out = append(out, b...)
	}
	return out, true
}

func cutPart(p bundlePart, packs map[string][]byte) ([]byte, bool) {
	data, ok := packs[p.Pack]
	if !ok || p.Offset < 0 || p.Length <= 0 || p.Offset > len(data)-p.Length {
		return nil, false
	}
	return data[p.Offset : p.Offset+p.Length : p.Offset+p.Length], true
}

// Lost reports whether the application's bundle is missing.
func (s *Store) Lost(uid model.AppUID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.book.Apps[uid]
	return r != nil && r.Desired != nil && s.bundles[r.Desired.Bundle] == nil
}
