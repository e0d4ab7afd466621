package diff

import (
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// CRDSchema reads the schemas that a CustomResourceDefinition (apiextensions.k8s.io/v1)
// brings for its versions. crd is the object as JSON. An error is a fault of kind
// Invalid with code crd_schema_invalid.
func CRDSchema(crd []byte) (Schema, error) {
	obj, err := Decode(crd)
	if err != nil {
		return nil, fault.New(fault.Invalid, "crd_schema_invalid", "it is no JSON object")
	}
	return CRDSchemaOf(obj)
}

// CRDSchemaOf is CRDSchema for a decoded object, which is not modified and of
// which nothing but defaults is kept.
func CRDSchemaOf(obj map[string]any) (Schema, error) {
	if text(obj["kind"]) != "CustomResourceDefinition" || groupOf(text(obj["apiVersion"])) != "apiextensions.k8s.io" {
		return nil, fault.New(fault.Invalid, "crd_schema_invalid", "it is no CustomResourceDefinition of apiextensions.k8s.io but a %s of %q", text(obj["kind"]), text(obj["apiVersion"]))
	}
	spec, _ := obj["spec"].(map[string]any)
	names, _ := spec["names"].(map[string]any)
	group, kind := text(spec["group"]), text(names["kind"])
	versions, _ := spec["versions"].([]any)
	if group == "" || kind == "" || len(versions) == 0 {
		return nil, fault.New(fault.Invalid, "crd_schema_invalid", "a CustomResourceDefinition needs spec.group, spec.names.kind and spec.versions")
	}
	out := kindTypes{}
	for _, v := range versions {
		version, _ := v.(map[string]any)
		holder, _ := version["schema"].(map[string]any)
		root, ok := holder["openAPIV3Schema"].(map[string]any)
		if !ok || text(version["name"]) == "" {
			continue
		}
		c := schemaReader{verbatim: true}
		out[group+"/"+text(version["name"])+" "+kind] = c.object(root)
	}
	return out, nil
}

// kindTypes are types by "apiVersion kind".
type kindTypes map[string]*Type

// Type implements Schema.
func (k kindTypes) Type(apiVersion, kind string) *Type { return k[apiVersion+" "+kind] }

// maxSchemaDepth bounds the recursion on hostile schemas.
const maxSchemaDepth = 100

// schemaReader turns JSON schemas, as CRDs and OpenAPI documents have them, into
// types.
type schemaReader struct {
	// verbatim: the kind is a custom resource, whose values are stored as they
	// were given.
	verbatim bool
	partial  bool // as of Type
	// refs resolves references; nil knows none.
	refs  func(name string) (map[string]any, bool)
	named map[string]*Type
	depth int
}

// object is the type of whole objects.
func (r *schemaReader) object(root map[string]any) *Type {
	t := r.typ(root)
	if t.shape != shapeStruct {
		t = &Type{shape: shapeStruct, verbatim: true, elem: t, fields: map[string]*fieldType{}}
	} else if t.fields["metadata"] == nil || t.fields["metadata"].typ.name != objectMeta {
		c := *t
		c.fields = make(map[string]*fieldType, len(t.fields)+1)
		for k, f := range t.fields {
			c.fields[k] = f
		}
		t = &c
	}
	t.fields["metadata"] = &fieldType{typ: builtin.named(objectMeta)}
	return t
}

const objectMeta = "meta/v1.ObjectMeta"

// typ is the type of a schema. A schema of which nothing is understood is
// unknownType.
func (r *schemaReader) typ(s map[string]any) *Type {
	if r.depth++; r.depth > maxSchemaDepth {
		r.depth--
		return unknownType
	}
	defer func() { r.depth-- }()
	if ref := text(s["$ref"]); ref != "" {
		return mapTypeHere(r.reference(ref), s)
	}
	if all, ok := s["allOf"].([]any); ok && len(all) == 1 && s["properties"] == nil && s["type"] == nil {
		// How OpenAPI 3 adds a default or description to a reference.
		if one, ok := all[0].(map[string]any); ok && text(one["$ref"]) != "" {
			return mapTypeHere(r.reference(text(one["$ref"])), s)
		}
	}
	preserve, _ := s["x-kubernetes-preserve-unknown-fields"].(bool)
	if b, _ := s["x-kubernetes-int-or-string"].(bool); b || text(s["format"]) == "int-or-string" {
		if isQuantityPattern(text(s["pattern"])) {
			return quantityT
		}
		return scalarType
	}
	switch text(s["type"]) {
	case "object":
		return r.structType(s, preserve)
	case "array":
		return r.listType(s)
	case "":
		if s["properties"] != nil || s["additionalProperties"] != nil {
			return r.structType(s, preserve)
		}
		return r.any()
	case "string":
		if isQuantityPattern(text(s["pattern"])) {
			return quantityT
		}
	}
	return scalarType
}

// mapTypeHere is a type that is referred to as the place that refers to it says:
// x-kubernetes-map-type beside a reference goes before that of the type.
func mapTypeHere(t *Type, beside map[string]any) *Type {
	said := text(beside["x-kubernetes-map-type"])
	switch {
	case t.shape == shapeAny && said == "atomic": // of which no more needs to be known
		return &Type{shape: shapeMap, verbatim: true, atomic: true, elem: t}
	case t.shape != shapeStruct:
	case said == "atomic" && !t.atomic:
		return t.asAtomic()
	case said == "granular" && t.atomic:
		return t.asGranular()
	}
	return t
}

// isQuantityPattern recognises the pattern that generators of CRDs put on
// quantities.
func isQuantityPattern(pattern string) bool {
	return strings.Contains(pattern, "[KMGTPE]i") && strings.Contains(pattern, "numkMGTPE")
}

func (r *schemaReader) structType(s map[string]any, preserve bool) *Type {
	atomic := text(s["x-kubernetes-map-type"]) == "atomic"
	embedded, _ := s["x-kubernetes-embedded-resource"].(bool)
	props, _ := s["properties"].(map[string]any)
	if len(props) == 0 && !embedded {
		elem := r.any()
		switch additional := s["additionalProperties"].(type) {
		case map[string]any:
			elem = r.typ(additional)
		case nil:
			if preserve && !atomic {
				return r.any()
			}
		}
		if r.dull(elem) && !atomic {
			return anyType
		}
		return &Type{shape: shapeMap, verbatim: r.verbatim, atomic: atomic, elem: elem}
	}
	t := &Type{shape: shapeStruct, verbatim: r.verbatim, partial: r.partial, atomic: atomic, fields: make(map[string]*fieldType, len(props))}
	r.fill(t, props)
	if preserve {
		t.elem = r.any()
	}
	if embedded {
		for _, k := range []string{"apiVersion", "kind"} {
			t.fields[k] = &fieldType{typ: scalarType, presence: true}
		}
		t.fields["metadata"] = &fieldType{typ: builtin.named(objectMeta)}
	}
	if !atomic && !embedded && r.dullFields(t) {
		return anyType
	}
	return t
}

// any is the type of what the server itself knows nothing of. A partial document
// may only not tell.
func (r *schemaReader) any() *Type {
	if r.partial {
		return vagueType
	}
	return anyType
}

// dull types tell no more than is known of what the server itself knows nothing
// of. They are dropped: most of a large schema is.
func (r *schemaReader) dull(t *Type) bool {
	return r.verbatim && !r.partial && (t == scalarType || t == anyType)
}

func (r *schemaReader) dullFields(t *Type) bool {
	for _, f := range t.fields {
		if !r.dull(f.typ) || f.hasDef || f.nullable {
			return false
		}
	}
	return r.verbatim && !r.partial
}

func (r *schemaReader) fill(t *Type, props map[string]any) {
	for name, p := range props {
		prop, ok := p.(map[string]any)
		if !ok {
			continue
		}
		f := &fieldType{typ: r.typ(prop), presence: r.verbatim, partial: r.partial}
		f.nullable, _ = prop["nullable"].(bool)
		if def, ok := prop["default"]; ok && (r.verbatim || !isEmpty(def)) {
			f.def, f.hasDef = detached(def), true
		}
		t.fields[strings.Clone(name)] = f
	}
}

// detached is a copy that shares no memory with the document: Decode leaves
// strings in the text that they come from.
func detached(v any) any {
	switch v := v.(type) {
	case string:
		return strings.Clone(v)
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[strings.Clone(k)] = detached(e)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = detached(e)
		}
		return l
	}
	return v
}

