package permission

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/policy"
)

// pattern is a compiled word of a rule: a glob whose "*" and "?" cross every
// character, or a regular expression that matches anywhere in a text. The zero
// value matches nothing.
type pattern struct {
	all     bool
	literal string
	// alternatives of a glob, its braces expanded. An expression that means the same as
	// globs has them too, for texts without line breaks: "." of expressions is none. With
	// neither the pattern is its literal.
	alternatives []glob
	re           *regexp.Regexp
	valid        bool
}

// glob is an alternative: a text in which each token stands for one character, or
// for any number of them.
type glob struct {
	tokens []token
	// lead is the text before the first token that is no plain character, tail
	// what follows the last one. between says that only "*" is between them.
	lead, tail string
	between    bool
	// texts are what is between, when that is only texts and "*": they are found one
	// after the other.
	texts []string
}

type token struct {
	kind tokenKind
	char rune
	set  *set
}

type tokenKind uint8

const (
	char tokenKind = iota
	one
	star
	oneOf
)

type set struct {
	negated bool
	ranges  [][2]rune
}

func (s *set) has(r rune) bool {
	for _, x := range s.ranges {
		if x[0] <= r && r <= x[1] {
			return !s.negated
		}
	}
	return s.negated
}

func (t token) takes(r rune) bool {
	switch t.kind {
	case char:
		return t.char == r
	case oneOf:
		return t.set.has(r)
	}
	return true
}

const (
	// maxWord is the length in bytes of a word of a rule.
	maxWord = 512
	// maxAlternatives of braces are taken apart; a glob with more is matched by a
	// regular expression, which is slower.
	maxAlternatives = 64
	// maxExpression bounds what a regular expression takes in memory, in states.
	maxExpression = 2000
)

