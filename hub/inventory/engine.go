package inventory

import (
	"cmp"
	"container/heap"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// maxValues of a facet that are listed; the rest is one number.
const maxValues = 20

// maxGroupValues of the key that a list is grouped by; the rest is one number.
const maxGroupValues = 1000

// kind says how things of one kind are filtered, sorted and counted.
type kind[T any] struct {
	name func(T) string
	test func(filter.Term) func(T) bool
	// key is the value to sort by: a text, or a number when isNumber.
	key  func(name string) func(T) sortValue
	fact func(facet string) func(T) string
}

type sortValue struct {
	s string
	n float64
}

func (v sortValue) compare(o sortValue) int {
	return cmp.Or(cmp.Compare(v.n, o.n), strings.Compare(v.s, o.s))
}

func (v sortValue) String() string {
	if v.n != 0 {
		return strconv.FormatFloat(v.n, 'g', -1, 64) + " " + v.s
	}
	return " " + v.s
}

func parseSortValue(s string) (v sortValue, ok bool) {
	n, rest, ok := strings.Cut(s, " ")
	if !ok {
		return v, false
	}
	v.s = rest
	if n != "" {
		var err error
		if v.n, err = strconv.ParseFloat(n, 64); err != nil {
			return v, false
		}
	}
	return v, true
}

// order is a compiled list of sort keys. The name comes last, so that there are
// no ties.
type order[T any] struct {
	keys []func(T) sortValue
	down []bool
}

func (k kind[T]) order(sort []string) (o order[T]) {
	for _, s := range sort {
		name, down := strings.CutPrefix(s, "-")
		o.keys = append(o.keys, k.key(name))
		o.down = append(o.down, down)
		if name == "name" {
			return o
		}
	}
	o.keys = append(o.keys, func(t T) sortValue { return sortValue{s: k.name(t)} })
	o.down = append(o.down, false)
	return o
}

func (o order[T]) of(t T) []sortValue {
	out := make([]sortValue, len(o.keys))
	for i, key := range o.keys {
		out[i] = key(t)
	}
	return out
}

func (o order[T]) compare(a, b []sortValue) int {
	for i := range o.keys {
		c := a[i].compare(b[i])
		if o.down[i] {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// group is the terms about one key; a facet is counted without its own.
type group[T any] struct {
	key   string
	tests []func(T) bool
}

// facetKey is the name of the facet that a term belongs to.
func facetKey(t filter.Term) string {
	if t.Label != "" {
		return t.Key + ":" + t.Label
	}
	return t.Key
}

func (k kind[T]) groups(q filter.Query) []group[T] {
	var out []group[T]
	for _, t := range q.Terms {
		key := facetKey(t)
		i := slices.IndexFunc(out, func(g group[T]) bool { return g.key == key })
		if i < 0 {
			i = len(out)
			out = append(out, group[T]{key: key})
		}
		out[i].tests = append(out[i].tests, k.test(t))
	}
	return out
}

type counting[T any] struct {
	name   string
	value  func(T) string
	counts tally
}

// tally counts words. The first few are compared with one by one: most facets have
// no more, and that takes a third of the time of a map.
type tally struct {
	words  [8]string
	counts [8]int
	used   int
	more   map[string]int
}

func (c *tally) add(word string) {
	for i := range c.used {
		if c.words[i] == word {
			c.counts[i]++
			return
		}
	}
	if c.used < len(c.words) {
		c.words[c.used], c.counts[c.used] = word, 1
		c.used++
		return
	}
	if c.more == nil {
		c.more = make(map[string]int, 64)
	}
	c.more[word]++
}

func (c *tally) all() map[string]int {
	out := c.more
	if out == nil {
		out = make(map[string]int, c.used)
	}
	for i := range c.used {
		out[c.words[i]] = c.counts[i]
	}
	return out
}

// selected is what a query selects, in order, with the facets counted.
type selected[T any] struct {
	page   []T
	next   []string
	total  int
	facets map[string]fleet.Facet
	// groups are those of the query, when it asks for any.
	groups *fleet.Facet
}

// choose answers a query about things that are in the order of their names and
// that may all be seen.
func (k kind[T]) choose(all []T, filters filter.Query, q fleet.ListQuery) (selected[T], error) {
	groups := k.groups(filters)
	var grouped *counting[T]
	if q.Group != "" {
		grouped = &counting[T]{name: q.Group, value: k.fact(q.Group)}
	}
	facets := make([]counting[T], len(q.Facets))
	for i, name := range q.Facets {
		facets[i] = counting[T]{name: name, value: k.fact(name)}
	}
	var hits []T
	for _, t := range all {
		failed, failures := -1, 0
	groups:
		for i := range groups {
			for _, test := range groups[i].tests {
				if !test(t) {
					failed = i
					if failures++; failures > 1 {
						break groups
					}
					break
				}
			}
		}
		switch {
		case failures > 1:
			continue
		case failures == 0:
			hits = append(hits, t)
			if grouped != nil {
				grouped.counts.add(grouped.value(t))
			}
		}
		for i := range facets {
			if failures == 0 || facets[i].name == groups[failed].key {
				facets[i].counts.add(facets[i].value(t))
			}
		}
	}
	out := selected[T]{total: len(hits), facets: map[string]fleet.Facet{}}
	for i := range facets {
		out.facets[facets[i].name] = cutFacet(facets[i].counts.all(), maxValues)
	}
	if grouped != nil {
		groups := cutFacet(grouped.counts.all(), maxGroupValues)
		out.groups = &groups
	}
	err := k.turn(&out, hits, q)
	return out, err
}

// turn sorts what was selected and cuts the page out.
func (k kind[T]) turn(out *selected[T], hits []T, q fleet.ListQuery) error {
	o := k.order(q.Sort)
	var after []sortValue
	for _, s := range q.After {
		v, ok := parseSortValue(s)
		if !ok {
			return badPosition()
		}
		after = append(after, v)
	}
	if len(after) != 0 && len(after) != len(o.keys) {
		return badPosition()
	}
	byName := len(o.keys) == 1 && !o.down[0] // the order that they have
	start := 0
	switch {
	case byName && after != nil:
		start, _ = slices.BinarySearchFunc(hits, after, func(t T, after []sortValue) int {
			if o.compare(o.of(t), after) <= 0 {
				return -1
			}
			return 1
		})
	case !byName:
		first, more := o.first(hits, after, q.Limit)
		out.page = first
		if more && len(first) > 0 {
			out.next = o.position(first[len(first)-1])
		}
		return nil
	}
	end := min(start+q.Limit, len(hits))
	out.page = hits[start:end]
	if end < len(hits) && end > start {
		out.next = o.position(hits[end-1])
	}
	return nil
}

// position is where a page goes on after t.
func (o order[T]) position(t T) []string {
	var out []string
	for _, v := range o.of(t) {
		out = append(out, v.String())
	}
	return out
}

// first returns the limit things that come first after a position, in order, and
// whether there are more. Only those are ordered: a page of a list of ten thousand
// does not sort ten thousand.
func (o order[T]) first(all []T, after []sortValue, limit int) (page []T, more bool) {
	best := topRows[T]{order: o}
	keys := make([]sortValue, len(o.keys))
	for _, t := range all {
		for j, key := range o.keys {
			keys[j] = key(t)
		}
		if after != nil && o.compare(keys, after) <= 0 {
			continue
		}
		switch {
		case len(best.rows) < limit:
			heap.Push(&best, keyed[T]{t, slices.Clone(keys)})
		case limit == 0 || o.compare(keys, best.rows[0].keys) > 0:
			more = true
		default:
			more = true
			last := &best.rows[0]
			last.t = t
			copy(last.keys, keys)
			heap.Fix(&best, 0)
		}
	}
	page = make([]T, len(best.rows))
	for i := len(page) - 1; i >= 0; i-- {
		page[i] = heap.Pop(&best).(keyed[T]).t
	}
	return page, more
}

type keyed[T any] struct {
	t    T
	keys []sortValue
}

// topRows is a heap whose first row is the last in order.
type topRows[T any] struct {
	order order[T]
	rows  []keyed[T]
}

func (h *topRows[T]) Len() int           { return len(h.rows) }
func (h *topRows[T]) Less(i, j int) bool { return h.order.compare(h.rows[i].keys, h.rows[j].keys) > 0 }
func (h *topRows[T]) Swap(i, j int)      { h.rows[i], h.rows[j] = h.rows[j], h.rows[i] }
func (h *topRows[T]) Push(x any)         { h.rows = append(h.rows, x.(keyed[T])) }
func (h *topRows[T]) Pop() any {
	last := h.rows[len(h.rows)-1]
	h.rows = h.rows[:len(h.rows)-1]
	return last
}

func badPosition() error {
	return fault.New(fault.Invalid, "cursor_invalid", "the cursor is not one of this list").WithField("cursor").WithFix("start again without a cursor")
}

// cutFacet keeps the most frequent values.
func cutFacet(counts map[string]int, most int) fleet.Facet {
	if len(counts) <= most {
		return fleet.Facet{Values: counts}
	}
	type count struct {
		value string
		n     int
	}
	before := func(a, b count) int { return cmp.Or(b.n-a.n, strings.Compare(a.value, b.value)) }
	// Thousands of clusters are counted for every list: only the first are sorted.
	first := make([]count, 0, most+1)
	f := fleet.Facet{Values: make(map[string]int, most)}
	for v, n := range counts {
		f.Others += n
		c := count{v, n}
		if len(first) == most && before(first[most-1], c) < 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(first, c, before)
		first = slices.Insert(first, at, c)
		first = first[:min(len(first), most)]
	}
	for _, c := range first {
		f.Values[c.value] = c.n
		f.Others -= c.n
	}
	return f
}

// checkNames refuses what is not among the allowed, and names the nearest.
func checkNames(field, code string, given, allowed []string) error {
	var problems fault.List
	for _, name := range given {
		bare := name
		if field == "sort" {
			bare = strings.TrimPrefix(name, "-")
		}
		if slices.Contains(allowed, bare) || (field == "facets" || field == "group") && slices.Contains(allowed, "label:") && (strings.HasPrefix(bare, "label:") || strings.HasPrefix(bare, "cluster.label:")) {
			continue
		}
		e := fault.New(fault.Invalid, code, "%s has no %q", field, shorten(bare)).WithField(field).WithFound(shorten(bare), strings.Join(allowed, ", "))
		if near := nearest.Word(bare, allowed); near != "" {
			e.Message += "; did you mean " + strconv.Quote(near) + "?"
		}
		problems = append(problems, e)
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

func shorten(s string) string {
	if len(s) > 60 {
		return s[:57] + "..."
	}
	return s
}

func encoded(v any) (json.RawMessage, error) { return json.Marshal(v) }

// terms are all terms of a query.
func (x *Index) terms(q fleet.ListQuery, schema filter.Schema) (filter.Query, error) {
	parsed, err := filter.Parse(q.Filter, schema, func(name string) bool { return x.hasLabel(name, &q.Sight) })
	parsed.Terms = append(parsed.Terms, q.Terms...)
	return parsed, err
}
