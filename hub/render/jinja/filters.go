package jinja

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

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

// lowered is how values are compared when case does not matter.
func lowered(v any) any {
	if s, ok := v.(string); ok {
		return strings.ToLower(s)
	}
	return v
}

// getter reads an attribute path, such as "a.b.0", of items.
func (m *machine) getter(path, otherwise any) (func(any) (any, error), error) {
	if !given(path) {
		return func(v any) (any, error) { return v, nil }, nil
	}
	var parts []any
	switch p := path.(type) {
	case int64:
		parts = []any{p}
	case string:
		for s := range strings.SplitSeq(p, ".") {
			if i, err := strconv.ParseInt(s, 10, 64); err == nil && !strings.HasPrefix(s, "-") {
				parts = append(parts, i)
			} else {
				parts = append(parts, s)
			}
		}
	default:
		return nil, m.fail("an attribute is named by a string, not %s", typeName(path))
	}
	return func(v any) (any, error) {
		var at expr = &nameExpr{name: "item"}
		for _, part := range parts {
			if err := m.defined(v); err != nil {
				return nil, err
			}
			e := &itemExpr{of: at, index: &constExpr{part}}
			if name, ok := part.(string); ok {
				at = &attrExpr{of: at, name: name}
			} else {
				at = e
			}
			var err error
			if v, err = m.item(v, part, at); err != nil {
				return nil, err
			}
			if _, not := v.(*undefined); not && given(otherwise) {
				v = otherwise
			}
		}
		return v, nil
	}, nil
}

// keyed computes what items are ordered by: one attribute, or several with
// commas between them.
func (m *machine) keyed(items []any, attribute any, caseSensitive bool) ([]any, error) {
	var getters []func(any) (any, error)
	paths := []any{attribute}
	if s, ok := attribute.(string); ok && strings.Contains(s, ",") {
		paths = nil
		for part := range strings.SplitSeq(s, ",") {
			paths = append(paths, part)
		}
	}
	for _, p := range paths {
		g, err := m.getter(p, nil)
		if err != nil {
			return nil, err
		}
		getters = append(getters, g)
	}
	keys := make([]any, len(items))
	for i, item := range items {
		var key []any
		for _, g := range getters {
			v, err := g(item)
			if err == nil {
				err = m.defined(v)
			}
			if err != nil {
				return nil, err
			}
			if !caseSensitive {
				v = lowered(v)
			}
			key = append(key, v)
		}
		keys[i] = newTuple(key...)
		if len(key) == 1 {
			keys[i] = key[0]
		}
	}
	return keys, m.chargeItems(2 * len(items))
}

// sorted sorts items by keys; equal ones keep their order, also in reverse.
func (m *machine) sorted(items, keys []any, reverse bool) ([]any, error) {
	index := make([]int, len(items))
	for i := range index {
		index[i] = i
	}
	var failed error
	sort.SliceStable(index, func(a, b int) bool {
		if failed != nil {
			return false
		}
		c, err := m.compare(keys[index[a]], keys[index[b]], 0)
		if err != nil {
			failed = err
		}
		if reverse {
			return c > 0
		}
		return c < 0
	})
	out := make([]any, len(items))
	for i, at := range index {
		out[i] = items[at]
	}
	return out, failed
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

func defaultFilter(_ *machine, v any, p []any) (any, error) {
	_, not := v.(*undefined)
	if not || boolArg(p[1], false) && !truthOf(v) {
		if _, none := p[0].(absent); none {
			return "", nil
		}
		return p[0], nil
	}
	return v, nil
}

// upper is str.upper(), which has no capital for one letter.
func upper(s string) string { return strings.ReplaceAll(strings.ToUpper(s), "ß", "SS") }

func capitalized(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToTitle(r)) + strings.ToLower(s[n:])
}

// titled begins each word with a capital.
func titled(s string) string {
	start := true
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("-({[<", r) {
			start = true
			return r
		}
		if start {
			start = false
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}

func b64decode(m *machine, v any, _ []any) (any, error) {
	s, err := m.text(v)
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s))
	if err != nil || !utf8.Valid(b) {
		return nil, m.fail("b64decode: the value is not base64 of text")
	}
	return string(b), m.charge(len(b))
}

