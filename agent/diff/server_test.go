package diff

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	kyaml "sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// server is a real API server, the judge of every comparison.
type server struct {
	t      testing.TB
	client *http.Client
	base   string
	kinds  map[string]served // "apps/v1 Deployment"
}

type served struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	Namespaced bool   `json:"namespaced"`
}

// startServer starts a control plane for a test, or uses the one that
// HAWSER_DIFF_KUBECONFIG names: for somebody who runs many seeds.
func startServer(t testing.TB) *server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane, which -short leaves out")
	}
	var cfg *rest.Config
	if path := os.Getenv("HAWSER_DIFF_KUBECONFIG"); path != "" {
		var err error
		if cfg, err = clientcmd.BuildConfigFromFlags("", path); err != nil {
			t.Fatal(err)
		}
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		cp, err := testbed.StartControlPlane(ctx, testbed.Options{Name: "diff", NoKwok: true, Nodes: -1})
		if err != nil {
			t.Fatalf("%v", err)
		}
		t.Cleanup(cp.Stop)
		cfg = cp.RESTConfig()
	}
	cfg.QPS = -1
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, client: client, base: cfg.Host, kinds: map[string]served{}}
	s.try(http.MethodPost, "/api/v1/namespaces", "application/json", []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"diff"}}`))
	return s
}

func (s *server) try(method, path, contentType string, body []byte) (int, []byte) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.base+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// path is where the object is.
func (s *server) path(obj map[string]any) string {
	s.t.Helper()
	apiVersion, kind := text(obj["apiVersion"]), text(obj["kind"])
	root := "/apis/" + apiVersion
	if !strings.Contains(apiVersion, "/") {
		root = "/api/" + apiVersion
	}
	k, ok := s.kinds[apiVersion+" "+kind]
	if !ok {
		code, body := s.try(http.MethodGet, root, "", nil)
		var list struct {
			Resources []served `json:"resources"`
		}
		if code != http.StatusOK || json.Unmarshal(body, &list) != nil {
			s.t.Fatalf("resources of %s: %d %s", apiVersion, code, body)
		}
		for _, r := range list.Resources {
			if r.Kind == kind && !strings.Contains(r.Name, "/") {
				k = r
			}
		}
		if k.Name == "" {
			s.t.Fatalf("%s %s is not served", apiVersion, kind)
		}
		s.kinds[apiVersion+" "+kind] = k
	}
	if k.Namespaced {
		root += "/namespaces/diff"
	}
	meta, _ := obj["metadata"].(map[string]any)
	return root + "/" + k.Name + "/" + url.PathEscape(text(meta["name"]))
}

// apply applies as the agent does.
func (s *server) apply(obj map[string]any, dryRun bool) (int, []byte) {
	s.t.Helper()
	return s.applyAs(model.FieldManager, obj, dryRun)
}

func (s *server) applyAs(manager string, obj map[string]any, dryRun bool) (int, []byte) {
	s.t.Helper()
	q := "?fieldManager=" + manager + "&force=true&fieldValidation=Strict"
	if dryRun {
		q += "&dryRun=All"
	}
	return s.try(http.MethodPatch, s.path(obj)+q, "application/apply-patch+yaml", manifest.AppendJSON(nil, obj))
}

func (s *server) get(obj map[string]any) []byte {
	s.t.Helper()
	code, body := s.try(http.MethodGet, s.path(obj), "", nil)
	if code != http.StatusOK {
		s.t.Fatalf("%s: %d %s", s.path(obj), code, body)
	}
	return body
}

func (s *server) delete(obj map[string]any) {
	s.t.Helper()
	s.try(http.MethodDelete, s.path(obj)+"?gracePeriodSeconds=0", "application/json", []byte(`{"propagationPolicy":"Background"}`))
}

// manifests are the objects of a file in testdata/server.
func manifests(t testing.TB, name string) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "server", name))
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for _, doc := range strings.Split(string(data), "\n---\n") {
		j, err := kyaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		obj, err := Decode(j)
		if err != nil {
			t.Fatalf("%s: %v in %s", name, err, doc)
		}
		out = append(out, obj)
	}
	return out
}

// serverSame says whether an answer is what is live, but for what every write
// moves. It knows nothing of schemas, so that it cannot make their mistakes.
func serverSame(t testing.TB, answer, liveBody []byte) (bool, string) {
	t.Helper()
	var a, b map[string]any
	for _, x := range []struct {
		body []byte
		into *map[string]any
	}{{answer, &a}, {liveBody, &b}} {
		obj, err := Decode(x.body)
		if err != nil {
			t.Fatal(err)
		}
		delete(obj, "status")
		meta, _ := obj["metadata"].(map[string]any)
		for _, k := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp"} {
			delete(meta, k)
		}
		*x.into, _ = withoutEmptyLists(obj).(map[string]any)
	}
	if why := firstDifference("", a, b); why != "" {
		return false, why
	}
	return true, ""
}

// withoutEmptyLists drops nulls of the server's own kinds, and lists that are empty
// in a fresh answer and null after they were stored.
func withoutEmptyLists(v any) any {
	if m, ok := v.(map[string]any); ok {
		builtIn := !strings.Contains(text(m["apiVersion"]), "example.com")
		return dropEmpty(m, builtIn)
	}
	return v
}

func dropEmpty(v any, lists bool) any {
	switch t := v.(type) {
	case map[string]any:
		for k, e := range t {
			if l, ok := e.([]any); lists && (e == nil || ok && len(l) == 0) {
				delete(t, k)
				continue
			}
			t[k] = dropEmpty(e, lists)
		}
	case []any:
		for i, e := range t {
			t[i] = dropEmpty(e, lists)
		}
	}
	return v
}

// quantityPaths are where the server keeps the notation of a quantity, binary or
// decimal, which is no difference.
var quantityPaths = regexp.MustCompile(`\.(limits|requests|hard|capacity|max|min|default|defaultRequest|podFixed)\.[^.]+$|\.(sizeLimit|divisor|averageValue|tolerance)$|\.target\.value$`)

func firstDifference(path string, a, b any) string {
	if reflect.DeepEqual(a, b) || quantityPaths.MatchString(path) && equalQuantity(a, b) {
		return ""
	}
	am, ok1 := a.(map[string]any)
	bm, ok2 := b.(map[string]any)
	if ok1 && ok2 {
		var out []string
		keys := slices.Sorted(maps.Keys(am))
		for k := range bm {
			if _, ok := am[k]; !ok {
				keys = append(keys, k)
			}
		}
		for _, k := range keys {
			if has(am, k) != has(bm, k) {
				out = append(out, fmt.Sprintf("%s.%s: would be there %v, is %v", path, k, has(am, k), has(bm, k)))
			} else if d := firstDifference(path+"."+k, am[k], bm[k]); d != "" {
				out = append(out, d)
			}
		}
		return strings.Join(out, "; ")
	}
	al, ok1 := a.([]any)
	bl, ok2 := b.([]any)
	if ok1 && ok2 && len(al) == len(bl) {
		var out []string
		for i := range al {
			if d := firstDifference(fmt.Sprintf("%s[%d]", path, i), al[i], bl[i]); d != "" {
				out = append(out, d)
			}
		}
		return strings.Join(out, "; ")
	}
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return fmt.Sprintf("%s: would be %s, is %s", path, x, y)
}

// A random change of an object.
type mutator struct {
	rnd  *rand.Rand
	pool map[string][]any // values seen by type and field
}

// spots are the places that may change: maps and their keys, lists and indexes.
type spot struct {
	parent any // map[string]any or []any
	key    string
	index  int
	typ    *Type
	set    func(any) // replaces the parent, when a list changes its length
}

func (m *mutator) spots(t *Type, v any, set func(any), out *[]spot) {
	switch x := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			f, _ := t.field(k)
			*out = append(*out, spot{parent: x, key: k, typ: t, set: set})
			m.spots(f.typ, x[k], func(n any) { x[k] = n }, out)
		}
		*out = append(*out, spot{parent: x, typ: t, set: set})
	case []any:
		for i := range x {
			*out = append(*out, spot{parent: x, index: i, typ: t, set: set})
			m.spots(t.element().typ, x[i], func(n any) { x[i] = n }, out)
		}
	}
}

// mutable are the parts of an object that people change.
func mutable(obj map[string]any) map[string]any {
	part := map[string]any{}
	for k, v := range obj {
		if k != "apiVersion" && k != "kind" && k != "metadata" && k != "status" {
			part[k] = v
		}
	}
	return part
}

func (m *mutator) change(t *Type, obj map[string]any, nulls bool) string {
	part := mutable(obj)
	meta, _ := obj["metadata"].(map[string]any)
	var spots []spot
	m.spots(t, part, nil, &spots)
	for _, k := range []string{"labels", "annotations"} {
		if v, ok := meta[k].(map[string]any); ok && m.rnd.IntN(3) == 0 {
			m.spots(scalarMap, v, nil, &spots)
		}
	}
	if len(spots) == 0 {
		return ""
	}
	s := spots[m.rnd.IntN(len(spots))]
	did := m.at(s, nulls)
	for k := range obj {
		if _, ok := part[k]; !ok && k != "apiVersion" && k != "kind" && k != "metadata" && k != "status" {
			delete(obj, k)
		}
	}
	maps.Copy(obj, part)
	return did
}

var scalarMap = &Type{shape: shapeMap, elem: scalarType}

func (m *mutator) at(s spot, nulls bool) string {
	switch p := s.parent.(type) {
	case map[string]any:
		if s.key == "" { // add something
			k, v := m.addition(s.typ, p)
			if k == "" {
				return ""
			}
			p[k] = v
			return fmt.Sprintf("add %s: %v", k, v)
		}
		v := p[s.key]
		switch n := m.rnd.IntN(11); {
		case n == 10:
			p[s.key] = m.respelled(v)
			return fmt.Sprintf("respell %s: %v", s.key, p[s.key])
		case n < 3:
			delete(p, s.key)
			return "remove " + s.key
		case n < 4 && nulls:
			p[s.key] = nil
			return "null " + s.key
		case n < 5:
			p[s.key] = emptyOf(v)
			return "empty " + s.key
		case n < 7:
			if values := m.pool[s.typ.name+"."+s.key]; len(values) > 0 {
				p[s.key] = deepCopy(values[m.rnd.IntN(len(values))])
				return fmt.Sprintf("set %s: %v", s.key, p[s.key])
			}
			fallthrough
		default:
			p[s.key] = m.other(v)
			return fmt.Sprintf("change %s: %v", s.key, p[s.key])
		}
	case []any:
		if s.set == nil {
			return ""
		}
		l := slices.Clone(p)
		switch m.rnd.IntN(5) {
		case 0:
			s.set(slices.Delete(l, s.index, s.index+1))
			return fmt.Sprintf("delete element %d", s.index)
		case 1:
			j := m.rnd.IntN(len(l))
			l[s.index], l[j] = l[j], l[s.index]
			s.set(l)
			return fmt.Sprintf("swap %d and %d", s.index, j)
		case 2:
			s.set(slices.Insert(l, m.rnd.IntN(len(l)+1), m.renamed(deepCopy(l[s.index]))))
			return "insert a renamed copy"
		case 3:
			s.set(slices.Insert(l, s.index, deepCopy(l[s.index])))
			return "insert a copy"
		default:
			l[s.index] = m.other(l[s.index])
			s.set(l)
			return fmt.Sprintf("change element %d: %v", s.index, l[s.index])
		}
	}
	return ""
}

// respelled is the value as it may be written otherwise, when it is a quantity or
// a time.
func (m *mutator) respelled(v any) any {
	if q, ok := quantity(v); ok && m.rnd.IntN(4) > 0 {
		switch milli := q.MilliValue(); {
		case m.rnd.IntN(2) == 0:
			return fmt.Sprintf("%dm", milli)
		case milli%1000 == 0 && m.rnd.IntN(2) == 0:
			return milli / 1000
		default:
			return float64(milli) / 1000
		}
	}
	if s, ok := v.(string); ok {
		if at, err := time.Parse(time.RFC3339, s); err == nil {
			return at.In(time.FixedZone("", 3600*m.rnd.IntN(12))).Format(time.RFC3339)
		}
	}
	return v
}

func (m *mutator) renamed(v any) any {
	o, ok := v.(map[string]any)
	if !ok {
		return m.other(v)
	}
	for _, k := range []string{"name", "mountPath", "containerPort", "port", "key", "ip", "host", "topologyKey", "path"} {
		if x, ok := o[k]; ok {
			o[k] = m.other(x)
		}
	}
	return o
}

func emptyOf(v any) any {
	switch v.(type) {
	case map[string]any:
		return map[string]any{}
	case []any:
		return []any{}
	case string:
		return ""
	case bool:
		return false
	}
	return int64(0)
}

func (m *mutator) other(v any) any {
	switch x := v.(type) {
	case string:
		if q, ok := quantity(x); ok && m.rnd.IntN(2) == 0 {
			q.Add(q)
			return q.String()
		}
		if m.rnd.IntN(4) == 0 {
			return "z"
		}
		return x + "z"
	case bool:
		return !x
	case int64:
		return x + 1
	case float64:
		return x + 0.5
	case map[string]any:
		return map[string]any{}
	case []any:
		return []any{}
	}
	return "z"
}

// addition is a field that the map does not have, as seen elsewhere.
func (m *mutator) addition(t *Type, have map[string]any) (string, any) {
	if t.shape != shapeStruct {
		return []string{"added", "a", "zz"}[m.rnd.IntN(3)], []any{"v", "v2", ""}[m.rnd.IntN(3)]
	}
	var names []string
	for k := range t.fields {
		if k == "metadata" || k == "apiVersion" || k == "kind" || k == "status" {
			continue
		}
		if _, ok := have[k]; !ok && len(m.pool[t.name+"."+k]) > 0 {
			names = append(names, k)
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	slices.Sort(names)
	k := names[m.rnd.IntN(len(names))]
	values := m.pool[t.name+"."+k]
	return k, deepCopy(values[m.rnd.IntN(len(values))])
}

// learn collects the values of an object by type and field.
func (m *mutator) learn(t *Type, v any) {
	switch x := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			e := x[k]
			f, _ := t.field(k)
			if t.shape == shapeStruct {
				id := t.name + "." + k
				if e != nil && len(m.pool[id]) < 40 && !slices.ContainsFunc(m.pool[id], func(o any) bool { return reflect.DeepEqual(o, e) }) {
					m.pool[id] = append(m.pool[id], deepCopy(e))
				}
			}
			m.learn(f.typ, e)
		}
	case []any:
		for _, e := range x {
			m.learn(t.element().typ, e)
		}
	}
}
