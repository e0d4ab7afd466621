package manifest

import (
	"errors"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Fields are places in an object, as JSON pointers in segments. A segment "*" is
// any key or index. They are not modified.
type Fields [][]string

const anySegment = "*"

// kept are the places that say which object it is: nothing may hide them.
var kept = [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "namespace"}, {"metadata", "uid"}}

// ParseField splits a JSON pointer (RFC 6901) to a field that may be hidden.
func ParseField(pointer string) ([]string, error) {
	if !strings.HasPrefix(pointer, "/") {
		return nil, errors.New(`a JSON pointer starts with "/"`)
	}
	segments := strings.Split(pointer[1:], "/")
	for i, s := range segments {
		switch {
		case s == "":
			return nil, errors.New(`there is nothing behind a "/"`)
		case s == "-":
			return nil, errors.New(`"-" is the element after the last one of a list, which never is there; "*" is any element`)
		case strings.Count(s, "~") != strings.Count(s, "~0")+strings.Count(s, "~1"):
			return nil, errors.New(`a "~" is written ~0, and a "/" in a key ~1`)
		}
		segments[i] = strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
	}
	for _, k := range kept {
		if len(segments) <= len(k) && covers(segments, k) {
			return nil, errors.New("it would hide /" + strings.Join(k, "/") + ", by which the object is known")
		}
	}
	return segments, nil
}

// covers reports whether a pointer leads to a place, or to what it is in.
func covers(pointer, place []string) bool {
	for i, s := range pointer {
		if s != anySegment && s != place[i] {
			return false
		}
	}
	return true
}

// FieldsOf are the fields of a kind that rules name. Capitals do not count, and what
// is no pointer is none: whoever wrote it was told.
func FieldsOf(rules []model.SensitiveFields, gk model.GroupKind) Fields {
	var out Fields
	for _, r := range rules {
		if !sameWord(r.Group, gk.Group) || !sameWord(r.Kind, gk.Kind) {
			continue
		}
		for _, p := range r.JSONPointers {
			if segments, err := ParseField(p); err == nil {
				out = append(out, segments)
			}
		}
	}
	return out
}

func sameWord(pattern, word string) bool {
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(word))
	return ok && err == nil
}

// FieldsIn are the fields of an object that rules name.
func FieldsIn(rules []model.SensitiveFields, object map[string]any) Fields {
	if len(rules) == 0 {
		return nil
	}
	version, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	group, _, grouped := strings.Cut(version, "/")
	if !grouped {
		group = ""
	}
	return FieldsOf(rules, model.GroupKind{Group: group, Kind: kind})
}

// OfAnyElement are the fields with "*" in place of numbers: for what compares lists,
// in which an element has another number on each side.
func (f Fields) OfAnyElement() Fields {
	out := make(Fields, len(f))
	for i, segments := range f {
		out[i] = slices.Clone(segments)
		for j, s := range segments {
			if _, err := strconv.ParseUint(s, 10, 64); err == nil {
				out[i][j] = anySegment
			}
		}
	}
	return out
}

// Below are the fields within the value at a segment. With "*" that is one of which
// the key or index is not known.
func (f Fields) Below(segment string) Fields {
	var out Fields
	for _, p := range f {
		if len(p) > 0 && (p[0] == anySegment || p[0] == segment) {
			out = append(out, p[1:])
		}
	}
	return out
}

// Whole reports whether the value itself is one of the fields.
func (f Fields) Whole() bool {
	return slices.ContainsFunc(f, func(p []string) bool { return len(p) == 0 })
}

// Hide is v without the values at the fields, each replaced by what stand says of it;
// v is modified. where is v's own place.
func (f Fields) Hide(where string, v any, stand func(where string, v any) any) any {
	if f.Whole() {
		return stand(where, v)
	}
	if len(f) == 0 {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			if below := f.Below(k); len(below) > 0 {
				v[k] = below.Hide(where+"/"+escapeKey.Replace(k), item, stand)
			}
		}
	case []any:
		for i, item := range v {
			n := strconv.Itoa(i)
			if below := f.Below(n); len(below) > 0 {
				v[i] = below.Hide(where+"/"+n, item, stand)
			}
		}
	}
	return v
}

var escapeKey = strings.NewReplacer("~", "~0", "/", "~1")

var tagged = regexp.MustCompile(`^redacted:[0-9a-f]{8}$`)

// HideIn is a copy of v, what is at where in an object, with tags in place of the
// values at the fields, see Tag. What has a tag keeps it.
func (f Fields) HideIn(object map[string]any, where string, v any, key []byte) any {
	if len(f) == 0 {
		return v
	}
	return f.Hide(where, deepCopy(v), tagIn(object, key))
}

func tagIn(object map[string]any, key []byte) func(where string, v any) any {
	return func(where string, v any) any {
		if s, ok := v.(string); ok && tagged.MatchString(s) {
			return v
		}
		return Tag(object, where, v, key)
	}
}

// RedactFields is Redact, and has tags in place of the values at the fields, too. The
// keys and elements that managed fields name are then hidden: they may be such values.
func RedactFields(body map[string]any, key []byte, fields Fields, annotations ...string) map[string]any {
	out := Redact(body, key, annotations...)
	if len(fields) == 0 || out == nil {
		return out
	}
	stand := tagIn(body, key)
	fields.Hide("", out, stand)
	if meta, ok := out["metadata"].(map[string]any); ok {
		hideElements(meta["managedFields"], stand)
	}
	return out
}

// hideElements replaces what managed fields, v, say of elements of lists: their keys
// and values. v is modified.
func hideElements(v any, stand func(where string, v any) any) {
	switch v := v.(type) {
	case map[string]any:
		named := make(map[string]any, len(v))
		for k, item := range v {
			hideElements(item, stand)
			if strings.HasPrefix(k, "k:") || strings.HasPrefix(k, "v:") {
				if tag, ok := stand("managedFields", k[2:]).(string); ok {
					delete(v, k)
					named[k[:2]+tag] = item
				}
			}
		}
		for k, item := range named {
			v[k] = item
		}
	case []any:
		for _, item := range v {
			hideElements(item, stand)
		}
	}
}
