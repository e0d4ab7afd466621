package diff

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// managedBy adds managedFields to an object.
func managedBy(t *testing.T, yaml string, managers ...live.FieldManager) []byte {
	t.Helper()
	obj := object(t, yaml)
	var entries []any
	for _, m := range managers {
		fields, err := Decode(m.FieldsV1)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, map[string]any{"manager": m.Manager, "operation": m.Operation, "time": m.Time.Format(time.RFC3339), "fieldsV1": fields})
	}
	obj["metadata"].(map[string]any)["managedFields"] = entries
	return manifest.AppendJSON(nil, obj)
}

func TestCompareAnswer(t *testing.T) {
	ours := own(`{"f:spec":{"f:replicas":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{},"f:name":{}}},"f:tolerations":{}}}}}`)
	deploy := func(meta, spec string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop" + meta + "}\nspec: " + spec
	}
	const web = "template: {spec: {containers: [{name: web, image: x}]}}"
	cases := []struct {
		name           string
		desired        string
		answer, live   string
		before         live.FieldManager
		ignore         []model.IgnoreDifferences
		want, withHook []string
	}{
		{"equal", deploy("", "{replicas: 2, "+web+"}"), deploy("", "{replicas: 2, "+web+"}"), deploy(", generation: 3, resourceVersion: '5'", "{replicas: 2, "+web+"}\nstatus: {replicas: 1}"), ours, nil, nil, nil},
		{"our field", deploy("", "{replicas: 2}"), deploy("", "{replicas: 2, "+web+"}"), deploy("", "{replicas: 3, "+web+"}"), ours, nil, []string{".spec.replicas 2 3 hawser"}, []string{".spec.replicas 2 3 hawser"}},
		{"our field that is ignored", deploy("", "{replicas: 2}"), deploy("", "{replicas: 2, "+web+"}"), deploy("", "{replicas: 3, "+web+"}"), ours, []model.IgnoreDifferences{{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/replicas"}}}, nil, nil},
		{"an annotation of a webhook", deploy("", "{replicas: 2}"), deploy(", annotations: {seen: now}", "{replicas: 2}"), deploy(", annotations: {seen: then}", "{replicas: 2}"), ours, nil, nil, []string{`.metadata.annotations.seen "now" "then"`}},
		{"a container of a webhook", deploy("", "{replicas: 2}"), deploy("", "{replicas: 2, template: {spec: {containers: [{name: side, image: s}, {name: web, image: x}]}}}"), deploy("", "{replicas: 2, "+web+"}"), ours, nil, nil, []string{`.spec.template.spec.containers[name=side] {"image":"s","name":"side"} `}},
		{"a container that a webhook takes away", deploy("", "{replicas: 2}"), deploy("", "{replicas: 2, "+web+"}"), deploy("", "{replicas: 2, template: {spec: {containers: [{name: web, image: x}, {name: side, image: s}]}}}"), ours, nil, nil, []string{`.spec.template.spec.containers[name=side]  {"image":"s","name":"side"}`}},
		{"a webhook's field in our container", deploy("", "{replicas: 2}"), deploy("", "{template: {spec: {containers: [{name: web, image: x, args: [a]}]}}}"), deploy("", "{template: {spec: {containers: [{name: web, image: x, args: [b]}]}}}"), ours, nil, nil, []string{`.spec.template.spec.containers[name=web].args[0] "a" "b"`}},
		{"our field in our container", deploy("", "{replicas: 2}"), deploy("", "{template: {spec: {containers: [{name: web, image: z}]}}}"), deploy("", "{"+web+"}"), ours, nil, []string{`.spec.template.spec.containers[name=web].image "z" "x" hawser`}, []string{`.spec.template.spec.containers[name=web].image "z" "x" hawser`}},
		{"our list that is replaced", deploy("", "{replicas: 2}"), deploy("", "{template: {spec: {tolerations: [{key: a}]}}}"), deploy("", "{template: {spec: {tolerations: [{key: b}]}}}"), ours, nil, []string{`.spec.template.spec.tolerations[0].key "a" "b" hawser`}, []string{`.spec.template.spec.tolerations[0].key "a" "b" hawser`}},
		{"what we applied before goes away", deploy("", "{replicas: 2}"), deploy("", "{replicas: 2}"), deploy("", "{replicas: 2, paused: true}"), own(`{"f:spec":{"f:replicas":{},"f:paused":{}}}`), nil, []string{".spec.paused  true hawser"}, []string{".spec.paused  true hawser"}},
		{"the default that comes instead", deploy("", "{replicas: 2}"), deploy("", "{replicas: 2, minReadySeconds: 0, progressDeadlineSeconds: 600}"), deploy("", "{replicas: 2, progressDeadlineSeconds: 5}"), own(`{"f:spec":{"f:replicas":{},"f:progressDeadlineSeconds":{}}}`), nil, []string{".spec.progressDeadlineSeconds 600 5 hawser"}, []string{".spec.progressDeadlineSeconds 600 5 hawser"}},
		{"another notation of a quantity", deploy("", "{replicas: 2}"), deploy("", "{template: {spec: {containers: [{name: web, image: x, resources: {limits: {memory: 1Gi}}}]}}}"), deploy("", "{template: {spec: {containers: [{name: web, image: x, resources: {limits: {memory: 1024Mi}}}]}}}"), ours, nil, nil, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Desired: object(t, c.desired), Live: managedBy(t, c.live, c.before), Ignore: c.ignore}
			answer := managedBy(t, c.answer, ours, other("webhook", `{"f:metadata":{"f:annotations":{"f:seen":{}}}}`))
			for include, want := range map[bool][]string{false: c.want, true: c.withHook} {
				in.IncludeMutationWebhook = include
				res, err := CompareAnswer(in, answer)
				if err != nil {
					t.Fatal(err)
				}
				if got := lines(res); !reflect.DeepEqual(got, want) {
					t.Errorf("with webhooks %v: differences\n got %q\nwant %q", include, got, want)
				}
				if !res.Certain() {
					t.Errorf("an answer leaves doubts: %q", res.Doubts)
				}
			}
		})
	}
	t.Run("no answer", func(t *testing.T) {
		in := Input{Desired: object(t, deployHead), Live: body(t, deployHead)}
		if _, err := CompareAnswer(in, []byte("null")); err == nil {
			t.Error("an answer that is no object is taken")
		}
		if res, err := CompareAnswer(in, []byte(`{"apiVersion":"apps/v1beta1"}`)); err != nil || !res.OtherVersion || res.Same() {
			t.Errorf("%+v %v", res, err)
		}
	})
}

