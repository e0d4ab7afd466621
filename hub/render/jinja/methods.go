package jinja

import (
	"maps"
	"slices"
	"strings"
	"unicode"
)

// methodFunc is a method of a value; p are its arguments by params.
type methodFunc struct {
	params []string
	min    int
	run    func(m *machine, of any, p []any) (any, error)
	all    func(m *machine, of any, a *args) (any, error)
}

var stringMethods, dictMethods, listMethods map[string]methodFunc

func methodsOf(v any) map[string]methodFunc {
	switch v := v.(type) {
	case string:
		return stringMethods
	case *dict:
		return dictMethods
	case *list:
		if v.kind == kindList || isTuple(v) {
			return listMethods
		}
	}
	return nil
}

// changing are methods of lists that tuples do not have.
var changing = []string{"append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear", "copy"}

// method is a method of a value as a function, nil when it has none of the name.
func method(of any, name string) any {
	f, ok := methodsOf(of)[name]
	if l, isList := of.(*list); !ok || isList && isTuple(l) && contains(changing, name) {
		return nil
	}
	return &function{name, func(m *machine, a *args) (any, error) {
		if err := m.step(); err != nil {
			return nil, err
		}
		if f.all != nil {
			return f.all(m, of, a)
		}
		p, err := m.bind(name+"()", a, f.params, f.min, name != "append" && name != "setdefault" && name != "get")
		if err != nil {
			return nil, err
		}
		return f.run(m, of, p)
	}}
}

func methodNames(v any) []string { return slices.Sorted(maps.Keys(methodsOf(v))) }

// stringArg is an argument that must be a string.
func (m *machine) stringArg(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", m.fail("a string is needed, not %s", typeName(v))
	}
	return s, nil
}

func onString(f func(s string) any) methodFunc {
	return methodFunc{run: func(m *machine, of any, _ []any) (any, error) {
		out := f(of.(string))
		if s, ok := out.(string); ok {
			return out, m.charge(len(s))
		}
		return out, nil
	}}
}

// every is what str.isdigit() and the like do: some characters, and all so.
func every(f func(r rune) bool) methodFunc {
	return onString(func(s string) any {
		for _, r := range s {
			if !f(r) {
				return false
			}
		}
		return s != ""
	})
}

func (m *machine) strip(s string, chars any, left, right bool) (any, error) {
	cut := unicode.IsSpace
	if given(chars) {
		set, err := m.stringArg(chars)
		if err != nil {
			return nil, err
		}
		cut = func(r rune) bool { return strings.ContainsRune(set, r) }
	}
	if left {
		s = strings.TrimLeftFunc(s, cut)
	}
	if right {
		s = strings.TrimRightFunc(s, cut)
	}
	return s, nil
}

func stripping(left, right bool) methodFunc {
	return methodFunc{params: []string{"chars"}, run: func(m *machine, of any, p []any) (any, error) {
		return m.strip(of.(string), p[0], left, right)
	}}
}

func (m *machine) replace(s, old, with string, n int64) (any, error) {
	count := strings.Count(s, old)
	if n >= 0 {
		count = min(count, int(min(n, maxValue)))
	}
	if len(with) > len(old) && count > 0 && (len(with)-len(old)) > (maxValue-min(len(s), maxValue))/count {
		return nil, m.charge(maxValue + 1)
	}
	out := strings.Replace(s, old, with, count)
	return out, m.charge(len(out) + len(s)/8)
}

// split is str.split(), or with right str.rsplit().
func (m *machine) split(s string, sep any, n int64, right bool) (any, error) {
	var parts []string
	if !given(sep) {
		if n < 0 {
			parts = strings.Fields(s)
		} else {
			parts = fieldsN(s, int(min(n, maxValue)), right)
		}
	} else {
		by, err := m.stringArg(sep)
		if err != nil {
			return nil, err
		}
		switch {
		case by == "":
			return nil, m.fail("split needs a separator that is not empty")
		case n < 0:
			parts = strings.Split(s, by)
		case !right:
			parts = strings.SplitN(s, by, int(min(n, maxValue))+1)
		default:
			for ; n > 0; n-- {
				i := strings.LastIndex(s, by)
				if i < 0 {
					break
				}
				parts = append(parts, s[i+len(by):])
				s = s[:i]
			}
			parts = append(parts, s)
			slices.Reverse(parts)
		}
	}
	return texts(m, parts)
}

