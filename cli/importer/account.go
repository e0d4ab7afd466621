package importer

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/shared/model"
)

// Annotations that record an import.
const (
	// AnnotationImportedFrom of an object of the hub says what it was:
	// argocd/NAMESPACE/NAME.
	AnnotationImportedFrom = "hawser.dev/imported-from"
	// AnnotationPaused of an Application of Argo CD is what a handover took from
	// it, to be given back: a Paused as JSON.
	AnnotationPaused = "hawser.dev/paused"
	// AnnotationPausedSet is the same of an ApplicationSet: a PausedSet.
	AnnotationPausedSet = "hawser.dev/paused-set"

	// LabelImported of an object of the hub finds what was imported, by what from.
	LabelImported = "hawser.dev/imported"

	annotationMode = model.AnnotationMode
	modeObserve    = model.ModeObserve
)

var (
	typeRaw         = reflect.TypeFor[json.RawMessage]()
	typeTime        = reflect.TypeFor[time.Time]()
	typeIntOrString = reflect.TypeFor[model.IntOrString]()
)

// accountant walks an object of one of the three kinds, writes a line for every
// field, and takes out what is not to be written.
type accountant struct {
	kind string
	item *Item
	// taken tells what a field that is taken means here, "" for nothing to say.
	note map[string]string
}

// join appends a key to a path, in brackets when it is not a plain word.
func join(path, key string) string {
	plain := key != "" && strings.IndexFunc(key, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	}) < 0
	switch {
	case !plain:
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

func (a *accountant) object(n *yaml.Node) { a.mapping(n, typeOfKind[a.kind], "", "") }

func (a *accountant) mapping(n *yaml.Node, t reflect.Type, path, pattern string) {
	var drop []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		at, shape := join(path, key), key
		if pattern != "" {
			shape = pattern + "." + key
		}
		r, ruled := ruleOf(a.kind, shape)
		if ruled {
			if a.apply(at, r) {
				drop = append(drop, key)
			}
			continue
		}
		field, known := fieldOf(t, key)
		if !known {
			a.item.attention(at, "Hawser has no such field; it is left out", "check the spelling, or whether it is needed")
			drop = append(drop, key)
			continue
		}
		a.value(value, field, at, shape)
	}
	for _, key := range drop {
		removeChild(n, key)
	}
	if len(n.Content) == 0 && path != "" && !a.item.Covers(path) && len(drop) == 0 {
		a.item.taken(path, "")
	}
}

// apply writes the line of a rule and reports whether the field is dropped.
func (a *accountant) apply(at string, r rule) bool {
	a.item.add(Field{Path: at, Outcome: r.outcome, To: r.to, Why: r.why, Fix: r.fix})
	a.item.Blocked = a.item.Blocked || r.block
	return r.drop
}

func (a *accountant) value(n *yaml.Node, t reflect.Type, path, pattern string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	leaf := t == typeRaw || t == typeTime || t == typeIntOrString || n.Kind == yaml.ScalarNode || len(n.Content) == 0
	switch {
	case leaf:
		a.item.taken(path, a.note[path])
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			a.value(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i), pattern+"[]")
		}
	case t.Kind() == reflect.Map && n.Kind == yaml.MappingNode:
		var drop []string
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, at := n.Content[i].Value, join(path, n.Content[i].Value)
			if r, ok := ruleOfAnnotation(key); ok && pattern == "metadata.annotations" {
				if a.apply(at, r) {
					drop = append(drop, key)
				}
				continue
			}
			a.value(n.Content[i+1], t.Elem(), at, pattern+".*")
		}
		for _, key := range drop {
			removeChild(n, key)
		}
	case t.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		a.mapping(n, t, path, pattern)
	default:
		// The wrong type: the decoder says so.
		a.item.taken(path, "")
	}
}
