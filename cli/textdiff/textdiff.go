// Package textdiff tells two texts apart line by line, as people read it in a
// review. It is pure; it knows nothing of what the texts are.
package textdiff

import (
	"fmt"
	"strings"
)

// Context is how many equal lines are shown around a difference.
const Context = 3

// most is how many pairs of lines are compared at most; larger texts are shown as
// replaced where they differ.
const most = 4 << 20

// line of a difference: ' ' in both, '-' in the first, '+' in the second.
type line struct {
	kind byte
	text string
	a, b int // lines of each text before this one
}

// Unified is a unified difference without a head; "" when the texts are equal.
func Unified(from, to string) string {
	if from == to {
		return ""
	}
	lines := compare(split(from), split(to))
	var out strings.Builder
	for i := 0; i < len(lines); {
		if lines[i].kind == ' ' {
			i++
			continue
		}
		start := max(0, i-Context)
		end := hunkEnd(lines, i)
		write(&out, lines[start:end])
		i = end
	}
	return out.String()
}

// hunkEnd is where a hunk ends that has a difference at i: Context lines after the
// last difference that is near enough to another.
func hunkEnd(lines []line, i int) int {
	last := i
	for j := i; j < len(lines) && j-last <= 2*Context; j++ {
		if lines[j].kind != ' ' {
			last = j
		}
	}
	return min(len(lines), last+Context+1)
}

func write(out *strings.Builder, hunk []line) {
	var a, b int
	for _, l := range hunk {
		if l.kind != '+' {
			a++
		}
		if l.kind != '-' {
			b++
		}
	}
	startOf := func(before, n int) int {
		if n == 0 {
			return before
		}
		return before + 1
	}
	fmt.Fprintf(out, "@@ -%d,%d +%d,%d @@\n", startOf(hunk[0].a, a), a, startOf(hunk[0].b, b), b)
	for _, l := range hunk {
		out.WriteByte(l.kind)
		out.WriteString(l.text)
		out.WriteByte('\n')
	}
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// compare finds a longest common subsequence between the parts of the texts that
// are not equal at both ends.
func compare(from, to []string) []line {
	head := 0
	for head < len(from) && head < len(to) && from[head] == to[head] {
		head++
	}
	tail := 0
	for tail < len(from)-head && tail < len(to)-head && from[len(from)-1-tail] == to[len(to)-1-tail] {
		tail++
	}
	a, b := from[head:len(from)-tail], to[head:len(to)-tail]
	out := make([]line, 0, len(from)+len(b))
	i, j := 0, 0 // lines taken of each text
	add := func(kind byte, text string) {
		out = append(out, line{kind, text, i, j})
		if kind != '+' {
			i++
		}
		if kind != '-' {
			j++
		}
	}
	for _, s := range from[:head] {
		add(' ', s)
	}
	for _, step := range steps(a, b) {
		if step == '+' {
			add('+', to[j])
		} else {
			add(step, from[i])
		}
	}
	for _, s := range from[len(from)-tail:] {
		add(' ', s)
	}
	return out
}

// steps are what becomes of each line on the way from a to b.
func steps(a, b []string) []byte {
	out := make([]byte, 0, len(a)+len(b))
	if len(a)*len(b) > most {
		for range a {
			out = append(out, '-')
		}
		for range b {
			out = append(out, '+')
		}
		return out
	}
	// common[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	width := len(b) + 1
	common := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, ' ')
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[(i+1)*width+j] >= common[i*width+j+1]:
			out = append(out, '-')
			i++
		default:
			out = append(out, '+')
			j++
		}
	}
	return out
}