// fieldsN splits at white space at most n times; the rest keeps its own.
func fieldsN(s string, n int, right bool) []string {
	var out []string
	if right {
		for s = strings.TrimRightFunc(s, unicode.IsSpace); s != ""; s = strings.TrimRightFunc(s, unicode.IsSpace) {
			i := strings.LastIndexFunc(s, unicode.IsSpace)
			if n == 0 || i < 0 {
				out = append(out, strings.TrimLeftFunc(s, unicode.IsSpace))
				if n == 0 {
					out[len(out)-1] = s
				}
				break
			}
			_, size := decodeAt(s, i)
			out, s = append(out, s[i+size:]), s[:i]
			n--
		}
		slices.Reverse(out)
		return out
	}
	for s = strings.TrimLeftFunc(s, unicode.IsSpace); s != ""; s = strings.TrimLeftFunc(s, unicode.IsSpace) {
		i := strings.IndexFunc(s, unicode.IsSpace)
		if n == 0 || i < 0 {
			return append(out, s)
		}
		out, s = append(out, s[:i]), s[i:]
		n--
	}
	return out
}

func decodeAt(s string, i int) (rune, int) {
	for _, r := range s[i:] {
		return r, len(string(r))
	}
	return 0, 0
}

func texts(m *machine, parts []string) (any, error) {
	out := make([]any, len(parts))
	n := 0
	for i, p := range parts {
		out[i] = p
		n += len(p)
	}
	if err := m.charge(n); err != nil {
		return nil, err
	}
	return newList(out), m.chargeItems(len(out))
}

// affixed is str.startswith() and str.endswith(), which take several at once.
func affixed(has func(s, affix string) bool) methodFunc {
	return methodFunc{params: []string{"affix"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
		all := []any{p[0]}
		if l, ok := p[0].(*list); ok && isTuple(l) {
			all = l.items
		}
		for _, a := range all {
			s, err := m.stringArg(a)
			if err != nil {
				return nil, err
			}
			if has(of.(string), s) {
				return true, nil
			}
		}
		return false, nil
	}}
}

// finding is str.find() and its like, in characters.
func finding(index func(s, sub string) int, must bool) methodFunc {
	return methodFunc{params: []string{"sub"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
		sub, err := m.stringArg(p[0])
		if err != nil {
			return nil, err
		}
		i := index(of.(string), sub)
		if i < 0 {
			if must {
				return nil, m.fail("%.60q is not in the string", sub)
			}
			return int64(-1), nil
		}
		return int64(runeLen(of.(string)[:i])), nil
	}}
}

func padding(side int) methodFunc {
	return methodFunc{params: []string{"width", "fillchar"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
		n, err := m.intArg(p[0], 0)
		if err != nil {
			return nil, err
		}
		fill, err := m.textArg(p[1], " ")
		if err != nil {
			return nil, err
		}
		if runeLen(fill) != 1 {
			return nil, m.fail("the character to fill with must be one")
		}
		return m.pad(of.(string), n, fill, side)
	}}
}

func parting(right bool) methodFunc {
	return methodFunc{params: []string{"sep"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
		sep, err := m.stringArg(p[0])
		if err != nil {
			return nil, err
		}
		if sep == "" {
			return nil, m.fail("partition needs a separator that is not empty")
		}
		s := of.(string)
		if err := m.charge(len(s)); err != nil {
			return nil, err
		}
		if right {
			i := strings.LastIndex(s, sep)
			if i < 0 {
				return newTuple("", "", s), nil
			}
			return newTuple(s[:i], sep, s[i+len(sep):]), nil
		}
		before, after, ok := strings.Cut(s, sep)
		if !ok {
			return newTuple(s, "", ""), nil
		}
		return newTuple(before, sep, after), nil
	}}
}

// trimming is str.removeprefix() and str.removesuffix().
func trimming(trim func(s, affix string) string) methodFunc {
	return methodFunc{params: []string{"affix"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
		s, err := m.stringArg(p[0])
		return trim(of.(string), s), err
	}}
}

