package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/hawser-dev/hawser/hub/api"
	"github.com/hawser-dev/hawser/shared/model"
)

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	anyType  = reflect.TypeFor[any]()
	// numberOrText has a JSON form of its own.
	numberOrText = reflect.TypeFor[model.IntOrString]()
)

// publicName is what a named type is called outside: "list[model.AppView]" is
// AppViewList, apiToken is APIToken.
func publicName(t reflect.Type) string {
	name := t.Name()
	base, args, generic := strings.Cut(name, "[")
	if generic {
		args = strings.TrimSuffix(args, "]")
		args = args[strings.LastIndexAny(args, "./")+1:]
		return exported(args) + exported(base)
	}
	return exported(name)
}

func exported(name string) string {
	for _, short := range []string{"api", "url", "id"} {
		if rest, ok := strings.CutPrefix(name, short); ok && (rest == "" || unicode.IsUpper(rune(rest[0]))) {
			return strings.ToUpper(short) + rest
		}
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// field is a member of the JSON form of a struct.
type field struct {
	name, doc string
	typ       reflect.Type
	optional  bool
	object    bool // raw JSON that must be an object
}

// fieldsOf are the members of the JSON form of a struct, those of embedded
// structs among them.
func fieldsOf(t reflect.Type, src *source) []field {
	var out []field
	at := map[string]int{}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if name == "-" {
			continue
		}
		if f.Anonymous && name == "" {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			for _, x := range fieldsOf(inner, src) {
				if _, own := at[x.name]; !own {
					at[x.name] = len(out)
					out = append(out, x)
				}
			}
			continue
		}
		if !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		x := field{
			name: name, doc: src.fieldDoc(t, f.Name), typ: f.Type, object: f.Tag.Get("shape") == "object",
			optional: strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero"),
		}
		if was, inner := at[name]; inner {
			out[was] = x
			continue
		}
		at[name] = len(out)
		out = append(out, x)
	}
	return out
}

// bodyOf is the type of a route's body; nil for none.
func bodyOf(r api.Route) reflect.Type {
	if r.Body == nil {
		return nil
	}
	t := reflect.TypeOf(r.Body)
	if strings.HasPrefix(t.Name(), "manifestOf[") {
		return t.Field(0).Type
	}
	return t
}

func answerOf(r api.Route) reflect.Type {
	if r.Answer == nil {
		return nil
	}
	return reflect.TypeOf(r.Answer)
}

// anyShape reports whether values of a type of the table are JSON of no certain
// shape, and texts whether they are manifests.
func anyShape(t reflect.Type) bool { return t == rawType || t.Name() == "liveObject" }

func texts(t reflect.Type) bool { return t.Name() == "manifests" }

// structs calls each with every struct below a type, once, the outer first.
func structs(t reflect.Type, seen map[reflect.Type]bool, each func(reflect.Type)) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		if t != rawType {
			structs(t.Elem(), seen, each)
		}
	case reflect.Struct:
		if seen[t] || t == timeType || t == numberOrText || anyShape(t) || texts(t) {
			return
		}
		if t.Name() == "" {
			panic(fmt.Sprintf("a struct without a name goes through the API: %s", t))
		}
		seen[t] = true
		each(t)
		for i := range t.NumField() {
			if f := t.Field(i); f.Tag.Get("json") != "-" && (f.IsExported() || f.Anonymous) {
				structs(f.Type, seen, each)
			}
		}
	}
}

// pathWords splits a path into its fixed words and its parameters: "/a/:name/b".
func pathWords(path string) (words []string, parameters []string) {
	for word := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if p, ok := strings.CutPrefix(word, ":"); ok {
			parameters = append(parameters, p)
		}
		words = append(words, word)
	}
	return words, parameters
}

// called reports whether a route is one request with one answer; the others have
// only the path of their stream in the clients.
func called(r api.Route) bool {
	return r.Stream == api.NoStream || r.Stream == api.Lines && r.Answer != nil && !strings.HasPrefix(r.ID, "stream")
}

func streamed(r api.Route) bool { return r.Stream != api.NoStream }

// oneLine is a comment in one line.
func oneLine(doc string) string { return strings.Join(strings.Fields(doc), " ") }

// docOf is the comment of a type, about its public name.
func docOf(t reflect.Type, src *source) string {
	doc := src.typeDoc(t)
	switch {
	case bareName(t) == "list":
		return publicName(t) + " is a page of a list."
	case doc == "":
		return ""
	}
	return publicName(t) + strings.TrimPrefix(doc, bareName(t))
}
