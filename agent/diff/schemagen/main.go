// Command schemagen writes the table of the kinds that the API server itself
// defines: which lists merge by which keys, which values are quantities, times or
// bytes, which fields exist even when they are empty, and what the server fills
// in. It takes that from the server's own types, OpenAPI definitions and
// defaulting functions, so the table holds for the release that go.mod names.
//
//	go run -C agent/diff/schemagen . -o ../builtin.txt
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsinstall "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	apiregistrationinstall "k8s.io/kube-aggregator/pkg/apis/apiregistration/install"
	apiregistrationopenapi "k8s.io/kube-aggregator/pkg/generated/openapi"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/controlplane"
	kubernetesopenapi "k8s.io/kubernetes/pkg/generated/openapi"
)

// reviews and other kinds that are never stored, or that nobody writes.
var skippedGroups = map[string]bool{
	"apidiscovery.k8s.io": true, "authentication.k8s.io": true, "authorization.k8s.io": true, "imagepolicy.k8s.io": true,
	"admission.k8s.io": true, "internal.apiserver.k8s.io": true, "events.k8s.io": true, "lifecycle.k8s.io": true,
}

// gone are versions that no supported release serves any more.
var gone = map[string]bool{
	"apps/v1beta1": true, "apps/v1beta2": true, "extensions/v1beta1": true, "batch/v1beta1": true, "rbac.authorization.k8s.io/v1beta1": true,
	"flowcontrol.apiserver.k8s.io/v1beta1": true, "flowcontrol.apiserver.k8s.io/v1beta2": true, "apiextensions.k8s.io/v1beta1": true,
	"apiregistration.k8s.io/v1beta1": true, "coordination.k8s.io/v1beta1": true, "node.k8s.io/v1beta1": true, "policy/v1beta1": true,
	"discovery.k8s.io/v1beta1": true, "certificates.k8s.io/v1beta1": true,
}

var skippedKinds = map[string]bool{
	"Event": true, "Binding": true, "Eviction": true, "Scale": true, "ComponentStatus": true, "PodStatusResult": true, "PodProxyOptions": true,
	"RangeAllocation": true, "SerializedReference": true, "NodeConfigSource": true, "DeploymentRollback": true, "ConversionReview": true,
	"TokenRequest": true,
}

func main() {
	file := flag.String("o", "", "the `FILE` to write; standard output without")
	flag.Parse()
	log := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	scheme := legacyscheme.Scheme
	apiextensionsinstall.Install(scheme)
	apiregistrationinstall.Install(scheme)

	g := &generator{scheme: scheme, definitions: map[string]common.OpenAPIDefinition{}, types: map[reflect.Type]*structType{}, names: map[string]reflect.Type{}, log: log}
	ref := func(path string) spec.Ref { return spec.MustCreateRef("#/" + path) }
	for _, definitions := range []func(common.ReferenceCallback) map[string]common.OpenAPIDefinition{
		kubernetesopenapi.GetOpenAPIDefinitions, apiextensionsopenapi.GetOpenAPIDefinitions, apiregistrationopenapi.GetOpenAPIDefinitions,
	} {
		for name, d := range definitions(ref) {
			g.definitions[name] = d
		}
	}

	var kinds []schema.GroupVersionKind
	for gvk := range scheme.AllKnownTypes() {
		if gone[gvk.GroupVersion().String()] || gvk.Version == runtime.APIVersionInternal || strings.Contains(gvk.Version, "alpha") || skippedGroups[gvk.Group] || skippedKinds[gvk.Kind] {
			continue
		}
		t := scheme.AllKnownTypes()[gvk]
		if _, ok := t.FieldByName("ObjectMeta"); !ok || strings.HasSuffix(gvk.Kind, "Options") {
			continue
		}
		kinds = append(kinds, gvk)
	}
	sort.Slice(kinds, func(i, j int) bool { return kinds[i].String() < kinds[j].String() })

	var text bytes.Buffer
	out := &text
	fmt.Fprintln(out, "# Made by schemagen; do not edit. See builtin.go for the format.")
	for _, gvk := range kinds {
		t := scheme.AllKnownTypes()[gvk]
		name := g.structType(t)
		g.probe(gvk, t)
		fmt.Fprintf(out, "K %s %s %s\n", gvk.GroupVersion(), gvk.Kind, name)
	}
	var names []string
	for name := range g.names {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		st := g.types[g.names[name]]
		for _, f := range st.fields {
			if len(f.seen) > 1 {
				log("%s.%s is filled in differently: %v; builtin.go must say where", st.name, f.name, f.seen)
				f.def = ""
			}
		}
		mark := ""
		if st.atomic {
			mark = "!"
		}
		fmt.Fprintf(out, "T %s%s\n", mark, name)
		for _, f := range st.fields {
			line := f.name + " " + f.typ
			if f.presence {
				line += "?"
			}
			if f.def != "" {
				line += " =" + f.def
			}
			fmt.Fprintln(out, line)
		}
	}
	log("%d kinds, %d types", len(kinds), len(names))
	if *file == "" {
		os.Stdout.Write(text.Bytes())
	} else if err := os.WriteFile(*file, text.Bytes(), 0o644); err != nil {
		log("%v", err)
		os.Exit(1)
	}
}