// lines are those of str.splitlines().
func lines(s string) []string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	s = strings.TrimSuffix(s, "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

func indent(m *machine, v any, p []any) (any, error) {
	s, err := m.text(v)
	if err != nil {
		return nil, err
	}
	prefix, isText := p[0].(string)
	if !isText {
		n, err := m.intArg(p[0], 4)
		if err != nil {
			return nil, err
		}
		made, err := m.repeat(" ", n)
		if err != nil {
			return nil, err
		}
		prefix = made.(string)
	}
	if strings.Count(s, "\n") > 0 && len(prefix) > maxValue/(strings.Count(s, "\n")+1) {
		return nil, m.charge(maxValue + 1)
	}
	all := lines(s + "\n")
	if len(all) == 0 {
		all = []string{""}
	}
	var b strings.Builder
	for i, line := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		// Blank lines only where asked for; the first one only where asked for.
		if i == 0 && boolArg(p[1], false) || i > 0 && (line != "" || boolArg(p[2], false)) {
			b.WriteString(prefix)
		}
		b.WriteString(line)
	}
	return b.String(), m.charge(b.Len())
}

// pad fills s up to width runes: side -1 left, 1 right, 0 both.
func (m *machine) pad(s string, width int64, fill string, side int) (any, error) {
	n := width - int64(runeLen(s))
	if n <= 0 {
		return s, nil
	}
	if n > maxValue {
		return nil, m.charge(maxValue + 1)
	}
	left := n
	switch side {
	case 1:
		left = 0
	case 0:
		left = n/2 + (n & width & 1)
	}
	out := strings.Repeat(fill, int(left)) + s + strings.Repeat(fill, int(n-left))
	return out, m.charge(len(out))
}

func truncate(m *machine, v any, p []any) (any, error) {
	s, err := m.text(v)
	if err != nil {
		return nil, err
	}
	n, err := m.intArg(p[0], 255)
	if err != nil {
		return nil, err
	}
	end, err := m.textArg(p[2], "...")
	if err != nil {
		return nil, err
	}
	leeway, err := m.intArg(p[3], 5)
	if err != nil {
		return nil, err
	}
	if n < int64(runeLen(end)) || leeway < 0 {
		return nil, m.fail("truncate needs a length of at least %d", runeLen(end))
	}
	runes := []rune(s)
	if int64(len(runes)) <= n+leeway {
		return s, nil
	}
	cut := string(runes[:n-int64(runeLen(end))])
	if i := strings.LastIndexByte(cut, ' '); i >= 0 && !boolArg(p[1], false) {
		cut = cut[:i]
	}
	return cut + end, m.charge(len(cut) + len(end))
}

func wordcount(m *machine, v any, _ []any) (any, error) {
	s, err := m.text(v)
	if err != nil {
		return nil, err
	}
	return int64(len(strings.FieldsFunc(s, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r)
	}))), nil
}

func filesize(m *machine, v any, p []any) (any, error) {
	n, err := toFloat(m, v, []any{absent{}})
	if err != nil {
		return nil, err
	}
	f := n.(float64)
	base, suffix := 1000.0, []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	if boolArg(p[0], false) {
		base, suffix = 1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}
	}
	switch {
	case f == 1:
		return "1 Byte", nil
	case f < base:
		return fmt.Sprintf("%d Bytes", int64(f)), nil
	}
	unit := base
	for _, s := range suffix {
		if unit *= base; f < unit {
			return fmt.Sprintf("%.1f %s", base*f/unit, s), nil
		}
	}
	return fmt.Sprintf("%.1f YB", base*f/unit), nil
}

// pythonInt reads what int() reads of a string.
func pythonInt(s string, base int) (int64, bool, error) {
	s = strings.TrimSpace(s)
	sign := ""
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		sign, s = s[:1], s[1:]
	}
	digits := s
	if len(s) > 2 && s[0] == '0' {
		switch c := s[1] | 0x20; {
		case c == 'x' && (base == 16 || base == 0), c == 'o' && (base == 8 || base == 0), c == 'b' && (base == 2 || base == 0):
			digits = strings.TrimPrefix(s[2:], "_")
			if base == 0 {
				base = map[byte]int{'x': 16, 'o': 8, 'b': 2}[c]
			}
		}
	}
	if base == 0 {
		base = 10
	}
	if strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") || strings.Contains(digits, "__") || strings.ContainsAny(digits, "+-") {
		return 0, false, nil
	}
	if sign == "+" {
		sign = ""
	}
	i, err := strconv.ParseInt(sign+strings.ReplaceAll(digits, "_", ""), base, 64)
	if err != nil && strings.Contains(err.Error(), "out of range") {
		return 0, false, err
	}
	return i, err == nil, nil
}

