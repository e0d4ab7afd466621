package decode

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Into fills the struct that v points to from one document. Errors are a
// fault.List of at most 20.
func Into(data []byte, v any) error {
	docs, err := parse(data)
	if err != nil {
		return err
	}
	if len(docs) == 0 {
		return fault.New(fault.Invalid, "body_missing", "the text is empty; an object is needed")
	}
	if len(docs) > 1 {
		return fault.New(fault.Invalid, "too_many_documents", "there are %d documents; one is needed", len(docs))
	}
	f := filler{root: reflect.TypeOf(v).Elem()}
	f.fill(docs[0], reflect.ValueOf(v).Elem(), "", "")
	return f.err()
}

type filler struct {
	problems
	root reflect.Type
}

// field is one JSON field of a struct.
type field struct {
	name  string
	index []int  // by way of embedded structs
	shape string // of a json.RawMessage: "object" when nothing else will do
	// absent: an empty list or map means the same as none, and becomes none,
	// so that a document equals what is read back after it was stored.
	absent bool
}

var fieldCache sync.Map // reflect.Type → []field

func fieldsOf(t reflect.Type) []field {
	if v, ok := fieldCache.Load(t); ok {
		return v.([]field)
	}
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "" && sf.Anonymous && sf.Type.Kind() == reflect.Struct {
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				out = append(out, f)
			}
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		out = append(out, field{name, []int{i}, sf.Tag.Get("shape"), options == "omitempty"})
	}
	fieldCache.Store(t, out)
	return out
}

// dropped are fields of exported objects that mean nothing here: the server
// that they come from set them.
var dropped = map[reflect.Type]map[string]bool{
	reflect.TypeFor[model.ObjectMeta](): {
		"managedFields": true, "selfLink": true, "ownerReferences": true,
		"deletionGracePeriodSeconds": true, "generateName": true,
	},
}

var (
	typeRaw         = reflect.TypeFor[json.RawMessage]()
	typeTime        = reflect.TypeFor[time.Time]()
	typeIntOrString = reflect.TypeFor[model.IntOrString]()
	typeGitRepo     = reflect.TypeFor[model.GitIntegrityRepo]()
)

func (f *filler) fill(n *node, v reflect.Value, path, shape string) {
	t := v.Type()
	switch {
	case t == typeRaw:
		if shape == "object" && n.kind != kindObject {
			f.mismatch(n, path, "an object")
			return
		}
		v.SetBytes(n.json())
		return
	case t == typeTime:
		f.time(n, v, path)
		return
	case t == typeIntOrString:
		f.intOrString(n, v, path)
		return
	case t == typeGitRepo && n.kind == kindString:
		v.Set(reflect.ValueOf(model.GitIntegrityRepo{URL: n.text}))
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		p := reflect.New(t.Elem())
		f.fill(n, p.Elem(), path, shape)
		v.Set(p)
	case reflect.Struct:
		f.object(n, v, path)
	case reflect.Slice:
		if n.kind != kindList {
			f.mismatch(n, path, "a list")
			return
		}
		s := reflect.MakeSlice(t, len(n.list), len(n.list))
		for i, item := range n.list {
			f.fill(item, s.Index(i), fmt.Sprintf("%s[%d]", path, i), "")
		}
		v.Set(s)
	case reflect.Map:
		if n.kind != kindObject {
			f.mismatch(n, path, "an object")
			return
		}
		m := reflect.MakeMapWithSize(t, len(n.entries))
		for _, e := range n.entries {
			value := reflect.New(t.Elem()).Elem()
			f.fill(e.value, value, join(path, e.key), "")
			m.SetMapIndex(reflect.ValueOf(e.key), value)
		}
		v.Set(m)
	case reflect.String:
		if n.kind != kindString {
			f.mismatch(n, path, "a string")
			return
		}
		v.SetString(n.text)
	case reflect.Bool:
		if n.kind != kindBool && !n.plainBool {
			f.mismatch(n, path, "true or false")
			return
		}
		v.SetBool(n.bool)
	case reflect.Int, reflect.Int32, reflect.Int64:
		f.integer(n, v, path)
	default:
		panic("decode: a field of type " + t.String() + " is not supported")
	}
}

func (f *filler) object(n *node, v reflect.Value, path string) {
	if n.kind != kindObject {
		f.mismatch(n, path, "an object")
		return
	}
	known := fieldsOf(v.Type())
next:
	for _, e := range n.entries {
		for _, k := range known {
			if k.name == e.key {
				// null means absent, as in Kubernetes.
				if e.value.kind != kindNull {
					fv := v.FieldByIndex(k.index)
					f.fill(e.value, fv, join(path, e.key), k.shape)
					if k.absent && (fv.Kind() == reflect.Slice || fv.Kind() == reflect.Map) && fv.Len() == 0 {
						fv.SetZero()
					}
				}
				continue next
			}
		}
		if !dropped[v.Type()][e.key] {
			f.unknown(e, known, path)
		}
	}
}

