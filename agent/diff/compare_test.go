package diff

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	kyaml "sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

func object(t testing.TB, yaml string) map[string]any {
	t.Helper()
	j, err := kyaml.YAMLToJSON([]byte(yaml))
	if err != nil {
		t.Fatalf("test data: %v", err)
	}
	obj, err := Decode(j)
	if err != nil {
		t.Fatalf("test data: %v", err)
	}
	return obj
}

func body(t testing.TB, yaml string) []byte {
	t.Helper()
	b, err := json.Marshal(object(t, yaml))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func own(fields string) live.FieldManager {
	return live.FieldManager{Manager: model.FieldManager, Operation: "Apply", Time: t0, FieldsV1: []byte(fields)}
}

func other(name, fields string) live.FieldManager {
	return live.FieldManager{Manager: name, Operation: "Update", Time: t0.Add(time.Hour), FieldsV1: []byte(fields)}
}

const deployHead = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n"

func TestCompareFields(t *testing.T) {
	cases := []struct {
		name          string
		desired, live string
		managers      []live.FieldManager
		want          []string // "path desired live"
	}{
		{"equal", deployHead + "spec: {replicas: 2}", deployHead + "spec: {replicas: 2}", nil, nil},
		{"changed scalar", deployHead + "spec: {replicas: 2}", deployHead + "spec: {replicas: 3}", nil, []string{".spec.replicas 2 3"}},
		{"defaulted live fields", deployHead + "spec: {replicas: 2}", deployHead + "spec: {replicas: 2, revisionHistoryLimit: 10, strategy: {type: RollingUpdate}}\nstatus: {replicas: 2}", nil, nil},
		{"missing live field", deployHead + "spec: {replicas: 2, paused: true}", deployHead + "spec: {replicas: 2}", nil, []string{".spec.paused true "}},
		{"zero value left out by the server", deployHead + "spec: {replicas: 2, paused: false, minReadySeconds: 0}", deployHead + "spec: {replicas: 2}", nil, nil},
		{"zero value of a custom resource counts", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {active: false}", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {}", nil, []string{".spec.active false "}},
		{"nulls and empties equal absent", deployHead + "spec: {replicas: 2, strategy: {}, template: {spec: {volumes: [], affinity: null}}}", deployHead + "spec: {replicas: 2}", nil, nil},
		{"status is not compared", deployHead + "status: {replicas: 9}", deployHead + "status: {replicas: 1}", nil, nil},
		{"server metadata is not compared", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, creationTimestamp: null, resourceVersion: '1', uid: x}", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, uid: y, resourceVersion: '7'}", nil, nil},
		{"label changed", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, labels: {app.kubernetes.io/name: a}}", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, labels: {app.kubernetes.io/name: b}}", nil, []string{`.metadata.labels["app.kubernetes.io/name"] "a" "b"`}},
		{"tracking annotation missing", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, annotations: {argocd.argoproj.io/tracking-id: 'a:/ConfigMap:/c'}}", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}", nil, []string{`.metadata.annotations {"argocd.argoproj.io/tracking-id":"a:/ConfigMap:/c"} `}},
		{"quantities", deployHead + "spec: {template: {spec: {containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: '0.5', memory: 1024Mi}}}]}}}", deployHead + "spec: {template: {spec: {containers: [{name: a, resources: {limits: {cpu: 1000m, memory: 1024Mi}, requests: {cpu: 500m, memory: 1Gi}}}]}}}", nil, nil},
		{"quantity differs", deployHead + "spec: {template: {spec: {containers: [{name: a, resources: {limits: {cpu: 1}}}]}}}", deployHead + "spec: {template: {spec: {containers: [{name: a, resources: {limits: {cpu: 1001m}}}]}}}", nil, []string{`.spec.template.spec.containers[name=a].resources.limits.cpu 1 "1001m"`}},
		{"text that looks like a quantity elsewhere", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {size: '1'}", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {size: 1000m}", nil, []string{`.data.size "1" "1000m"`}},
		{"durations that a controller writes back", "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: x}\nspec: {duration: 2160h, renewBefore: 60m}", "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: x}\nspec: {duration: 2160h0m0s, renewBefore: 1h1m}", nil, []string{`.spec.renewBefore "60m" "1h1m"`}},
		{"durations in lists", "apiVersion: cluster.x-k8s.io/v1beta1\nkind: MachineHealthCheck\nmetadata: {name: x}\nspec: {unhealthyConditions: [{type: Ready, timeout: 5m}]}", "apiVersion: cluster.x-k8s.io/v1beta1\nkind: MachineHealthCheck\nmetadata: {name: x}\nspec: {unhealthyConditions: [{type: Ready, timeout: 5m0s}]}", nil, nil},
		{"texts of kinds that nobody knows", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {timeout: 60s}", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {timeout: 1m0s}", nil, []string{`.spec.timeout "60s" "1m0s"`}},
		{"int or string keeps its type", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80, targetPort: 80}]}", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80, protocol: TCP, targetPort: '80'}]}", nil, []string{`.spec.ports[port=80,protocol=TCP].targetPort 80 "80"`}},
		{"whole floats equal integers", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {n: 1.0}", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {n: 1}", nil, nil},
		{"large integers differ", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {num: 9007199254740993}", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {num: 9007199254740992}", nil, []string{".spec.num 9007199254740993 9007199254740992"}},
		{"containers by name", deployHead + "spec: {template: {spec: {containers: [{name: a, image: x}, {name: b, image: y}]}}}", deployHead + "spec: {template: {spec: {containers: [{name: injected, image: q}, {name: a, image: z}, {name: injected2, image: q}, {name: b, image: y}]}}}", nil, []string{`.spec.template.spec.containers[name=a].image "x" "z"`}},
		{"container missing", deployHead + "spec: {template: {spec: {containers: [{name: a}]}}}", deployHead + "spec: {template: {spec: {containers: [{name: b}]}}}", nil, []string{`.spec.template.spec.containers[name=a] {"name":"a"} `}},
		{"container ports by number and protocol", deployHead + "spec: {template: {spec: {containers: [{name: a, ports: [{containerPort: 53, protocol: UDP}, {containerPort: 53}]}]}}}", deployHead + "spec: {template: {spec: {containers: [{name: a, ports: [{containerPort: 53, protocol: UDP, name: dns}, {containerPort: 53, protocol: TCP}]}]}}}", nil, nil},
		{"volume mounts by path", deployHead + "spec: {template: {spec: {containers: [{name: a, volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /b}]}]}}}", deployHead + "spec: {template: {spec: {containers: [{name: a, volumeMounts: [{name: w, mountPath: /a}, {name: v, mountPath: /b}]}]}}}", nil, []string{`.spec.template.spec.containers[name=a].volumeMounts[mountPath=/a].name "v" "w"`}},
		{"tolerations as a whole", deployHead + "spec: {template: {spec: {tolerations: [{key: a}]}}}", deployHead + "spec: {template: {spec: {tolerations: [{key: a}, {key: b}]}}}", nil, []string{`.spec.template.spec.tolerations [{"key":"a"}] [{"key":"a"},{"key":"b"}]`}},
		{"arguments as a whole", deployHead + "spec: {template: {spec: {containers: [{name: a, args: [p, q]}]}}}", deployHead + "spec: {template: {spec: {containers: [{name: a, args: [p, z]}]}}}", nil, []string{`.spec.template.spec.containers[name=a].args[1] "q" "z"`}},
		{"unknown list with names is whole, too", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {things: [{name: a, v: 1}]}", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {things: [{name: b}, {name: a, v: 2}]}", nil, []string{`.spec.things [{"name":"a","v":1}] [{"name":"b"},{"name":"a","v":2}]`}},
		{"unknown list without names is whole", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {things: [{v: 1}]}", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {things: [{v: 1}, {v: 2}]}", nil, []string{`.spec.things [{"v":1}] [{"v":1},{"v":2}]`}},
		{"a field set says that a list is atomic", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {things: [{name: a}]}", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {things: [{name: a}, {name: b}]}", []live.FieldManager{other("edit", `{"f:spec":{"f:things":{}}}`)}, []string{`.spec.things [{"name":"a"}] [{"name":"a"},{"name":"b"}] edit`}},
		{"a field set says the key", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {things: [{id: 1, v: 1}]}", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {things: [{id: 2, v: 5}, {id: 1, v: 1}]}", []live.FieldManager{own(`{"f:spec":{"f:things":{"k:{\"id\":1}":{".":{},"f:id":{},"f:v":{}}}}}`)}, nil},
		{"service selector gained a key", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: a}}", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: a, tier: web}}", nil, []string{`.spec.selector.tier  "web"`}},
		{"finalizers are a set", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, finalizers: [a]}", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, finalizers: [b, a]}", nil, nil},
		{"type changed", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {a: {b: 1}}", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {a: [1]}", nil, []string{`.spec.a {"b":1} [1]`}},
		{"another manager is named", deployHead + "spec: {replicas: 2}", deployHead + "spec: {replicas: 3}", []live.FieldManager{own(`{"f:spec":{"f:template":{}}}`), other("kubectl-edit", `{"f:spec":{"f:replicas":{}}}`)}, []string{".spec.replicas 2 3 kubectl-edit"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			res, err := Compare(Input{Desired: object(t, c.desired), Live: body(t, c.live), Managers: c.managers})
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(res); !reflect.DeepEqual(got, c.want) {
				t.Errorf("differences\n got %q\nwant %q", got, c.want)
			}
			if res.Same() != (len(c.want) == 0) {
				t.Errorf("Same() = %v with %d differences", res.Same(), res.Total)
			}
		})
	}
}

