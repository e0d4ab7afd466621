package diff

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// TestTableIsReadable reads all of the table of built-in kinds, from several
// goroutines at once.
func TestTableIsReadable(t *testing.T) {
	fresh := &builtinSchema{types: map[string]*Type{}}
	fresh.index.Do(fresh.scan)
	if len(fresh.kinds) < 80 || len(fresh.lines) < 500 {
		t.Fatalf("%d kinds, %d types", len(fresh.kinds), len(fresh.lines))
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for kind := range fresh.kinds {
				apiVersion, name, _ := strings.Cut(kind, " ")
				typ := fresh.Type(apiVersion, name)
				if typ == nil || typ.fields["metadata"] == nil {
					t.Errorf("%s has no metadata", kind)
				}
			}
		})
	}
	wait.Wait()
	for name := range fresh.lines {
		if fresh.types[name] == nil {
			t.Errorf("type %s belongs to no kind", name)
		}
	}
	if BuiltIn().Type("apps/v1", "Nothing") != nil || BuiltIn().Type("apps/v2", "Deployment") != nil {
		t.Error("a kind that does not exist is known")
	}
	if a, b := BuiltIn().Type("apps/v1", "Deployment"), BuiltIn().Type("apps/v1", "Deployment"); a != b {
		t.Error("a type is made twice")
	}
}

// TestTableIsTheServers holds the table against what an API server publishes: the
// same lists merge by the same keys, and the same maps are replaced as a whole.
func TestTableIsTheServers(t *testing.T) {
	s := startServer(t)
	code, body := s.try(http.MethodGet, "/openapi/v2", "", nil)
	if code != http.StatusOK {
		t.Fatalf("/openapi/v2: %d", code)
	}
	doc, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	definitions, _ := doc["definitions"].(map[string]any)
	compared := 0
	for name, d := range definitions {
		ours := knownDefinition(name)
		if ours == nil || ours.shape != shapeStruct {
			continue
		}
		def, _ := d.(map[string]any)
		props, _ := def["properties"].(map[string]any)
		r := schemaReader{refs: func(name string) (map[string]any, bool) { m, ok := definitions[name].(map[string]any); return m, ok }}
		theirs := r.structType(def, false)
		if theirs.shape == shapeStruct && theirs.atomic != ours.atomic {
			t.Errorf("%s is replaced as a whole: %v, by the server %v", name, ours.atomic, theirs.atomic)
		}
		for field := range props {
			f := ours.fields[field]
			if f == nil {
				if field != "apiVersion" && field != "kind" && field != "status" {
					t.Errorf("%s.%s is not in the table", name, field)
				}
				continue
			}
			compared++
			got, want := fmt.Sprint(f.typ.merge, f.typ.keys, f.typ.shape == shapeQuantity), fmt.Sprint(theirs.fields[field].typ.merge, theirs.fields[field].typ.keys, theirs.fields[field].typ.shape == shapeQuantity)
			if got != want {
				t.Errorf("%s.%s merges as %s, at the server as %s", name, field, got, want)
			}
		}
		for field := range ours.fields {
			if props[field] == nil {
				t.Errorf("%s.%s is not at the server", name, field)
			}
		}
	}
	if compared < 1500 {
		t.Errorf("only %d fields were compared", compared)
	}
}

