package jinja

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
)

// FuzzTranslate: whatever a template has in it, it renders or ends in an error
// that names the file and a line that it has; and pongo2 sees nothing of it.
func FuzzTranslate(f *testing.F) {
	for _, g := range caseGroups {
		for _, c := range g.cases {
			f.Add(c.template)
		}
	}
	for _, s := range []string{
		"", "{", "{{", "{%", "{#", "{{}}", "{%%}", "{##}", "{{-}}", "{{ - }}", "{%-%}", "{{ ' }}", "{{ '\\", "{{ \"\\x4\" }}", "{{ '\\N{x}' }}", "{{ 1.e5 }}", "{{ 1..2 }}", "{{ a.1.2 }}",
		"{{ 0x }}", "{{ 00 }}", "{{ 09 }}", "{{ 1__0 }}", "{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}", "{{ (-9223372036854775807-1)//-1 }}", "{{ 1e400 }}", "{{ a[::] }}", "{{ a[:::] }}", "{{ a[1:2:0] }}",
		"{% for in x %}", "{% for a, in [] %}{% endfor %}", "{% set = 1 %}", "{% endif %}", "{% else %}", "{% if 1 %}{% else %}{% else %}{% endif %}", "{% macro m(a=1, b) %}", "{% call x %}", "{% raw %}", "{% raw -%} x {%- endraw -%} y",
		"#jinja2: trim_blocks:True\n{% if 1 %}\nx\n{% endif %}\n", "#jinja2: x:1", "\r\n{{ a }}\r", "{{ '\u2028' }}", "{{ \"é\"[0] }}", "{% include %}", "{% import 'x' %}", "{% from 'x' import %}", "{% block %}", "{% block a %}{% endblock b %}",
		"{{ range(5)|batch(0)|list }}", "{{ '%*d' % (1, 2) }}", "{{ '{0.a}'.format(1) }}", "{{ '%' % 1 }}", "{{ 'a'.split('') }}", "{{ [3,1]|sort(attribute='x.y') }}", "{{ {}|dictsort(by='z') }}", "{{ loop }}", "{{ self }}", "{{ super }}",
		"{% set ns = namespace() %}{% set ns.a.b = 1 %}", "{{ name.format(1) }}", "{{ name|truncate(-1) }}", "{{ [1]|slice(0) }}", "{{ 'x' * -5 }}", "{{ 5|round(-400) }}", "{{ 1|round(1, 'x') }}", "{{ 'a'.center(3, '') }}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, template string) {
		if len(template) > 2000 || !utf8.ValidString(template) {
			return
		}
		fs := files{"app/t.j2": template, "app/part.j2": "part", "app/_m.j2": "{% macro hi(a) %}{{ a }}{% endmacro %}", "app/_base.j2": "{% block b %}{% endblock %}"}
		w, host := testWorkspace(fs)
		vars := newDict()
		if err := add(vars, "values", []byte(caseValues), w.Limits.Manifest); err != nil {
			t.Fatal(err)
		}
		m, err := newMachine(w, vars)
		if err != nil {
			t.Fatal(err)
		}
		m.most = 20_000
		u, err := m.unit("app/t.j2")
		if err != nil {
			t.Fatal(err)
		}
		out, lines, err := m.render(u, 100_000)
		if !onlyOurTags(u.source) {
			t.Errorf("%q became %q", template, u.source)
		}
		for _, asked := range host.Asked {
			if kind, what, _ := strings.Cut(asked, " "); kind != "fact" && (!strings.HasPrefix(what, "/") || strings.Contains(what, "/../")) {
				t.Errorf("asked %q", asked)
			}
		}
		if err != nil {
			e := fault.As(err)
			rest, ok := strings.CutPrefix(e.Message, "app/")
			if e.Kind != fault.Unprocessable || !ok || len(e.Message) > 300 {
				t.Errorf("%q: %s %s: %s", template, e.Kind, e.Code, e.Message)
			}
			for _, word := range []string{"pongo2", "panic", "interface", "*jinja", "nil"} {
				if strings.Contains(rest, word) && !strings.Contains(template, word) {
					t.Errorf("%q: %s", template, e.Message)
				}
			}
			return
		}
		if out != "" && len(lines) != strings.Count(out, "\n")+1 {
			t.Errorf("%q: %d places of %d lines", template, len(lines), strings.Count(out, "\n")+1)
		}
		for _, at := range lines {
			if at.line < 1 || at.line > strings.Count(template, "\n")+strings.Count(template, "\r")+1 && at.file == "app/t.j2" {
				t.Errorf("%q: line %d", template, at.line)
			}
		}
	})
}