func (r *schemaReader) listType(s map[string]any) *Type {
	t := &Type{shape: shapeList, verbatim: r.verbatim, merge: mergeAtomic, elem: r.any()}
	if items, ok := s["items"].(map[string]any); ok {
		t.elem = r.typ(items)
	}
	switch text(s["x-kubernetes-list-type"]) {
	case "", "atomic":
		if r.dull(t.elem) {
			return anyType
		}
	}
	switch text(s["x-kubernetes-list-type"]) {
	case "set":
		t.merge = mergeSet
	case "map":
		if keys, ok := s["x-kubernetes-list-map-keys"].([]any); ok {
			for _, k := range keys {
				t.keys = append(t.keys, strings.Clone(text(k)))
			}
			t.merge = mergeKeys
		}
	case "":
		// OpenAPI documents of the server's own kinds.
		if strings.Contains(text(s["x-kubernetes-patch-strategy"]), "merge") {
			if key := text(s["x-kubernetes-patch-merge-key"]); key != "" {
				t.merge, t.keys = mergeKeys, []string{key}
			} else {
				t.merge = mergeSet
			}
		}
	}
	return t
}

// reference is the type that a "#/definitions/…" or "#/components/schemas/…"
// names.
func (r *schemaReader) reference(ref string) *Type {
	name := ref[strings.LastIndexByte(ref, '/')+1:]
	if t := knownDefinition(name); t != nil {
		return t
	}
	if t := r.named[name]; t != nil {
		return t
	}
	if r.refs == nil {
		return unknownType
	}
	s, ok := r.refs(name)
	if !ok {
		return unknownType
	}
	if r.named == nil {
		r.named = map[string]*Type{}
	}
	// A place for references back to it.
	t := &Type{}
	r.named[name] = t
	*t = *r.typ(s)
	return t
}