func TestReadingSchemas(t *testing.T) {
	crd := func(group, schema string) string {
		return "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, spec: {group: " + group + ", names: {kind: W}, versions: [{name: v1, schema: {openAPIV3Schema: " + schema + "}}, {name: v2}]}}"
	}
	const byName = "{type: object, properties: {spec: {type: object, properties: {l: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {type: object, properties: {name: {type: string}}}}}}}}"
	cases := []struct {
		name, doc string
		known     []string // apiVersions of kind W whose spec.l merges by name
	}{
		{"a CRD", crd("a.io", byName), []string{"a.io/v1"}},
		{"several CRDs", crd("a.io", byName) + "\n---\n---\n" + crd("b.io", byName), []string{"a.io/v1", "b.io/v1"}},
		{"a List", "{apiVersion: v1, kind: List, items: [" + crd("a.io", byName) + "]}", []string{"a.io/v1"}},
		{"a list of CRDs", "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinitionList, items: [" + strings.Replace(crd("a.io", byName), "apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, ", "", 1) + "]}", []string{"a.io/v1"}},
		{"OpenAPI 3", `{openapi: 3.0.0, components: {schemas: {io.a.v1.W: {type: object, x-kubernetes-group-version-kind: [{group: a.io, version: v1, kind: W}], properties: {spec: {default: {}, allOf: [{$ref: "#/components/schemas/S"}]}}},
			S: {type: object, properties: {l: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {$ref: "#/components/schemas/E"}}}}, E: {type: object, properties: {name: {type: string}, more: {$ref: "#/components/schemas/E"}}}}}}`, []string{"a.io/v1"}},
		{"OpenAPI 2 with the keys of strategic merge patches", `{swagger: "2.0", definitions: {W: {type: object, x-kubernetes-group-version-kind: [{group: a.io, version: v1, kind: W}], properties: {spec: {$ref: "#/definitions/S"}}},
			S: {type: object, properties: {l: {type: array, x-kubernetes-patch-strategy: "merge,retainKeys", x-kubernetes-patch-merge-key: name, items: {type: object}}}}}}`, []string{"a.io/v1"}},
		{"OpenAPI of a group without kinds", "{openapi: 3.0.0, paths: {}}", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			schema, err := OpenAPISchema([]byte(c.doc))
			if err != nil {
				t.Fatal(err)
			}
			for _, apiVersion := range []string{"a.io/v1", "b.io/v1", "a.io/v2"} {
				typ := schema.Type(apiVersion, "W")
				if (typ != nil) != slices.Contains(c.known, apiVersion) {
					t.Errorf("%s is known: %v", apiVersion, typ != nil)
				}
				if typ == nil {
					continue
				}
				if l := typ.fields["spec"].typ.fields["l"].typ; l.merge != mergeKeys || !slices.Equal(l.keys, []string{"name"}) {
					t.Errorf("%s: the list merges as %v %q", apiVersion, l.merge, l.keys)
				}
				if typ.fields["metadata"].typ.name != objectMeta || schema.Type(apiVersion, "X") != nil {
					t.Errorf("%s: metadata, or another kind", apiVersion)
				}
			}
		})
	}
	for name, doc := range map[string]string{
		"nothing":           "",
		"no object":         "[1]",
		"no YAML":           "{",
		"another object":    "{apiVersion: v1, kind: ConfigMap}",
		"another in a list": "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap}]}",
		"text in a list":    "{apiVersion: v1, kind: List, items: [x]}",
		"no versions":       "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, spec: {group: a.io, names: {kind: W}}}",
	} {
		if _, err := OpenAPISchema([]byte(doc)); fault.As(err).Code != "openapi_invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := CRDSchema([]byte("x")); fault.As(err).Code != "crd_schema_invalid" {
		t.Errorf("%v", err)
	}
}

