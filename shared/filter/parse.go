package filter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Limits of a filter, so that one costs no more than a list does.
const (
	MaxLength = 2000
	MaxTerms  = 50
	MaxValues = 200
)

// Parse understands a filter. hasLabel says whether anything carries a label of
// that name; nil: nobody knows. Its errors are Invalid (filter_invalid) with the
// position, and the nearest key where one was meant.
func Parse(s string, schema Schema, hasLabel func(name string) bool) (Query, error) {
	p := &parser{s: s, schema: schema, hasLabel: hasLabel}
	if len(s) > MaxLength {
		return Query{}, p.fail(0, "the filter has %d characters; at most %d are possible", len(s), MaxLength)
	}
	if !utf8.ValidString(s) {
		return Query{}, p.fail(0, "the filter is not UTF-8")
	}
	var q Query
	for {
		p.space()
		if p.i >= len(p.s) {
			return q, nil
		}
		t, err := p.term()
		if err != nil {
			return Query{}, err
		}
		q.Terms = append(q.Terms, t)
		if len(q.Terms) > MaxTerms {
			return Query{}, p.fail(t.At, "the filter has more than %d terms", MaxTerms)
		}
	}
}

type parser struct {
	s        string
	i        int
	schema   Schema
	hasLabel func(string) bool
}

// piece is one value, up to a comma or a space.
type piece struct {
	s      string
	quoted bool // some of it: then it is no glob
	tilde  bool // begins with one, outside of quotes
	at     int
}

func (p *parser) fail(at int, format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "filter_invalid", "filter, character %d: %s", utf8.RuneCountInString(p.s[:at])+1, fmt.Sprintf(format, args...)).
		WithField("filter").WithFix("see https://github.com/hawser-dev/hawser/blob/main/docs/filters.md, or hawser help filters")
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (p *parser) space() {
	for p.i < len(p.s) && isSpace(p.s[p.i]) {
		p.i++
	}
}

func (p *parser) term() (Term, error) {
	t := Term{At: p.i}
	for {
		if p.s[p.i] == '-' {
			p.i++
		} else if rest := p.s[p.i:]; len(rest) > 3 && rest[:3] == "NOT" && isSpace(rest[3]) {
			p.i += 3
			p.space()
		} else {
			break
		}
		t.Not = !t.Not
		if p.i >= len(p.s) || isSpace(p.s[p.i]) {
			return t, p.fail(t.At, "there is nothing after the negation")
		}
	}
	key, hasKey := p.key()
	values, err := p.values()
	if err != nil {
		return t, err
	}
	if !hasKey {
		t.Key = "name"
		for _, v := range values {
			// No name has it, so that a list of nothing would be the answer.
			if key, value, found := strings.Cut(v.s, "="); found && !v.quoted {
				return t, p.fail(v.at, "between a key and its value there is a colon, as in %s:%s; what is meant literally belongs in quotes", key, value)
			}
			t.texts = append(t.texts, asText(v, true))
		}
		return t, nil
	}
	return p.meaning(t, key, values)
}

// key reads up to a colon, when what comes before it is a word.
func (p *parser) key() (string, bool) {
	for j := p.i; j < len(p.s); j++ {
		switch c := p.s[j]; {
		case c == ':' && j > p.i:
			key := p.s[p.i:j]
			p.i = j + 1
			return key, true
		case c == ':' || isSpace(c) || c == '"' || c == ',' || c == '*' || c == '?' || c == '<' || c == '>' || c == '=':
			return "", false
		}
	}
	return "", false
}

// values reads a list with commas, up to a space.
func (p *parser) values() ([]piece, error) {
	var out []piece
	start := p.i
	for {
		v := piece{at: p.i, tilde: strings.HasPrefix(p.s[p.i:], "~")}
		var b strings.Builder
	reading:
		for p.i < len(p.s) {
			switch c := p.s[p.i]; {
			case isSpace(c) || c == ',':
				break reading
			case c == '"':
				v.quoted = true
				if err := p.quoted(&b); err != nil {
					return nil, err
				}
			default:
				b.WriteByte(c)
				p.i++
			}
		}
		v.s = b.String()
		if v.s == "" && !v.quoted {
			at := min(v.at, len(p.s))
			if len(out) > 0 || p.i < len(p.s) && p.s[p.i] == ',' {
				return nil, p.fail(at, "a value is missing beside the comma")
			}
			return nil, p.fail(min(start, len(p.s)), `a value is missing; write "" for an empty one`)
		}
		out = append(out, v)
		if len(out) > MaxValues {
			return nil, p.fail(start, "the term has more than %d values", MaxValues)
		}
		if p.i >= len(p.s) || p.s[p.i] != ',' {
			return out, nil
		}
		p.i++
	}
}

func (p *parser) quoted(b *strings.Builder) error {
	open := p.i
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '\\' && p.i+1 < len(p.s):
			p.i++
			b.WriteByte(p.s[p.i])
		case c == '"':
			p.i++
			return nil
		default:
			b.WriteByte(c)
		}
	}
	return p.fail(open, `the quote is not closed`)
}

