package plugin

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// stderrLines is how much of a command's standard error is told.
const stderrLines = 20

// maxLine bounds a line that is kept.
const maxLine = 300

// lines keeps the last lines of what was written to it. It is safe for
// concurrent use.
type lines struct {
	keep int
	each func(line string) // nil, or called for every line

	mu   sync.Mutex
	last []string
	open []byte // a line that has no end yet
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(b)
	for {
		line, rest, ended := bytes.Cut(b, []byte{'\n'})
		l.open = append(l.open, line[:min(len(line), max(0, 4*maxLine-len(l.open)))]...)
		if !ended {
			return n, nil
		}
		l.end()
		b = rest
	}
}

func (l *lines) end() {
	line := printable(l.open)
	l.open = l.open[:0]
	if line == "" {
		return
	}
	if l.each != nil {
		l.each(line)
	}
	if len(l.last) == l.keep {
		l.last = slices.Delete(l.last, 0, 1)
	}
	l.last = append(l.last, line)
}

// String is the last lines.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.last
	if line := printable(l.open); line != "" {
		out = append(slices.Clone(out), line)
		out = out[max(0, len(out)-l.keep):]
	}
	return strings.Join(out, "\n")
}

var (
	escapes  = regexp.MustCompile("\x1b(\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)?)")
	userinfo = regexp.MustCompile(`(://[^/\s:@]*):[^/\s@]+@`)
)

// printable is a line without colours, control characters and what follows too
// many others.
func printable(b []byte) string {
	s := strings.ToValidUTF8(string(escapes.ReplaceAll(b, nil)), "?")
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	return strings.TrimRight(s, " \t")
}

// redact takes the values out of a text, and passwords out of URLs in it. A value
// of several lines goes line by line; very short ones stay, because they would
// take the text with them.
func redact(s string, values []string) string {
	var parts []string
	for _, v := range values {
		parts = append(parts, v)
		parts = append(parts, strings.Split(v, "\n")...)
	}
	// The longest first: one may be in another.
	slices.SortFunc(parts, func(a, b string) int { return len(b) - len(a) })
	for _, v := range parts {
		if v = strings.TrimSpace(v); len(v) >= 4 {
			s = strings.ReplaceAll(s, v, "***")
		}
	}
	return userinfo.ReplaceAllString(s, "$1:***@")
}

// clipLines shortens each line and the whole, of which the end is kept.
func clipLines(s string, total int) string {
	all := strings.Split(s, "\n")
	for i, line := range all {
		all[i] = clip(line, maxLine)
	}
	for len(all) > 1 {
		n := len(all) - 1
		for _, line := range all {
			n += len(line)
		}
		if n <= total {
			break
		}
		all = all[1:]
	}
	return strings.Join(all, "\n")
}
