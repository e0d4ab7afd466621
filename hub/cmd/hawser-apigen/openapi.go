package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hawser-dev/hawser/hub/api"
)

var problemType = reflect.TypeOf(api.ProblemOf(nil, ""))

const schemas = "#/components/schemas/"

// openAPI makes the OpenAPI 3.1 document. Its order is stable.
func openAPI(routes []api.Route, src *source) ([]byte, error) {
	huma.DefaultArrayNullable = false // lists are answered empty, never null
	namer := func(t reflect.Type, hint string) string {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Name() == "" {
			return hint
		}
		return publicName(t)
	}
	g := &documented{src: src, registry: huma.NewMapRegistry(schemas, namer), routes: routes}
	g.registry.RegisterTypeAlias(numberOrText, reflect.TypeFor[numberOrTextSchema]())

	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Hawser", Version: "v1",
			Description: "The API of a Hawser hub. Errors are problem documents of RFC 9457 with a stable code and id, which docs/errors.md lists. Unknown fields, duplicate keys and unknown parameters are refused.",
			License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
		},
		Servers:  []*huma.Server{{URL: "/api/v1"}},
		Security: []map[string][]string{{"bearer": {}}},
		Paths:    map[string]*huma.PathItem{},
		Components: &huma.Components{
			Schemas: g.registry,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"bearer": {Type: "http", Scheme: "bearer", Description: "An API token, from login or POST /tokens"},
			},
			Responses: g.refusals(),
		},
	}
	used := map[string]bool{}
	for _, r := range routes {
		used[r.Tag] = true
		path := openPath(r.Path)
		item := doc.Paths[path]
		if item == nil {
			item = &huma.PathItem{}
			doc.Paths[path] = item
		}
		op := g.operation(r)
		switch r.Method {
		case "GET":
			item.Get = op
		case "PUT":
			item.Put = op
		case "POST":
			item.Post = op
		case "PATCH":
			item.Patch = op
		case "DELETE":
			item.Delete = op
		default:
			return nil, fmt.Errorf("%s %s: the method has no place in the document", r.Method, r.Path)
		}
	}
	for _, t := range api.Tags() {
		if used[t.Name] {
			doc.Tags = append(doc.Tags, &huma.Tag{Name: t.Name, Description: t.Meaning})
		}
	}
	g.describe()
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	// Decoded and encoded once more: all keys in alphabetical order.
	var plain any
	if err := json.Unmarshal(raw, &plain); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(plain); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// openPath is a path as OpenAPI writes it.
func openPath(path string) string {
	words, _ := pathWords(path)
	for i, w := range words {
		if p, ok := strings.CutPrefix(w, ":"); ok {
			words[i] = "{" + p + "}"
		}
	}
	return "/" + strings.Join(words, "/")
}

type documented struct {
	src      *source
	registry huma.Registry
	routes   []api.Route
}

// schema is that of a type of the table.
func (g *documented) schema(t reflect.Type) *huma.Schema {
	switch {
	case anyShape(t):
		return &huma.Schema{Type: huma.TypeObject, Description: "an object as the cluster has it"}
	case texts(t):
		return &huma.Schema{Type: huma.TypeString, Description: "Application and AppProject objects, one after the other"}
	}
	return g.registry.Schema(t, true, publicName(t))
}

// freshLogin is said of routes that are dangerous.
const freshLogin = "Somebody who is logged in, and does not use an API token, must have authenticated in the last 10 minutes (login_confirmation_needed)"

func (g *documented) operation(r api.Route) *huma.Operation {
	op := &huma.Operation{
		OperationID: r.ID, Summary: r.Summary, Description: r.Detail, Tags: []string{r.Tag},
		Responses: map[string]*huma.Response{"default": {Ref: "#/components/responses/problem"}},
	}
	switch {
	case r.Fresh:
		op.Description = strings.TrimSpace(op.Description + " " + freshLogin + ".")
	case r.FreshFor != "":
		op.Description = strings.TrimSpace(op.Description + " " + freshLogin + ", when it " + r.FreshFor + ".")
	}
	for _, status := range refusedWith(r) {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Ref: "#/components/responses/" + refusalName(status)}
	}
	if r.Public {
		op.Security = []map[string][]string{{}}
	}
	if r.Resource != "" {
		op.Extensions = map[string]any{"x-hawser-permission": map[string]string{"verb": string(r.Verb), "resource": string(r.Resource)}}
	}
	_, inPath := pathWords(r.Path)
	for _, p := range inPath {
		op.Parameters = append(op.Parameters, &huma.Param{Name: p, In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
	}
	for _, p := range r.Query {
		op.Parameters = append(op.Parameters, query(p))
	}
	text := &huma.Schema{Type: huma.TypeString}
	header := func(name, description string) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "header", Description: description, Schema: text})
	}
	if r.Keyed {
		header("Idempotency-Key", "at most 128 visible characters; asked for again with the same key within 24 hours, it is done once and answered alike")
	}
	if r.Matched {
		header("If-Match", "ETag of the version that is meant; another one is refused with version_conflict")
	}
	g.body(op, r)
	g.answers(op, r)
	return op
}

