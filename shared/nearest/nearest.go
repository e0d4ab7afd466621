// Package nearest finds the candidate that is closest to what somebody wrote,
// so that an error can say "did you mean".
//
// It is pure and knows nothing of what the words mean. Decoders, the project
// policy and the API call it while they phrase a refusal.
package nearest

import "strings"

// maxLength bounds the work: longer words are compared by their beginning.
const maxLength = 256

// Distance is the number of single-character insertions, deletions,
// replacements and swaps of neighbours that turn a into b.
func Distance(a, b string) int {
	x, y := []rune(cut(a)), []rune(cut(b))
	before, prev, cur := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		cur[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(y)]
}

// Word returns the candidate closest to found when it is close enough to be
// meant (about a third of its letters may differ, case apart), else "". Of
// equally close ones the first wins.
func Word(found string, candidates []string) string {
	best, bestDistance := "", -1
	f := strings.ToLower(found)
	for _, c := range candidates {
		d := Distance(f, strings.ToLower(c))
		limit := max(len(c), len(found))/3 + 1
		if len(found) <= 2 {
			limit = 1
		}
		if d > limit || d >= len(c) {
			continue
		}
		if bestDistance < 0 || d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// Any returns the candidate with the smallest distance, however large, or ""
// when there is none.
func Any(found string, candidates []string) string {
	best, bestDistance := "", -1
	for _, c := range candidates {
		if d := Distance(found, c); bestDistance < 0 || d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

func cut(s string) string {
	if len(s) > maxLength {
		return s[:maxLength]
	}
	return s
}
