package filter

import (
	"slices"
	"strings"
	"time"
)

// Query is a filter that was understood: all of its terms must hold. The zero
// value lets everything through.
type Query struct {
	Terms []Term
}

// Term is one condition.
type Term struct {
	// Key is a key of the schema; "is" for states, one of Schema.Labels for
	// labels, and "name" for bare words.
	Key string
	// Label is the name of the label, when Key is of labels.
	Label string
	Not   bool
	// At is where the term begins in the text, in bytes.
	At int
	// Words are the values of closed sets and of states, in lower case.
	Words []string

	texts  []text
	bounds []bound
}

// bound is one comparison of a number or an age in seconds.
type bound struct {
	op byte // '=', '<', '>', 'l' for <=, 'g' for >=
	n  float64
}

func (b bound) match(n float64) bool {
	switch b.op {
	case '<':
		return n < b.n
	case '>':
		return n > b.n
	case 'l':
		return n <= b.n
	case 'g':
		return n >= b.n
	}
	return n == b.n
}

// Text answers about a text. Something that has none is asked with "".
func (t Term) Text(s string) bool {
	for _, x := range t.texts {
		if x.match(s) {
			return !t.Not
		}
	}
	return t.Not
}

// Texts answers about a thing that has several: one that matches is enough.
func (t Term) Texts(all []string) bool {
	for _, s := range all {
		for _, x := range t.texts {
			if x.match(s) {
				return !t.Not
			}
		}
	}
	return t.Not
}

// LabelOf answers about labels in one or several maps; the first map that has
// the label counts.
func (t Term) LabelOf(labels ...map[string]string) bool {
	for _, m := range labels {
		if v, ok := m[t.Label]; ok {
			return t.Text(v)
		}
	}
	return t.Not
}

// Word answers about a word of a closed set, in lower case.
func (t Term) Word(s string) bool { return slices.Contains(t.Words, s) != t.Not }

// Number answers about a number.
func (t Term) Number(n float64) bool {
	for _, b := range t.bounds {
		if b.match(n) {
			return !t.Not
		}
	}
	return t.Not
}

// Age answers about a time; the zero time has no age, and is in no bounds.
func (t Term) Age(now, at time.Time) bool {
	if at.IsZero() {
		return t.Not
	}
	return t.Number(now.Sub(at).Seconds())
}

// Exact returns the texts when the term names them in full, without globs and
// negation, so that they can be looked up.
func (t Term) Exact() ([]string, bool) {
	if t.Not {
		return nil, false
	}
	var out []string
	for _, x := range t.texts {
		if x.glob || x.within {
			return nil, false
		}
		out = append(out, x.s)
	}
	return out, len(out) > 0
}

// Equal makes a term that wants one of some texts in full.
func Equal(key string, values ...string) Term {
	t := Term{Key: key}
	for _, v := range values {
		t.texts = append(t.texts, text{s: v})
	}
	return t
}

// String writes the term as it can be parsed again.
func (t Term) String() string {
	var b strings.Builder
	if t.Not {
		b.WriteByte('-')
	}
	b.WriteString(t.Key + ":")
	if t.Label != "" {
		b.WriteString(quoteIfNeeded(t.Label) + "=")
	}
	n := 0
	comma := func() {
		if n > 0 {
			b.WriteByte(',')
		}
		n++
	}
	for _, x := range t.texts {
		comma()
		if x.within {
			b.WriteByte('~')
		}
		if x.glob {
			b.WriteString(x.s)
		} else {
			b.WriteString(quoteIfNeeded(x.s))
		}
	}
	for _, w := range t.Words {
		comma()
		b.WriteString(w)
	}
	for _, x := range t.bounds {
		comma()
		b.WriteString(map[byte]string{'=': "", '<': "<", '>': ">", 'l': "<=", 'g': ">="}[x.op])
		b.WriteString(number(x.n))
	}
	return b.String()
}

// String is the same for queries that mean the same, in one order of terms.
func (q Query) String() string {
	out := make([]string, len(q.Terms))
	for i, t := range q.Terms {
		out[i] = t.String()
	}
	return strings.Join(out, " ")
}

func quoteIfNeeded(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`",*?\<>=~-`, r) || r > '~' }) < 0 {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
