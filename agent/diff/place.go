package diff

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// place is where a comparison is: a step below another place. Places live on the
// stack of the recursion; path makes a lasting copy.
type place struct {
	up *place
	step
}

// step leads to a field of a map, or to an element of a list.
type step struct {
	field string
	// keys and element say which element of a list that merges by keys.
	keys    []string
	typ     *Type
	element map[string]any
	// value is an element of a set, when inSet.
	value any
	inSet bool
	// index of an element of a list that is replaced as a whole, when isIndex.
	index   int
	isIndex bool
}

// path is the way to a field, from the root.
type path []step

func (p *place) path() path {
	n := 0
	for q := p; q != nil; q = q.up {
		n++
	}
	out := make(path, n)
	for q := p; q != nil; q = q.up {
		n--
		out[n] = q.step
	}
	return out
}

// String is as in ".spec.template.spec.containers[name=web].image".
func (p path) String() string {
	var b strings.Builder
	for _, s := range p {
		s.write(&b)
	}
	return b.String()
}

func (s step) write(b *strings.Builder) {
	switch {
	case s.isIndex:
		b.WriteString("[" + strconv.Itoa(s.index) + "]")
	case s.inSet:
		fmt.Fprintf(b, "[%v]", s.value)
	case s.keys != nil:
		b.WriteByte('[')
		first := true
		for _, k := range s.keys {
			v, ok := keyValue(s.typ, s.element, k)
			if !ok {
				continue
			}
			if !first {
				b.WriteByte(',')
			}
			first = false
			fmt.Fprintf(b, "%s=%v", k, v)
		}
		b.WriteByte(']')
	case plainField(s.field):
		b.WriteString("." + s.field)
	default:
		q, err := json.Marshal(s.field)
		if err != nil {
			q = []byte(`"?"`)
		}
		b.WriteString("[" + string(q) + "]")
	}
}

func plainField(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c == '_' || c == '-' || c == '$' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return s != ""
}