// compileGlob compiles a glob of a rule. What it means is decided by
// policy.CompileGlob, to which a test holds it equal: this one also tells what a
// beginning leaves open.
func compileGlob(text string) (pattern, error) {
	reference, err := policy.CompileGlob(text, "")
	if err != nil {
		return pattern{}, err
	}
	if text != "" && strings.Trim(text, "*") == "" {
		return pattern{all: true, valid: true}, nil
	}
	if !strings.ContainsAny(text, `*?[]{}\`) {
		return pattern{literal: text, valid: true}, nil
	}
	sequences, rest, ok := expand([]rune(text), false)
	if !ok || len(rest) > 0 {
		return pattern{re: reference.Expression(), valid: true}, nil
	}
	return pattern{alternatives: globsOf(sequences), valid: true}, nil
}

func globsOf(sequences [][]token) (out []glob) {
	for _, tokens := range sequences {
		g := glob{tokens: tokens}
		for _, t := range tokens {
			if t.kind != char {
				break
			}
			g.lead += string(t.char)
		}
		leads := utf8.RuneCountInString(g.lead)
		last := len(tokens)
		for last > leads && tokens[last-1].kind == char {
			last--
			g.tail = string(tokens[last].char) + g.tail
		}
		g.between = last-leads == 1 && tokens[leads].kind == star
		if !g.between {
			g.texts = textsOf(tokens[leads:last])
		}
		out = append(out, g)
	}
	return out
}

// textsOf are the texts between the "*" of tokens that begin and end with one, nil
// when there is anything else in them.
func textsOf(tokens []token) (out []string) {
	if len(tokens) == 0 || tokens[0].kind != star || tokens[len(tokens)-1].kind != star {
		return nil
	}
	text := ""
	for _, t := range tokens[1:] {
		switch {
		case t.kind == char && t.char != utf8.RuneError:
			text += string(t.char)
		case t.kind == star:
			if text != "" {
				out = append(out, text)
			}
			text = ""
		default:
			return nil
		}
	}
	return out
}

// expand reads a glob that is known to be valid, up to the "," or "}" that ends
// it when it is inside braces. ok is false when there are too many alternatives.
func expand(r []rune, inside bool) (out [][]token, rest []rune, ok bool) {
	out = [][]token{nil}
	add := func(t token) {
		for i := range out {
			out[i] = append(out[i][:len(out[i]):len(out[i])], t)
		}
	}
	for len(r) > 0 {
		c := r[0]
		switch {
		case c == '\\':
			add(token{kind: char, char: r[1]})
			r = r[2:]
		case c == '*':
			for len(r) > 0 && r[0] == '*' {
				r = r[1:]
			}
			add(token{kind: star})
		case c == '?':
			add(token{kind: one})
			r = r[1:]
		case c == '[':
			var s *set
			s, r = readSet(r[1:])
			add(token{kind: oneOf, set: s})
		case c == '{':
			var choices [][]token
			for {
				var some [][]token
				if some, r, ok = expand(r[1:], true); !ok {
					return nil, nil, false
				}
				choices = append(choices, some...)
				if r[0] == '}' {
					break
				}
			}
			r = r[1:]
			if len(out)*len(choices) > maxAlternatives {
				return nil, nil, false
			}
			var product [][]token
			for _, before := range out {
				for _, choice := range choices {
					product = append(product, append(before[:len(before):len(before)], choice...))
				}
			}
			out = product
		case inside && (c == ',' || c == '}'):
			return out, r, true
		default:
			add(token{kind: char, char: c})
			r = r[1:]
		}
	}
	return out, nil, true
}

// readSet reads what follows "[" in a glob that is known to be valid.
func readSet(r []rune) (*set, []rune) {
	s := &set{}
	if r[0] == '!' {
		s.negated, r = true, r[1:]
	}
	next := func() rune {
		c := r[0]
		if c == '\\' && len(r) > 1 {
			c, r = r[1], r[1:]
		}
		r = r[1:]
		return c
	}
	for first := true; r[0] != ']'; first = false {
		if r[0] == '-' && !first && r[1] != ']' {
			// The "-" of a range whose beginning was read as one character.
			r = r[1:]
			s.ranges[len(s.ranges)-1][1] = next()
			continue
		}
		c := next()
		s.ranges = append(s.ranges, [2]rune{c, c})
	}
	return s, r[1:]
}

// compileExpression compiles a regular expression. Go's take linear time; what
// they take in memory is bounded here.
func compileExpression(text string) (pattern, error) {
	if len(text) > maxWord {
		return pattern{}, fmt.Errorf("the regular expression has %d characters; the limit is %d", len(text), maxWord)
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return pattern{}, fmt.Errorf("%.80q is no regular expression: %w", text, err)
	}
	if weight(tree) > maxExpression {
		return pattern{}, fmt.Errorf("the regular expression %.80q is too large: repetitions in it multiply", text)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return pattern{}, fmt.Errorf("%.80q is no regular expression: %w", text, err)
	}
	return pattern{re: re, alternatives: globsOf(asGlobs(tree)), valid: true}, nil
}

// weight is about how many states an expression has.
func weight(r *syntax.Regexp) int {
	n := 1 + len(r.Rune)
	for _, sub := range r.Sub {
		n += weight(sub)
	}
	if r.Op == syntax.OpRepeat {
		n *= max(r.Min, r.Max, 1)
	}
	return min(n, 1<<20)
}

func (p *pattern) match(s string) bool {
	switch {
	case !p.valid:
		return false
	case p.all:
		return true
	case p.re != nil && (p.alternatives == nil || strings.ContainsAny(s, "\n")):
		return p.re.MatchString(s)
	case p.alternatives == nil:
		return p.literal == s
	}
	for i := range p.alternatives {
		if p.alternatives[i].match(s) {
			return true
		}
	}
	return false
}

// match takes time in the product of the lengths, and on names and patterns of
// people about the sum.
func (g *glob) match(s string) bool {
	if len(s) < len(g.lead)+len(g.tail) || !strings.HasPrefix(s, g.lead) || !strings.HasSuffix(s, g.tail) {
		return false
	}
	if g.between {
		return true
	}
	if g.texts != nil {
		s = s[len(g.lead) : len(s)-len(g.tail)]
		for _, text := range g.texts {
			at := strings.Index(s, text)
			if at < 0 {
				return false
			}
			s = s[at+len(text):]
		}
		return true
	}
	t := g.tokens
	i, at := 0, 0
	starAt, from := -1, 0
	for at < len(s) {
		if i < len(t) && t[i].kind == star {
			starAt, from = i, at
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[at:])
		if i < len(t) && t[i].takes(r) {
			i++
			at += size
			continue
		}
		if starAt < 0 {
			return false
		}
		_, size = utf8.DecodeRuneInString(s[from:])
		from += size
		i, at = starAt+1, from
	}
	for i < len(t) && t[i].kind == star {
		i++
	}
	return i == len(t)
}

// reach is what a pattern matches of the texts with a beginning.
type reach uint8

const (
	matchesNone reach = iota
	// matchesSome: it depends on the rest.
	matchesSome
	matchesAll
)

// reaches tells what the pattern matches of the texts that begin with a prefix.
// matchesSome may also be none or all: matching tells.
func (p *pattern) reaches(prefix string) reach {
	switch {
	case !p.valid:
		return matchesNone
	case p.all:
		return matchesAll
	case p.re != nil && p.alternatives == nil:
		return matchesSome
	case p.alternatives == nil:
		if strings.HasPrefix(p.literal, prefix) {
			return matchesSome
		}
		return matchesNone
	}
	best := matchesNone
	for i := range p.alternatives {
		best = max(best, p.alternatives[i].reaches(prefix))
	}
	return best
}

func (g *glob) reaches(prefix string) reach {
	if !strings.HasPrefix(prefix, g.lead) && !strings.HasPrefix(g.lead, prefix) {
		return matchesNone
	}
	// The states of an automaton: at[i] says that the tokens before i are used up.
	var few [2][64]bool
	var at, next []bool
	if n := len(g.tokens) + 1; n <= len(few[0]) {
		at, next = few[0][:n], few[1][:n]
	} else {
		at, next = make([]bool, n), make([]bool, n)
	}
	at[0] = true
	skip := func() {
		for i, t := range g.tokens {
			if at[i] && t.kind == star {
				at[i+1] = true
			}
		}
	}
	skip()
	for _, r := range prefix {
		clear(next)
		any := false
		for i, t := range g.tokens {
			switch {
			case !at[i]:
			case t.kind == star:
				next[i], any = true, true
			case t.takes(r):
				next[i+1], any = true, true
			}
		}
		if !any {
			return matchesNone
		}
		at, next = next, at
		skip()
	}
	for i, t := range g.tokens {
		if at[i] && t.kind == star && i == len(g.tokens)-1 {
			return matchesAll
		}
	}
	for i := range g.tokens {
		if at[i] {
			return matchesSome
		}
	}
	return matchesSome // it is the prefix itself
}
