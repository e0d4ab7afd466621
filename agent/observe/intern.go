package observe

import (
	"strings"
	"sync"
)

// internLimit bounds the table; beyond it strings are simply not shared.
const internLimit = 50_000

var interned = struct {
	sync.RWMutex
	m map[string]string
}{m: map[string]string{}}

// intern makes equal strings share their bytes: for values of which a cluster
// has few, such as namespaces, images and managers, on many objects.
func intern(s string) string {
	if s == "" {
		return ""
	}
	interned.RLock()
	v, ok := interned.m[s]
	interned.RUnlock()
	if ok {
		return v
	}
	interned.Lock()
	defer interned.Unlock()
	if v, ok := interned.m[s]; ok {
		return v
	}
	if len(interned.m) >= internLimit {
		return s
	}
	s = strings.Clone(s)
	interned.m[s] = s
	return s
}