func query(p api.Parameter) *huma.Param {
	s := &huma.Schema{Type: p.Type}
	switch p.Type {
	case "duration":
		s = &huma.Schema{Type: huma.TypeString, Examples: []any{"10m"}}
	case "time":
		s = &huma.Schema{Type: huma.TypeString, Format: "date-time"}
	}
	for _, v := range p.Allowed {
		s.Enum = append(s.Enum, v)
	}
	if p.Many {
		s = &huma.Schema{Type: huma.TypeArray, Items: s}
	}
	return &huma.Param{Name: p.Name, In: "query", Description: p.Meaning, Required: p.Required, Schema: s}
}

func (g *documented) body(op *huma.Operation, r api.Route) {
	t := bodyOf(r)
	if t == nil {
		return
	}
	media := &huma.MediaType{Schema: g.schema(t), Examples: examplesOf(t)}
	op.RequestBody = &huma.RequestBody{Required: !r.BodyOptional, Content: map[string]*huma.MediaType{"application/yaml": media}}
	if !texts(t) {
		op.RequestBody.Content["application/json"] = media
	}
}

func (g *documented) answers(op *huma.Operation, r api.Route) {
	answer := &huma.Response{Description: r.Summary}
	if t := answerOf(r); t != nil {
		media := &huma.MediaType{Schema: g.schema(t), Examples: examplesOf(t)}
		answer.Content = map[string]*huma.MediaType{}
		if called(r) {
			answer.Content["application/json"] = media
		}
		if anyShape(t) {
			answer.Content["application/yaml"] = media
		}
	}
	switch r.Stream {
	case api.SSE:
		answer.Content = map[string]*huma.MediaType{string(api.SSE): {Schema: &huma.Schema{Type: huma.TypeString}}}
	case api.Lines:
		answer.Content[string(api.Lines)] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Description: "JSON documents, one in a line"}}
		if !called(r) {
			answer.Content["text/plain"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		}
	}
	if r.Tagged {
		answer.Headers = map[string]*huma.Header{"ETag": {Description: "version, for If-Match and If-None-Match", Schema: &huma.Schema{Type: huma.TypeString}}}
	}
	for _, status := range append([]int{r.Status}, r.Others...) {
		op.Responses[strconv.Itoa(status)] = answer
	}
}

// describe adds what reflection does not know: comments, closed sets of values,
// and which types take no unknown members.
func (g *documented) describe() {
	var onlyIn, out = map[reflect.Type]bool{}, map[reflect.Type]bool{}
	for _, r := range g.routes {
		if t := bodyOf(r); t != nil {
			structs(t, onlyIn, func(reflect.Type) {})
		}
		if t := answerOf(r); t != nil {
			structs(t, out, func(reflect.Type) {})
		}
	}
	for name, s := range g.registry.Map() {
		t := g.registry.TypeFromRef(schemas + name)
		s.Description = oneLine(docOf(t, g.src))
		// Answers may get further members; what is sent is taken strictly.
		s.AdditionalProperties = nil
		if onlyIn[t] && !out[t] {
			s.AdditionalProperties = false
		}
		for _, f := range fieldsOf(t, g.src) {
			p := s.Properties[f.name]
			if p == nil {
				continue
			}
			p.Description = oneLine(f.doc)
			if f.object {
				p.Type = huma.TypeObject
			}
			typ, into := f.typ, p
			for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice && typ != rawType && typ.Elem().Kind() != reflect.Uint8 {
				if typ.Kind() == reflect.Slice {
					into = into.Items
				}
				typ = typ.Elem()
			}
			for _, c := range g.src.constants(typ) {
				into.Enum = append(into.Enum, c.value)
			}
		}
	}
}

// numberOrTextSchema stands for model.IntOrString.
type numberOrTextSchema struct{}

// Schema is a whole number or a text.
func (numberOrTextSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeInteger}, {Type: huma.TypeString}}}
}
