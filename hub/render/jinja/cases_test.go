package jinja

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// caseValues are the variables of all cases.
const caseValues = `
name: web
replicas: 3
image: {repository: nginx, tag: "1.27"}
ports: [80, 443]
flag: true
nothing: null
text: "one\ntwo\n\nfour"
env: {B: "2", A: "1"}
users:
- {name: bob, age: 30, group: dev}
- {name: Alice, age: 25, group: ops}
- {name: carol, age: 35, group: dev}
`

// A jinjaCase is one construct, and what becomes of it. The table in
// docs/jinja.md is made of them. What is put out is what Jinja2 3.1 with
// StrictUndefined and the extension "do" puts out, except where ours says so.
type jinjaCase struct {
	construct string
	template  string
	files     files
	out       string
	code      string // of an error; out is then a part of its message
	ours      bool   // Jinja2 itself does not have it, or does it differently
}

type caseGroup struct {
	title string
	cases []jinjaCase
}

var caseGroups = []caseGroup{
	{"Variables", []jinjaCase{
		{construct: "variable", template: `{{ name }}`, out: "web"},
		{construct: "attribute and item", template: `{{ image.tag }} {{ image["tag"] }} {{ ports[0] }} {{ ports[-1] }}`, out: "1.27 1.27 80 443"},
		{construct: "slice", template: `{{ ports[1:] }} {{ name[:2] }} {{ name[::-1] }}`, out: "[443] we bew"},
		{construct: "undefined variable", template: `{{ replica_count }}`, code: codeUndefined, out: `app/t.j2:1: "replica_count" is undefined (defined: name, replicas, image, ports, flag, nothing, text, env, users)`},
		{construct: "undefined attribute", template: `{{ image.tagg }}`, code: codeUndefined, out: `app/t.j2:1: "image.tagg" is undefined (image has: repository, tag)`},
		{construct: "default", template: `{{ missing|default("x") }} {{ image.pull|default("Always") }} {{ ""|default("y", true) }}`, out: "x Always y"},
		{construct: "default below what is undefined", template: `{{ missing.a|default("x") }}`, code: codeUndefined, out: `"missing" is undefined`},
		{construct: "is defined", template: `{{ missing is defined }} {{ image.tag is defined }} {{ missing is not defined }}`, out: "False True True"},
		{construct: "build environment", template: `{{ ARGOCD_APP_NAME }} {{ HAWSER_REVISION_SHORT }} {{ HAWSER_DESTINATION_NAMESPACE }}`, out: "web 0123456 shop-prod", ours: true},
		{construct: "true, false and none as text", template: `{{ flag }} {{ nothing }} {{ 1.0 }}`, out: "True None 1.0"},
		{construct: "lists and dicts as text", template: `{{ ports }} {{ image }}`, out: "[80, 443] {'repository': 'nginx', 'tag': '1.27'}"},
	}},
	{"Expressions", []jinjaCase{
		{construct: "arithmetic", template: `{{ replicas + 1 }} {{ 7 / 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }}`, out: "4 3.5 -4 2 1024"},
		{construct: "joining with ~", template: `{{ name ~ "-" ~ replicas }}`, out: "web-3"},
		{construct: "+ of text and number", template: `{{ name + replicas }}`, code: codeError, out: `app/t.j2:1: "+" cannot be done with a string and an integer`},
		{construct: "comparison", template: `{{ 1 < replicas <= 3 }} {{ replicas == 3.0 }} {{ "a" != "b" }}`, out: "True True True"},
		{construct: "and, or, not", template: `{{ flag and name }} {{ nothing or "x" }} {{ not flag }}`, out: "web x False"},
		{construct: "in, not in", template: `{{ 80 in ports }} {{ "tag" in image }} {{ "z" not in name }}`, out: "True True True"},
		{construct: "inline if", template: `{{ "many" if replicas > 2 else "few" }}{{ "x" if not flag }}`, out: "many"},
		{construct: "list, tuple and dict", template: `{{ [1, "a", none] }} {{ (1, 2) }} {{ {"k": [1]} }}`, out: "[1, 'a', None] (1, 2) {'k': [1]}"},
		{construct: "numbers", template: `{{ 1_000 }} {{ 0x1F }} {{ 0o17 }} {{ 1e3 }}`, out: "1000 31 15 1000.0"},
		{construct: "repeating", template: `{{ "ab" * 2 }} {{ [0] * 3 }}`, out: "abab [0, 0, 0]"},
		{construct: "% formatting", template: `{{ "%s:%05d %.2f" % (name, 42, 1.005) }}`, out: "web:00042 1.00"},
		{construct: "numbers beyond 64 bits", template: `{{ 2 ** 64 }}`, code: codeUnsupported, out: "app/t.j2:1: the number does not fit into 64 bits", ours: true},
		{construct: "list comprehension", template: `{{ [x for x in ports] }}`, code: codeUnsupported, out: "app/t.j2:1: Jinja2 has no list comprehensions: use |map, |select and |list"},
		{construct: "&& and ||", template: `{{ flag && name }}`, code: codeUnsupported, out: `app/t.j2:1: "&&" is no operator of Jinja2: write "and"`},
	}},
	{"Statements", []jinjaCase{
		{construct: "if, elif, else", template: `{% if replicas > 5 %}a{% elif flag %}b{% else %}c{% endif %}`, out: "b"},
		{construct: "for", template: `{% for p in ports %}{{ p }};{% endfor %}`, out: "80;443;"},
		{construct: "for with else", template: `{% for p in [] %}x{% else %}none{% endfor %}`, out: "none"},
		{construct: "for with if", template: `{% for u in users if u.age > 26 %}{{ loop.index }}{{ u.name }} {% endfor %}`, out: "1bob 2carol "},
		{construct: "for over a dict", template: `{% for k, v in env.items() %}{{ k }}={{ v }} {% endfor %}`, out: "B=2 A=1 "},
		{construct: "loop", template: `{% for p in ports %}{{ loop.index }}/{{ loop.length }}{{ ", " if not loop.last }}{% endfor %}`, out: "1/2, 2/2"},
		{construct: "loop.previtem, loop.cycle, loop.changed", template: `{% for p in ports %}{{ loop.previtem|default("-") }}{{ loop.cycle("a", "b") }}{{ loop.changed(p) }} {% endfor %}`, out: "-aTrue 80bTrue "},
		{construct: "recursive for", template: `{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}{% endfor %}`, out: "1(2(3))"},
		{construct: "break, continue", template: `{% for p in ports %}{% break %}{% endfor %}`, code: codeUnsupported, out: "app/t.j2:1: {% break %} is not supported: filter the loop: {% for x in list if … %}"},
		{construct: "set", template: `{% set a = 1 %}{% set b, c = 2, 3 %}{{ a }}{{ b }}{{ c }}`, out: "123"},
		{construct: "set inside for stays there", template: `{% set n = 0 %}{% for p in ports %}{% set n = p %}{% endfor %}{{ n }}`, out: "0"},
		{construct: "namespace", template: `{% set ns = namespace(n=0) %}{% for p in ports %}{% set ns.n = ns.n + p %}{% endfor %}{{ ns.n }}`, out: "523"},
		{construct: "set with a block", template: `{% set t | upper %}hi {{ name }}{% endset %}{{ t }}`, out: "HI WEB"},
		{construct: "do", template: `{% set l = [] %}{% do l.append(1) %}{{ l }}`, out: "[1]"},
		{construct: "with", template: `{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}`, out: "3"},
		{construct: "filter block", template: `{% filter upper %}hi {{ name }}{% endfilter %}`, out: "HI WEB"},
		{construct: "macro", template: `{% macro port(n, proto="TCP") %}{{ n }}/{{ proto }}{% endmacro %}{{ port(80) }} {{ port(53, proto="UDP") }}`, out: "80/TCP 53/UDP"},
		{construct: "varargs and kwargs", template: `{% macro m() %}{{ varargs }} {{ kwargs }}{% endmacro %}{{ m(1, k=2) }}`, out: "(1,) {'k': 2}"},
		{construct: "call and caller", template: `{% macro list(l) %}{% for x in l %}{{ caller(x) }};{% endfor %}{% endmacro %}{% call(p) list(ports) %}port {{ p }}{% endcall %}`, out: "port 80;port 443;"},
		{construct: "raw", template: `{% raw %}{{ name }}{% endraw %}`, out: "{{ name }}"},
		{construct: "comment", template: `a{# {{ name }} #}b`, out: "ab"},
		{construct: "white space control", template: "a  {%- if true -%}  b  {%- endif %}\nc", out: "ab\nc"},
		{construct: "newline after a tag stays", template: "{% if true %}\na\n{% endif %}", out: "\na\n"},
		{construct: "trim_blocks and lstrip_blocks", template: "#jinja2: trim_blocks:True, lstrip_blocks:True\n{% if true %}\na\n  {% endif %}\nb", out: "a\nb", ours: true},
		{construct: "translations", template: `{% trans %}a{% endtrans %}`, code: codeUnsupported, out: "app/t.j2:1: {% trans %} is not supported"},
		{construct: "autoescape", template: `{% autoescape true %}a{% endautoescape %}`, code: codeUnsupported, out: "app/t.j2:1: {% autoescape %} is not supported: nothing is escaped here; leave it out"},
		{construct: "ssi, now, lorem", template: `{% ssi "/etc/passwd" %}`, code: codeForbidden, out: "app/t.j2:1: {% ssi %} is not allowed: it reads files outside of templates: use {% include %}"},
	}},
	{"Other templates", []jinjaCase{
		{construct: "include", template: `{% include "part.j2" %}`, files: files{"part.j2": "part of {{ name }}"}, out: "part of web"},
		{construct: "include sees local variables", template: `{% for p in ports %}{% include "part.j2" %}{% endfor %}`, files: files{"part.j2": "{{ p }};"}, out: "80;443;"},
		{construct: "ignore missing, lists, without context", template: `{% include "no.j2" ignore missing %}{% include ["no.j2", "part.j2"] without context %}`, files: files{"part.j2": "{{ name|default('unseen') }}"}, out: "unseen"},
		{construct: "import", template: `{% import "_m.j2" as m %}{{ m.hi("x") }}`, files: files{"_m.j2": "{% macro hi(a) %}hi {{ a }}{% endmacro %}"}, out: "hi x"},
		{construct: "from … import", template: `{% from "_m.j2" import hi as hello with context %}{{ hello() }}`, files: files{"_m.j2": "{% macro hi() %}hi {{ name }}{% endmacro %}"}, out: "hi web"},
		{construct: "import sees no variables", template: `{% from "_m.j2" import hi %}{{ hi() }}`, files: files{"_m.j2": "{% macro hi() %}hi {{ name }}{% endmacro %}"}, code: codeUndefined, out: `app/_m.j2:1: "name" is undefined (defined: hi)`},
		{construct: "extends, block, super", template: `{% extends "_base.j2" %}{% block b %}child, {{ super() }}{% endblock %}`, files: files{"_base.j2": "<{% block b %}base{% endblock %}>"}, out: "<child, base>"},
		{construct: "scoped block", template: `{% extends "_base.j2" %}{% block b %}{{ p }};{% endblock %}`, files: files{"_base.j2": "{% for p in ports %}{% block b scoped %}{% endblock %}{% endfor %}"}, out: "80;443;"},
		{construct: "required block", template: `{% extends "_base.j2" %}`, files: files{"_base.j2": "{% block b required %}{% endblock %}"}, code: codeError, out: `app/_base.j2:1: block "b" is required and not there`},
		{construct: "self", template: `{% block b %}x{% endblock %}{{ self.b() }}`, out: "xx"},
		{construct: "file outside of the repository", template: `{% include "../../../etc/passwd" %}`, code: codePath, out: `app/t.j2:1: template "../../../etc/passwd": templates are files of this repository`},
		{construct: "templates that include each other", template: `{% include "part.j2" %}`, files: files{"part.j2": `{% include "t.j2" %}`}, code: codeError, out: "templates and macros inside each other, more than 50 deep: … → "},
	}},
	{"Filters", []jinjaCase{
		{construct: "upper, lower, capitalize, title", template: `{{ "a b"|upper }} {{ "A"|lower }} {{ "aB c"|capitalize }} {{ "a-b c"|title }}`, out: "A B a Ab c A-B C"},
		{construct: "trim, replace, truncate", template: `[{{ " a "|trim }}] {{ "a.b.c"|replace(".", "-", 1) }} {{ "one two three four"|truncate(9) }}`, out: "[a] a-b.c one..."},
		{construct: "indent", template: `{{ text|indent(2) }}`, out: "one\n  two\n\n  four"},
		{construct: "join, split", template: `{{ ports|join(",") }} {{ users|join("/", attribute="name") }} {{ "a,b"|split(",") }}`, out: "80,443 bob/Alice/carol ['a', 'b']", ours: true},
		{construct: "int, float, string, bool, round, abs", template: `{{ "42"|int }} {{ "x"|int(7) }} {{ "1.5"|float }} {{ "yes"|bool }} {{ 2.567|round(1) }} {{ -3|abs }}`, out: "42 7 1.5 True 2.6 3", ours: true},
		{construct: "length, first, last, min, max, sum", template: `{{ ports|length }} {{ ports|first }} {{ ports|last }} {{ ports|min }} {{ ports|max }} {{ ports|sum }}`, out: "2 80 443 80 443 523"},
		{construct: "sort, unique, reverse", template: `{{ [3, 1, 2]|sort(reverse=true) }} {{ ["b", "a", "B"]|unique|list }} {{ ports|reverse|list }}`, out: "[3, 2, 1] ['b', 'a'] [443, 80]"},
		{construct: "map, select, selectattr", template: `{{ users|map(attribute="name")|map("lower")|list }} {{ ports|select("odd")|list }} {{ users|selectattr("group", "equalto", "dev")|map(attribute="age")|sum }}`, out: "['bob', 'alice', 'carol'] [443] 65"},
		{construct: "reject, rejectattr", template: `{{ ports|reject("odd")|list }} {{ users|rejectattr("age", "gt", 26)|map(attribute="name")|join }}`, out: "[80] Alice"},
		{construct: "groupby", template: `{% for g, l in users|groupby("group") %}{{ g }}:{{ l|length }} {% endfor %}`, out: "dev:2 ops:1 "},
		{construct: "dictsort, items", template: `{{ env|dictsort }} {{ env|items|list }}`, out: "[('A', '1'), ('B', '2')] [('B', '2'), ('A', '1')]"},
		{construct: "batch, slice", template: `{{ [1, 2, 3]|batch(2, 0)|list }} {{ [1, 2, 3]|slice(2)|list }}`, out: "[[1, 2], [3, 0]] [[1, 2], [3]]"},
		{construct: "format, center, wordcount, urlencode, filesizeformat", template: `{{ "%s-%s"|format("a", 1) }} [{{ "a"|center(3) }}] {{ "a b"|wordcount }} {{ "a b"|urlencode }} {{ 1500|filesizeformat }}`, out: "a-1 [ a ] 2 a%20b 1.5 kB"},
		{construct: "tojson", template: `{{ {"b": 1, "a": "<x>"}|tojson }}`, out: `{"a": "\u003cx\u003e", "b": 1}`},
		{construct: "toyaml", template: "spec:\n  {{ {\"b\": [1, \"2\"], \"a\": \"yes\"}|toyaml|indent(2) }}", out: "spec:\n  b:\n    - 1\n    - \"2\"\n  a: \"yes\"", ours: true},
		{construct: "quote", template: `{{ "a: \"b\" # c"|quote }}`, out: `"a: \"b\" # c"`, ours: true},
		{construct: "b64encode, b64decode, sha256", template: `{{ "secret"|b64encode }} {{ "c2VjcmV0"|b64decode }} {{ ("x"|sha256)[:8] }}`, out: "c2VjcmV0 secret 2d711642", ours: true},
		{construct: "fromjson, fromyaml", template: `{{ ('{"a": [1]}'|fromjson).a[0] }} {{ ("b: 2"|fromyaml).b }}`, out: "1 2", ours: true},
		{construct: "Django's arguments", template: `{{ name|default:"x" }}`, code: codeUnsupported, out: "app/t.j2:1: filters take their arguments in parentheses: write |default(argument) and not |default:argument"},
		{construct: "safe, escape, striptags, urlize, xmlattr", template: `{{ name|safe }}`, code: codeUnsupported, out: `app/t.j2:1: filter "safe" is not supported: nothing is escaped here; leave it out`, ours: true},
		{construct: "pprint, wordwrap, attr", template: `{{ image|pprint }}`, code: codeUnsupported, out: `app/t.j2:1: filter "pprint" is not supported: write |tojson(2) or |toyaml`, ours: true},
		{construct: "random, shuffle", template: `{{ ports|random }}`, code: codeForbidden, out: `app/t.j2:1: filter "random" is not allowed: the same commit must always render the same`, ours: true},
		{construct: "Ansible's filters", template: `{{ image|to_nice_yaml }}`, code: codeUnsupported, out: `app/t.j2:1: filter "to_nice_yaml" is not supported: write |toyaml`},
		{construct: "a filter that is nowhere", template: `{{ name|uper }}`, code: codeUnsupported, out: `app/t.j2:1: there is no filter "uper"; did you mean "upper"?`},
	}},
	{"Tests", []jinjaCase{
		{construct: "defined, undefined, none", template: `{{ name is defined }} {{ missing is undefined }} {{ nothing is none }}`, out: "True True True"},
		{construct: "string, number, integer, float, boolean, true, false", template: `{{ name is string }} {{ 1 is number }} {{ 1 is integer }} {{ 1.5 is float }} {{ flag is boolean }} {{ flag is true }} {{ flag is false }}`, out: "True True True True True True False"},
		{construct: "mapping, sequence, iterable, callable", template: `{{ image is mapping }} {{ ports is sequence }} {{ ports is iterable }} {{ range is callable }}`, out: "True True True True"},
		{construct: "odd, even, divisibleby", template: `{{ 3 is odd }} {{ 3 is even }} {{ 9 is divisibleby 3 }}`, out: "True False True"},
		{construct: "eq, ne, lt, le, gt, ge, in, sameas", template: `{{ 1 is eq 1 }} {{ 1 is lt(2) }} {{ 80 is in ports }} {{ none is sameas none }}`, out: "True True True True"},
		{construct: "lower, upper, filter, test", template: `{{ "a" is lower }} {{ "a" is upper }} {{ "join" is filter }} {{ "odd" is test }}`, out: "True False True True"},
		{construct: "Ansible's tests", template: `{{ name is match("w") }}`, code: codeUnsupported, out: `app/t.j2:1: test "match" is not supported: use "in" or .startswith(…)`},
	}},
	{"Functions and methods", []jinjaCase{
		{construct: "range, dict, cycler, joiner", template: `{{ range(3)|list }} {{ dict(a=1, **{"b": 2}) }} {% set c = cycler("x", "y") %}{{ c.next() }}{{ c.next() }} {% set j = joiner() %}{% for p in ports %}{{ j() }}{{ p }}{% endfor %}`, out: "[0, 1, 2] {'a': 1, 'b': 2} xy 80, 443"},
		{construct: "of strings", template: `{{ name.upper() }} {{ "a-b".split("-") }} {{ name.startswith("w") }} {{ "v1".removeprefix("v") }} {{ "7".zfill(3) }} {{ "{}:{:>3}".format("a", 1) }}`, out: "WEB ['a', 'b'] True 1 007 a:  1"},
		{construct: "of dicts", template: `{{ image.get("pull", "x") }} {{ env.keys()|list }} {{ env.values()|join }} {{ image.items()|list|length }}`, out: "x ['B', 'A'] 21 2"},
		{construct: "of lists", template: `{% set l = [2, 1] %}{% do l.append(3) %}{% do l.sort() %}{{ l }} {{ l.index(2) }} {{ l.pop() }}`, out: "[1, 2, 3] 1 3"},
		{construct: "lipsum, now, lookup", template: `{{ lipsum() }}`, code: codeForbidden, out: "app/t.j2:1: lipsum() is not allowed: no cluster needs filler text", ours: true},
		{construct: "attributes of Python", template: `{{ name.__class__ }}`, code: codeUndefined, out: `app/t.j2:1: "name.__class__" is undefined: name is a string`, ours: true},
		{construct: "printing what was not called", template: `{{ env.items }}`, code: codeError, out: `app/t.j2:1: items is a function and cannot be printed: call it, items(); a key of a dict with that name is ["items"]`, ours: true},
		{construct: "printing a sequence that is no list", template: `{{ ports|map("string") }}`, code: codeError, out: "app/t.j2:1: a sequence that is not a list yet cannot be printed: write |list or |join after it", ours: true},
	}},
}

func TestCases(t *testing.T) {
	for _, g := range caseGroups {
		for _, c := range g.cases {
			t.Run(g.title+"/"+c.construct, func(t *testing.T) {
				out, err := run(c.template, c.files)
				e := fault.As(err)
				switch {
				case c.code == "" && (e != nil || out != c.out):
					t.Errorf("%s\nput out %q, %v\nwant    %q", c.template, out, err, c.out)
				case c.code != "" && e == nil:
					t.Errorf("%s\nput out %q, want %s", c.template, out, c.code)
				case c.code != "" && (e.Code != c.code || !strings.Contains(e.Message, c.out)):
					t.Errorf("%s\n%s: %s\nwant %s: %s", c.template, e.Code, e.Message, c.code, c.out)
				}
			})
		}
	}
}