func (f *filler) integer(n *node, v reflect.Value, path string) {
	if n.kind != kindNumber {
		f.mismatch(n, path, "a number")
		return
	}
	i, err := strconv.ParseInt(n.text, 10, v.Type().Bits())
	if err != nil {
		f.mismatch(n, path, "a whole number")
		return
	}
	v.SetInt(i)
}

func (f *filler) intOrString(n *node, v reflect.Value, path string) {
	var out model.IntOrString
	switch n.kind {
	case kindString:
		out.Str = n.text
	case kindNumber:
		i, err := strconv.ParseInt(n.text, 10, 64)
		if err != nil {
			f.mismatch(n, path, "a whole number")
			return
		}
		out.IsInt, out.Int = true, i
	default:
		f.mismatch(n, path, "a number or a string")
		return
	}
	v.Set(reflect.ValueOf(out))
}

func (f *filler) time(n *node, v reflect.Value, path string) {
	if n.kind == kindString {
		if t, err := time.Parse(time.RFC3339, n.text); err == nil {
			v.Set(reflect.ValueOf(t.UTC()))
			return
		}
	}
	f.mismatch(n, path, `a time such as "2026-01-31T12:00:00Z"`)
}

func (f *filler) mismatch(n *node, path, want string) {
	if f.full() {
		return
	}
	if path == "" {
		path = "the document"
	}
	e := fault.New(fault.Invalid, "type_mismatch", "%s must be %s, got %s", path, want, n.describe()).
		WithField(path).WithFound(n.describe(), want)
	if want == "a string" && (n.kind == kindNumber || n.kind == kindBool) {
		e = e.WithFix("write it in quotes")
	}
	f.add(e)
}

func (f *filler) unknown(e entry, known []field, path string) {
	if f.full() {
		return
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.name
	}
	full := join(path, e.key)
	err := fault.New(fault.Invalid, "unknown_field", "unknown field %s", full).WithField(full).
		WithFound(strings.TrimSuffix(strings.TrimPrefix(join("", e.key), "["), "]"), strings.Join(names, ", "))
	if near := nearest.Word(e.key, names); near != "" {
		err.Message += fmt.Sprintf("; did you mean %q?", near)
		err.Fix = "write " + join(path, near)
	} else if full == "spec.sourceIntegrity.helm" {
		err.Message += ": signatures are verified of Git sources alone, not of charts"
		err.Fix = "leave it out, and write spec.sourceIntegrity.git.policies for repositories of Git; see docs/signatures.md"
	} else if elsewhere := f.elsewhere(e.key, path); elsewhere != "" {
		err.Message += "; did you mean " + elsewhere + "?"
		err.Fix = "write " + elsewhere
	}
	if len(err.Allowed) > 300 {
		err.Allowed = err.Allowed[:297] + "..."
	}
	f.add(err)
}

// otherNames are words that people use for fields.
var otherNames = map[string]string{
	"autosync": "automated", "autosyncpolicy": "automated", "repo": "repoURL", "repository": "repoURL",
	"url": "repoURL", "branch": "targetRevision", "revision": "targetRevision", "cluster": "name",
}

// elsewhere looks for a field of the same meaning in another place of the
// document: people put syncOptions into spec.
func (f *filler) elsewhere(key, path string) string {
	want := key
	if other, ok := otherNames[strings.ToLower(key)]; ok {
		want = other
	}
	best := ""
	var walk func(t reflect.Type, at string, depth int)
	walk = func(t reflect.Type, at string, depth int) {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || t == typeTime || t == typeIntOrString || depth > 5 {
			return
		}
		for _, k := range fieldsOf(t) {
			p := join(at, k.name)
			if strings.EqualFold(k.name, want) && strings.HasPrefix(p, topOf(path)) && (best == "" || len(p) < len(best)) {
				best = p
			}
			walk(t.FieldByIndex(k.index).Type, p, depth+1)
		}
	}
	walk(f.root, "", 0)
	return best
}

// topOf keeps suggestions within the same part of the document.
func topOf(path string) string {
	top, _, _ := strings.Cut(path, ".")
	return top
}

func join(path, key string) string {
	plain := key != "" && len(key) <= 64 && strings.IndexFunc(key, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	}) < 0
	switch {
	case !plain:
		return path + "[" + quote(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}