func lines(res Result) []string {
	var out []string
	for _, d := range res.Differences {
		s := d.Path + " " + d.Desired + " " + d.Live
		if d.Manager != "" {
			s += " " + d.Manager
		}
		out = append(out, s)
	}
	return out
}

func TestRemovedFields(t *testing.T) {
	cases := []struct {
		name          string
		desired, live string
		managers      []live.FieldManager
		want          []string
	}{
		{"a field that we set before", deployHead + "spec: {replicas: 2}", deployHead + "spec: {replicas: 2, paused: true}", []live.FieldManager{own(`{"f:spec":{"f:replicas":{},"f:paused":{}}}`)}, []string{".spec.paused  true hawser"}},
		{"a field that another set", deployHead + "spec: {replicas: 2}", deployHead + "spec: {replicas: 2, paused: true}", []live.FieldManager{own(`{"f:spec":{"f:replicas":{}}}`), other("x", `{"f:spec":{"f:paused":{}}}`)}, nil},
		{"already gone", deployHead + "spec: {replicas: 2}", deployHead + "spec: {replicas: 2}", []live.FieldManager{own(`{"f:spec":{"f:replicas":{},"f:paused":{}}}`)}, nil},
		{"a container", deployHead + "spec: {template: {spec: {containers: [{name: a}]}}}", deployHead + "spec: {template: {spec: {containers: [{name: a}, {name: b, image: x}]}}}", []live.FieldManager{own(`{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:name":{}},"k:{\"name\":\"b\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`)}, []string{`.spec.template.spec.containers[name=b]  {"image":"x","name":"b"} hawser`}},
		{"an injected container stays", deployHead + "spec: {template: {spec: {containers: [{name: a}]}}}", deployHead + "spec: {template: {spec: {containers: [{name: a}, {name: b, image: x}]}}}", []live.FieldManager{own(`{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:name":{}}}}}}}`), other("istio", `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"b\"}":{".":{},"f:image":{},"f:name":{}}}}}}}`)}, nil},
		{"one key of many", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1'}", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1', b: '2', foreign: '3'}", []live.FieldManager{own(`{"f:data":{".":{},"f:a":{},"f:b":{}}}`), other("x", `{"f:data":{"f:foreign":{}}}`)}, []string{`.data.b  "2" hawser`}},
		{"the whole data", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1', b: '2'}", []live.FieldManager{own(`{"f:data":{".":{},"f:a":{},"f:b":{}}}`)}, []string{`.data  {"a":"1","b":"2"} hawser`}},
		{"the whole data but for a foreign key", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1', b: '2'}", []live.FieldManager{own(`{"f:data":{".":{},"f:a":{}}}`), other("x", `{"f:data":{"f:b":{}}}`)}, []string{`.data.a  "1" hawser`}},
		{"a label", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, labels: {a: b}}", []live.FieldManager{own(`{"f:metadata":{"f:labels":{"f:a":{}}}}`)}, []string{`.metadata.labels  {"a":"b"} hawser`}},
		{"an update entry of the same name is not ours", deployHead + "spec: {replicas: 2}", deployHead + "spec: {replicas: 2, paused: true}", []live.FieldManager{other(model.FieldManager, `{"f:spec":{"f:paused":{}}}`)}, nil},
		{"an unreadable field set is ignored", deployHead + "spec: {replicas: 2}", deployHead + "spec: {replicas: 2, paused: true}", []live.FieldManager{own(`{"f:spec":`)}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			res, err := Compare(Input{Desired: object(t, c.desired), Live: body(t, c.live), Managers: c.managers})
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(res); !reflect.DeepEqual(got, c.want) {
				t.Errorf("differences\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestIgnoreDifferences(t *testing.T) {
	desired := deployHead + "spec: {replicas: 2, paused: true, template: {spec: {containers: [{name: a, image: x}, {name: b, image: y}]}}}"
	liveYAML := deployHead + "spec: {replicas: 5, paused: false, template: {spec: {containers: [{name: a, image: q}, {name: b, image: y}]}}}"
	managers := []live.FieldManager{other("hpa", `{"f:spec":{"f:replicas":{}}}`)}
	const replicas, paused, image = ".spec.replicas", ".spec.paused", ".spec.template.spec.containers[name=a].image"
	cases := []struct {
		name    string
		rule    model.IgnoreDifferences
		want    []string
		problem string
	}{
		{"no rule", model.IgnoreDifferences{Group: "x", Kind: "Deployment", JSONPointers: []string{"/spec/replicas"}}, []string{paused, replicas, image}, ""},
		{"pointer", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/replicas"}}, []string{paused, image}, ""},
		{"wildcards", model.IgnoreDifferences{Group: "*", Kind: "*", JSONPointers: []string{"/spec/replicas", "/spec/paused"}}, []string{image}, ""},
		{"pointer into a list", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/template/spec/containers/0/image"}}, []string{paused, replicas}, ""},
		{"pointer to nothing", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/x/0/y", "/spec/template/spec/containers/9"}}, []string{paused, replicas, image}, ""},
		{"another name", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", Name: "api", JSONPointers: []string{"/spec/replicas"}}, []string{paused, replicas, image}, ""},
		{"another namespace", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", Namespace: "x", JSONPointers: []string{"/spec/replicas"}}, []string{paused, replicas, image}, ""},
		{"managers", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", ManagedFieldsManagers: []string{"hpa"}}, []string{paused, image}, ""},
		{"jq", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JQPathExpressions: []string{`.spec.template.spec.containers[] | select(.name == "a") | .image`}}, []string{paused, replicas}, ""},
		{"jq that does not parse", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JQPathExpressions: []string{`.spec[`}}, []string{paused, replicas, image}, "was not evaluated"},
		{"jq that fails", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JQPathExpressions: []string{`error("no")`}}, []string{paused, replicas, image}, "was not evaluated"},
		{"jq that does not end", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JQPathExpressions: []string{`last(repeat(1))`}}, []string{paused, replicas, image}, "longer than 1s"},
		{"not a pointer", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JSONPointers: []string{"spec.replicas"}}, []string{paused, replicas, image}, "not a JSON pointer"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Desired: object(t, desired), Live: body(t, liveYAML), Managers: managers, Ignore: []model.IgnoreDifferences{c.rule}}
			res, err := Compare(in)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range res.Differences {
				got = append(got, d.Path)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("differences %q, want %q", got, c.want)
			}
			if p := strings.Join(res.Problems, "; "); (c.problem == "") != (p == "") || !strings.Contains(p, c.problem) {
				t.Errorf("problems %q, want one with %q", p, c.problem)
			}
			if !reflect.DeepEqual(in.Desired, object(t, desired)) {
				t.Error("the desired object was modified")
			}
		})
	}
}

func TestSecretValuesStayHidden(t *testing.T) {
	const head = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
	cases := []struct{ name, desired, live string }{
		{"changed value", head + "data: {p: Y2FuYXJ5MQ==}", head + "data: {p: Y2FuYXJ5Mg==}"},
		{"missing data", head + "data: {p: Y2FuYXJ5MQ==}", head},
		{"string data", head + "stringData: {p: canary1}", head + "data: {p: Y2FuYXJ5Mg==}"},
		{"data of the wrong type", head + "data: [Y2FuYXJ5MQ==]", head + "data: {p: Y2FuYXJ5Mg==}"},
		{"value of the wrong type", head + "data: {p: {q: Y2FuYXJ5MQ==}}", head + "data: {p: Y2FuYXJ5Mg==}"},
		{"last-applied annotation", head + "data: {p: Y2FuYXJ5MQ==}", "apiVersion: v1\nkind: Secret\nmetadata: {name: s, annotations: {kubectl.kubernetes.io/last-applied-configuration: Y2FuYXJ5Mg==}}\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			res, err := Compare(Input{Desired: object(t, c.desired), Live: body(t, c.live), RedactionKey: []byte("k"),
				Managers: []live.FieldManager{own(`{"f:data":{"f:old":{}},"f:metadata":{"f:annotations":{".":{},"f:kubectl.kubernetes.io/last-applied-configuration":{}}}}`)}})
			if err != nil {
				t.Fatal(err)
			}
			if res.Total == 0 {
				t.Fatal("no difference found")
			}
			for _, d := range res.Differences {
				for _, s := range []string{d.Desired, d.Live, d.Path} {
					for _, canary := range []string{"canary", "Y2FuYXJ5"} {
						if strings.Contains(s, canary) {
							t.Errorf("a value is in the clear: %+v", d)
						}
					}
				}
			}
		})
	}
	t.Run("equal string data", func(t *testing.T) {
		res, err := Compare(Input{Desired: object(t, head+"stringData: {p: canary1}"), Live: body(t, head+"type: Opaque\ndata: {p: Y2FuYXJ5MQ==}")})
		if err != nil || !res.Same() {
			t.Errorf("differences %v, error %v", res.Differences, err)
		}
	})
}

func TestOtherVersionIsNotCompared(t *testing.T) {
	res, err := Compare(Input{
		Desired: object(t, "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\nspec: {targetCPUUtilizationPercentage: 50}"),
		Live:    body(t, "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\nspec: {metrics: []}"),
	})
	if err != nil || !res.OtherVersion || res.Same() || res.Total != 0 {
		t.Errorf("got %+v, %v", res, err)
	}
}

func TestLimits(t *testing.T) {
	desired := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "c"}}
	data := map[string]any{}
	for i := range 30 {
		data[string(rune('a'+i%26))+strings.Repeat("x", i)] = strings.Repeat("é", 2000)
	}
	desired["data"] = data
	res, err := Compare(Input{Desired: desired, Live: []byte(`{"apiVersion":"v1","kind":"ConfigMap","data":{"q":"1"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Differences) != MaxDifferences || res.Total != 30 {
		t.Errorf("%d listed of %d", len(res.Differences), res.Total)
	}
	for _, d := range res.Differences {
		if len(d.Desired) > MaxValue || !strings.HasSuffix(d.Desired, "é…") {
			t.Errorf("value not cut at a character: %d bytes", len(d.Desired))
		}
	}
	if _, err := Compare(Input{Desired: desired, Live: []byte(`[1]`)}); err == nil {
		t.Error("a body that is no object is accepted")
	}
}

func TestEqualIgnoresWhatTheServerKeeps(t *testing.T) {
	a := []byte(`{"metadata":{"name":"a","resourceVersion":"1","generation":2,"managedFields":[{}]},"spec":{"x":1},"status":{"y":1}}`)
	b := []byte(`{"metadata":{"name":"a","resourceVersion":"2","generation":3},"spec":{"x":1}}`)
	c := []byte(`{"metadata":{"name":"a"},"spec":{"x":2}}`)
	if ok, err := Equal(a, b); !ok || err != nil {
		t.Errorf("a and b: %v %v", ok, err)
	}
	if ok, err := Equal(a, c); ok || err != nil {
		t.Errorf("a and c: %v %v", ok, err)
	}
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a","annotations":{"a":"b"}},"data":{"a":"b"}}`), []byte(`{"apiVersion":"v1","kind":"Secret","data":[1,{"name":"x"}]}`), []byte(`{"f:data":{"f:x":{},"k:{\"name\":\"a\"}":{".":{}},"v:1":{}}}`))
	f.Add([]byte(`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"ports":[{"port":1},{"port":1,"protocol":"UDP"}],"limits":{"cpu":1},"finalizers":[1,{}]}}`), []byte(`{"apiVersion":"apps/v1","spec":{"ports":[{"containerPort":1}],"limits":{"cpu":"1e99999999"},"finalizers":[{}]}}`), []byte(`{"f:spec":{"f:ports":{"k:{\"port\":{}}":{}}}}`))
	f.Fuzz(func(t *testing.T, desired, liveBody, fields []byte) {
		d, err := Decode(desired)
		if err != nil {
			return
		}
		managers := []live.FieldManager{own(string(fields)), other("x", string(fields))}
		if _, err := Compare(Input{Desired: d, Live: liveBody, Managers: managers}); err != nil {
			if _, bad := Decode(liveBody); bad == nil {
				t.Fatalf("a decodable body is refused: %v", err)
			}
		}
		answer := append([]byte(nil), liveBody...)
		if _, err := CompareAnswer(Input{Desired: d, Live: liveBody, Managers: managers}, answer); err == nil {
			RespectInput(Input{Desired: d, Live: liveBody, Managers: managers, Ignore: []model.IgnoreDifferences{{Group: "*", Kind: "*", JSONPointers: []string{"/data/a", "/spec/ports/0"}, ManagedFieldsManagers: []string{"x"}}}})
		}
		if builtin.Type(text(d["apiVersion"]), text(d["kind"])) != nil {
			return // no server would leave such an object as it is
		}
		same, err := json.Marshal(Normalise(d))
		if err != nil {
			return
		}
		res, err := Compare(Input{Desired: d, Live: same})
		if err != nil {
			t.Fatal(err)
		}
		if !res.Same() {
			t.Fatalf("an object differs from itself: %+v", res.Differences)
		}
	})
}
