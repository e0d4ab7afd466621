package jinja

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// filter is a filter of Jinja2, or one of ours. Either run or all is set.
type filter struct {
	params []string // names of the arguments that run gets, absent{} when not given
	min    int      // how many must be given
	run    func(m *machine, v any, p []any) (any, error)
	all    func(m *machine, v any, a *args) (any, error)
}

type absent struct{}

// unknownName is a problem with the name of a filter or test.
type unknownName struct{ code, text string }

// filters by name. It is filled in init, because map and select look filters and
// tests up in it.
var filters map[string]filter

// noFilters are filters of Jinja2, Django and Ansible that are not here, with the
// reason and what to write instead.
var noFilters = map[string]string{
	"safe": "nothing is escaped here; leave it out", "e": "it is for HTML; write |quote, |tojson or |toyaml", "escape": "it is for HTML; write |quote, |tojson or |toyaml",
	"forceescape": "it is for HTML; write |quote, |tojson or |toyaml", "striptags": "it is for HTML", "urlize": "it is for HTML", "xmlattr": "it is for HTML",
	"wordwrap": "write the lines as they are to be", "pprint": "write |tojson(2) or |toyaml", "attr": "write x.name or x[name]",
	"to_json": "write |tojson", "to_nice_json": "write |tojson(2)", "to_yaml": "write |toyaml", "to_nice_yaml": "write |toyaml", "from_json": "write |fromjson",
	"from_yaml": "write |fromyaml", "ternary": "write a if b else c", "mandatory": "an undefined variable is an error anyway; leave it out",
	"combine": "write dict(a, **b)", "b64enc": "write |b64encode", "b64dec": "write |b64decode", "toYaml": "write |toyaml", "toJson": "write |tojson", "nindent": "write |indent(n) after a line break",
	"add": "write a + b", "cut": "write |replace(x, \"\")", "yesno": "write a if b else c", "date": "there are no dates here", "time": "there are no times here",
	"stringformat": "write |format", "truncatechars": "write |truncate(n, true)", "truncatewords": "write |truncate", "pluralize": "write a if n == 1 else b", "integer": "write |int",
	"regex_replace": "write |replace", "regex_search": "use \"in\"", "password_hash": "it differs with each render", "lookup": "files are read by {% include %}",
	"hash": "write |sha256",
}

// forbiddenFilters differ from render to render.
var forbiddenFilters = []string{"random", "shuffle", "random_mac"}

func knownFilter(name string) *unknownName {
	if _, ok := filters[name]; ok {
		return nil
	}
	if contains(forbiddenFilters, name) {
		return &unknownName{codeForbidden, fmt.Sprintf("filter %q is not allowed: the same commit must always render the same", name)}
	}
	if instead, ok := noFilters[name]; ok {
		return &unknownName{codeUnsupported, fmt.Sprintf("filter %q is not supported: %s", name, instead)}
	}
	return unknown("filter", name, slices.Sorted(maps.Keys(filters)))
}

func unknown(what, name string, known []string) *unknownName {
	text := fmt.Sprintf("there is no %s %q", what, clipped(name, 60))
	if word := nearest.Word(name, known); word != "" {
		text += fmt.Sprintf("; did you mean %q?", word)
	}
	return &unknownName{codeUnsupported, text}
}

// filter applies one filter.
func (m *machine) filter(name string, v any, a *args) (any, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	if unknown := knownFilter(name); unknown != nil {
		return nil, m.problem(unknown.code, "%s", unknown.text)
	}
	f := filters[name]
	if f.all != nil {
		return f.all(m, v, a)
	}
	p, err := m.bind("filter "+strconv.Quote(name), a, f.params, f.min, name != "default" && name != "d")
	if err != nil {
		return nil, err
	}
	return f.run(m, v, p)
}

