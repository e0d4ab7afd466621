package observe

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// internLimit bounds each table; a full one is begun anew. What was shared stays
// so, and what is gone from the cluster is forgotten.
const internLimit = 8192

// table holds one of each of equal values.
type table[V any] struct {
	sync.Mutex
	m map[string]V
}

// get returns the value of the key, made the first time.
func (t *table[V]) get(key []byte, fresh func(key string) V) V {
	t.Lock()
	defer t.Unlock()
	if v, ok := t.m[string(key)]; ok {
		return v
	}
	if t.m == nil || len(t.m) >= internLimit {
		t.m = map[string]V{}
	}
	k := string(key)
	v := fresh(k)
	t.m[k] = v
	return v
}

var (
	strs   table[string]
	images table[[]string]
	infos  table[[]model.Info]
	owners table[[]live.Owner]
)

// intern makes equal strings share their bytes: for values of which a cluster
// has few, such as namespaces, images and managers, on many objects.
func intern(s string) string {
	if s == "" {
		return ""
	}
	return internBytes([]byte(s))
}

func internBytes(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return strs.get(b, func(s string) string { return s })
}

// internText is intern of what text decodes, without making it each time.
func internText(v []byte) string {
	if len(v) >= 2 && v[0] == '"' && bytes.IndexByte(v, '\\') < 0 {
		return internBytes(v[1 : len(v)-1])
	}
	return intern(text(v))
}

// internImages makes equal lists share their bytes: the pods of a set run the same
// images. A list of a record is never changed.
func internImages(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return images.get([]byte(strings.Join(list, "\x00")), func(string) []string {
		for i, s := range list {
			list[i] = intern(s)
		}
		return list
	})
}

// internInfo makes equal lists share their bytes: most pods are as ready as each
// other.
func internInfo(list []model.Info) []model.Info {
	if len(list) == 0 {
		return nil
	}
	var key []byte
	for _, i := range list {
		key = append(append(append(append(key, i.Name...), 0), i.Value...), 0)
	}
	return infos.get(key, func(string) []model.Info {
		for i := range list {
			list[i] = model.Info{Name: intern(list[i].Name), Value: intern(list[i].Value)}
		}
		return list
	})
}

// internOwners makes equal lists share their bytes: the pods of a set have one
// owner.
func internOwners(list []live.Owner) []live.Owner {
	if len(list) == 0 {
		return nil
	}
	var key []byte
	for _, o := range list {
		for _, s := range []string{o.UID, o.Kind, o.Name} {
			key = append(append(key, s...), 0)
		}
	}
	return owners.get(key, func(string) []live.Owner { return slices.Clip(list) })
}

// sharedBytes holds one of each of equal byte strings that are too long to be
// keys as well: what managers set is the same in all objects that are made alike.
type sharedBytes struct {
	sync.Mutex
	seed  maphash.Seed
	m     map[uint64][]byte
	bytes int
}

// sharedLimit bounds the bytes in the table; a full one is begun anew.
const sharedLimit = 1 << 20

var fieldSets = sharedBytes{seed: maphash.MakeSeed()}

// get returns bytes equal to b, which is not kept.
func (s *sharedBytes) get(b []byte) []byte {
	h := maphash.Bytes(s.seed, b)
	s.Lock()
	defer s.Unlock()
	have, ok := s.m[h]
	if ok && bytes.Equal(have, b) {
		return have
	}
	v := bytes.Clone(b)
	if ok || len(b) > sharedLimit/16 { // two that hash alike, or one that would fill it
		return v
	}
	if s.m == nil || s.bytes+len(b) > sharedLimit {
		s.m, s.bytes = map[uint64][]byte{}, 0
	}
	s.m[h] = v
	s.bytes += len(b)
	return v
}
