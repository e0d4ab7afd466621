package diff

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
)

// OpenAPISchema reads a document that describes kinds, JSON or YAML: OpenAPI v2 or
// v3 as an API server publishes it under /openapi/v2 and /openapi/v3/apis/…, or
// CustomResourceDefinitions, several or a List, too. An error is a fault of kind
// Invalid with code openapi_invalid.
//
// The built-in kinds are known better without: what OpenAPI does not tell of them,
// as whether a field can be there and empty, is in the table of this package.
func OpenAPISchema(doc []byte) (Schema, error) {
	var schemas Schemas
	docs, err := documents(doc)
	if err != nil {
		return nil, err
	}
	for _, obj := range docs {
		more, err := schemasOf(obj)
		if err != nil {
			return nil, err
		}
		schemas = append(schemas, more...)
	}
	if len(schemas) == 0 {
		return nil, fault.New(fault.Invalid, "openapi_invalid", "the document is empty")
	}
	return schemas, nil
}

// documents are the objects of a JSON or YAML text.
func documents(doc []byte) ([]map[string]any, error) {
	if obj, err := Decode(doc); err == nil {
		return []map[string]any{obj}, nil
	}
	var out []map[string]any
	d := yaml.NewDecoder(bytes.NewReader(doc))
	for {
		var node yaml.Node
		err := d.Decode(&node)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		var one []byte
		if err == nil {
			one, err = yaml.Marshal(&node)
		}
		if err == nil {
			one, err = kyaml.YAMLToJSON(one)
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "openapi_invalid", "it is neither JSON nor YAML: %s", yamlError(err))
		}
		if bytes.Equal(bytes.TrimSpace(one), []byte("null")) {
			continue
		}
		obj, err := Decode(one)
		if err != nil {
			return nil, fault.New(fault.Invalid, "openapi_invalid", "document %d is no object", len(out)+1)
		}
		out = append(out, obj)
	}
}

func schemasOf(obj map[string]any) (Schemas, error) {
	components, _ := obj["components"].(map[string]any)
	v3, ok3 := components["schemas"].(map[string]any)
	v2, ok2 := obj["definitions"].(map[string]any)
	switch {
	case ok3:
		return Schemas{newOpenAPI(v3, false)}, nil
	case ok2:
		return Schemas{newOpenAPI(v2, true)}, nil
	case text(obj["openapi"]) != "" || text(obj["swagger"]) != "":
		return Schemas{kindTypes{}}, nil // of an API group without kinds
	}
	items, ok := obj["items"].([]any)
	if !ok {
		s, err := CRDSchemaOf(obj)
		if err != nil {
			return nil, fault.New(fault.Invalid, "openapi_invalid", "it is no OpenAPI v2 or v3 document, and %s", fault.As(err).Message)
		}
		return Schemas{s}, nil
	}
	var out Schemas
	for i, item := range items {
		crd, _ := item.(map[string]any)
		if crd == nil || text(crd["kind"]) == "" && text(obj["kind"]) != "CustomResourceDefinitionList" {
			return nil, fault.New(fault.Invalid, "openapi_invalid", "item %d of the list is no object", i+1)
		}
		if text(crd["kind"]) == "" { // lists of one kind leave it out
			crd["kind"], crd["apiVersion"] = "CustomResourceDefinition", obj["apiVersion"]
		}
		s, err := CRDSchemaOf(crd)
		if err != nil {
			return nil, fault.New(fault.Invalid, "openapi_invalid", "item %d of the list: %s", i+1, fault.As(err).Message)
		}
		out = append(out, s)
	}
	return out, nil
}

// openAPI reads the types of a document when they are asked for.
type openAPI struct {
	definitions map[string]any
	kinds       map[string]string // "apiVersion kind" → definition

	mu    sync.Mutex
	types map[string]*Type
	// ours and others read definitions of Kubernetes itself and of custom
	// resources.
	ours, others schemaReader
}

// newOpenAPI takes the definitions of a document. Those of OpenAPI v2 are partial
// for custom resources: the server leaves out what it cannot express.
func newOpenAPI(definitions map[string]any, v2 bool) *openAPI {
	o := &openAPI{definitions: definitions, kinds: map[string]string{}, types: map[string]*Type{}}
	refs := func(name string) (map[string]any, bool) {
		s, ok := definitions[name].(map[string]any)
		return s, ok
	}
	o.ours.refs, o.others.refs, o.others.verbatim, o.others.partial = refs, refs, true, v2
	for name, d := range definitions {
		s, _ := d.(map[string]any)
		gvks, _ := s["x-kubernetes-group-version-kind"].([]any)
		for _, g := range gvks {
			gvk, _ := g.(map[string]any)
			apiVersion := text(gvk["version"])
			if group := text(gvk["group"]); group != "" {
				apiVersion = group + "/" + apiVersion
			}
			id := apiVersion + " " + text(gvk["kind"])
			// Options of requests carry the kinds of all groups.
			if old, ok := o.kinds[id]; !ok || name < old {
				o.kinds[id] = name
			}
		}
	}
	return o
}

// Type implements Schema.
func (o *openAPI) Type(apiVersion, kind string) *Type {
	id := apiVersion + " " + kind
	name, ok := o.kinds[id]
	if !ok {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := o.types[id]; t != nil {
		return t
	}
	s, _ := o.definitions[name].(map[string]any)
	r := &o.others
	if strings.HasPrefix(name, "io.k8s.") {
		r = &o.ours
	}
	t := r.object(s)
	o.types[id] = t
	return t
}