func TestEqualObjects(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{"kind":"Role","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"r"},"rules":[]}`, `{"kind":"Role","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"r"},"rules":null}`, true},
		{`{"kind":"X","apiVersion":"a.io/v1","spec":{"a":[]}}`, `{"kind":"X","apiVersion":"a.io/v1","spec":{}}`, false},
		{`{"kind":"X","apiVersion":"a.io/v1","metadata":{"uid":"1"}}`, `{"kind":"X","apiVersion":"a.io/v1","metadata":{"uid":"2"}}`, false},
		{`{"kind":"X","apiVersion":"a.io/v1","metadata":{"name":"1"}}`, `{"kind":"X","apiVersion":"a.io/v1","metadata":{"name":"2"}}`, false},
		{`{"kind":"X","apiVersion":"a.io/v1"}`, `{"kind":"X","apiVersion":"a.io/v2"}`, false},
		{`{"kind":"X","apiVersion":"a.io/v1","metadata":{"finalizers":["a"]}}`, `{"kind":"X","apiVersion":"a.io/v1","metadata":{}}`, false},
		{`{"kind":"X","apiVersion":"a.io/v1","spec":{"l":[{"name":"a"},{"name":"b"}]}}`, `{"kind":"X","apiVersion":"a.io/v1","spec":{"l":[{"name":"b"},{"name":"a"}]}}`, false},
		{`{"kind":"Pod","apiVersion":"v1","spec":{"containers":[{"name":"a"},{"name":"b"}]}}`, `{"kind":"Pod","apiVersion":"v1","spec":{"containers":[{"name":"b"},{"name":"a"}]}}`, false},
		{`{"kind":"Pod","apiVersion":"v1","spec":{"containers":[{"name":"a"}]}}`, `{"kind":"Pod","apiVersion":"v1","spec":{"containers":[{"name":"a"},{"name":"b"}]}}`, false},
	} {
		for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			got, err := Equal([]byte(pair[0]), []byte(pair[1]))
			if err != nil || got != c.want {
				t.Errorf("%s and %s are equal: %v (%v)", pair[0], pair[1], got, err)
			}
		}
	}
	if _, err := Equal([]byte("{}"), []byte("[]")); err == nil {
		t.Error("what is no object is compared")
	}
}

func TestManagers(t *testing.T) {
	got, err := Managers([]byte(`{"metadata":{"managedFields":[{"manager":"a","operation":"Apply","time":"2026-03-01T12:00:00Z","subresource":"status","fieldsV1":{"f:b":{},"f:a":{}}},7,{"manager":"b","operation":"Update","time":"when"}]}}`))
	want := []live.FieldManager{{Manager: "a", Operation: "Apply", Subresource: "status", Time: t0, FieldsV1: []byte(`{"f:a":{},"f:b":{}}`)}, {Manager: "b", Operation: "Update"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := Managers([]byte("x")); err == nil {
		t.Error("no JSON is read")
	}
}

// TestMutatingWebhooks asks a real API server with a webhook: what the webhook
// changes is no difference, neither in a field that this agent applies nor in one
// that it does not know.
func TestMutatingWebhooks(t *testing.T) {
	s := startServer(t)
	var calls atomic.Int64
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Request    struct {
				UID string `json:"uid"`
			} `json:"request"`
		}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		patch := fmt.Sprintf(`[{"op":"add","path":"/metadata/annotations","value":{"seen":"call %d"}},{"op":"add","path":"/data/image","value":"mirror.example/x"},{"op":"add","path":"/data/injected","value":"call %d"}]`, calls.Add(1), calls.Load())
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": review.APIVersion, "kind": review.Kind,
			"response": map[string]any{"uid": review.Request.UID, "allowed": true, "patchType": "JSONPatch", "patch": base64.StdEncoding.EncodeToString([]byte(patch))}})
	}))
	defer hook.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})
	config := object(t, `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: diff-webhook}
