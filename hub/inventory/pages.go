package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/filter"
)

// This file keeps pages of lists that have been made, so that neither this hub nor
// another makes them again. A page is kept under a name of all that it depends on:
// the marks of the applications that its reader sees, and what he asked for. Hubs do
// not agree on how often something changed, but on what there is.
//
// What no two hubs know alike is not in what is kept: until when a row was seen so,
// when the whole was known to hold and whether the database answers are filled in by
// the hub that answers, from its own memory. Questions about ages, which have another
// answer every second, are not kept.

// Pages keeps pages under names that contain the state that they show, so what was
// put is right for ever. A value that is got is not changed.
type Pages interface {
	// Get and Put are of this process alone, or with shared also of what hubs share.
	Get(ctx context.Context, name string, shared bool) ([]byte, bool)
	Put(ctx context.Context, name string, value []byte, shared bool)
}

// pageKey is what marks are made with.
type pageKey [32]byte

const (
	// settled is for how long what somebody sees has to have been the same before a
	// page of it is looked for or kept. While hundreds of things change in a second
	// nobody asks for a page twice, and nothing is put anywhere.
	settled = time.Second
	// A look at what hubs share takes as long as these, which are about 0.3 ms, so
	// lists of fewer applications are made.
	leastShared, leastSharedFiltered = 1000, 5000
)

// asking is a question for a page that may be kept.
type asking struct {
	name   string
	shared bool
}

// state is what somebody sees in one sum.
type seenState struct {
	sum
	count int
	since time.Time
}

// stateOf adds up the marks of what is seen.
func (f *fleetNow) stateOf(v *visible, places []seenApp) seenState {
	if v == nil {
		return f.all
	}
	var s seenState
	for i := range places {
		if v.has(places[i].place) {
			s.see(&f.marks[i])
		}
	}
	return s
}

func (s *seenState) see(m *seenMark) {
	s.add(m.sum)
	s.count++
	if m.since.After(s.since) {
		s.since = m.since
	}
}

type seenMark struct {
	sum
	since time.Time
}

// marked are the marks of all applications. m is of the same snapshot.
func (f *fleetNow) marked(m moment) []seenMark {
	f.marking.Do(func() {
		marks := make([]seenMark, len(f.apps))
		for i := range f.apps {
			a := f.apps[i].app
			if !a.digested {
				return
			}
			var labels *digest
			if c := m.byID[a.ClusterID]; c != nil {
				labels = c.labels
			}
			k := m.key.markOf(a, f.apps[i].fresh, labels, f.at)
			marks[i] = seenMark{k.sum, k.since}
			f.all.see(&marks[i])
		}
		f.marks = marks
	})
	return f.marks
}

// ask names the page that answers a question, and says whether it may be kept.
func (x *Index) ask(m moment, f *fleetNow, v *visible, q fleet.ListQuery, filters filter.Query) (asking, bool) {
	if x.opts.Pages == nil || !q.Kept || q.Labels != nil && q.Selector == "" || passes(q, filters) {
		return asking{}, false
	}
	// Who sees everything sees what changed last: then nobody need add anything up.
	if v == nil && m.now.Sub(m.changed) < settled || f.marked(m) == nil {
		return asking{}, false
	}
	state := f.stateOf(v, f.apps)
	if m.moved.After(state.since) {
		state.since = m.moved
	}
	if m.now.Sub(state.since) < settled {
		return asking{}, false
	}
	least := leastShared
	if len(filters.Terms) > 0 || q.Labels != nil {
		least = leastSharedFiltered
	}
	return asking{pageName(state, q, filters), state.count >= least}, true
}

// passes reports whether the answer changes because time passes, or has a time in it
// that is not filled in.
func passes(q fleet.ListQuery, filters filter.Query) bool {
	for _, t := range filters.Terms {
		switch t.Key {
		case "changed", "created", "observed":
			return true
		}
	}
	observed := 0
	for _, name := range q.Fields {
		if name == "observedAt" {
			observed++
		}
	}
	return observed > 1 || slices.Contains(q.Sort, "observed") || slices.Contains(q.Sort, "-observed")
}

// pageName is all that a page depends on: what its reader sees, in which state, and
// what he asks for. The parts cannot be mistaken for each other.
func pageName(s seenState, q fleet.ListQuery, filters filter.Query) string {
	state := binary.BigEndian.AppendUint64(nil, s.hi)
	state = binary.BigEndian.AppendUint64(state, s.lo)
	state = binary.AppendUvarint(state, uint64(s.count))
	var terms digesting // texts are short, and said in full: no term is taken for another
	for _, t := range filters.Terms {
		for _, part := range []string{t.Key, t.Label, word(t.Not), t.String()} {
			terms.text(part)
		}
	}
	list := func(of []string) string {
		var w digesting
		for _, s := range of {
			w.text(s)
		}
		if of == nil {
			return ""
		}
		return "[" + string(w.b)
	}
	var name digesting
	for _, part := range []string{
		"applications", string(state), q.Filter, string(terms.b), q.Selector, list(q.Sort), list(q.After),
		strconv.Itoa(q.Limit), list(q.Fields), list(q.Facets), q.Group,
	} {
		if len(part) > 4*sha256.Size {
			h := sha256.Sum256([]byte(part))
			part = "#" + string(h[:])
		}
		name.text(part)
	}
	return string(name.b)
}

