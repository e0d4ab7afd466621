package jinja

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestErrorsNameFileAndLine(t *testing.T) {
	tests := []struct {
		name, template string
		files          files
		code, message  string
		fix            string
	}{
		{"after text", "a\nb\n{{ x }}", nil, codeUndefined, `app/t.j2:3: "x" is undefined`, ""},
		{"in a tag of several lines", "{{ [\n  name,\n  nme\n]|join }}", nil, codeUndefined, `app/t.j2:3: "nme" is undefined`, `did you mean "name"?`},
		{"after a comment of several lines", "{#\n\n#}{{ x }}", nil, codeUndefined, `app/t.j2:3: "x"`, ""},
		{"after raw", "{% raw %}\n\n{% endraw %}{{ x }}", nil, codeUndefined, `app/t.j2:3: "x"`, ""},
		{"with lines of Windows", "a\r\nb\r\n{{ x }}", nil, codeUndefined, `app/t.j2:3: "x"`, ""},
		{"in a loop", "{% for p in ports %}\n{{ p }}\n{{ p.x }}{% endfor %}", nil, codeUndefined, `app/t.j2:3: "p.x" is undefined: p is an integer`, ""},
		{"in an included template", "\n{% include \"a.j2\" %}", files{"a.j2": "\n\n{{ x }}"}, codeUndefined, `app/a.j2:3: "x"`, ""},
		{"in a macro", "{% import \"a.j2\" as a %}\n\n{{ a.m() }}", files{"a.j2": "\n{% macro m() %}\n{{ 1 / 0 }}{% endmacro %}"}, codeError, `app/a.j2:3: division by zero`, ""},
		{"after a macro was called", "{% macro m() %}\n\n\n{% endmacro %}{{ m() }}{{ x }}", nil, codeUndefined, `app/t.j2:4: "x"`, ""},
		{"after an include", "{% include \"a.j2\" %}\n{{ 1 / 0 }}", files{"a.j2": "\n\n\n\n"}, codeError, `app/t.j2:2: division`, ""},
		{"in a block", "{% extends \"a.j2\" %}\n{% block b %}\n{{ x }}{% endblock %}", files{"a.j2": "{% block b %}{% endblock %}"}, codeUndefined, `app/t.j2:3: "x"`, ""},
		{"in the template that is extended", "{% extends \"a.j2\" %}", files{"a.j2": "\n{{ x }}"}, codeUndefined, `app/a.j2:2: "x"`, ""},
		{"local variables are listed", "{% set mine = 1 %}{% for p in ports %}{{ q }}{% endfor %}", nil, codeUndefined, `"q" is undefined (defined: p, mine, name,`, ""},
		{"no other variable is near", "{{ zzzzzz }}", nil, codeUndefined, "", "set it in spec.source.jinja, or write zzzzzz|default(…)"},
		{"an attribute is near", "{{ image.repositry }}", nil, codeUndefined, "", `did you mean "repository"?`},
		{"an import without context", `{% from "a.j2" import m %}{{ m() }}`, files{"a.j2": "{% macro m() %}{{ name }}{% endmacro %}"}, codeUndefined, "", "an imported template does not see the variables of the one that imports it: write {% import … with context %}, or pass it to the macro"},
		{"joining by +", `{{ "a" + 1 }}`, nil, codeError, "", "write ~ to join them as text, or |int to count"},
		{"a cluster that has not told", "{{ KUBE_VERSION }}", nil, codeUndefined, `"KUBE_VERSION" is undefined: the cluster has not told yet`, "give it a default with |default(…)"},
		{"loop.counter", "{% for p in ports %}{{ loop.counter }}{% endfor %}", nil, codeUndefined, `"loop.counter" is undefined (loop has: index,`, "write loop.index"},
		{"a parameter", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}", nil, codeUndefined, `parameter "a" of m() was not given`, ""},
		{"a macro that is not there", `{% from "a.j2" import servce %}{{ servce() }}`, files{"a.j2": "{% macro service() %}{% endmacro %}"}, codeUndefined, `app/a.j2 has no "servce" (it has: service)`, `did you mean "service"?`},
		{"an empty dict", "{{ {}.a }}", nil, codeUndefined, "is empty)", ""},
		{"a tag that is near", "{% inclde \"a\" %}", nil, codeUnsupported, "there is no tag {% inclde %}", "did you mean {% include %}?"},
		{"now", "\n{% now \"2006\" %}", nil, codeForbidden, "app/t.j2:2: {% now %} is not allowed", ""},
		{"lorem", "{% lorem 999999999 w %}", nil, codeForbidden, "", ""},
		{"a forbidden filter by map", `{{ [[1]]|map("random")|list }}`, nil, codeForbidden, `filter "random" is not allowed`, ""},
		{"an open block", "\n{% if true %}\n", nil, codeError, "app/t.j2:2: {% if %} is not closed: {% endif %} is missing", ""},
		{"a wrong end", "{% if true %}\n{% endfor %}", nil, codeError, "app/t.j2:2: {% endfor %} is not expected: {% if %} of line 1 is open", ""},
		{"an end of nothing", "{% endif %}", nil, codeError, "app/t.j2:1: {% endif %} closes nothing", ""},
		{"else of nothing", "{% else %}", nil, codeError, "app/t.j2:1: {% else %} belongs to no {% if %}", ""},
		{"elif after else", "{% if 1 %}{% else %}\n{% elif 1 %}{% endif %}", nil, codeError, "app/t.j2:2: {% elif %} after {% else %}", ""},
		{"text after an expression", "{{ name name }}", nil, codeError, `app/t.j2:1: unexpected "name"`, ""},
		{"include with variables of Django", `{% include "a.j2" with a=1 %}`, nil, codeUnsupported, "set variables before it", ""},
		{"import of pongo2", `{% import "a.j2" m %}`, nil, codeUnsupported, `{% import "file" as name %}`, ""},
		{"for reversed", `{% for x in ports reversed %}{% endfor %}`, nil, codeUnsupported, "write |reverse or |sort after the list", ""},
		{"a template with no name", `{% include none %}`, nil, codeError, "a template is named by a string, not none", ""},
		{"a template in a directory that is a file", `{% include "a.j2/b" %}`, files{"a.j2": ""}, codeError, "does not exist", ""},
		{"invalid UTF-8", "\xff", nil, codeError, "app/t.j2:1: the template is not valid UTF-8", ""},
		{"a name with invisible characters", "{{ \"a\u202eb\"|nope }}{{ x }}", nil, codeUnsupported, "there is no filter", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := refused(t, tt.template, tt.files, tt.code, tt.message)
			if tt.fix != "" && e.Fix != tt.fix {
				t.Errorf("fix %q, want %q", e.Fix, tt.fix)
			}
			for _, word := range []string{"pongo2", "*jinja", "goroutine", "reflect"} {
				if strings.Contains(e.Error(), word) {
					t.Error(e)
				}
			}
		})
	}
}