func pythonFloat(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "xXpP") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

func toInt(m *machine, v any, p []any) (any, error) {
	var otherwise any = int64(0)
	if _, none := p[0].(absent); !none {
		otherwise = p[0]
	}
	base, err := m.intArg(p[1], 10)
	if err != nil {
		return nil, err
	}
	if base != 0 && (base < 2 || base > 36) {
		return nil, m.fail("int needs a base between 2 and 36")
	}
	f := 0.0
	switch v := v.(type) {
	case string:
		i, ok, err := pythonInt(v, int(base))
		if err != nil {
			return nil, m.overflow()
		}
		if ok {
			return i, nil
		}
		if f, ok = pythonFloat(v); !ok {
			return otherwise, nil
		}
	default:
		i, x, isInt, ok := number(v)
		if !ok {
			return otherwise, nil
		}
		if isInt {
			return i, nil
		}
		f = x
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return otherwise, nil
	}
	if math.Abs(f) >= 1<<63 {
		return nil, m.overflow()
	}
	return int64(f), nil
}

func toFloat(_ *machine, v any, p []any) (any, error) {
	if s, ok := v.(string); ok {
		if f, ok := pythonFloat(s); ok {
			return f, nil
		}
	} else if _, f, _, ok := number(v); ok {
		return f, nil
	}
	if _, none := p[0].(absent); !none {
		return p[0], nil
	}
	return 0.0, nil
}

func toBool(m *machine, v any, _ []any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case nil:
		return false, nil
	case int64:
		if v == 0 || v == 1 {
			return v == 1, nil
		}
	case string:
		switch strings.ToLower(v) {
		case "true", "yes", "on", "1", "y", "t":
			return true, nil
		case "false", "no", "off", "0", "n", "f", "":
			return false, nil
		}
	}
	return nil, m.fail("bool needs true or false, yes or no, on or off, 1 or 0")
}

func round(m *machine, v any, p []any) (any, error) {
	n, err := m.intArg(p[0], 0)
	if err != nil {
		return nil, err
	}
	method, err := m.textArg(p[1], "common")
	if err != nil {
		return nil, err
	}
	i, f, isInt, ok := number(v)
	if !ok {
		return nil, m.fail("round needs a number, not %s", typeName(v))
	}
	if n < -300 || n > 300 {
		return nil, m.fail("round needs a precision between -300 and 300")
	}
	scale := math.Pow(10, float64(n))
	switch method {
	case "common":
		if isInt && n >= 0 {
			return i, nil
		}
		if isInt {
			return int64(math.RoundToEven(f/math.Pow(10, float64(-n))) * math.Pow(10, float64(-n))), nil
		}
		if n >= 0 {
			// Exact in decimal, half to even, as Python's round().
			out, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', int(n), 64), 64)
			return out, nil
		}
		return math.RoundToEven(f*scale) / scale, nil
	case "ceil":
		return math.Ceil(f*scale) / scale, nil
	case "floor":
		return math.Floor(f*scale) / scale, nil
	}
	return nil, m.fail("round knows the methods common, ceil and floor")
}

func length(m *machine, v any, _ []any) (any, error) {
	switch v := v.(type) {
	case string:
		return int64(runeLen(v)), nil
	case *dict:
		return int64(len(v.entries)), nil
	case *list:
		if v.kind != kindLazy {
			return int64(len(v.items)), nil
		}
		return nil, m.fail("a sequence that is not a list yet has no length: write |list|length")
	}
	return nil, m.fail("%s has no length", typeName(v))
}