func asText(v piece, within bool) text {
	if v.tilde && !within && len(v.s) > 1 {
		return text{s: v.s[1:], within: true}
	}
	if !v.quoted && strings.ContainsAny(v.s, "*?") {
		return text{s: v.s, glob: true}
	}
	return text{s: v.s, within: within}
}

func (p *parser) meaning(t Term, key string, values []piece) (Term, error) {
	if len(p.schema.States) > 0 && (key == "is" || key == "not") {
		if key == "not" {
			t.Not = !t.Not
		}
		t.Key = "is"
		var err error
		t.Words, err = p.words(key, values, p.schema.States)
		return t, err
	}
	if slices.Contains(p.schema.Labels, key) {
		return p.label(t, key, values)
	}
	k, ok := p.schema.key(key)
	if !ok {
		return p.shortLabel(t, key, values)
	}
	t.Key = k.Name
	switch k.Kind {
	case Word:
		var err error
		t.Words, err = p.words(key, values, k.Words)
		return t, err
	case Age, Number:
		for _, v := range values {
			b, err := p.bound(k, v)
			if err != nil {
				return t, err
			}
			t.bounds = append(t.bounds, b)
		}
		return t, nil
	}
	for _, v := range values {
		t.texts = append(t.texts, asText(v, false))
	}
	return t, nil
}

// label understands label:name=value and label:name, which wants it to be there.
// Further values are of the same label: label:env=prod,test.
func (p *parser) label(t Term, key string, values []piece) (Term, error) {
	t.Key = key
	name, first, hasValue := strings.Cut(values[0].s, "=")
	if name == "" {
		return t, p.fail(values[0].at, "the name of the label is missing; write %s:NAME=VALUE", key)
	}
	t.Label = name
	if !hasValue {
		if len(values) > 1 {
			return t, p.fail(values[1].at, "write %s:%s=VALUE,VALUE", key, name)
		}
		t.texts = []text{{s: "*", glob: true}}
		return t, nil
	}
	values[0].s = first
	for _, v := range values {
		t.texts = append(t.texts, asText(v, false))
	}
	return t, nil
}

// shortLabel takes k:v for a label when k is no key. A name that nothing
// carries and that is near to a key is a slip of the pen.
func (p *parser) shortLabel(t Term, key string, values []piece) (Term, error) {
	known := p.hasLabel != nil && p.hasLabel(key)
	near := nearest.Word(key, p.schema.names())
	if len(p.schema.Labels) == 0 || !known && near != "" {
		e := p.fail(t.At, "%s have no key %q", p.schema.Things, cut(key)).WithFound(cut(key), strings.Join(p.schema.names(), ", "))
		if near != "" {
			e.Message += fmt.Sprintf("; did you mean %q?", near)
		}
		return t, e
	}
	t.Key, t.Label = p.schema.Labels[0], key
	for _, v := range values {
		t.texts = append(t.texts, asText(v, false))
	}
	return t, nil
}

func (p *parser) words(key string, values []piece, known []string) ([]string, error) {
	var out []string
	for _, v := range values {
		w := strings.ToLower(v.s)
		matched := false
		for _, k := range known {
			if k == w || !v.quoted && strings.ContainsAny(w, "*?") && Glob(w, k) {
				out = append(out, k)
				matched = true
			}
		}
		if !matched {
			e := p.fail(v.at, "%q is no value of %s", cut(v.s), key).WithFound(cut(v.s), strings.Join(known, ", "))
			if near := nearest.Word(w, known); near != "" {
				e.Message += fmt.Sprintf("; did you mean %q?", near)
			}
			return nil, e
		}
	}
	return out, nil
}

var operators = []struct {
	text string
	op   byte
}{{"<=", 'l'}, {">=", 'g'}, {"<", '<'}, {">", '>'}, {"=", '='}}

func (p *parser) bound(k Key, v piece) (bound, error) {
	b, rest := bound{op: '='}, v.s
	for _, o := range operators {
		if after, ok := strings.CutPrefix(rest, o.text); ok {
			b.op, rest = o.op, after
			break
		}
	}
	if k.Kind == Number {
		n, err := strconv.ParseInt(rest, 10, 53)
		if err != nil {
			return b, p.fail(v.at, "%q is no number for %s", cut(v.s), k.Name).WithFound(cut(v.s), "10, <10, >=10")
		}
		b.n = float64(n)
		return b, nil
	}
	d, ok := duration(rest)
	if !ok || b.op == '=' {
		return b, p.fail(v.at, "%q is no age for %s", cut(v.s), k.Name).WithFound(cut(v.s), "<30m, >2h, >7d")
	}
	b.n = d.Seconds()
	return b, nil
}

// duration understands s, m, h, d and w, also several: 1d12h.
func duration(s string) (time.Duration, bool) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	var total time.Duration
	if s == "" {
		return 0, false
	}
	for s != "" {
		i := 0
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		if i == 0 || i > 9 || i == len(s) {
			return 0, false
		}
		n, err := strconv.Atoi(s[:i])
		unit, ok := units[s[i]]
		if err != nil || !ok || float64(n)*float64(unit)+float64(total) > float64(1<<62) {
			return 0, false
		}
		total += time.Duration(n) * unit
		s = s[i+1:]
	}
	return total, true
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func cut(s string) string {
	if len(s) > 60 {
		return s[:57] + "..."
	}
	return s
}