webhooks:
- name: mutate.diff.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {url: "`+hook.URL+`", caBundle: `+base64.StdEncoding.EncodeToString(ca)+`}
  objectSelector: {matchLabels: {mutate: "yes"}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]
`)
	if code, answer := s.apply(config, false); code/100 != 2 {
		t.Fatalf("%d %s", code, answer)
	}
	defer s.delete(config)
	cm := object(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mutated, labels: {mutate: 'yes'}}\ndata: {image: x, other: '1'}")
	defer s.delete(cm)
	deadline := time.Now().Add(30 * time.Second)
	for { // until the server has heard of the webhook
		if code, answer := s.apply(cm, false); code/100 != 2 {
			t.Fatalf("%d %s", code, answer)
		}
		if calls.Load() > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the webhook is not called")
		}
		time.Sleep(50 * time.Millisecond)
	}
	check := func(name string, desired map[string]any, want, all []string) {
		t.Helper()
		code, answer := s.apply(desired, true)
		if code/100 != 2 {
			t.Fatalf("%d %s", code, answer)
		}
		for include, want := range map[bool][]string{false: want, true: all} {
			res, err := CompareAnswer(Input{Desired: desired, Live: s.get(desired), IncludeMutationWebhook: include}, answer)
			if err != nil {
				t.Fatal(err)
			}
			if got := paths(res); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, with webhooks %v: %q, want %q", name, include, got, want)
			}
		}
	}
	seen := []string{".data.injected", ".metadata.annotations.seen"}
	check("unchanged", cm, nil, seen)
	if res, err := Compare(Input{Desired: cm, Live: s.get(cm)}); err != nil || strings.Join(paths(res), " ") != ".data.image" {
		t.Errorf("the comparison of fields says %q: it cannot know of the webhook (%v)", paths(res), err)
	}
	changed := deepCopy(cm).(map[string]any)
	changed["data"].(map[string]any)["other"] = "2"
	check("changed", changed, []string{".data.other"}, append([]string{".data.injected", ".data.other"}, seen[1:]...))
	delete(changed["data"].(map[string]any), "other")
	check("removed", changed, []string{".data.other"}, append([]string{".data.injected", ".data.other"}, seen[1:]...))
}
