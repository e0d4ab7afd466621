package lua

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/shared/customization"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// keyPrefix begins the keys that Parse reads.
const keyPrefix = "resource.customizations"

// Types of customizations: what comes after the prefix.
const (
	typeHealth  = "health"
	typeActions = "actions"
	typeIgnore  = "ignoreDifferences"
)

// ignoredTypes have no effect here, and why.
var ignoredTypes = map[string]string{
	"useOpenLibs":           "the libraries string, table and math, and the time from os, are always there, and others never are",
	"knownTypeFields":       "types of fields come from the schema of the cluster",
	"ignoreResourceUpdates": "changes that nothing depends on cost nothing",
}

var customizationTypes = append(slices.Sorted(maps.Keys(ignoredTypes)), typeHealth, typeActions, typeIgnore)

// Parse reads the resource customizations of an argocd-cm ConfigMap. Keys that
// are of another matter are skipped.
//
//	resource.customizations.health.<group>_<Kind>             a script
//	resource.customizations.actions.<group>_<Kind>            YAML: discovery.lua, definitions, mergeBuiltinActions
//	resource.customizations.ignoreDifferences.<group>_<Kind>  YAML; "all" means every kind
//	resource.customizations                                   YAML: all of these by "group/Kind", with "*"
//	resource.sensitive.mask.annotations                       annotations of Secrets that scripts do not see
//
// A kind of the core group is named without a group. useOpenLibs,
// knownTypeFields and ignoreResourceUpdates are accepted and have no effect,
// which Warnings says. Where the long form and a key of its own say something
// about the same kind, the key wins.
//
// Errors are fault.Errors that name the key and the line: customization_invalid,
// lua_script_invalid, lua_script_too_large. All problems are listed.
func Parse(data map[string]string) (*Scripts, error) {
	p := parser{scripts: newScripts()}
	for name := range strings.SplitSeq(data[customization.SensitiveAnnotations], ",") {
		if name = strings.TrimSpace(name); name != "" {
			p.scripts.sensitive = append(p.scripts.sensitive, name)
		}
	}
	if text, ok := data[keyPrefix]; ok {
		p.long(text)
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if rest, ok := strings.CutPrefix(key, keyPrefix+"."); ok {
			p.split(key, rest, data[key])
		}
	}
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return p.scripts, nil
}

type parser struct {
	scripts  *Scripts
	problems fault.List
	// ignore has the place of a kind's rule in scripts.Ignore.
	ignore map[[2]string]int
}

func (p *parser) invalid(where string, line int, format string, args ...any) {
	if line > 0 {
		where = fmt.Sprintf("%s: line %d", where, line)
	}
	p.problems = append(p.problems, fault.New(fault.Invalid, "customization_invalid", "%s: %s", where, fmt.Sprintf(format, args...)))
}

func (p *parser) warn(where string, format string, args ...any) {
	p.scripts.Warnings = append(p.scripts.Warnings, where+": "+fmt.Sprintf(format, args...))
}

// split reads a key of its own: type.group_Kind.
func (p *parser) split(key, rest, text string) {
	kind, groupKind, ok := strings.Cut(rest, ".")
	if !slices.Contains(customizationTypes, kind) {
		hint := ""
		if near := nearest.Word(kind, customizationTypes); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		p.invalid(key, 0, "%q is no type of customization%s", kind, hint)
		return
	}
	if why, ignored := ignoredTypes[kind]; ignored {
		p.warn(key, "this has no effect: %s", why)
		return
	}
	var group, name string
	switch parts := strings.Split(groupKind, "_"); {
	case !ok || groupKind == "" || len(parts) > 2 || parts[len(parts)-1] == "":
		p.invalid(key, 0, "the key must end in <group>_<Kind>, or <Kind> for the core group")
		return
	case groupKind == "all" && kind == typeIgnore:
		group, name = "*", "*"
	case len(parts) == 1:
		name = parts[0]
	default:
		group, name = parts[0], parts[1]
	}
	switch kind {
	case typeHealth:
		p.health(key, group, name, text)
	case typeActions:
		p.actionsText(key, group, name, text)
	case typeIgnore:
		if n := p.yaml(key, 0, text); n != nil {
			p.ignoreRules(key, 0, group, name, n)
		}
	}
}

