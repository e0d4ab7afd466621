package customization

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// The keys, as Argo CD's operator manual has them (argocd-cm.yaml).
const (
	// All is one YAML document with the customizations of many kinds, the older
	// form.
	All = "resource.customizations"
	// CompareOptions are options of every comparison.
	CompareOptions = "resource.compareoptions"
	// SensitiveAnnotations are names of annotations of Secrets, separated by commas,
	// whose values are hidden as well.
	SensitiveAnnotations = "resource.sensitive.mask.annotations"

	prefix = All + "."
)

// Parts of a kind's customization; keys are prefix, part, ".", group_Kind.
const (
	Health            = "health"
	Actions           = "actions"
	IgnoreDifferences = "ignoreDifferences"
	KnownTypeFields   = "knownTypeFields"
	UseOpenLibs       = "useOpenLibs"
)

var parts = []string{Health, Actions, IgnoreDifferences, KnownTypeFields, UseOpenLibs}

// notNeeded are keys of Argo CD that have no meaning here, with the reason.
var notNeeded = map[string]string{
	"resource.exclusions":                   "only kinds of applications are watched",
	"resource.inclusions":                   "only kinds of applications are watched",
	"resource.ignoreResourceUpdatesEnabled": "an update that changes nothing relevant costs nothing here",
	"resource.respectRBAC":                  "kinds that the agent's account may not read are shown as Unknown",
	"resource.customLabels":                 "labels are chosen where they are shown",
	"resource.includeEventLabelKeys":        "this release writes no Kubernetes events",
	"resource.excludeEventLabelKeys":        "this release writes no Kubernetes events",
}

// Key is a key taken apart. Part is empty for All, CompareOptions and
// SensitiveAnnotations.
type Key struct {
	Part string
	// Kind is group_Kind, Kind for the core group, with "*" as wildcard, or
	// "all" where that has a meaning.
	Kind string
}

// ParseKey takes a key that Hawser uses apart.
func ParseKey(key string) (Key, bool) {
	if key == All || key == CompareOptions || key == SensitiveAnnotations {
		return Key{}, true
	}
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return Key{}, false
	}
	part, kind, ok := strings.Cut(rest, ".")
	if !ok || kind == "" || !slices.Contains(parts, part) {
		return Key{}, false
	}
	return Key{Part: part, Kind: kind}, true
}

// Unused is a key that is left out, and why.
type Unused struct {
	Key string `json:"key"`
	Why string `json:"why"`
	// Resource: the key is, or looks like, one about resources, so somebody may
	// have meant something by it.
	Resource bool `json:"resource,omitempty"`
}

// Split tells the keys that Hawser uses from the others, which come in order.
func Split(data map[string]string) (used model.Customizations, unused []Unused) {
	used = model.Customizations{}
	for key, text := range data {
		if _, ok := ParseKey(key); ok {
			used[key] = text
			continue
		}
		unused = append(unused, explain(key))
	}
	slices.SortFunc(unused, func(a, b Unused) int { return strings.Compare(a.Key, b.Key) })
	return used, unused
}

func explain(key string) Unused {
	if why, ok := notNeeded[key]; ok {
		return Unused{Key: key, Why: why, Resource: true}
	}
	if strings.HasPrefix(key, prefix+"ignoreResourceUpdates.") {
		return Unused{Key: key, Why: notNeeded["resource.ignoreResourceUpdatesEnabled"], Resource: true}
	}
	rest, ok := strings.CutPrefix(key, prefix)
	if ok {
		part, kind, _ := strings.Cut(rest, ".")
		switch {
		case slices.Contains(parts, part):
			return Unused{Key: key, Why: fmt.Sprintf("it names no kind; write %s%s.<group>_<Kind>", prefix, part), Resource: true}
		case nearest.Word(part, parts) != "" && kind != "":
			return Unused{Key: key, Why: fmt.Sprintf("unknown; did you mean %s%s.%s?", prefix, nearest.Word(part, parts), kind), Resource: true}
		}
		return Unused{Key: key, Why: "unknown; after resource.customizations. comes " + strings.Join(parts, ", "), Resource: true}
	}
	// "resources.customizations.health.X", "resource.customization.health.X"
	words := strings.SplitN(key, ".", 4)
	if len(words) >= 3 && nearest.Word(words[0], []string{"resource"}) != "" && nearest.Word(words[1], []string{"customizations"}) != "" {
		return Unused{Key: key, Why: fmt.Sprintf("unknown; did you mean %s%s?", prefix, strings.Join(words[2:], ".")), Resource: true}
	}
	if strings.HasPrefix(key, "resource.") {
		return Unused{Key: key, Why: "unknown", Resource: true}
	}
	return Unused{Key: key, Why: "it is not about resources"}
}
