package sync

import (
	"strings"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/model"
)

// hashedName is an object's identity without the hash that generators append
// to names, so that "settings-7b9f2c4d5h" of two revisions compare equal.
type hashedName struct {
	kind            model.GroupKind
	namespace, base string
	length          int
}

// nameHashAlphabets are those of generators: hexadecimal, and the two that
// Kubernetes tools use to avoid forming words.
var nameHashAlphabets = []string{
	"0123456789abcdef",
	"bcdfghjklmnpqrstvwxz2456789",
}

// splitHash takes the hash off a name. It is a last segment of 5 to 10
// characters of one of the alphabets with at least one digit; a word is none.
func splitHash(k model.ObjectKey) (hashedName, bool) {
	i := strings.LastIndexByte(k.Name, '-')
	if i <= 0 {
		return hashedName{}, false
	}
	hash := k.Name[i+1:]
	if len(hash) < 5 || len(hash) > 10 || !strings.ContainsAny(hash, "0123456789") {
		return hashedName{}, false
	}
	for _, alphabet := range nameHashAlphabets {
		if strings.Trim(hash, alphabet) == "" {
			return hashedName{kind: k.GroupKind(), namespace: k.Namespace, base: k.Name[:i], length: len(hash)}, true
		}
	}
	return hashedName{}, false
}

// countWithoutReplaced counts the deletes that are not one side of a
// replacement: an object with a hashed name, for which exactly one desired
// object has the same name but for the hash. Where several desired objects
// share the rest of the name they are a set, not replacements of each other,
// and one desired object replaces one.
func countWithoutReplaced(del []journal.Owned, desired map[model.ObjectKey]bool) int {
	heirs := map[hashedName]int{}
	for k := range desired {
		if h, ok := splitHash(k); ok {
			heirs[h]++
		}
	}
	n := len(del)
	for _, o := range del {
		if h, ok := splitHash(o.Key); ok && heirs[h] == 1 {
			heirs[h] = 0
			n--
		}
	}
	return n
}
