package jinja

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// Each of these would take for ever, or all memory, or all stack.
func TestBombsEndSoon(t *testing.T) {
	tests := []struct {
		name, template string
		files          files
		code, message  string
	}{
		{"repeated text", `{{ "x" * 10**9 }}`, nil, codeTooLarge, "app/t.j2:1: a value of more than 16 MiB"},
		{"repeated list", `{{ [0] * 10**9 }}`, nil, codeTooLarge, "app/t.j2:1: a list of more than"},
		{"repeated tuple, the other way", `{{ 10**9 * (1, 2) }}`, nil, codeTooLarge, "a list of more than"},
		{"huge power", `{{ 10 ** 10 ** 10 }}`, nil, codeUnsupported, "64 bits"},
		{"range", `{% for i in range(10**9) %}x{% endfor %}`, nil, codeError, "range gives at most 100000 numbers"},
		{"loops in loops", `{% set l = range(10000)|list %}{% for a in l %}{% for b in l %}{% endfor %}{% endfor %}`, nil, codeError, "the template does more than 5000000 steps"},
		{"output", `{% for i in range(99999) %}{{ "x" * 1000 }}{% endfor %}`, nil, codeTooLarge, "the template puts out more than 1048576 bytes"},
		{"doubling text", `{% set ns = namespace(s="x") %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`, nil, codeTooLarge, "a value of more than 16 MiB"},
		{"doubling lists", `{% set ns = namespace(l=[1]) %}{% for i in range(64) %}{% set ns.l = ns.l + ns.l %}{% endfor %}`, nil, codeTooLarge, "a list of more than"},
		{"nesting lists and printing", `{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}`, nil, codeTooLarge, "a value of more than 16 MiB"},
		{"nesting lists and comparing", `{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% endfor %}{{ ns.l == ns.m }}`, nil, codeError, "steps"},
		{"nesting lists and writing JSON", `{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson }}`, nil, codeError, "steps"},
		{"nesting lists and writing YAML", `{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|toyaml }}`, nil, codeTooLarge, "more than 256 MiB"},
		{"a list in itself", `{% set l = [] %}{% do l.append(l) %}{{ l }}`, nil, codeError, "contains itself"},
		{"a list in itself, compared", `{% set l = [] %}{% do l.append(l) %}{% set m = [] %}{% do m.append(m) %}{{ l == m }}`, nil, codeError, "contains itself"},
		{"a dict in itself as JSON", `{% set d = {} %}{% do d.update(d=d) %}{{ d|tojson }}`, nil, codeError, "contains itself"},
		{"a dict in itself as YAML", `{% set d = {} %}{% do d.update(d=d) %}{{ d|toyaml }}`, nil, codeError, "contains itself"},
		{"filling", `{{ "x".ljust(10**10) }}`, nil, codeTooLarge, "a value of more than"},
		{"centering", `{{ "x"|center(10**12) }}`, nil, codeTooLarge, "a value of more than"},
		{"indenting", `{{ ("\n" * 10**6)|indent(10**6, blank=true) }}`, nil, codeTooLarge, "a value of more than"},
		{"replacing", `{{ ("a" * 10**6)|replace("a", "b" * 10**6) }}`, nil, codeTooLarge, "a value of more than"},
		{"joining", `{{ range(10**5)|join("x" * 10**6) }}`, nil, codeTooLarge, "a value of more than"},
		{"width in a format", `{{ "%1000000000d" % 1 }}`, nil, codeTooLarge, "a width of more than 10000"},
		{"precision in a format", `{{ "%.999999999f" % 1 }}`, nil, codeTooLarge, "a width of more than 10000"},
		{"width in format()", `{{ "{:>1000000000}".format(1) }}`, nil, codeTooLarge, "a width of more than 10000"},
		{"batches", `{{ [1]|batch(10**12, 0)|list }}`, nil, codeError, "batch needs a size"},
		{"slices", `{{ [1]|slice(10**12, 0)|list }}`, nil, codeError, "slice needs a number"},
		{"keeping many values", `{% set l = [] %}{% for i in range(99999) %}{% do l.append("x" * 10**6) %}{% endfor %}`, nil, codeTooLarge, "the template makes more than 256 MiB of values"},
		{"macro that calls itself", `{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}`, nil, codeError, "app/t.j2:1: templates and macros inside each other, more than 50 deep: … → m() → m() → m() → m()"},
		{"macros that call each other", `{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}`, nil, codeError, "→ a() → b()"},
		{"caller that calls itself", `{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}`, nil, codeError, "more than 50 deep"},
		{"template that includes itself", `{% include "t.j2" %}`, nil, codeError, "… → app/t.j2 → app/t.j2"},
		{"templates that import each other", `{% import "a.j2" as a %}`, files{"a.j2": `{% import "t.j2" as t %}`}, codeError, "→ app/t.j2 → app/a.j2"},
		{"template that extends itself", `{% extends "t.j2" %}`, nil, codeError, "templates extend each other: app/t.j2 → app/t.j2"},
		{"templates that extend each other", `{% extends "a.j2" %}`, files{"a.j2": `{% extends "b.j2" %}`, "b.j2": `{% extends "a.j2" %}`}, codeError, "app/b.j2:1: templates extend each other: app/t.j2 → app/a.j2 → app/b.j2 → app/a.j2"},
		{"block that runs itself", `{% block a %}{{ self.a() }}{% endblock %}`, nil, codeError, "blocks inside blocks"},
		{"recursive loop without end", `{% set l = [1] %}{% for x in l recursive %}{{ loop(l) }}{% endfor %}`, nil, codeError, "a recursive loop more than 50 deep"},
		{"default that calls its macro", `{% macro m(a=m()) %}{% endmacro %}{{ m() }}`, nil, codeError, "more than 50 deep"},
		{"blocks in blocks", strings.Repeat("{% if true %}", 100_000), nil, codeError, "blocks inside blocks, more than 100 deep"},
		{"brackets in brackets", "{{ " + strings.Repeat("[", 100_000), nil, codeError, "brackets inside brackets, more than 100 deep"},
		{"minus of minus", "{{ " + strings.Repeat("-", 100_000) + "1 }}", nil, codeError, "expressions inside expressions"},
		{"not of not", "{{ " + strings.Repeat("not ", 100_000) + "1 }}", nil, codeError, "expressions inside expressions"},
		{"conditions in conditions", "{{ " + strings.Repeat("1 if 0 else ", 100_000) + "1 }}", nil, codeError, "inside"},
		{"a chain of ifs", "{{ 1" + strings.Repeat(" if 1", 100_000) + " }}", nil, codeError, "conditions inside conditions"},
		{"a long sum", "{{ 1" + strings.Repeat("+1", 100_000) + " }}", nil, codeError, "operators in one expression"},
		{"a long chain of filters", "{{ 1" + strings.Repeat("|string", 100_000) + " }}", nil, codeError, "operators in one expression"},
		{"a long chain of attributes", "{{ a" + strings.Repeat(".a", 100_000) + " }}", nil, codeError, "operators in one expression"},
		{"targets in targets", "{% set " + strings.Repeat("(", 100_000) + "a", nil, codeError, ""},
		{"no end of a tag", "{% if true", nil, codeError, `app/t.j2:1: "%}" is missing`},
		{"no end of an expression", "a\n{{ name", nil, codeError, `app/t.j2:2: "}}" is missing`},
		{"no end of a comment", "a\n\n{# name", nil, codeError, `app/t.j2:3: the comment has no end`},
		{"no end of raw", "{% raw %}{% endrow %}", nil, codeError, `app/t.j2:1: {% raw %} has no {% endraw %}`},
		{"no end of a string", `{{ "abc }}`, nil, codeError, `app/t.j2:1: the string has no end`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			started := time.Now()
			refused(t, tt.template, tt.files, tt.code, tt.message)
			if took := time.Since(started); took > 20*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestLimitsOfFilesAndOutput(t *testing.T) {
	object := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {x: \"{{ 'x' * 300 }}\"}\n"
	w, _ := testWorkspace(files{"app/a.j2": fmt.Sprintf(object, "a"), "app/b.j2": fmt.Sprintf(object, "b")})
	for name, tt := range map[string]struct {
		limits workspace.Limits
		code   string
	}{
		"within":         {workspace.Limits{Manifest: manifest.Limits{MaxBytes: 500}, OutputBytes: 1000}, ""},
		"one file":       {workspace.Limits{Manifest: manifest.Limits{MaxBytes: 300}, OutputBytes: 1000}, codeTooLarge},
		"all together":   {workspace.Limits{Manifest: manifest.Limits{MaxBytes: 500}, OutputBytes: 500}, codeTooLarge},
		"a template":     {workspace.Limits{Manifest: manifest.Limits{MaxBytes: 50}, OutputBytes: 500}, codeTooLarge},
		"files together": {workspace.Limits{Manifest: manifest.Limits{MaxBytes: 500}, TotalBytes: 100}, codeTooLarge},
	} {
		w.Limits = tt.limits
		_, err := Render(w, nil)
		if tt.code == "" && err != nil || tt.code != "" && !fault.HasCode(err, tt.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