// Templates cannot leave the repository, whatever they say.
func TestTemplatesStayInTheRepository(t *testing.T) {
	for _, name := range []string{
		"../../etc/passwd", "/../etc/passwd", "//etc/passwd", "./../../x", "a/../../../x", "file:///etc/passwd", "https://example.com/x", "a\\\\b", "..", "../..",
	} {
		for _, tag := range []string{`{% include "NAME" %}`, `{% include ["NAME"] ignore missing %}`, `{% set n = "NAME" %}{% include n %}`, `{% extends "NAME" %}`, `{% import "NAME" as x %}`, `{% from "NAME" import x %}`} {
			template := strings.ReplaceAll(tag, "NAME", name)
			w, host := testWorkspace(files{"app/t.j2": template, "etc/passwd": "root"})
			out, err := execute(w, "")
			if !fault.HasCode(err, codePath) && !(name == ".." && fault.HasCode(err, codeError)) {
				if name != ".." || !strings.Contains(template, "ignore") {
					t.Errorf("%s: %q, %v", template, out, err)
				}
			}
			for _, asked := range host.Asked {
				if strings.Contains(asked, "etc") || strings.Contains(asked, "..") || strings.Contains(asked, "download") {
					t.Errorf("%s: the host was asked to %s", template, asked)
				}
			}
		}
	}
	// An absolute path is one of the repository.
	w, _ := testWorkspace(files{"app/t.j2": `{% include "/etc/passwd" %}`, "etc/passwd": "of the repository"})
	if out, err := execute(w, ""); out != "of the repository" {
		t.Errorf("%q %v", out, err)
	}
}

func TestWhereTemplatesAreFound(t *testing.T) {
	w, host := testWorkspace(files{
		"app/t.j2": `{% include "sub/a.j2" %}`, "app/sub/a.j2": `{% include "b.j2" %}{% include "sub/c.j2" %}{% include "./d.j2" %}{% include "../e.j2" %}{% include "/f.j2" %}{% include "g.j2" %}`,
		"app/sub/b.j2": "b(sub)", "app/sub/c.j2": "c", "app/sub/d.j2": "d(sub)", "app/d.j2": "d(app)", "app/e.j2": "e", "f.j2": "f", "app/g.j2": "g(app)", "app/sub/g.j2": "g(sub)",
	})
	if out, err := execute(w, ""); out != "b(sub)cd(sub)efg(app)" {
		t.Errorf("%q %v", out, err)
	}
	reads := 0
	for _, asked := range host.Asked {
		if strings.HasPrefix(asked, "read") {
			reads++
		}
	}
	if reads != 8 {
		t.Errorf("%d files were read: %q", reads, host.Asked)
	}
}

// broken is a host that fails.
type broken struct{ *workspace.Memory }

func (broken) Stat(string, string) (workspace.Info, error) {
	return workspace.Info{}, fault.New(fault.Unavailable, "git_unavailable", "no Git process")
}

func TestTroubleOfTheHostIsNotTheTemplates(t *testing.T) {
	w, host := testWorkspace(files{"app/t.j2": `{% include "x" ignore missing %}`})
	m, err := newMachine(w, newDict())
	if err != nil {
		t.Fatal(err)
	}
	u, err := m.unit("app/t.j2")
	if err != nil {
		t.Fatal(err)
	}
	w.Host = broken{host}
	if _, _, err := m.render(u, 100); !fault.Is(err, fault.Unavailable) || !fault.HasCode(err, "git_unavailable") {
		t.Error(err)
	}
}
