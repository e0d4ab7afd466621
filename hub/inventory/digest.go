package inventory

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// This file digests what lists are made of, so that hubs which have heard of the same
// changes in any order, or read the same rows, call what they know by the same name.

// digest of something's content.
type digest [sha256.Size]byte

// sum of marks, without regard to their order. Marks are made with a key that nobody
// outside of the hubs has, so nobody can choose things whose sums are the same.
type sum struct{ hi, lo uint64 }

func (s *sum) add(o sum) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi, _ = bits.Add64(s.hi, o.hi, carry)
}

// mark is an application as lists show it, but for times that pass: what its row has,
// the labels of its cluster, and how fresh it is.
type mark struct {
	sum
	fresh  model.Freshness
	labels *digest // of its cluster
	since  time.Time
}

// digestRow digests what a row says. How fresh it is depends on the moment, and is
// part of its mark; by which report it came only says how fresh it is.
func digestRow(row fleet.AppRow) (d digest, ok bool) {
	row.Freshness, row.ObservedAt = "", nil
	row.Report = fleet.ReportID{}
	if row.ReportedAt != nil { // whether is shown; when is filled in
		row.ReportedAt = &time.Time{}
	}
	w := digesting{b: make([]byte, 0, 1024), ok: true}
	w.value(reflect.ValueOf(&row).Elem())
	return sha256.Sum256(w.b), w.ok
}

// digestLabels of a cluster.
func digestLabels(labels map[string]string) *digest {
	w := digesting{ok: true}
	w.value(reflect.ValueOf(labels))
	d := digest(sha256.Sum256(w.b))
	return &d
}

var typeOfTime = reflect.TypeFor[time.Time]()

// digesting writes values so that no two that differ are written the same.
type digesting struct {
	b  []byte
	ok bool // everything could be written
}

func (w *digesting) text(s string) {
	w.b = binary.AppendUvarint(w.b, uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *digesting) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		w.text(v.String())
	case reflect.Bool:
		w.b = append(w.b, word(v.Bool())[0])
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w.b = binary.AppendVarint(w.b, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		w.b = binary.AppendUvarint(w.b, v.Uint())
	case reflect.Float32, reflect.Float64:
		w.b = binary.BigEndian.AppendUint64(w.b, math.Float64bits(v.Float()))
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			w.b = append(w.b, 0)
			return
		}
		w.b = append(w.b, 1)
		if v.Kind() == reflect.Interface {
			w.text(v.Elem().Type().String())
		}
		w.value(v.Elem())
	case reflect.Slice:
		w.length(v)
		if v.Type().Elem().Kind() == reflect.Uint8 {
			w.b = append(w.b, v.Bytes()...)
			return
		}
		for i := range v.Len() {
			w.value(v.Index(i))
		}
	case reflect.Map:
		w.length(v)
		if v.Type().Key().Kind() != reflect.String {
			w.ok = false
			return
		}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			w.text(k.String())
			w.value(v.MapIndex(k))
		}
	case reflect.Struct:
		if v.Type() == typeOfTime {
			w.time(v)
			return
		}
		for i := range v.NumField() {
			w.value(v.Field(i))
		}
	default:
		w.ok = false
	}
}

// length tells none from nothing.
func (w *digesting) length(v reflect.Value) {
	n := uint64(0)
	if !v.IsNil() {
		n = uint64(v.Len()) + 1
	}
	w.b = binary.AppendUvarint(w.b, n)
}

func (w *digesting) time(v reflect.Value) {
	if !v.CanInterface() {
		w.ok = false
		return
	}
	var t time.Time
	if v.CanAddr() {
		t = *v.Addr().Interface().(*time.Time)
	} else {
		t = v.Interface().(time.Time)
	}
	_, offset := t.Zone() // it is written with it
	w.b = binary.AppendVarint(w.b, t.Unix())
	w.b = binary.AppendVarint(w.b, int64(t.Nanosecond()))
	w.b = binary.AppendVarint(w.b, int64(offset))
}

// markOf an application, at a time from which on it counts as it is when it is not
// marked yet or was otherwise.
func (k *pageKey) markOf(a *app, fresh model.Freshness, labels *digest, now time.Time) *mark {
	before := a.mark.Load()
	if before != nil && before.fresh == fresh && before.labels == labels {
		return before
	}
	m := &mark{fresh: fresh, labels: labels, since: a.since}
	if before != nil {
		m.since = now
	}
	b := make([]byte, 0, len(k)+2*sha256.Size+16)
	b = append(append(b, k[:]...), a.content[:]...)
	if labels != nil {
		b = append(b, labels[:]...)
	}
	h := sha256.Sum256(append(append(b, 0), fresh...))
	m.hi, m.lo = binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])
	a.mark.Store(m)
	return m
}