func (p *parser) health(where, group, kind, text string) {
	if strings.TrimSpace(text) == "" {
		p.warn(where, "the script is empty and has no effect")
		return
	}
	if prog := p.compile(where, text); prog != nil {
		p.scripts.health.add(group, kind, prog)
	}
}

func (p *parser) compile(where, text string) *program {
	prog, err := compile(where, text)
	if err != nil {
		p.problems = append(p.problems, fault.As(err))
	}
	return prog
}

// yaml parses the text of a key; line is added to its lines. nil is an empty
// text or one with an error.
func (p *parser) yaml(where string, line int, text string) *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		p.invalid(where, 0, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	if doc.Kind == 0 {
		return nil
	}
	n := doc.Content[0]
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		p.invalid(where, line+n.Line, "this must be a mapping")
		return nil
	}
	return n
}

// entries calls do for each key of a mapping.
func entries(n *yaml.Node, do func(key, value *yaml.Node)) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := n.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		do(n.Content[i], value)
	}
}

// long reads the key resource.customizations: a mapping from "group/Kind".
func (p *parser) long(text string) {
	n := p.yaml(keyPrefix, 0, text)
	if n == nil {
		return
	}
	entries(n, func(key, value *yaml.Node) {
		group, kind, ok := strings.Cut(key.Value, "/")
		switch {
		case key.Value == "*":
			group, kind = "*", "*"
		case !ok:
			group, kind = "", key.Value
		}
		if kind == "" || strings.Contains(kind, "/") {
			p.invalid(keyPrefix, key.Line, "%q must be group/Kind, or Kind for the core group", clip(key.Value))
			return
		}
		if value.Kind != yaml.MappingNode {
			p.invalid(keyPrefix, value.Line, "%s must be a mapping", clip(key.Value))
			return
		}
		p.longKind(clip(key.Value), group, kind, value)
	})
}

var longFields = []string{"health.lua", "health.lua.useOpenLibs", typeActions, typeIgnore, "ignoreResourceUpdates", "knownTypeFields"}

func (p *parser) longKind(name, group, kind string, n *yaml.Node) {
	entries(n, func(key, value *yaml.Node) {
		where := fmt.Sprintf("%s: %s: %s", keyPrefix, name, key.Value)
		switch key.Value {
		case "health.lua":
			if p.scalar(keyPrefix, value) {
				p.health(where, group, kind, value.Value)
			}
		case typeActions:
			if value.Kind == yaml.MappingNode {
				p.actions(where, 0, group, kind, value)
			} else if p.scalar(keyPrefix, value) {
				p.actionsText(where, group, kind, value.Value)
			}
		case typeIgnore:
			if value.Kind == yaml.MappingNode {
				p.ignoreRules(where, 0, group, kind, value)
			} else if p.scalar(keyPrefix, value) {
				if rules := p.yaml(where, value.Line, value.Value); rules != nil {
					p.ignoreRules(where, value.Line, group, kind, rules)
				}
			}
		case "health.lua.useOpenLibs":
			p.warn(where, "this has no effect: %s", ignoredTypes["useOpenLibs"])
		case "ignoreResourceUpdates", "knownTypeFields":
			p.warn(where, "this has no effect: %s", ignoredTypes[key.Value])
		default:
			p.unknown(fmt.Sprintf("%s: %s", keyPrefix, name), key, longFields)
		}
	})
}

// scalar reports whether a value is text, and a problem when it is not.
func (p *parser) scalar(where string, n *yaml.Node) bool {
	if n.Kind == yaml.ScalarNode {
		return true
	}
	p.invalid(where, n.Line, "this must be text")
	return false
}