func join(m *machine, v any, p []any) (any, error) {
	sep, err := m.textArg(p[0], "")
	if err != nil {
		return nil, err
	}
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	get, err := m.getter(p[1], nil)
	if err != nil {
		return nil, err
	}
	w := &bounded{m: m}
	for i, item := range items {
		if err := m.step(); err != nil {
			return nil, err
		}
		if i > 0 {
			if _, err := w.WriteString(sep); err != nil {
				return nil, err
			}
		}
		value, err := get(item)
		if err != nil {
			return nil, err
		}
		s, err := m.text(value)
		if err != nil {
			return nil, err
		}
		if _, err := w.WriteString(s); err != nil {
			return nil, err
		}
	}
	return w.b.String(), m.charge(w.b.Len())
}

func unique(m *machine, v any, p []any) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	keys, err := m.keyed(items, p[1], boolArg(p[0], false))
	if err != nil {
		return nil, err
	}
	seen := map[any]bool{}
	var out []any
	for i, item := range items {
		h, err := hashed(keys[i])
		if err != nil {
			return nil, m.fail("unique compares strings and numbers, not %s: give it an attribute", typeName(keys[i]))
		}
		if !seen[h] {
			seen[h] = true
			out = append(out, item)
		}
	}
	return lazy(out), m.chargeItems(len(out))
}

func extreme(sign int) func(m *machine, v any, p []any) (any, error) {
	return func(m *machine, v any, p []any) (any, error) {
		items, err := m.iterate(v)
		if err != nil || len(items) == 0 {
			return &undefined{text: "there is no smallest or largest item: the list is empty"}, err
		}
		keys, err := m.keyed(items, p[1], boolArg(p[0], false))
		if err != nil {
			return nil, err
		}
		best := 0
		for i := range items {
			c, err := m.compare(keys[i], keys[best], 0)
			if err != nil {
				return nil, err
			}
			if c*sign > 0 {
				best = i
			}
		}
		return items[best], nil
	}
}

func sum(m *machine, v any, p []any) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	get, err := m.getter(p[0], nil)
	if err != nil {
		return nil, err
	}
	var total any = int64(0)
	if given(p[1]) {
		total = p[1]
	}
	for _, item := range items {
		value, err := get(item)
		if err == nil {
			err = m.defined(value)
		}
		if err != nil {
			return nil, err
		}
		if _, isText := value.(string); isText {
			return nil, m.fail("sum adds numbers, not strings: write |map(\"int\")|sum, or |join")
		}
		if total, err = m.arithmetic("+", total, value); err != nil {
			return nil, err
		}
		if err := m.step(); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func batch(m *machine, v any, p []any) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	n, err := m.intArg(p[0], 1)
	if err != nil {
		return nil, err
	}
	if n < 1 || n > maxValue/16 {
		return nil, m.fail("batch needs a size of at least 1")
	}
	var out []any
	for part := range slices.Chunk(items, int(n)) {
		row := slices.Clone(part)
		for given(p[1]) && int64(len(row)) < n {
			row = append(row, p[1])
		}
		out = append(out, newList(row))
	}
	return lazy(out), m.chargeItems(2*len(items) + int(n))
}

func slice(m *machine, v any, p []any) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	n64, err := m.intArg(p[0], 1)
	if err != nil {
		return nil, err
	}
	if n64 < 1 || n64 > maxRange {
		return nil, m.fail("slice needs a number of slices of at least 1")
	}
	n := int(n64)
	per, extra := len(items)/n, len(items)%n
	var out []any
	at := 0
	for i := range n {
		size := per
		if i < extra {
			size++
		}
		row := slices.Clone(items[at : at+size])
		if given(p[1]) && i >= extra {
			row = append(row, p[1])
		}
		out = append(out, newList(row))
		at += size
	}
	return lazy(out), m.chargeItems(2*len(items) + 2*n)
}

// pairs are the items of a dict as tuples.
func (m *machine) pairs(d *dict) ([]any, error) {
	out := make([]any, len(d.entries))
	for i, e := range d.entries {
		out[i] = newTuple(e.key, e.value)
	}
	return out, m.chargeItems(4 * len(out))
}