// TestReferencesToMaps: what is said beside a reference holds there, over what the
// type says of itself.
func TestReferencesToMaps(t *testing.T) {
	const v2 = `{swagger: "2.0", definitions: {W: {type: object, x-kubernetes-group-version-kind: [{group: a.io, version: v1, kind: W}], properties: {%s}},
		Whole: {type: object, x-kubernetes-map-type: atomic, properties: {name: {type: string}}}, Parts: {type: object, properties: {name: {type: string}}}}}`
	const v3 = `{openapi: 3.0.0, components: {schemas: {W: {type: object, x-kubernetes-group-version-kind: [{group: a.io, version: v1, kind: W}], properties: {%s}},
		Whole: {type: object, x-kubernetes-map-type: atomic, properties: {name: {type: string}}}, Parts: {type: object, properties: {name: {type: string}}}}}}`
	for _, c := range []struct {
		name, doc string
		atomic    bool
	}{
		{"v2, nothing said", fmt.Sprintf(v2, `f: {$ref: "#/definitions/Whole"}`), true},
		{"v2, granular", fmt.Sprintf(v2, `f: {$ref: "#/definitions/Whole", x-kubernetes-map-type: granular}`), false},
		{"v2, atomic", fmt.Sprintf(v2, `f: {$ref: "#/definitions/Parts", x-kubernetes-map-type: atomic}`), true},
		{"v2, Kubernetes' own", fmt.Sprintf(v2, `f: {$ref: "#/definitions/io.k8s.api.core.v1.ObjectReference", x-kubernetes-map-type: granular}`), false},
		{"v3, nothing said", fmt.Sprintf(v3, `f: {allOf: [{$ref: "#/components/schemas/Whole"}]}`), true},
		{"v3, granular", fmt.Sprintf(v3, `f: {allOf: [{$ref: "#/components/schemas/Whole"}], x-kubernetes-map-type: granular}`), false},
		{"v3, atomic", fmt.Sprintf(v3, `f: {allOf: [{$ref: "#/components/schemas/Parts"}], x-kubernetes-map-type: atomic}`), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema, err := OpenAPISchema([]byte(c.doc))
			if err != nil {
				t.Fatal(err)
			}
			typ := schema.Type("a.io/v1", "W")
			if typ == nil || typ.fields["f"] == nil {
				t.Fatal("the field is not known")
			}
			if got := typ.fields["f"].typ; got.merges() == c.atomic {
				t.Errorf("shape %v, atomic %v", got.shape, got.atomic)
			}
		})
	}
}

// FuzzSchema: no document makes the reader fail otherwise than by an error, and
// objects of its kinds can be compared.
func FuzzSchema(f *testing.F) {
	f.Add([]byte(widgetCRD), []byte(`{"apiVersion":"diff.example.com/v1","kind":"Widget","spec":{"items":[{"name":"a"}],"template":{"metadata":{"labels":{}}}}}`))
	f.Add([]byte(`{"definitions":{"W":{"x-kubernetes-group-version-kind":[{"group":"diff.example.com","version":"v1","kind":"Widget"}],"properties":{"spec":{"$ref":"#/W"}},"$ref":"#/W"}}}`), []byte(`{"apiVersion":"diff.example.com/v1","kind":"Widget","spec":{"spec":{"x":[1]}}}`))
	f.Fuzz(func(t *testing.T, doc, obj []byte) {
		schema, err := OpenAPISchema(doc)
		if err != nil {
			return
		}
		d, err := Decode(obj)
		if err != nil {
			return
		}
		in := Input{Desired: d, Live: obj, Schema: schema}
		if _, err := Compare(in); err != nil {
			t.Fatal(err)
		}
		RespectInput(in)
		if _, err := CompareAnswer(in, obj); err != nil {
			t.Fatal(err)
		}
	})
}

// TestDeepSchemas: a schema that is nested deeper than anybody reads is cut off,
// and one that refers to itself ends.
func TestDeepSchemas(t *testing.T) {
	leaf := map[string]any{"type": "string", "default": "x"}
	for range 2000 {
		leaf = map[string]any{"type": "object", "properties": map[string]any{"a": leaf}}
	}
	r := schemaReader{verbatim: true}
	depth := 0
	for typ := r.object(leaf); typ != nil && typ.fields["a"] != nil; typ = typ.fields["a"].typ {
		depth++
	}
	if depth == 0 || depth > maxSchemaDepth {
		t.Errorf("read %d deep", depth)
	}
	loop, err := OpenAPISchema([]byte(`{definitions: {W: {type: object, x-kubernetes-group-version-kind: [{group: a.io, version: v1, kind: W}], properties: {w: {$ref: "#/definitions/W"}, default: {}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	typ := loop.Type("a.io/v1", "W")
	for range 10 {
		if typ = typ.fields["w"].typ; typ.shape != shapeStruct {
			t.Fatal("a type that refers to itself is lost on the way")
		}
	}
}