type structType struct {
	name   string
	atomic bool
	fields []*field
}

type field struct {
	name, typ string
	presence  bool
	def       string
	// seen are the defaults found at the places where the type is used.
	seen map[string]string
}

type generator struct {
	scheme      *runtime.Scheme
	definitions map[string]common.OpenAPIDefinition
	types       map[reflect.Type]*structType
	names       map[string]reflect.Type
	log         func(string, ...any)
}

var (
	quantityType    = reflect.TypeFor[resource.Quantity]()
	intOrStringType = reflect.TypeFor[intstr.IntOrString]()
	timeType        = reflect.TypeFor[metav1.Time]()
	microTimeType   = reflect.TypeFor[metav1.MicroTime]()
	durationType    = reflect.TypeFor[metav1.Duration]()
	typeMetaType    = reflect.TypeFor[metav1.TypeMeta]()
	// claimType is a kind that is also part of another one, as a template.
	claimType = reflect.TypeFor[corev1.PersistentVolumeClaim]()
	bytesType = reflect.TypeFor[[]byte]()
	rawTypes  = map[reflect.Type]bool{
		reflect.TypeFor[runtime.RawExtension]():                         true,
		reflect.TypeFor[apiextensionsv1.JSON]():                         true,
		reflect.TypeFor[metav1.FieldsV1]():                              true,
		reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrStringArray](): true,
	}
	// unionTypes are either an object of the type or something else.
	unionTypes = map[reflect.Type]bool{
		reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrArray](): true,
		reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrBool]():  true,
	}
)

// typeName is "core/v1.Pod" → "v1.Pod", "apps/v1.Deployment" → "apps/v1.Deployment".
func typeName(t reflect.Type) string {
	parts := strings.Split(t.PkgPath(), "/")
	group, version := parts[len(parts)-2], parts[len(parts)-1]
	if group == "core" {
		return version + "." + t.Name()
	}
	return group + "/" + version + "." + t.Name()
}

func (g *generator) definition(t reflect.Type) *spec.Schema {
	names := []string{t.PkgPath() + "." + t.Name()}
	if n, ok := reflect.New(t).Interface().(interface{ OpenAPIModelName() string }); ok {
		names = append(names, n.OpenAPIModelName())
	}
	for _, n := range names {
		if d, ok := g.definitions[n]; ok {
			return &d.Schema
		}
	}
	return nil
}

// structType describes the struct and everything below, and returns its name.
func (g *generator) structType(t reflect.Type) string {
	name := typeName(t)
	if _, ok := g.types[t]; ok {
		return name
	}
	st := &structType{name: name}
	g.types[t] = st
	if other, ok := g.names[name]; ok && other != t {
		panic("two types are named " + name)
	}
	g.names[name] = t
	def := g.definition(t)
	if def == nil {
		g.log("no OpenAPI definition: %s", name)
		def = &spec.Schema{}
	}
	st.atomic = extension(def, "x-kubernetes-map-type") == "atomic"
	g.fields(st, t, def)
	return name
}

