package kustomize

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// code is that of everything that is wrong with a kustomization and has no code
// of its own.
const code = "kustomize_error"

// maxMessage is the length of a message for users.
const maxMessage = 300

func failure(format string, args ...any) *fault.Error {
	return fault.New(fault.Unprocessable, code, "%s", workspace.Clip(fmt.Sprintf(format, args...), maxMessage))
}

// unreadable says why a kustomization file cannot be read.
func unreadable(name string, content []byte, err error) error {
	// The parser of manifests knows line and column, and what a tab is.
	if _, parsed := manifest.Parse(name, content, manifest.Limits{MaxBytes: max(len(content), 1)}); fault.HasCode(parsed, "yaml_invalid") {
		return parsed
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		if wrongType.Field == "" {
			return failure("%s: a kustomization is a mapping with fields, and this is not one", name)
		}
		return failure("%s: %s may not be %s", name, wrongType.Field, valueName(wrongType.Value))
	}
	text := err.Error()
	if field, found := after(text, `json: unknown field `); found {
		return failure("%s: there is no field %s in a kustomization", name, field).
			WithFix("check the spelling, and the level that the field stands at")
	}
	return failure("%s: %s", name, tidy(text))
}

func valueName(json string) string {
	switch {
	case strings.HasPrefix(json, "number"):
		return "a number"
	case json == "bool":
		return "true or false"
	case json == "array":
		return "a list"
	case json == "object":
		return "a mapping"
	}
	return "a " + json
}

func after(text, mark string) (string, bool) {
	i := strings.LastIndex(text, mark)
	if i < 0 {
		return "", false
	}
	return text[i+len(mark):], true
}

// broken returns what is wrong with the first resource file that is no YAML,
// with its line, or else err.
func (p *plan) broken(err error) error {
	for _, abs := range p.resources {
		content, rerr := p.t.read(abs)
		if rerr != nil {
			continue
		}
		lim := p.w.Limits.Manifest
		lim.MaxBytes = max(len(content), 1)
		if _, perr := manifest.Parse(p.t.name(abs), content, lim); perr != nil {
			switch fault.As(perr).Code {
			case "yaml_invalid", "yaml_duplicate_key", "manifest_incomplete", "manifest_invalid":
				return perr
			}
		}
	}
	return err
}

// What the library puts around the reason of a failure.
var (
	wrapped = regexp.MustCompile(`^(?:accumulating (?:resources|components)|(?:recursed accumulation of|couldn't make target for) path '([^']*)'|recursed merging from path '[^']*'|accumulating resources from '[^']*'|merging resources from '[^']*'|loading (?:generator|transformer) plugins|failed to load (?:generator|transformer)): `)
	quoted  = regexp.MustCompile(`^(?:accumulateDirectory|loader\.New)(?::)? (".*")$`)
	file    = regexp.MustCompile(`(?s)^accumulation err='(.*)': must build at directory: .*file is not directory$`)
	inner   = regexp.MustCompile(`(?s)^accumulation err='.*?': ((?:recursed|couldn't|expected|must build|new root|cycle|security|unable|accumulat).*)$`)
	builtin = regexp.MustCompile("(?s)^trouble configuring builtin (\\w+) with config: `\n.*`: (.*)$")
	plugin  = regexp.MustCompile(`(?s)^plugin (\S+) fails configuration: (.*)$`)
	merging = regexp.MustCompile(`(?s)^merging (?:from generator|config|CRDs|vars) .*?: ((?:id |may not|var |found \d).*)$`)
	resID   = regexp.MustCompile(`resid\.ResId\{Gvk:resid\.Gvk\{Group:"([^"]*)", Version:"([^"]*)", Kind:"([^"]*)"[^}]*\}, Name:"([^"]*)", Namespace:"([^"]*)"\}`)
	pointer = regexp.MustCompile(`\(?\*?0x[0-9a-f]+\)?|&?\{[^{}]*0x[0-9a-f]+[^{}]*\}`)
	goType  = regexp.MustCompile(`&?\b(?:types|resid|resmap|resource|yaml|json|builtins|errors|filesys|target|v1|reflect|map\[[a-z]+\])\.[A-Z]\w*(?:\{[^{}]*\})?`)
	goField = regexp.MustCompile(`Go (?:struct field|value) \S* ?of type \S+`)
)

