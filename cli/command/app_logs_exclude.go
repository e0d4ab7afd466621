package command

import (
	"bytes"
	"maps"
	"regexp"
	"slices"

	"github.com/hawser-dev/hawser/shared/fault"
)

// excluder leaves lines out of a stream of logs. A line that comes in pieces is
// held until it is whole, or longer than anybody reads.
type excluder struct {
	pattern *regexp.Regexp
	held    map[int][]piece // by source
	size    map[int]int
}

type piece struct {
	line []byte
	m    streamed
}

// mostHeld bytes of a line decide about it.
const mostHeld = 64 << 10

// newExcluder is nil, which leaves nothing out, without a pattern.
func newExcluder(pattern string) (*excluder, error) {
	if pattern == "" {
		return nil, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fault.New(fault.Invalid, "usage", "--exclude %q is no regular expression: %s", pattern, err)
	}
	return &excluder{re, map[int][]piece{}, map[int]int{}}, nil
}

// pass hands to next what is not left out.
func (x *excluder) pass(next func([]byte, streamed) error) func([]byte, streamed) error {
	if x == nil {
		return next
	}
	return func(line []byte, m streamed) error {
		if m.Text == nil {
			return next(line, m)
		}
		src := m.Source
		x.held[src] = append(x.held[src], piece{bytes.Clone(line), m})
		x.size[src] += len(*m.Text)
		if m.Partial && x.size[src] < mostHeld {
			return nil
		}
		return x.decide(src, next)
	}
}

// flush decides about what was never ended.
func (x *excluder) flush(next func([]byte, streamed) error) error {
	if x == nil {
		return nil
	}
	for _, src := range slices.Sorted(maps.Keys(x.held)) {
		if err := x.decide(src, next); err != nil {
			return err
		}
	}
	return nil
}

func (x *excluder) decide(src int, next func([]byte, streamed) error) error {
	pieces := x.held[src]
	delete(x.held, src)
	delete(x.size, src)
	var text []byte
	for _, p := range pieces {
		text = append(text, *p.m.Text...)
	}
	if x.pattern.Match(text) {
		return nil
	}
	for _, p := range pieces {
		if err := next(p.line, p.m); err != nil {
			return err
		}
	}
	return nil
}
