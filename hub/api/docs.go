package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
)

// This file serves the document of the API, and a page to read it. Both are made
// of openapi.json, which make gen writes; they hold no data, so they need no
// token.

//go:embed openapi.json
var openAPIDocument []byte

//go:embed docs.css
var docsStyle []byte

//go:embed docs.html
var docsPage string

// docsPolicy allows the page its style sheet, and nothing else: no scripts, no
// images, no forms, no other hosts.
const docsPolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// madeOnce are the forms of the document that are derived.
var (
	openAPIYAML = sync.OnceValues(func() ([]byte, error) { return yaml.JSONToYAML(openAPIDocument) })
	docsHTML    = sync.OnceValues(renderDocs)
)

// documentation serves the document in both forms and the page.
func (a *api) documentation(e *gin.Engine) {
	a.page(e, "/openapi.json", "application/json", docsPolicy, plain(openAPIDocument))
	a.page(e, "/openapi.yaml", "application/yaml", docsPolicy, openAPIYAML)
	a.page(e, "/api/docs", "text/html; charset=utf-8", docsPolicy, docsHTML)
	a.page(e, "/api/docs.css", "text/css; charset=utf-8", docsPolicy, plain(docsStyle))
}

func plain(b []byte) func() ([]byte, error) { return func() ([]byte, error) { return b, nil } }

// page serves something that is the same for everybody.
func (a *api) page(e *gin.Engine, path, media, policy string, content func() ([]byte, error)) {
	e.GET(path, func(c *gin.Context) {
		b, err := content()
		if err != nil {
			a.fail(c, fault.Wrap(err, fault.Internal, "internal", "what is at %s is broken", path))
			return
		}
		sum := sha256.Sum256(b)
		tag := `"` + hex.EncodeToString(sum[:8]) + `"`
		c.Header("ETag", tag)
		c.Header("Cache-Control", "no-cache")
		c.Header("Content-Security-Policy", policy)
		if c.GetHeader("If-None-Match") == tag {
			c.Status(http.StatusNotModified)
			return
		}
		c.Data(http.StatusOK, media, b)
	})
}

// These are the parts of the document that the page shows.
type (
	docSchema struct {
		Ref         string                `json:"$ref"`
		Type        string                `json:"type"`
		Format      string                `json:"format"`
		Description string                `json:"description"`
		Enum        []string              `json:"enum"`
		Items       *docSchema            `json:"items"`
		OneOf       []*docSchema          `json:"oneOf"`
		Properties  map[string]*docSchema `json:"properties"`
		Required    []string              `json:"required"`
		Additional  json.RawMessage       `json:"additionalProperties"`
	}
	docParameter struct {
		Name, In, Description string
		Required              bool
		Schema                *docSchema
	}
	docMedia struct {
		Schema   *docSchema
		Examples map[string]struct{ Value json.RawMessage }
	}
	docContent   struct{ Content map[string]docMedia }
	docOperation struct {
		OperationID, Summary, Description string
		Tags                              []string
		Parameters                        []docParameter
		RequestBody                       *docContent
		Responses                         map[string]docContent
		Permission                        *struct{ Verb, Resource string } `json:"x-hawser-permission"`
		Security                          []map[string][]string
	}
	docDocument struct {
		Info       struct{ Title, Version, Description string }
		Tags       []struct{ Name, Description string }
		Paths      map[string]map[string]docOperation
		Components struct{ Schemas map[string]*docSchema }
	}
)

// What the page's template is given.
type (
	docPage struct {
		Title, Version, Description string
		Groups                      []docGroup
		Schemas                     []docType
	}
	docGroup struct {
		Name, Description string
		Operations        []docEntry
	}
	docEntry struct {
		Method, Path string
		docOperation
		Public  bool
		Body    *docShape
		Answers []docShape
	}
	// docShape is what goes in or out.
	docShape struct {
		Status, Media, Example string
		Of                     docWord
	}
	// docWord is a type in words; Link is the schema that it is about.
	docWord struct{ Text, Link string }
	docType struct {
		Name, Description string
		Properties        []docProperty
	}
	docProperty struct {
		Name, Description string
		Required          bool
		Of                docWord
		Enum              []string
	}
)