// fields are those of a kustomization that the built-in plugins are for.
var fields = map[string]string{
	"PatchTransformer": "patches", "PatchJson6902Transformer": "patchesJson6902", "PatchStrategicMergeTransformer": "patchesStrategicMerge",
	"ConfigMapGenerator": "configMapGenerator", "SecretGenerator": "secretGenerator", "ReplacementTransformer": "replacements",
	"ReplicaCountTransformer": "replicas", "ImageTagTransformer": "images", "LabelTransformer": "labels",
	"AnnotationsTransformer": "commonAnnotations", "NamespaceTransformer": "namespace", "PrefixTransformer": "namePrefix", "SuffixTransformer": "nameSuffix",
}

// failed turns an error of the library into one for users: the file, the reason,
// and nothing of the library's inside.
func (p *plan) failed(root string, err error) error {
	if p.t.failed != nil {
		return p.t.failed
	}
	text := err.Error()
	if low := strings.ToLower(text); strings.Contains(low, "yaml") {
		if better := p.broken(nil); better != nil {
			return better
		}
	}
	dir, field := root, ""
	for range 10 * maxDepth {
		switch m := wrapped.FindStringSubmatch(text); {
		case m != nil:
			if m[1] != "" {
				dir = m[1]
			}
			text = text[len(m[0]):]
			continue
		}
		if m := quoted.FindStringSubmatch(text); m != nil {
			if plain, err := strconv.Unquote(m[1]); err == nil {
				text = plain
				continue
			}
		}
		if m := file.FindStringSubmatch(text); m != nil {
			text = m[1]
			continue
		}
		if m := inner.FindStringSubmatch(text); m != nil {
			text = m[1]
			continue
		}
		if m := merging.FindStringSubmatch(text); m != nil {
			text = m[1]
			continue
		}
		if m := builtin.FindStringSubmatch(text); m != nil {
			field, text = fields[m[1]], m[2]
			continue
		}
		if m := plugin.FindStringSubmatch(text); m != nil {
			text = m[2]
			continue
		}
		break
	}
	name := p.t.name(dir)
	if n := p.visited[clean(dir)]; n != nil {
		name = n.file
	}
	if field != "" {
		name += ": " + field
	}
	return reason(name, p.plain(text))
}

// plain replaces names that the plan made up by what users know.
func (p *plan) plain(text string) string {
	if strings.Contains(text, addedName) {
		for abs, what := range p.added {
			name := what.url
			if name == "" {
				name = "the output of a chart"
			}
			text = strings.ReplaceAll(text, path.Base(abs), name)
		}
		text = strings.ReplaceAll(text, "./https://", "https://")
	}
	return p.t.plain(text)
}

var (
	noTarget   = regexp.MustCompile(`^no matches for Id ([^;]*); failed to find unique target for patch `)
	noTarget2  = regexp.MustCompile(`^no resource matches strategic merge patch "?([^"]*)"?: no matches for Id`)
	manyTarget = regexp.MustCompile(`^multiple matches for Id ([^;]*); failed to find unique target for patch `)
	registered = regexp.MustCompile(`^may not add resource with an already registered id: (.*)$`)
	exists     = regexp.MustCompile(`^id (.*) exists; .*behavior must be merge or replace$`)
	missing    = regexp.MustCompile(`^id (.*) does not exist; cannot merge or replace$`)
	namespaces = regexp.MustCompile(`^namespace transformation produces ID conflict`)
	emptied    = regexp.MustCompile(`^kustomization\.yaml is empty`)
	noSource   = regexp.MustCompile(`^nothing selected by (.*)$`)
	literal    = regexp.MustCompile(`literal sources? .*expected key=value`)
	utf8Line   = regexp.MustCompile(`has invalid utf8 bytes`)
	varMissing = regexp.MustCompile(`^var '\{(\S+) .*\}' cannot be mapped to a field`)
	copied     = regexp.MustCompile(`^Unable to complete the copy, the accumulated size`)
)

