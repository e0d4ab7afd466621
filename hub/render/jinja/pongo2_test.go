package jinja

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/flosch/pongo2/v6"
)

// What pongo2 has registered is not exported; these are its own variables.
//
//go:linkname pongo2Tags github.com/flosch/pongo2/v6.tags
var pongo2Tags map[string]unsafe.Pointer

//go:linkname pongo2Filters github.com/flosch/pongo2/v6.filters
var pongo2Filters map[string]pongo2.FilterFunction

// A version of pongo2 that has a tag or filter more must not add it unseen.
func TestAllOfPongo2IsBanned(t *testing.T) {
	var tags []string
	for name := range pongo2Tags {
		if !strings.HasPrefix(name, tagPrefix) {
			tags = append(tags, name)
		}
	}
	slices.Sort(tags)
	if got := slices.Sorted(slices.Values(bannedTags)); !slices.Equal(got, tags) {
		t.Errorf("banned are the tags %q, and pongo2 has %q", got, tags)
	}
	if got, has := slices.Sorted(slices.Values(bannedFilters)), slices.Sorted(maps.Keys(pongo2Filters)); !slices.Equal(got, has) {
		t.Errorf("banned are the filters %q, and pongo2 has %q", got, has)
	}
	for name := range tagParsers {
		if pongo2Tags[tagPrefix+name] == nil {
			t.Errorf("%s is not registered", name)
		}
	}
}

// raw hands pongo2 a text as if the translation had made it.
func raw(t *testing.T, source string) (string, error) {
	t.Helper()
	set, err := newSet()
	if err != nil {
		t.Fatal(err)
	}
	parsing.Store("raw", &unit{path: "raw", source: source})
	defer parsing.Delete("raw")
	tpl, err := set.FromFile("raw")
	if err != nil {
		return "", err
	}
	return tpl.Execute(pongo2.Context{})
}

func TestASetOfOursRefusesPongo2sOwn(t *testing.T) {
	for _, source := range []string{
		`{% ssi "/etc/passwd" %}`, `{% include "/etc/passwd" %}`, `{% extends "/etc/passwd" %}`, `{% import "/etc/passwd" x %}`, `{% now "2006" %}`,
		`{% lorem 5 %}`, `{% if true %}{% endif %}`, `{% set a = 1 %}`, `{{ "a"|random }}`, `{{ "a"|upper }}`, `{{ "a"|default:"b" }}`,
		`{% j_out 0 %}`, `{% j_if 1 2 %}{% j_endif %}`, `{% j_for "x" %}`,
	} {
		if out, err := raw(t, source); err == nil {
			t.Errorf("%s put out %q", source, out)
		}
	}
}

func TestAutoescapeIsOffForTheProcess(t *testing.T) {
	tpl, err := pongo2.FromString("{{ x }}")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := tpl.Execute(pongo2.Context{"x": "<&>'\""}); err != nil || out != "<&>'\"" {
		t.Errorf("%q %v", out, err)
	}
	if out, err := run(`{{ "<&>" }}`, nil); err != nil || out != "<&>" {
		t.Errorf("%q %v", out, err)
	}
}

// Whatever a template has in it, pongo2 sees tags of ours and nothing else.
func TestTranslationIsTagsOnly(t *testing.T) {
	w, _ := testWorkspace(nil)
	for _, template := range []string{
		"{", "{{ '{' }}{", "{{ '{%' }}", "{% raw %}{% ssi 'x' %}{{ x|random }}{# {% endraw %}", "{% set x %}{{ '%}' }}{% endset %}",
		"text {{ name }} }} %} #}", "{%- if true -%}{%- endif -%}",
	} {
		m, err := newMachine(w, newDict())
		if err != nil {
			t.Fatal(err)
		}
		u := &unit{path: "t", text: template}
		if err := m.translate(u); err != nil {
			t.Errorf("%s: %v", template, err)
			continue
		}
		if !onlyOurTags(u.source) {
			t.Errorf("%s became %s", template, u.source)
		}
	}
}

func onlyOurTags(source string) bool {
	for source != "" {
		tag, rest, ok := strings.Cut(source, " %}")
		name, isOurs := strings.CutPrefix(tag, "{% "+tagPrefix)
		if !ok || !isOurs || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz 0123456789") != "" {
			return false
		}
		source = rest
	}
	return true
}