// bind puts arguments at their places.
func (m *machine) bind(what string, a *args, params []string, least int, strict bool) ([]any, error) {
	if len(a.pos) > len(params) {
		return nil, m.fail("%s takes at most %d arguments, and got %d", what, len(params), len(a.pos))
	}
	p := make([]any, len(params))
	for i := range p {
		p[i] = absent{}
	}
	copy(p, a.pos)
	for i, name := range a.names {
		at := slices.Index(params, name)
		if at < 0 {
			return nil, m.fail("%s has no argument %q (%s)", what, clipped(name, 60), listed("arguments", params))
		}
		if _, free := p[at].(absent); !free {
			return nil, m.fail("%s: argument %q is given twice", what, name)
		}
		p[at] = a.named[i]
	}
	for i := range p {
		if _, not := p[i].(absent); not && i < least {
			return nil, m.fail("%s needs the argument %q", what, params[i])
		}
		if strict {
			if err := m.defined(p[i]); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func given(v any) bool { _, not := v.(absent); return !not && v != nil }

func (m *machine) intArg(v any, otherwise int64) (int64, error) {
	if !given(v) {
		return otherwise, nil
	}
	i, _, isInt, ok := number(v)
	if !ok || !isInt {
		return 0, m.fail("an integer is needed, not %s", typeName(v))
	}
	return i, nil
}

func boolArg(v any, otherwise bool) bool {
	if _, not := v.(absent); not {
		return otherwise
	}
	return truthOf(v)
}

func (m *machine) textArg(v any, otherwise string) (string, error) {
	if !given(v) {
		return otherwise, nil
	}
	return m.text(v)
}

// onText is a filter of a text without arguments.
func onText(f func(string) string) filter {
	return filter{run: func(m *machine, v any, _ []any) (any, error) {
		s, err := m.text(v)
		if err != nil {
			return nil, err
		}
		out := f(s)
		return out, m.charge(len(out))
	}}
}

func init() {
	filters = map[string]filter{
		"upper": onText(upper), "lower": onText(strings.ToLower), "capitalize": onText(capitalized), "title": onText(titled),
		"string": onText(func(s string) string { return s }), "urlencode": {run: urlencode},
		"b64encode": onText(func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
		"b64decode": {run: b64decode}, "sha256": onText(sha256Hex),
		"quote":   onText(func(s string) string { return string(manifest.AppendJSON(nil, s)) }),
		"default": {params: []string{"default_value", "boolean"}, run: defaultFilter},
		"d":       {params: []string{"default_value", "boolean"}, run: defaultFilter},
		"trim": {params: []string{"chars"}, run: func(m *machine, v any, p []any) (any, error) {
			s, err := m.text(v)
			if err != nil {
				return nil, err
			}
			return m.strip(s, p[0], true, true)
		}},
		"replace": {params: []string{"old", "new", "count"}, min: 2, run: func(m *machine, v any, p []any) (any, error) {
			s, err := m.text(v)
			if err != nil {
				return nil, err
			}
			old, err := m.text(p[0])
			if err != nil {
				return nil, err
			}
			with, err := m.text(p[1])
			if err != nil {
				return nil, err
			}
			n, err := m.intArg(p[2], -1)
			if err != nil {
				return nil, err
			}
			return m.replace(s, old, with, n)
		}},
		"indent": {params: []string{"width", "first", "blank"}, run: indent},
		"center": {params: []string{"width"}, run: func(m *machine, v any, p []any) (any, error) {
			s, err := m.text(v)
			if err != nil {
				return nil, err
			}
			n, err := m.intArg(p[0], 80)
			if err != nil {
				return nil, err
			}
			return m.pad(s, n, " ", 0)
		}},
		"truncate":  {params: []string{"length", "killwords", "end", "leeway"}, run: truncate},
		"wordcount": {run: wordcount},
		"format": {all: func(m *machine, v any, a *args) (any, error) {
			s, err := m.text(v)
			if err != nil {
				return nil, err
			}
			if len(a.names) == 0 {
				return m.percent(s, newTuple(a.pos...))
			}
			if len(a.pos) > 0 {
				return nil, m.fail("format takes values by place or by name, not both")
			}
			d := newDict()
			for i, name := range a.names {
				_ = d.set(name, a.named[i]) // a string is a key
			}
			return m.percent(s, d)
		}},
		"split": {params: []string{"sep", "maxsplit"}, run: func(m *machine, v any, p []any) (any, error) {
			s, err := m.text(v)
			if err != nil {
				return nil, err
			}
			n, err := m.intArg(p[1], -1)
			if err != nil {
				return nil, err
			}
			return m.split(s, p[0], n, false)
		}},
		"filesizeformat": {params: []string{"binary"}, run: filesize},

		"int":   {params: []string{"default", "base"}, run: toInt},
		"float": {params: []string{"default"}, run: toFloat},
		"bool":  {run: toBool},
		"abs": {run: func(m *machine, v any, _ []any) (any, error) {
			i, f, isInt, ok := number(v)
			switch {
			case !ok:
				return nil, m.fail("abs needs a number, not %s", typeName(v))
			case isInt && i < 0:
				return m.integers("-", 0, i)
			case isInt:
				return i, nil
			}
			return math.Abs(f), nil
		}},
		"round": {params: []string{"precision", "method"}, run: round},

		"length": {run: length}, "count": {run: length},
		"first": {run: func(m *machine, v any, _ []any) (any, error) {
			items, err := m.iterate(v)
			if err != nil || len(items) == 0 {
				return &undefined{text: "there is no first item: the list is empty"}, err
			}
			return items[0], nil
		}},
		"last": {run: func(m *machine, v any, _ []any) (any, error) {
			if l, ok := v.(*list); ok && l.kind == kindLazy {
				return nil, m.fail("a sequence that is not a list yet has no last item: write |list")
			}
			items, err := m.iterate(v)
			if err != nil || len(items) == 0 {
				return &undefined{text: "there is no last item: the list is empty"}, err
			}
			return items[len(items)-1], nil
		}},
		"list": {run: func(m *machine, v any, _ []any) (any, error) {
			items, err := m.iterate(v)
			if err != nil {
				return nil, err
			}
			return newList(slices.Clone(items)), m.chargeItems(len(items))
		}},
		"join": {params: []string{"d", "attribute"}, run: join},
		"reverse": {run: func(m *machine, v any, _ []any) (any, error) {
			if s, ok := v.(string); ok {
				runes := []rune(s)
				slices.Reverse(runes)
				return string(runes), m.charge(len(s))
			}
			items, err := m.iterate(v)
			if err != nil {
				return nil, err
			}
			out := slices.Clone(items)
			slices.Reverse(out)
			return lazy(out), m.chargeItems(len(out))
		}},
		"sort": {params: []string{"reverse", "case_sensitive", "attribute"}, run: func(m *machine, v any, p []any) (any, error) {
			items, err := m.iterate(v)
			if err != nil {
				return nil, err
			}
			keys, err := m.keyed(items, p[2], boolArg(p[1], false))
			if err != nil {
				return nil, err
			}
			out, err := m.sorted(items, keys, boolArg(p[0], false))
			return newList(out), err
		}},
		"unique": {params: []string{"case_sensitive", "attribute"}, run: unique},
		"min":    {params: []string{"case_sensitive", "attribute"}, run: extreme(-1)},
		"max":    {params: []string{"case_sensitive", "attribute"}, run: extreme(1)},
		"sum":    {params: []string{"attribute", "start"}, run: sum},
		"batch":  {params: []string{"linecount", "fill_with"}, min: 1, run: batch},
		"slice":  {params: []string{"slices", "fill_with"}, min: 1, run: slice},
		"items": {run: func(m *machine, v any, _ []any) (any, error) {
			d, ok := v.(*dict)
			if !ok {
				return nil, m.fail("items needs a dict, not %s", typeName(v))
			}
			items, err := m.pairs(d)
			return lazy(items), err
		}},
		"dictsort":   {params: []string{"case_sensitive", "by", "reverse"}, run: dictsort},
		"groupby":    {params: []string{"attribute", "default", "case_sensitive"}, min: 1, run: groupby},
		"map":        {all: mapFilter},
		"select":     {all: func(m *machine, v any, a *args) (any, error) { return m.choose(v, a, false, true) }},
		"reject":     {all: func(m *machine, v any, a *args) (any, error) { return m.choose(v, a, false, false) }},
		"selectattr": {all: func(m *machine, v any, a *args) (any, error) { return m.choose(v, a, true, true) }},
		"rejectattr": {all: func(m *machine, v any, a *args) (any, error) { return m.choose(v, a, true, false) }},

		"tojson":   {params: []string{"indent"}, run: tojson},
		"toyaml":   {run: toyaml},
		"fromjson": {run: fromText("fromjson")},
		"fromyaml": {run: fromText("fromyaml")},
	}
}
