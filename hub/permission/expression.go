package permission

import (
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// This file reads regular expressions that say no more than globs can: most of those
// of policies, such as ^team-a/.*$ or (dev|test)/web-.*. As globs they are ten times as
// fast, and what a beginning leaves open is known.

const (
	// beginning and ending are the anchors of an expression, while it is read.
	beginning tokenKind = 100 + iota
	ending
)

// asGlobs are the alternatives of globs that match the same texts without line breaks
// as an expression matches somewhere; nil when there are none.
func asGlobs(tree *syntax.Regexp) [][]token {
	sequences := sequencesOf(tree)
	for i, s := range sequences {
		if len(s) > 0 && s[0].kind == beginning {
			s = s[1:]
		} else {
			s = append([]token{{kind: star}}, s...)
		}
		if n := len(s); n > 0 && s[n-1].kind == ending {
			s = s[:n-1]
		} else {
			s = append(slices.Clip(s), token{kind: star})
		}
		if slices.ContainsFunc(s, func(t token) bool { return t.kind >= beginning }) {
			return nil // an anchor inside: it matches never, or nothing
		}
		sequences[i] = slices.CompactFunc(slices.Clone(s), func(a, b token) bool { return a.kind == star && b.kind == star })
	}
	return sequences
}

// sequencesOf takes the alternatives of an expression apart; nil when it has what globs
// have not, or too many.
func sequencesOf(r *syntax.Regexp) [][]token {
	switch r.Op {
	case syntax.OpEmptyMatch:
		return [][]token{nil}
	case syntax.OpLiteral:
		if r.Flags&syntax.FoldCase != 0 {
			return nil
		}
		var out []token
		for _, c := range r.Rune {
			if c == utf8.RuneError { // which stands for bytes that are no text
				return nil
			}
			out = append(out, token{kind: char, char: c})
		}
		return [][]token{out}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return [][]token{{{kind: one}}}
	case syntax.OpCharClass:
		s := &set{}
		for i := 0; i+1 < len(r.Rune); i += 2 {
			s.ranges = append(s.ranges, [2]rune{r.Rune[i], r.Rune[i+1]})
		}
		return [][]token{{{kind: oneOf, set: s}}}
	case syntax.OpBeginText:
		return [][]token{{{kind: beginning}}}
	case syntax.OpEndText:
		return [][]token{{{kind: ending}}}
	case syntax.OpCapture:
		return sequencesOf(r.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		if op := r.Sub[0].Op; op != syntax.OpAnyChar && op != syntax.OpAnyCharNotNL {
			return nil
		}
		if r.Op == syntax.OpPlus {
			return [][]token{{{kind: one}, {kind: star}}}
		}
		return [][]token{{{kind: star}}}
	case syntax.OpQuest:
		some := sequencesOf(r.Sub[0])
		if some == nil {
			return nil
		}
		return append(slices.Clip(some), nil)
	case syntax.OpAlternate:
		var out [][]token
		for _, sub := range r.Sub {
			some := sequencesOf(sub)
			if some == nil || len(out)+len(some) > maxAlternatives {
				return nil
			}
			out = append(out, some...)
		}
		return out
	case syntax.OpConcat:
		out := [][]token{nil}
		for _, sub := range r.Sub {
			some := sequencesOf(sub)
			if some == nil || len(out)*len(some) > maxAlternatives {
				return nil
			}
			var product [][]token
			for _, before := range out {
				for _, s := range some {
					product = append(product, append(slices.Clip(before), s...))
				}
			}
			out = product
		}
		return out
	}
	return nil
}