func renderDocs() ([]byte, error) {
	var d docDocument
	if err := json.Unmarshal(openAPIDocument, &d); err != nil {
		return nil, err
	}
	page := docPage{Title: d.Info.Title, Version: d.Info.Version, Description: d.Info.Description}
	for _, tag := range d.Tags {
		page.Groups = append(page.Groups, docGroup{Name: tag.Name, Description: tag.Description})
	}
	for _, path := range sortedKeys(d.Paths) {
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			op, ok := d.Paths[path][method]
			if !ok || len(op.Tags) == 0 {
				continue
			}
			i := slices.IndexFunc(page.Groups, func(g docGroup) bool { return g.Name == op.Tags[0] })
			if i >= 0 {
				page.Groups[i].Operations = append(page.Groups[i].Operations, entryOf(method, path, op))
			}
		}
	}
	for _, name := range sortedKeys(d.Components.Schemas) {
		page.Schemas = append(page.Schemas, typeOfSchema(name, d.Components.Schemas[name]))
	}
	t, err := template.New("docs").Parse(docsPage)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, page)
	return out.Bytes(), err
}

func entryOf(method, path string, op docOperation) docEntry {
	e := docEntry{Method: strings.ToUpper(method), Path: path, docOperation: op}
	e.Public = len(op.Security) == 1 && len(op.Security[0]) == 0
	if b := op.RequestBody; b != nil {
		for _, media := range sortedKeys(b.Content) {
			e.Body = &docShape{Media: strings.Join(sortedKeys(b.Content), ", "), Of: wordOf(b.Content[media].Schema), Example: exampleIn(b.Content[media])}
			break
		}
	}
	for _, status := range sortedKeys(op.Responses) {
		if status == "default" || status >= "400" { // refusals are alike everywhere; the page tells them once
			continue
		}
		answer := docShape{Status: status}
		for _, media := range sortedKeys(op.Responses[status].Content) {
			answer.Media = strings.TrimPrefix(answer.Media+", "+media, ", ")
			if answer.Of.Text == "" {
				m := op.Responses[status].Content[media]
				answer.Of, answer.Example = wordOf(m.Schema), exampleIn(m)
			}
		}
		e.Answers = append(e.Answers, answer)
	}
	return e
}

func exampleIn(m docMedia) string {
	for _, name := range sortedKeys(m.Examples) {
		var out bytes.Buffer
		if json.Indent(&out, m.Examples[name].Value, "", "  ") == nil {
			return out.String()
		}
	}
	return ""
}

func wordOf(s *docSchema) docWord {
	switch {
	case s == nil:
		return docWord{}
	case s.Ref != "":
		name := s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
		return docWord{name, name}
	case s.Items != nil:
		of := wordOf(s.Items)
		return docWord{"list of " + of.Text, of.Link}
	case len(s.OneOf) > 0:
		var parts []string
		for _, x := range s.OneOf {
			parts = append(parts, wordOf(x).Text)
		}
		return docWord{Text: strings.Join(parts, " or ")}
	case s.Format == "date-time":
		return docWord{Text: "time"}
	case s.Type == "object" && len(s.Additional) > 1:
		var of docSchema
		if json.Unmarshal(s.Additional, &of) == nil {
			w := wordOf(&of)
			return docWord{"map of " + w.Text, w.Link}
		}
	case s.Type == "":
		return docWord{Text: "any"}
	}
	return docWord{Text: s.Type}
}

func typeOfSchema(name string, s *docSchema) docType {
	out := docType{Name: name, Description: s.Description}
	for _, p := range sortedKeys(s.Properties) {
		x := s.Properties[p]
		prop := docProperty{Name: p, Description: x.Description, Required: slices.Contains(s.Required, p), Of: wordOf(x), Enum: x.Enum}
		if x.Items != nil {
			prop.Enum = x.Items.Enum
		}
		out.Properties = append(out.Properties, prop)
	}
	return out
}

func sortedKeys[T any](m map[string]T) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