// span is where in a row the time stands until when it was seen so; none when to is 0.
type span struct{ from, to int }

// recall is the page that was kept, with times as they are now.
func (x *Index) recall(ctx context.Context, m moment, v *visible, a asking, q fleet.ListQuery) (fleet.ListPage, bool) {
	kept, ok := x.opts.Pages.Get(ctx, a.name, a.shared)
	if !ok {
		return fleet.ListPage{}, false
	}
	r := reading{b: kept}
	page := m.page(r.number(), r.facets(), r.next())
	if r.number() == 1 {
		f := r.facet()
		page.Groups = &f
	}
	n := r.number()
	if r.bad || n > len(m.apps) {
		return fleet.ListPage{}, false
	}
	page.Items = make([]json.RawMessage, 0, n)
	for range n {
		name, row, at := r.text(), r.bytes(), span{r.number(), r.number()}
		i, found := slices.BinarySearchFunc(m.apps, name, func(a *app, name string) int { return strings.Compare(a.Name, name) })
		// What is kept under this name is of what is seen: anything else is not taken.
		if r.bad || !found || v != nil && !v.has(m.apps[i].place) || at.from > at.to || at.to > len(row) {
			return fleet.ListPage{}, false
		}
		if at.to > 0 {
			seen := m.observedAt(m.apps[i])
			if seen == nil {
				return fleet.ListPage{}, false
			}
			next := make([]byte, 0, len(row)+16)
			next = appendSeen(append(next, row[:at.from]...), *seen, q.Fields == nil)
			row = append(next, row[at.to:]...)
		}
		page.Items = append(page.Items, row)
	}
	if r.bad || len(r.b) != 0 {
		return fleet.ListPage{}, false
	}
	return page, true
}

// keep keeps a page that was made.
func (x *Index) keep(ctx context.Context, a asking, page fleet.ListPage, names []string, spans []span) {
	size := 256
	for _, row := range page.Items {
		size += len(row) + 48
	}
	w := writing{make([]byte, 0, size)}
	w.number(page.Total)
	w.facets(page.Facets)
	w.next(page.Next)
	if page.Groups == nil {
		w.number(0)
	} else {
		w.number(1)
		w.facet(*page.Groups)
	}
	w.number(len(page.Items))
	for i, row := range page.Items {
		w.text(names[i])
		w.text(string(row))
		w.number(spans[i].from)
		w.number(spans[i].to)
	}
	x.opts.Pages.Put(ctx, a.name, w.b, a.shared)
}

// appendSeen writes a time as rows have it.
func appendSeen(b []byte, at time.Time, summary bool) []byte {
	if summary {
		b = append(b, '"')
		b = at.UTC().AppendFormat(b, time.RFC3339)
		return append(b, '"')
	}
	text, err := at.MarshalJSON()
	if err != nil { // a year of more than four digits, which no database has
		text = []byte("null")
	}
	return append(b, text...)
}

// ---- how pages are written

type writing struct{ b []byte }

func (w *writing) number(n int) { w.b = binary.AppendUvarint(w.b, uint64(n)) }

func (w *writing) text(s string) {
	w.number(len(s))
	w.b = append(w.b, s...)
}

func (w *writing) facets(all map[string]fleet.Facet) {
	w.number(len(all))
	for name, f := range all {
		w.text(name)
		w.facet(f)
	}
}

func (w *writing) facet(f fleet.Facet) {
	w.number(f.Others)
	w.number(len(f.Values))
	for value, n := range f.Values {
		w.text(value)
		w.number(n)
	}
}

func (w *writing) next(position []string) {
	w.number(len(position))
	for _, s := range position {
		w.text(s)
	}
}

// reading is the other way round. It does not fail for anything that is written: it
// says that it was bad.
type reading struct {
	b   []byte
	bad bool
}

func (r *reading) number() int {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > 1<<31 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[size:]
	return int(n)
}

// bytes are shared with what is read.
func (r *reading) bytes() []byte {
	n := r.number()
	if n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reading) text() string { return string(r.bytes()) }

func (r *reading) facets() map[string]fleet.Facet {
	n := r.number()
	out := map[string]fleet.Facet{}
	for i := 0; i < n && !r.bad; i++ {
		name := r.text()
		out[name] = r.facet()
	}
	return out
}

func (r *reading) facet() fleet.Facet {
	f := fleet.Facet{Values: map[string]int{}, Others: r.number()}
	n := r.number()
	for i := 0; i < n && !r.bad; i++ {
		value := r.text()
		f.Values[value] = r.number()
	}
	return f
}

func (r *reading) next() []string {
	n := r.number()
	var out []string
	for i := 0; i < n && !r.bad; i++ {
		out = append(out, r.text())
	}
	return out
}