func init() {
	stringMethods = map[string]methodFunc{
		"upper": onString(func(s string) any { return upper(s) }), "lower": onString(func(s string) any { return strings.ToLower(s) }),
		"casefold": onString(func(s string) any { return strings.ToLower(s) }), "capitalize": onString(func(s string) any { return capitalized(s) }),
		"title": onString(func(s string) any {
			start := true
			return strings.Map(func(r rune) rune {
				was := start
				if start = !unicode.IsLetter(r); start || !was {
					return unicode.ToLower(r)
				}
				return unicode.ToTitle(r)
			}, s)
		}),
		"swapcase": onString(func(s string) any {
			return strings.Map(func(r rune) rune {
				if unicode.IsUpper(r) {
					return unicode.ToLower(r)
				}
				return unicode.ToUpper(r)
			}, s)
		}),
		"isdigit": every(unicode.IsDigit), "isnumeric": every(unicode.IsNumber), "isdecimal": every(unicode.IsDigit), "isalpha": every(unicode.IsLetter),
		"isalnum": every(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }), "isspace": every(unicode.IsSpace),
		"islower": onString(func(s string) any { return cased(s, false) }), "isupper": onString(func(s string) any { return cased(s, true) }),
		"strip": stripping(true, true), "lstrip": stripping(true, false), "rstrip": stripping(false, true),
		"splitlines": {run: func(m *machine, of any, _ []any) (any, error) { return texts(m, lines(of.(string))) }},
		"split": {params: []string{"sep", "maxsplit"}, run: func(m *machine, of any, p []any) (any, error) {
			n, err := m.intArg(p[1], -1)
			if err != nil {
				return nil, err
			}
			return m.split(of.(string), p[0], n, false)
		}},
		"rsplit": {params: []string{"sep", "maxsplit"}, run: func(m *machine, of any, p []any) (any, error) {
			n, err := m.intArg(p[1], -1)
			if err != nil {
				return nil, err
			}
			return m.split(of.(string), p[0], n, true)
		}},
		"join": {params: []string{"iterable"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
			items, err := m.iterate(p[0])
			if err != nil {
				return nil, err
			}
			for _, item := range items {
				if _, err := m.stringArg(item); err != nil {
					return nil, err
				}
			}
			return join(m, newList(items), []any{of, absent{}})
		}},
		"replace": {params: []string{"old", "new", "count"}, min: 2, run: func(m *machine, of any, p []any) (any, error) {
			old, err := m.stringArg(p[0])
			if err != nil {
				return nil, err
			}
			with, err := m.stringArg(p[1])
			if err != nil {
				return nil, err
			}
			n, err := m.intArg(p[2], -1)
			if err != nil {
				return nil, err
			}
			return m.replace(of.(string), old, with, n)
		}},
		"startswith": affixed(strings.HasPrefix), "endswith": affixed(strings.HasSuffix),
		"find": finding(strings.Index, false), "rfind": finding(strings.LastIndex, false), "index": finding(strings.Index, true), "rindex": finding(strings.LastIndex, true),
		"count": {params: []string{"sub"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
			sub, err := m.stringArg(p[0])
			return int64(strings.Count(of.(string), sub)), err
		}},
		"ljust": padding(1), "rjust": padding(-1), "center": padding(0),
		"zfill": {params: []string{"width"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
			n, err := m.intArg(p[0], 0)
			if err != nil {
				return nil, err
			}
			s, sign := of.(string), ""
			if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
				s, sign = s[1:], s[:1]
			}
			padded, err := m.pad(s, n-int64(len(sign)), "0", -1)
			if err != nil {
				return nil, err
			}
			return sign + padded.(string), nil
		}},
		"partition": parting(false), "rpartition": parting(true),
		"removeprefix": trimming(strings.TrimPrefix), "removesuffix": trimming(strings.TrimSuffix),
		"format": {all: func(m *machine, of any, a *args) (any, error) { return m.format(of.(string), a) }},
	}
	dictMethods = map[string]methodFunc{
		"items": {run: func(m *machine, of any, _ []any) (any, error) {
			items, err := m.pairs(of.(*dict))
			return &list{items: items, kind: kindItems}, err
		}},
		"keys": {run: func(m *machine, of any, _ []any) (any, error) {
			return &list{items: of.(*dict).keys(), kind: kindKeys}, m.chargeItems(len(of.(*dict).entries))
		}},
		"values": {run: func(m *machine, of any, _ []any) (any, error) {
			var out []any
			for _, e := range of.(*dict).entries {
				out = append(out, e.value)
			}
			return &list{items: out, kind: kindValues}, m.chargeItems(len(out))
		}},
		"get": {params: []string{"key", "default"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
			if err := m.defined(p[0]); err != nil {
				return nil, err
			}
			if v, ok := of.(*dict).get(p[0]); ok {
				return v, nil
			}
			if _, none := p[1].(absent); none {
				return nil, nil
			}
			return p[1], nil
		}},
		"copy": {run: func(m *machine, of any, _ []any) (any, error) {
			return of.(*dict).copied(), m.chargeItems(4 * len(of.(*dict).entries))
		}},
		"setdefault": {params: []string{"key", "default"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
			if v, ok := of.(*dict).get(p[0]); ok {
				return v, nil
			}
			var v any
			if _, none := p[1].(absent); !none {
				v = p[1]
			}
			if err := m.chargeItems(4); err != nil {
				return nil, err
			}
			return v, m.located(of.(*dict).set(p[0], v))
		}},
		"update": {all: func(m *machine, of any, a *args) (any, error) {
			return nil, m.update(of.(*dict), a)
		}},
		"pop": {params: []string{"key", "default"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
			d := of.(*dict)
			v, ok := d.get(p[0])
			if ok {
				m.steps += len(d.entries) / 8
				d.remove(p[0])
				return v, nil
			}
			if _, none := p[1].(absent); !none {
				return p[1], nil
			}
			return nil, m.fail("pop: the dict has no such key")
		}},
		"clear": {run: func(_ *machine, of any, _ []any) (any, error) {
			*of.(*dict) = *newDict()
			return nil, nil
		}},
		"popitem": {run: func(m *machine, of any, _ []any) (any, error) {
			d := of.(*dict)
			if len(d.entries) == 0 {
				return nil, m.fail("popitem: the dict is empty")
			}
			last := d.entries[len(d.entries)-1]
			h, _ := hashed(last.key)
			delete(d.index, h)
			d.entries = d.entries[:len(d.entries)-1]
			return newTuple(last.key, last.value), nil
		}},
	}
	listMethods = map[string]methodFunc{
		"append": {params: []string{"object"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
			l := of.(*list)
			l.items = append(l.items, p[0])
			return nil, m.chargeItems(1)
		}},
		"extend": {params: []string{"iterable"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
			items, err := m.iterate(p[0])
			if err != nil {
				return nil, err
			}
			l := of.(*list)
			if err := m.chargeItems(len(l.items) + len(items)); err != nil {
				return nil, err
			}
			l.items = append(l.items, items...)
			return nil, nil
		}},
		"insert": {params: []string{"index", "object"}, min: 2, run: func(m *machine, of any, p []any) (any, error) {
			l := of.(*list)
			i, err := m.intArg(p[0], 0)
			if err != nil {
				return nil, err
			}
			if i < 0 {
				i += int64(len(l.items))
			}
			m.steps += len(l.items) / 64
			l.items = slices.Insert(l.items, int(max(0, min(i, int64(len(l.items))))), p[1])
			return nil, m.chargeItems(1)
		}},
		"pop": {params: []string{"index"}, run: func(m *machine, of any, p []any) (any, error) {
			l := of.(*list)
			i, err := m.intArg(p[0], -1)
			if err != nil {
				return nil, err
			}
			if i < 0 {
				i += int64(len(l.items))
			}
			if i < 0 || i >= int64(len(l.items)) {
				return nil, m.fail("pop: the list has no such item")
			}
			v := l.items[i]
			m.steps += len(l.items) / 64
			l.items = slices.Delete(l.items, int(i), int(i)+1)
			return v, nil
		}},
		"remove": {params: []string{"value"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
			l := of.(*list)
			for i, item := range l.items {
				same, err := m.equal(item, p[0], 0)
				if err != nil {
					return nil, err
				}
				if same {
					l.items = slices.Delete(l.items, i, i+1)
					return nil, nil
				}
			}
			return nil, m.fail("remove: the list has no such item")
		}},
		"index": {params: []string{"value"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
			for i, item := range of.(*list).items {
				if same, err := m.equal(item, p[0], 0); same || err != nil {
					return int64(i), err
				}
			}
			return nil, m.fail("index: the list has no such item")
		}},
		"count": {params: []string{"value"}, min: 1, run: func(m *machine, of any, p []any) (any, error) {
			n := int64(0)
			for _, item := range of.(*list).items {
				same, err := m.equal(item, p[0], 0)
				if err != nil {
					return nil, err
				}
				if same {
					n++
				}
			}
			return n, nil
		}},
		"copy": {run: func(m *machine, of any, _ []any) (any, error) {
			return newList(slices.Clone(of.(*list).items)), m.chargeItems(len(of.(*list).items))
		}},
		"clear": {run: func(_ *machine, of any, _ []any) (any, error) { of.(*list).items = nil; return nil, nil }},
		"reverse": {run: func(m *machine, of any, _ []any) (any, error) {
			m.steps += len(of.(*list).items) / 64
			slices.Reverse(of.(*list).items)
			return nil, nil
		}},
		"sort": {params: []string{"reverse"}, run: func(m *machine, of any, p []any) (any, error) {
			l := of.(*list)
			out, err := m.sorted(l.items, l.items, boolArg(p[0], false))
			if err == nil {
				l.items = out
			}
			return nil, err
		}},
	}
}