func (g *generator) fields(st *structType, t reflect.Type, def *spec.Schema) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "-" || !f.IsExported() {
			continue
		}
		if tag == "" && (f.Anonymous || strings.Contains(opts, "inline")) {
			if f.Type == typeMetaType && t != claimType {
				continue
			}
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			g.fields(st, inner, def)
			continue
		}
		if tag == "" {
			tag = f.Name
		}
		if tag == "status" && hasSpec(st) && t != claimType {
			continue // of whole objects, which is not compared
		}
		prop := def.Properties[tag]
		x := &field{name: tag, presence: f.Type.Kind() == reflect.Pointer, seen: map[string]string{}}
		x.typ = g.typeOf(f.Type, &prop)
		st.fields = append(st.fields, x)
	}
}

func hasSpec(st *structType) bool {
	return slices.ContainsFunc(st.fields, func(f *field) bool { return f.name == "metadata" })
}

func extension(s *spec.Schema, name string) string {
	if s == nil {
		return ""
	}
	v, _ := s.Extensions.GetString(name)
	return v
}

func (g *generator) typeOf(t reflect.Type, prop *spec.Schema) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == quantityType:
		return "q"
	case t == intOrStringType:
		return "i"
	case t == timeType:
		return "t"
	case t == microTimeType:
		return "u"
	case t == durationType:
		return "d"
	case t == bytesType || t.ConvertibleTo(bytesType) && t.Kind() == reflect.Slice:
		return "x"
	case rawTypes[t]:
		return "*"
	case unionTypes[t]:
		return "~" + g.structType(reflect.TypeFor[apiextensionsv1.JSONSchemaProps]())
	}
	switch t.Kind() {
	case reflect.Struct:
		if len(t.PkgPath()) == 0 {
			panic("unnamed struct")
		}
		name := g.structType(t)
		switch extension(prop, "x-kubernetes-map-type") {
		case "atomic":
			return "!" + name
		case "granular": // here, whatever the struct says of itself
			if g.types[t].atomic {
				return "+" + name
			}
		}
		return name
	case reflect.Map:
		elem := g.typeOf(t.Elem(), valueSchema(prop))
		mark := ""
		if extension(prop, "x-kubernetes-map-type") == "atomic" {
			mark = "!"
		}
		return mark + "{}" + elem
	case reflect.Slice, reflect.Array:
		elem := g.typeOf(t.Elem(), itemSchema(prop))
		switch extension(prop, "x-kubernetes-list-type") {
		case "map":
			keys, _ := prop.Extensions.GetStringSlice("x-kubernetes-list-map-keys")
			return "[" + strings.Join(keys, ",") + "]" + elem
		case "set":
			return "[=]" + elem
		case "atomic":
			return "[]" + elem
		}
		// As the converter to merge schemas does for definitions without a list
		// type: the keys of strategic merge patches.
		if key := extension(prop, "x-kubernetes-patch-merge-key"); extension(prop, "x-kubernetes-patch-strategy") != "" {
			if strings.Contains(extension(prop, "x-kubernetes-patch-strategy"), "merge") {
				if key != "" {
					return "[" + key + "]" + elem
				}
				return "[=]" + elem
			}
		}
		return "[]" + elem
	case reflect.Interface:
		return "*"
	}
	return "."
}

func valueSchema(p *spec.Schema) *spec.Schema {
	if p != nil && p.AdditionalProperties != nil && p.AdditionalProperties.Schema != nil {
		return p.AdditionalProperties.Schema
	}
	return &spec.Schema{}
}

func itemSchema(p *spec.Schema) *spec.Schema {
	if p != nil && p.Items != nil && p.Items.Schema != nil {
		return p.Items.Schema
	}
	return &spec.Schema{}
}