// knownDefinition is the type of a definition of Kubernetes itself, by its name in
// OpenAPI documents: "io.k8s.api.apps.v1.Deployment".
func knownDefinition(name string) *Type {
	if !strings.HasPrefix(name, "io.k8s.") {
		return nil
	}
	switch name {
	case "io.k8s.apimachinery.pkg.api.resource.Quantity":
		return quantityT
	case "io.k8s.apimachinery.pkg.util.intstr.IntOrString":
		return scalarType
	case "io.k8s.apimachinery.pkg.apis.meta.v1.Time":
		return timeT
	case "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime":
		return microTimeT
	case "io.k8s.apimachinery.pkg.apis.meta.v1.Duration":
		return durationT
	case "io.k8s.apimachinery.pkg.runtime.RawExtension", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON":
		return anyType
	}
	var rest string
	for _, prefix := range []string{"io.k8s.api.", "io.k8s.apimachinery.pkg.apis.", "io.k8s.apiextensions-apiserver.pkg.apis.", "io.k8s.kube-aggregator.pkg.apis."} {
		if after, ok := strings.CutPrefix(name, prefix); ok {
			rest = after
			break
		}
	}
	parts := strings.Split(rest, ".")
	if len(parts) != 3 {
		return nil
	}
	if parts[0] == "core" {
		return builtin.named(parts[1] + "." + parts[2])
	}
	return builtin.named(parts[0] + "/" + parts[1] + "." + parts[2])
}