// unknown warns of a field that Argo CD would skip in silence.
func (p *parser) unknown(where string, key *yaml.Node, known []string) {
	hint := ""
	if near := nearest.Word(key.Value, known); near != "" {
		hint = fmt.Sprintf("; did you mean %s?", near)
	}
	p.warn(where, "line %d: %q is unknown and has no effect%s", key.Line, clip(key.Value), hint)
}

func (p *parser) actionsText(where, group, kind, text string) {
	if n := p.yaml(where, 0, text); n != nil {
		p.actions(where, 0, group, kind, n)
	}
}

func (p *parser) actions(where string, line int, group, kind string, n *yaml.Node) {
	a := &actions{run: map[string]*program{}}
	entries(n, func(key, value *yaml.Node) {
		switch key.Value {
		case discoveryFile:
			if p.scalar(where, value) && strings.TrimSpace(value.Value) != "" {
				a.discovery = p.compile(where+": "+discoveryFile, value.Value)
			}
		case "definitions":
			if value.Kind != yaml.SequenceNode {
				p.invalid(where, line+value.Line, "definitions must be a list")
				return
			}
			for _, d := range value.Content {
				p.definition(where, line, a, d)
			}
		case "mergeBuiltinActions":
			if err := value.Decode(&a.merge); err != nil {
				p.invalid(where, line+value.Line, "mergeBuiltinActions must be true or false")
			}
		default:
			p.unknown(where, key, []string{discoveryFile, "definitions", "mergeBuiltinActions"})
		}
	})
	if a.discovery == nil && len(a.run) > 0 {
		p.warn(where, "there is no %s, so the actions are not offered", discoveryFile)
	}
	p.scripts.actions.add(group, kind, a)
}

func (p *parser) definition(where string, line int, a *actions, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.invalid(where, line+n.Line, "a definition must be a mapping with name and %s", actionFile)
		return
	}
	var name, script string
	entries(n, func(key, value *yaml.Node) {
		switch key.Value {
		case "name":
			name = value.Value
		case actionFile:
			if p.scalar(where, value) {
				script = value.Value
			}
		default:
			p.unknown(where, key, []string{"name", actionFile})
		}
	})
	switch {
	case name == "":
		p.invalid(where, line+n.Line, "a definition has no name")
	case strings.TrimSpace(script) == "":
		p.invalid(where, line+n.Line, "the definition of %q has no %s", clip(name), actionFile)
	case a.run[name] != nil:
		p.invalid(where, line+n.Line, "%q is defined twice", clip(name))
	default:
		if prog := p.compile(fmt.Sprintf("%s: %s: %s", where, clip(name), actionFile), script); prog != nil {
			a.run[name] = prog
		}
	}
}

func (p *parser) ignoreRules(where string, line int, group, kind string, n *yaml.Node) {
	rule := model.IgnoreDifferences{Group: group, Kind: kind}
	entries(n, func(key, value *yaml.Node) {
		var to *[]string
		switch key.Value {
		case "jsonPointers":
			to = &rule.JSONPointers
		case "jqPathExpressions":
			to = &rule.JQPathExpressions
		case "managedFieldsManagers":
			to = &rule.ManagedFieldsManagers
		default:
			p.unknown(where, key, []string{"jsonPointers", "jqPathExpressions", "managedFieldsManagers"})
			return
		}
		if err := value.Decode(to); err != nil {
			p.invalid(where, line+value.Line, "%s must be a list of strings", key.Value)
		}
	})
	if p.ignore == nil {
		p.ignore = map[[2]string]int{}
	}
	if i, ok := p.ignore[[2]string{group, kind}]; ok {
		p.scripts.Ignore[i] = rule
		return
	}
	p.ignore[[2]string{group, kind}] = len(p.scripts.Ignore)
	p.scripts.Ignore = append(p.scripts.Ignore, rule)
}