func reason(name, text string) error {
	text = tidy(text)
	if m := noTarget.FindStringSubmatch(text); m != nil {
		return failure("%s: the patch for %s matches no object", name, m[1]).WithFix("name an object of the bases, or give the patch a target")
	}
	if m := noTarget2.FindStringSubmatch(text); m != nil {
		return failure("%s: the patch for %s matches no object", name, m[1]).WithFix("name an object of the bases, or give the patch a target")
	}
	if m := manyTarget.FindStringSubmatch(text); m != nil {
		return failure("%s: the patch for %s matches several objects", name, m[1]).WithFix("give the patch a target that names namespace, group and kind")
	}
	if m := registered.FindStringSubmatch(text); m != nil {
		return failure("%s: %s is defined twice", name, m[1]).WithFix("remove one of the two, or change one with a patch or a namePrefix")
	}
	if m := exists.FindStringSubmatch(text); m != nil {
		return failure("%s: %s exists already", name, m[1]).WithFix("give the generator behavior: merge or behavior: replace, or another name")
	}
	if m := missing.FindStringSubmatch(text); m != nil {
		return failure("%s: there is no %s that the generator could merge with or replace", name, m[1]).WithFix("use behavior: create, or name a generator of a base")
	}
	if m := varMissing.FindStringSubmatch(text); m != nil {
		return failure("%s: vars: %q stands for a field of an object that is not here", name, m[1]).WithFix("name an object of the kustomization in objref, and a field that it has in fieldref")
	}
	switch {
	case namespaces.MatchString(text):
		// The library puts the whole objects here, Secrets included.
		return failure("%s: namespace: two objects of one name and kind end up in one namespace", name).WithFix("rename one of them, or remove one")
	case literal.MatchString(text):
		// The library puts the values of all literals here.
		return failure("%s: literals: one of them has no \"=\"", name).WithFix("write KEY=VALUE")
	case utf8Line.MatchString(text):
		return failure("%s: a file with variables is no UTF-8 text", name)
	case emptied.MatchString(text):
		return failure("%s is empty", name).WithFix(`list what it is made of under "resources"`)
	case noSource.MatchString(text):
		return failure("%s: replacements: %s", name, text).WithFix("name an object that the kustomization has at this point")
	case copied.MatchString(text):
		return failure("%s: the copy operations of a JSON patch add more than %d MiB", name, maxCopied>>20)
	}
	return failure("%s: %s", name, text)
}

// tidy makes one line of an error of the library, without its inner names and
// without the contents of objects.
func tidy(text string) string {
	text = resID.ReplaceAllStringFunc(text, func(id string) string {
		m := resID.FindStringSubmatch(id)
		return m[3] + " " + m[4]
	})
	for _, mark := range []string{"node contents", "ID conflict", "\n"} {
		if before, _, found := strings.Cut(text, mark); found && strings.TrimSpace(before) != "" {
			if mark == "ID conflict" {
				before += mark
			}
			text = before
		}
	}
	text = strings.NewReplacer(".[noGrp]", "", ".[noNs]", "", ".[noVer]", "", "invalid Kustomization: ", "",
		"error converting YAML to JSON: ", "", "error unmarshaling JSON: ", "", "while decoding JSON: ", "", "json: ", "").Replace(text)
	text = goField.ReplaceAllString(text, "this field")
	text = pointer.ReplaceAllString(text, "…")
	text = goType.ReplaceAllString(text, "…")
	return strings.TrimRight(strings.TrimSpace(text), ":;,. ")
}