func dictsort(m *machine, v any, p []any) (any, error) {
	d, ok := v.(*dict)
	if !ok {
		return nil, m.fail("dictsort needs a dict, not %s", typeName(v))
	}
	by, err := m.textArg(p[1], "key")
	if err != nil {
		return nil, err
	}
	if by != "key" && by != "value" {
		return nil, m.fail("dictsort sorts by \"key\" or \"value\"")
	}
	pairs, err := m.pairs(d)
	if err != nil {
		return nil, err
	}
	keys := make([]any, len(pairs))
	for i, e := range d.entries {
		keys[i] = e.key
		if by == "value" {
			keys[i] = e.value
		}
		if !boolArg(p[0], false) {
			keys[i] = lowered(keys[i])
		}
	}
	out, err := m.sorted(pairs, keys, boolArg(p[2], false))
	return newList(out), err
}

func groupby(m *machine, v any, p []any) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	get, err := m.getter(p[0], p[1])
	if err != nil {
		return nil, err
	}
	keys, plain := make([]any, len(items)), make([]any, len(items))
	for i, item := range items {
		k, err := get(item)
		if err == nil {
			err = m.defined(k)
		}
		if err != nil {
			return nil, err
		}
		plain[i], keys[i] = k, k
		if !boolArg(p[2], false) {
			keys[i] = lowered(k)
		}
	}
	index := make([]any, len(items))
	for i := range index {
		index[i] = int64(i)
	}
	if index, err = m.sorted(index, keys, false); err != nil {
		return nil, err
	}
	var out []any
	var last any
	for n, at := range index {
		i := int(at.(int64))
		same := false
		if n > 0 {
			if same, err = m.equal(keys[i], last, 0); err != nil {
				return nil, err
			}
		}
		if !same {
			out = append(out, &list{items: []any{plain[i], newList(nil)}, kind: kindGroup})
			last = keys[i]
		}
		group := out[len(out)-1].(*list).items[1].(*list)
		group.items = append(group.items, items[i])
	}
	return newList(out), m.chargeItems(4 * len(items))
}

func mapFilter(m *machine, v any, a *args) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	var each func(any) (any, error)
	if len(a.pos) == 0 && contains(a.names, "attribute") {
		p, err := m.bind("map", a, []string{"attribute", "default"}, 1, true)
		if err != nil {
			return nil, err
		}
		if each, err = m.getter(p[0], p[1]); err != nil {
			return nil, err
		}
	} else {
		if len(a.pos) == 0 {
			return nil, m.fail("map needs the name of a filter, or attribute=")
		}
		name, ok := a.pos[0].(string)
		if !ok {
			return nil, m.fail("map needs the name of a filter, not %s", typeName(a.pos[0]))
		}
		rest := &args{pos: a.pos[1:], names: a.names, named: a.named}
		each = func(item any) (any, error) {
			if name != "default" && name != "d" {
				if err := m.defined(item); err != nil {
					return nil, err
				}
			}
			return m.filter(name, item, rest)
		}
	}
	out := make([]any, len(items))
	for i, item := range items {
		if err := m.step(); err != nil {
			return nil, err
		}
		if out[i], err = each(item); err != nil {
			return nil, err
		}
	}
	return lazy(out), m.chargeItems(len(out))
}

// choose is select, reject and those with an attribute.
func (m *machine) choose(v any, a *args, byAttribute, want bool) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	pos := a.pos
	get := func(v any) (any, error) { return v, nil }
	if byAttribute {
		if len(pos) == 0 {
			return nil, m.fail("selectattr and rejectattr need the name of an attribute")
		}
		if get, err = m.getter(pos[0], nil); err != nil {
			return nil, err
		}
		pos = pos[1:]
	}
	holds := func(v any) (bool, error) {
		if err := m.defined(v); err != nil {
			return false, err
		}
		return truthOf(v), nil
	}
	if len(pos) > 0 {
		name, ok := pos[0].(string)
		if !ok {
			return nil, m.fail("a test is named by a string, not %s", typeName(pos[0]))
		}
		rest := &args{pos: pos[1:], names: a.names, named: a.named}
		holds = func(v any) (bool, error) { return m.test(name, v, rest) }
	} else if len(a.names) > 0 {
		return nil, m.fail("%q is not an argument here", a.names[0])
	}
	var out []any
	for _, item := range items {
		if err := m.step(); err != nil {
			return nil, err
		}
		value, err := get(item)
		if err != nil {
			return nil, err
		}
		ok, err := holds(value)
		if err != nil {
			return nil, err
		}
		if ok == want {
			out = append(out, item)
		}
	}
	return lazy(out), m.chargeItems(cmp.Or(len(out), 1))
}