// probe finds what the server fills in: it makes an object in which nothing but
// the way to one struct is set, has it defaulted, and looks at that struct.
func (g *generator) probe(gvk schema.GroupVersionKind, root reflect.Type) {
	type place struct{ path []int } // -1: into a slice, -2: into a map
	visited := map[string]bool{}
	var walk func(t reflect.Type, path []int, depth int)
	walk = func(t reflect.Type, path []int, depth int) {
		if depth > 14 {
			return
		}
		st := g.types[t]
		obj := reflect.New(root)
		at := reach(obj.Elem(), path)
		g.scheme.Default(obj.Interface().(runtime.Object))
		at = reach(obj.Elem(), path) // defaulting may have replaced a slice
		g.found(gvk.Kind, st, at)
		g.eachField(t, func(index []int, ft reflect.Type) {
			p := append(slices.Clone(path), index...)
			if ft.Kind() == reflect.Pointer {
				ft = ft.Elem()
			}
			for {
				switch {
				case ft == bytesType || rawTypes[ft] || unionTypes[ft]:
					return
				case ft.Kind() == reflect.Slice:
					p, ft = append(p, -1), ft.Elem()
					continue
				case ft.Kind() == reflect.Map:
					p, ft = append(p, -2), ft.Elem()
					continue
				case ft.Kind() == reflect.Pointer:
					ft = ft.Elem()
					continue
				}
				break
			}
			if ft.Kind() != reflect.Struct || g.types[ft] == nil || slices.Contains(p, -2) {
				return
			}
			id := fmt.Sprint(t, index, ft)
			if visited[id] {
				return
			}
			visited[id] = true
			walk(ft, p, depth+1)
		})
	}
	walk(root, nil, 0)
}

// eachField calls with the index and type of each field, those of inlined
// structs included.
func (g *generator) eachField(t reflect.Type, do func(index []int, t reflect.Type)) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "-" || !f.IsExported() || f.Type == typeMetaType {
			continue
		}
		if tag == "" && (f.Anonymous || strings.Contains(opts, "inline")) && f.Type.Kind() == reflect.Struct {
			g.eachField(f.Type, func(index []int, ft reflect.Type) { do(append([]int{i}, index...), ft) })
			continue
		}
		do([]int{i}, f.Type)
	}
}

// reach makes the way along path and returns the struct at its end.
func reach(v reflect.Value, path []int) reflect.Value {
	for _, step := range path {
		v = present(v)
		if step == -1 {
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			}
			v = v.Index(0)
			continue
		}
		v = v.Field(step)
	}
	return present(v)
}

func present(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	return v
}

func (g *generator) found(kind string, st *structType, v reflect.Value) {
	body, err := json.Marshal(v.Interface())
	if err != nil {
		panic(err)
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		panic(err)
	}
	for _, f := range st.fields {
		got, ok := m[f.name]
		s := ""
		if ok && !zero(got) {
			s = jsonText(got)
		} else if ok && f.presence && got != nil {
			s = jsonText(got)
		}
		if !g.settable(st, f, s) {
			s = ""
		}
		if old, ok := f.seen[s]; !ok {
			f.seen[s] = kind
		} else if !strings.Contains(old, kind) {
			f.seen[s] += "," + kind
		}
		if s != "" && f.def == "" {
			f.def = s
		}
	}
}

// settable leaves out what was found only because the probe made the way.
func (g *generator) settable(st *structType, f *field, s string) bool {
	if f.typ == "t" || f.typ == "u" || f.typ == "t?" {
		return false // the present time
	}
	if f.name == "emptyDir" {
		return false // of a volume without a source
	}
	// Structs that are always there are described by their own fields.
	if !f.presence && g.names[strings.TrimPrefix(f.typ, "!")] != nil {
		return false
	}
	return true
}

func zero(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case float64:
		return v == 0
	case map[string]any:
		for _, e := range v {
			if !zero(e) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	}
	return false
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
