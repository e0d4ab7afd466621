package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// application is what a small application is made of.
func application(n int) []byte {
	return fmt.Appendf(nil, `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-%[1]d
  labels: {app: web-%[1]d}
spec:
  replicas: 0
  selector: {matchLabels: {app: web-%[1]d}}
  template:
    metadata:
      labels: {app: web-%[1]d}
    spec:
      containers:
      - name: main
        image: registry.example/web:1.%[1]d
        ports:
        - containerPort: 8080
        resources:
          requests: {cpu: 10m, memory: 16Mi}
          limits: {memory: 64Mi}
---
apiVersion: v1
kind: Service
metadata: {name: web-%[1]d}
spec:
  clusterIP: None
  selector: {app: web-%[1]d}
  ports:
  - port: 80
    targetPort: 8080
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web-%[1]d}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web-%[1]d}
data:
  config: |
%[2]s
`, n, strings.Repeat("    some line of configuration, 64 bytes with its indentation ...\n", 30))
}

func parsed(t testing.TB, data []byte) []Object {
	t.Helper()
	objs, err := Parse("a.yaml", data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

func TestBundleIsDeterministic(t *testing.T) {
	objs := parsed(t, application(1))
	first, digest, err := EncodeBundle(objs)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		shuffled := append([]Object(nil), objs...)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for i := range shuffled {
			shuffled[i].Origin = "elsewhere"
		}
		again, d, err := EncodeBundle(shuffled)
		if err != nil {
			t.Fatal(err)
		}
		if d != digest || !bytes.Equal(again, first) {
			t.Fatal("order or origin changes the bundle")
		}
	}
	back, err := DecodeBundle(first, digest)
	if err != nil {
		t.Fatal(err)
	}
	SortForApply(objs)
	for i := range objs {
		objs[i].Origin = ""
	}
	if !reflect.DeepEqual(back, objs) {
		t.Errorf("got %v\nwant %v", back, objs)
	}
	objs[0].Body["spec"] = "other"
	if _, d, _ := EncodeBundle(objs); d == digest {
		t.Error("other content has the same digest")
	}
}

func TestEmptyBundle(t *testing.T) {
	encoded, digest, err := EncodeBundle(nil)
	if err != nil {
		t.Fatal(err)
	}
	objs, err := DecodeBundle(encoded, digest)
	if err != nil || len(objs) != 0 {
		t.Errorf("got %v, %v", objs, err)
	}
}

func TestDecodeBundleRefusesWhatIsNotComplete(t *testing.T) {
	encoded, digest, err := EncodeBundle(parsed(t, application(1)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := decoder().DecodeAll(encoded, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	lines = lines[:len(lines)-1]
	trailer := lines[len(lines)-1]
	join := func(parts ...[]byte) []byte { return encoder().EncodeAll(bytes.Join(parts, nil), nil) }
	body := bytes.Join(lines[:len(lines)-1], nil)
	junk := []byte("{\"kind\":\"X\"}\n")

	tests := []struct {
		name    string
		encoded []byte
		want    model.Digest
		code    string
	}{
		{"nothing", nil, digest, "bundle_incomplete"},
		{"empty text", join(), digest, "bundle_incomplete"},
		{"not zstd", []byte("hello"), digest, "bundle_corrupt"},
		{"cut off", encoded[:len(encoded)-3], digest, "bundle_corrupt"},
		{"no trailer", join(body), digest, "bundle_incomplete"},
		{"half a trailer", join(body, trailer[:len(trailer)-5]), digest, "bundle_incomplete"},
		{"trailer without newline", join(body, trailer[:len(trailer)-1]), digest, "bundle_incomplete"},
		{"an object is missing", join(bytes.Join(lines[1:], nil)), digest, "bundle_corrupt"},
		{"only the trailer", join(trailer), digest, "bundle_corrupt"},
		{"text after the trailer", join(text, junk), digest, "bundle_incomplete"},
		{"another bundle", encoded, "sha256:" + model.Digest(strings.Repeat("0", 64)), "bundle_corrupt"},
		{"no digest wanted", encoded, "", "bundle_corrupt"},
		{"count is wrong", join(body, bytes.Replace(trailer, []byte(":4,"), []byte(":5,"), 1)), digest, "bundle_incomplete"},
		{"count is no number", join(body, bytes.Replace(trailer, []byte(":4,"), []byte(":x,"), 1)), digest, "bundle_incomplete"},
		{"count is negative", join(body, bytes.Replace(trailer, []byte(":4,"), []byte(":-4,"), 1)), digest, "bundle_incomplete"},
		{"not an object", join(junk, fmt.Appendf(nil, "%s1%s%s%s", trailerStart, trailerMiddle, digestOf(junk), trailerEnd)), digestOf(junk), "bundle_corrupt"},
		{"a bomb", join(make([]byte, MaxBundleBytes+1<<20)), digest, "bundle_corrupt"},
	}
	for i := range encoded {
		flipped := bytes.Clone(encoded)
		flipped[i] ^= 0x40
		objs, err := DecodeBundle(flipped, digest)
		if err == nil {
			// A flipped bit that changes nothing of the text is no harm.
			if again, d, _ := EncodeBundle(objs); d != digest || !bytes.Equal(again, encoded) {
				t.Fatalf("byte %d flipped: accepted with other content", i)
			}
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			objs, err := DecodeBundle(tt.encoded, tt.want)
			if !fault.HasCode(err, tt.code) || !fault.Is(err, fault.Unavailable) {
				t.Errorf("got %v, want code %s", err, tt.code)
			}
			if objs != nil {
				t.Error("objects came with the error")
			}
		})
	}
}

func TestEncodeBundleRefusesTooMuch(t *testing.T) {
	big := Object{Body: map[string]any{"data": strings.Repeat("x", MaxBundleBytes/4)}}
	if _, _, err := EncodeBundle([]Object{big, big, big, big, big}); !fault.HasCode(err, "too_large") {
		t.Errorf("got %v", err)
	}
	if _, _, err := EncodeBundle(make([]Object, MaxBundleObjects+1)); !fault.HasCode(err, "too_large") {
		t.Errorf("got %v", err)
	}
}

func TestCanonicalJSON(t *testing.T) {
	tests := []struct {
		v    any
		want string
	}{
		{nil, `null`}, {map[string]any(nil), `null`}, {[]any(nil), `null`}, {true, `true`}, {int64(-5), `-5`}, {int(5), `5`}, {int32(6), `6`},
		{float32(1.5), `1.5`}, {0.1, `0.1`}, {1e21, `1e+21`}, {1e-7, `1e-7`}, {1e20, `100000000000000000000`}, {-1.5e-9, `-1.5e-9`},
		{"a<b>&\u2028", "\"a<b>&\u2028\""}, {"\x00\x1f\"\\\n\r\t", `"\u0000\u001f\"\\\n\r\t"`}, {"a\xffb", "\"a\ufffdb\""}, {"é😀", `"é😀"`},
		{map[string]any{"b": int64(1), "a": []any{}, "": map[string]any{}}, `{"":{},"a":[],"b":1}`},
	}
	for _, tt := range tests {
		got := AppendJSON(nil, tt.v)
		if string(got) != tt.want {
			t.Errorf("%#v: got %s, want %s", tt.v, got, tt.want)
		}
		var v any
		if err := json.Unmarshal(got, &v); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
	if Hash(map[string]any{"a": int64(1)}) != digestOf([]byte(`{"a":1}`)) {
		t.Error("Hash is not the digest of the canonical JSON")
	}
	defer func() {
		if recover() == nil {
			t.Error("a value of a foreign type did not panic")
		}
	}()
	AppendJSON(nil, struct{}{})
}

func TestSortForApply(t *testing.T) {
	want := []model.ObjectKey{
		{Kind: "Namespace", Name: "a"},
		{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: "x"},
		{Group: "networking.k8s.io", Kind: "NetworkPolicy", Name: "x"},
		{Group: "policy", Kind: "PodDisruptionBudget", Name: "x"},
		{Kind: "ServiceAccount", Name: "x"},
		{Kind: "Secret", Name: "x"},
		{Kind: "ConfigMap", Namespace: "a", Name: "y"},
		{Kind: "ConfigMap", Namespace: "b", Name: "x"},
		{Kind: "PersistentVolumeClaim", Name: "x"},
		{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "x"},
		{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding", Name: "x"},
		{Kind: "Service", Name: "x"},
		{Group: "apps", Kind: "DaemonSet", Name: "x"},
		{Group: "apps", Kind: "Deployment", Name: "a"},
		{Group: "apps", Kind: "Deployment", Name: "b"},
		{Group: "batch", Kind: "CronJob", Name: "x"},
		{Group: "networking.k8s.io", Kind: "Ingress", Name: "x"},
		{Group: "apiregistration.k8s.io", Kind: "APIService", Name: "x"},
		{Group: "a.example.com", Kind: "Certificate", Name: "x"},
		{Group: "b.example.com", Kind: "Certificate", Name: "x"},
		{Group: "serving.knative.dev", Kind: "Service", Name: "a"},
		{Group: "a.example.com", Kind: "Zebra", Name: "x"},
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		objs := make([]Object, len(want))
		for i, j := range r.Perm(len(want)) {
			objs[i].Key = want[j]
		}
		SortForApply(objs)
		for i, o := range objs {
			if o.Key != want[i] {
				t.Fatalf("place %d: got %s, want %s", i, o.Key, want[i])
			}
		}
	}
	same := []Object{{Key: want[0], Origin: "first"}, {Key: want[0], Origin: "second"}}
	SortForApply(same)
	if same[0].Origin != "first" {
		t.Error("the sort is not stable")
	}
}

func TestSyncOptions(t *testing.T) {
	with := func(annotation, value string) Object {
		return Object{Body: map[string]any{"metadata": map[string]any{"annotations": map[string]any{annotation: value}}}}
	}
	tests := []struct {
		name string
		app  []string
		o    Object
		want map[string]string
	}{
		{"none", nil, Object{}, map[string]string{}},
		{"application", []string{"Prune=false", " CreateNamespace = true "}, Object{}, map[string]string{"Prune": "false", "CreateNamespace": "true"}},
		{"object", nil, with(model.AnnotationSyncOptions, "Prune=false, Delete=confirm,,"), map[string]string{"Prune": "false", "Delete": "confirm"}},
		{"object wins", []string{"Prune=false", "Replace=true"}, with(model.AnnotationSyncOptions, "Prune=true"), map[string]string{"Prune": "true", "Replace": "true"}},
		{"alias", nil, with("hawser.dev/sync-options", "Prune=false"), map[string]string{"Prune": "false"}},
		{"without value", []string{"PruneLast"}, Object{}, map[string]string{"PruneLast": "true"}},
		{"without name", []string{"=x", " "}, Object{}, map[string]string{}},
		{"value with equals sign", []string{"A=b=c"}, Object{}, map[string]string{"A": "b=c"}},
	}
	for _, tt := range tests {
		if got := SyncOptions(tt.app, tt.o); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestRedact(t *testing.T) {
	const canary = "CANARY-hunter2"
	secret := parsed(t, []byte(`apiVersion: v1
kind: Secret
metadata:
  name: s
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "`+canary+`", keep: me}
type: Opaque
immutable: true
data: {a: `+canary+`, b: other, copy: `+canary+`, nothing: ~}
stringData: {c: `+canary+`, n: 5}
Data: {d: `+canary+`}
extra: `+canary+`
list: [`+canary+`]
`))[0]
	before := string(secret.JSON())
	key := []byte("key")
	out := Redact(secret.Body, key)
	text := string(AppendJSON(nil, out))
	if strings.Contains(text, canary) {
		t.Errorf("the value is in %s", text)
	}
	if string(secret.JSON()) != before {
		t.Error("the original changed")
	}
	data := out["data"].(map[string]any)
	if a := data["a"].(string); !strings.HasPrefix(a, "redacted:") || len(a) != len("redacted:")+8 {
		t.Errorf("got %q", a)
	}
	// The same value is recognized in its place, and nowhere else.
	if again := Redact(secret.Body, key)["data"].(map[string]any); again["a"] != data["a"] || data["a"] == data["copy"] || data["a"] == data["b"] || data["nothing"] != nil {
		t.Errorf("got %v, then %v", data, again)
	}
	if other := Redact(secret.Body, []byte("other key"))["data"].(map[string]any); other["a"] == data["a"] {
		t.Error("the key makes no difference")
	}
	elsewhere := map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "s", "namespace": "mine"}, "data": map[string]any{"a": canary}}
	if other := Redact(elsewhere, key)["data"].(map[string]any); other["a"] == data["a"] {
		t.Error("a value can be tried in another Secret")
	}
	if out["type"] != "Opaque" || out["immutable"] != true || out["metadata"].(map[string]any)["annotations"].(map[string]any)["keep"] != "me" {
		t.Errorf("open fields are gone: %s", text)
	}

	plain := parsed(t, []byte(`apiVersion: v1
kind: ConfigMap
metadata: {name: s, annotations: {kubectl.kubernetes.io/last-applied-configuration: x}}
data: {a: b}
`))[0]
	marked := map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"annotations": map[string]any{"token": "abc", "open": "x"}}}
	if a := Redact(marked, key, "token", "missing")["metadata"].(map[string]any)["annotations"].(map[string]any); a["token"] == "abc" || a["open"] != "x" || len(a) != 2 {
		t.Errorf("annotations of a Secret: %v", a)
	}
	if got := string(AppendJSON(nil, Redact(plain.Body, key))); got != `{"apiVersion":"v1","data":{"a":"b"},"kind":"ConfigMap","metadata":{"name":"s"}}` {
		t.Errorf("got %s", got)
	}
	custom := map[string]any{"apiVersion": "example.com/v1", "kind": "Secret", "spec": map[string]any{"a": []any{"b"}}}
	if got := string(AppendJSON(nil, Redact(custom, key))); strings.Contains(got, `"b"`) || !strings.Contains(got, `"a":"redacted:`) {
		t.Errorf("another API's Secret: got %v", got)
	}
	if Redact(nil, key) != nil {
		t.Error("nil became something")
	}
}

func BenchmarkParse500x4(b *testing.B) {
	files := make([][]byte, 500)
	for i := range files {
		files[i] = application(i)
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, f := range files {
			if _, err := Parse("a.yaml", f, Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkEncode500x4(b *testing.B) {
	apps := make([][]Object, 500)
	for i := range apps {
		apps[i] = parsed(b, application(i))
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, objs := range apps {
			if _, _, err := EncodeBundle(objs); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkCanonicalJSON500x4(b *testing.B) {
	apps := make([][]Object, 500)
	for i := range apps {
		apps[i] = parsed(b, application(i))
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		for _, objs := range apps {
			for _, o := range objs {
				buf = AppendJSON(buf[:0], o.Body)
			}
		}
	}
}

func BenchmarkDecode500x4(b *testing.B) {
	encoded, digests := make([][]byte, 500), make([]model.Digest, 500)
	for i := range encoded {
		encoded[i], digests[i], _ = EncodeBundle(parsed(b, application(i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		for i := range encoded {
			if _, err := DecodeBundle(encoded[i], digests[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
}
