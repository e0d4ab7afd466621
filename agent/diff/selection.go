package diff

import (
	"maps"
	"strconv"
)

// selection is a set of places in an object, as a tree. Steps into lists are
// indexes; those of pointers are texts until it is known what they lead into.
type selection struct {
	selected bool
	fields   map[string]*selection
	indexes  map[int]*selection
	slices   []sliceStep
}

// sliceStep is "[start:end]"; negative bounds count from the end.
type sliceStep struct {
	start, end int
	toEnd      bool
	below      *selection
}

// bounds are the first index and the one after the last in a list of n elements.
func (s sliceStep) bounds(n int) (from, to int) {
	clamp := func(i int) int {
		if i < 0 {
			i += n
		}
		return min(max(i, 0), n)
	}
	if s.toEnd {
		return clamp(s.start), n
	}
	return clamp(s.start), clamp(s.end)
}

func (s *selection) addPointer(segs []string) {
	for _, g := range segs {
		s = s.toField(g)
	}
	s.selected = true
}

func (s *selection) toField(name string) *selection {
	if s.fields == nil {
		s.fields = map[string]*selection{}
	}
	c := s.fields[name]
	if c == nil {
		c = &selection{}
		s.fields[name] = c
	}
	return c
}

func (s *selection) toIndex(i int) *selection {
	if s.indexes == nil {
		s.indexes = map[int]*selection{}
	}
	c := s.indexes[i]
	if c == nil {
		c = &selection{}
		s.indexes[i] = c
	}
	return c
}

// addJQ adds a path of jq: field names, indexes (negative ones from the end) and
// slices. It reports whether it is one.
func (s *selection) addJQ(path []any) bool {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			s = s.toField(step)
		case int:
			s = s.toIndex(step)
		case float64:
			s = s.toIndex(int(step))
		case map[string]any:
			start, ok1 := sliceBound(step["start"])
			end, ok2 := sliceBound(step["end"])
			if !ok1 || !ok2 {
				return false
			}
			c := &selection{}
			s.slices = append(s.slices, sliceStep{start: start, end: end, toEnd: step["end"] == nil, below: c})
			s = c
		default:
			return false
		}
	}
	s.selected = true
	return true
}

func sliceBound(v any) (int, bool) {
	switch v := v.(type) {
	case nil:
		return 0, true
	case int:
		return v, true
	case float64:
		return int(v), true
	}
	return 0, false
}

// at is what is selected at, or below, an index of a list of n elements.
func (s *selection) at(i, n int) []*selection {
	var out []*selection
	if c := s.indexes[i]; c != nil {
		out = append(out, c)
	}
	if c := s.indexes[i-n]; c != nil {
		out = append(out, c)
	}
	if len(s.fields) > 0 {
		if c := s.fields[strconv.Itoa(i)]; c != nil {
			out = append(out, c)
		}
	}
	for _, sl := range s.slices {
		from, to := sl.bounds(n)
		switch {
		case i < from || i >= to:
		case sl.below.selected:
			out = append(out, sl.below)
		default:
			out = append(out, sl.below.at(i-from, to-from)...)
		}
	}
	return out
}

// without is v without what is selected below it; v is not modified.
func (s *selection) without(v any) any {
	if s == nil {
		return v
	}
	if s.selected {
		return nil
	}
	switch t := v.(type) {
	case map[string]any:
		var out map[string]any
		for k, c := range s.fields {
			e, ok := t[k]
			if !ok {
				continue
			}
			if out == nil {
				out = maps.Clone(t)
			}
			if c.selected {
				delete(out, k)
			} else {
				out[k] = c.without(e)
			}
		}
		if out != nil {
			return out
		}
	case []any:
		if len(s.fields)+len(s.indexes)+len(s.slices) == 0 {
			return v
		}
		out := make([]any, 0, len(t))
	next:
		for i, e := range t {
			below := s.at(i, len(t))
			for _, c := range below {
				if c.selected {
					continue next
				}
			}
			for _, c := range below {
				e = c.without(e)
			}
			out = append(out, e)
		}
		return out
	}
	return v
}

// prune takes maps out of a that became empty by taking selected fields out of
// before, and that b does not have. a is the copy made by without.
func (s *selection) prune(a, before, b map[string]any) {
	if s == nil {
		return
	}
	for k, c := range s.fields {
		am, ok := a[k].(map[string]any)
		if !ok || c.selected || len(c.fields) == 0 {
			continue
		}
		was, _ := before[k].(map[string]any)
		bm, _ := b[k].(map[string]any)
		c.prune(am, was, bm)
		if len(am) == 0 && len(was) > 0 && !has(b, k) {
			delete(a, k)
		}
	}
}

func deepCopy(v any) any {
	switch t := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(t))
		for k, e := range t {
			m[k] = deepCopy(e)
		}
		return m
	case []any:
		l := make([]any, len(t))
		for i, e := range t {
			l[i] = deepCopy(e)
		}
		return l
	}
	return v
}
