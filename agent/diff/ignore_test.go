package diff

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func paths(res Result) []string {
	var out []string
	for _, d := range res.Differences {
		out = append(out, d.Path)
	}
	return out
}

func TestPointers(t *testing.T) {
	const h = "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x, namespace: ns-a, annotations: {a/b: '1', 'c~d': '1'}}\n"
	desired := h + "spec: {map: {k: 1}, list: [a, b, c], '0': zero, deep: {er: {est: 1}}}"
	liveYAML := strings.ReplaceAll(h, "'1'", "'2'") + "spec: {map: {k: 2, l: 3}, list: [x, b, z], '0': nought}"
	all := []string{`.metadata.annotations["a/b"]`, `.metadata.annotations["c~d"]`, ".spec.0", ".spec.deep", ".spec.list[0]", ".spec.list[2]", ".spec.map.k"}
	without := func(drop ...string) []string {
		var out []string
		for _, p := range all {
			if !contains(drop, p) {
				out = append(out, p)
			}
		}
		return out
	}
	for _, c := range []struct {
		name     string
		pointers []string
		want     []string
	}{
		{"escaped slash", []string{"/metadata/annotations/a~1b"}, without(all[0])},
		{"escaped tilde", []string{"/metadata/annotations/c~0d"}, without(all[1])},
		{"a number names a field of a map", []string{"/spec/0"}, without(".spec.0")},
		{"both ends of a list: the first does not shift the last", []string{"/spec/list/0", "/spec/list/2"}, without(".spec.list[0]", ".spec.list[2]")},
		{"past the end", []string{"/spec/list/3", "/spec/list/-", "/spec/list/-1", "/spec/list/01"}, all},
		{"what becomes empty and is not live goes, too", []string{"/spec/deep/er/est"}, without(".spec.deep")},
		{"what becomes empty and is live stays", []string{"/spec/map/k"}, without(".spec.map.k")},
		{"through a scalar", []string{"/kind/x/y", "/spec/list/0/x"}, all},
		{"a whole part", []string{"/spec"}, all[:2]},
		{"an empty segment", []string{"/spec//x", "//"}, all},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := Input{Desired: object(t, desired), Live: body(t, liveYAML), Managers: []live.FieldManager{other("x", `{"f:spec":{"f:list":{}}}`)},
				Ignore: []model.IgnoreDifferences{{Group: "acme.io", Kind: "X", JSONPointers: c.pointers}}}
			res, err := Compare(in)
			if err != nil {
				t.Fatal(err)
			}
			if got := paths(res); !reflect.DeepEqual(got, c.want) || len(res.Problems) > 0 || len(res.Doubts) > 0 {
				t.Errorf("differences %q, want %q (%q, %q)", got, c.want, res.Problems, res.Doubts)
			}
			if !reflect.DeepEqual(in.Desired, object(t, desired)) {
				t.Error("the desired object was modified")
			}
		})
	}
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

func TestWhichObjectsRulesAreFor(t *testing.T) {
	obj := object(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web-1, namespace: team-a}")
	for _, c := range []struct {
		rule model.IgnoreDifferences
		want bool
	}{
		{model.IgnoreDifferences{Group: "apps", Kind: "Deployment"}, true},
		{model.IgnoreDifferences{Kind: "Deployment"}, false},
		{model.IgnoreDifferences{Group: "apps", Kind: "deployment"}, false},
		{model.IgnoreDifferences{Group: "*", Kind: "*"}, true},
		{model.IgnoreDifferences{Group: "a*s", Kind: "D*t"}, true},
		{model.IgnoreDifferences{Group: "app?", Kind: "?eployment"}, true},
		{model.IgnoreDifferences{Group: "app?", Kind: "Deployment?"}, false},
		{model.IgnoreDifferences{Group: "apps", Kind: "Deployment", Name: "web-*", Namespace: "team-?"}, true},
		{model.IgnoreDifferences{Group: "apps", Kind: "Deployment", Name: "web"}, false},
		{model.IgnoreDifferences{Group: "apps", Kind: "Deployment", Namespace: "*-b"}, false},
		{model.IgnoreDifferences{Group: "apps", Kind: strings.Repeat("*a", 500) + "b"}, false},
	} {
		if got := len(selectRules([]model.IgnoreDifferences{c.rule}, nil, obj).list) == 1; got != c.want {
			t.Errorf("%+v applies: %v, want %v", c.rule, got, c.want)
		}
	}
	core := object(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: s}")
	if len(selectRules([]model.IgnoreDifferences{{Group: "", Kind: "Secret"}}, nil, core).list) != 1 {
		t.Error("a rule without a group is not for the core group")
	}
}

func TestFieldsOfManagers(t *testing.T) {
	desired := pod("{nodeSelector: {a: b}, tolerations: [{key: x}], containers: [{name: a, image: x, resources: {limits: {cpu: 1}}}, {name: b, image: y}]}")
	liveYAML := pod("{nodeSelector: {a: c}, tolerations: [{key: q}], containers: [{name: a, image: z, resources: {limits: {cpu: 2}}}, {name: b, image: z}]}")
	managers := []live.FieldManager{
		other("tuner", `{"f:spec":{"f:template":{"f:spec":{"f:nodeSelector":{},"f:tolerations":{},"f:containers":{"k:{\"name\":\"a\"}":{"f:resources":{"f:limits":{"f:cpu":{}}}}}}}}}`),
		other("edit", `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{"f:image":{}},"k:{\"name\":\"b\"}":{"f:image":{}}}}}}}`),
	}
	const spec = ".spec.template.spec."
	for _, c := range []struct {
		managers []string
		want     []string
	}{
		{nil, []string{spec + "containers[name=a].image", spec + "containers[name=a].resources.limits.cpu", spec + "containers[name=b].image", spec + "nodeSelector.a", spec + "tolerations[0].key"}},
		{[]string{"tuner"}, []string{spec + "containers[name=a].image", spec + "containers[name=b].image"}},
		{[]string{"edit"}, []string{spec + "containers[name=a].resources.limits.cpu", spec + "nodeSelector.a", spec + "tolerations[0].key"}},
		{[]string{"edit", "tuner"}, nil},
		{[]string{"nobody"}, []string{spec + "containers[name=a].image", spec + "containers[name=a].resources.limits.cpu", spec + "containers[name=b].image", spec + "nodeSelector.a", spec + "tolerations[0].key"}},
	} {
		res, err := Compare(Input{Desired: object(t, desired), Live: body(t, liveYAML), Managers: managers,
			Ignore: []model.IgnoreDifferences{{Group: "apps", Kind: "Deployment", ManagedFieldsManagers: c.managers}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := paths(res); !reflect.DeepEqual(got, c.want) {
			t.Errorf("without the fields of %q: %q, want %q", c.managers, got, c.want)
		}
	}
}

func TestProblemsAreNamedOnce(t *testing.T) {
	res, err := Compare(Input{Desired: object(t, deployHead+"spec: {replicas: 1}"), Live: body(t, deployHead+"spec: {replicas: 2}"), Ignore: []model.IgnoreDifferences{
		{Group: "apps", Kind: "Deployment", JSONPointers: []string{"spec", "spec", "/spec/replicas"}, JQPathExpressions: []string{".[", ".["}},
		{Group: "apps", Kind: "Deployment", JSONPointers: []string{"spec"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Problems) != 2 || !res.RuleFailed {
		t.Errorf("problems %q", res.Problems)
	}
	// What the good rule leaves is certain in spite of the bad ones.
	if !res.Same() || !res.Certain() {
		t.Errorf("same %v, certain %v", res.Same(), res.Certain())
	}
}

func TestSystemRules(t *testing.T) {
	rules, err := ParseSystemRules(map[string]string{
		"resource.customizations.ignoreDifferences.all":             "managedFieldsManagers: [kube-controller-manager]\njsonPointers: [/spec/replicas]",
		"resource.customizations.ignoreDifferences.apps_Deployment": "jqPathExpressions: ['.spec.paused']",
		"resource.customizations.ignoreDifferences.Secret":          "jsonPointers: [/data]",
		"resource.customizations": `
admissionregistration.k8s.io/MutatingWebhookConfiguration:
  ignoreDifferences: |
    jqPathExpressions: ['.webhooks[]?.clientConfig.caBundle']
"*.acme.io/*":
  health.lua: return {}
  ignoreDifferences: |
    jsonPointers: [/spec/x]
argoproj.io/Rollout:
  knownTypeFields:
  - {field: spec.template.spec, type: core/v1/PodSpec}
`,
		"resource.customizations.knownTypeFields.example.com_Job": "- {field: spec.cpu, type: core/Quantity}\n- {field: spec.steps.timeout, type: meta/v1/Duration}",
		"resource.compareoptions":                                 "ignoreAggregatedRoles: true\nignoreResourceStatusField: none\nignoreDifferencesOnResourceUpdates: true",
		"resource.sensitive.mask.annotations":                     " token , other/api-key,",
		"resource.customizations.health.acme.io_X":                "not looked at",
		"url": "https://x",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := rules.SensitiveAnnotations(); !reflect.DeepEqual(got, []string{"token", "other/api-key"}) {
		t.Errorf("annotations %q", got)
	}
	if got := len(rules.Rules()); got != 5 {
		t.Errorf("%d rules: %+v", got, rules.Rules())
	}
	same := func(name, desired, liveYAML string, want ...string) {
		t.Helper()
		res, err := Compare(Input{Desired: object(t, desired), Live: body(t, liveYAML), SystemRules: rules, Managers: []live.FieldManager{other("kube-controller-manager", `{"f:spec":{"f:minReadySeconds":{}}}`)}})
		if err != nil {
			t.Fatal(err)
		}
		if got := paths(res); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: differences %q, want %q", name, got, want)
		}
	}
	same("all and the kind's", deployHead+"spec: {replicas: 1, paused: true, minReadySeconds: 1, revisionHistoryLimit: 1}", deployHead+"spec: {replicas: 2, minReadySeconds: 2, revisionHistoryLimit: 2}", ".spec.revisionHistoryLimit")
	same("the core group", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: QQ==}", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: Qg==}")
	same("a glob of groups", "apiVersion: a.acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {x: 1, z: 1}", "apiVersion: a.acme.io/v1\nkind: X\nmetadata: {name: x}\nspec: {x: 2, z: 2}", ".spec.z")
	same("known types of a pod", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r}\nspec: {template: {spec: {hostNetwork: false, containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}]}}}",
		"apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r}\nspec: {template: {spec: {containers: [{name: a, resources: {limits: {cpu: 1000m, memory: 1024Mi}}}]}}}")
	same("single known types", "apiVersion: example.com/v1\nkind: Job\nmetadata: {name: r}\nspec: {cpu: 0.5, memory: 0.5, steps: [{timeout: 60s}]}", "apiVersion: example.com/v1\nkind: Job\nmetadata: {name: r}\nspec: {cpu: 500m, memory: 500m, steps: [{timeout: 1m0s}]}", ".spec.memory")
	same("status is compared when asked for", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nstatus: {a: 1}", "apiVersion: acme.io/v1\nkind: X\nmetadata: {name: x}\nstatus: {a: 2, b: 3}", ".status.a")

	for option, compared := range map[string][2]bool{"": {false, false}, "all": {false, false}, "crd": {true, false}, "none": {true, true}} {
		s, err := ParseSystemRules(map[string]string{"resource.compareoptions": "ignoreResourceStatusField: '" + option + "'"})
		if err != nil {
			t.Fatal(err)
		}
		for i, kind := range []string{"X", "CustomResourceDefinition"} {
			if got := s.comparesStatus(map[string]any{"kind": kind}); got != compared[i] {
				t.Errorf("ignoreResourceStatusField %q: status of a %s counts: %v", option, kind, got)
			}
		}
	}
}

func TestBadSystemRules(t *testing.T) {
	rules, err := ParseSystemRules(map[string]string{
		"resource.customizations.ignoreDifferences.a_b_c":           "jsonPointers: [/x]",
		"resource.customizations.ignoreDifferences.apps_Deployment": "jsonPointer: [/x]",
		"resource.customizations.ignoreDifferences.good":            "jsonPointers: [/x]",
		"resource.customizations":                                   "[",
		"resource.customizations.knownTypeFields.x_Y":               "- {field: a, type: core/Nothing}",
		"resource.compareoptions":                                   "ignoreResourceStatusField: some",
		"resource.customizations.ignoreDifferences.huge":            strings.Repeat("x", maxSystemRulesText+1),
	})
	if len(rules.Rules()) != 1 {
		t.Errorf("rules %+v", rules.Rules())
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 6 {
		t.Fatalf("error %v", err)
	}
	for _, e := range joined.Unwrap() {
		var f *fault.Error
		if !errors.As(e, &f) || f.Code != "ignore_rules_invalid" || f.Field == "" || !strings.Contains(f.Message, f.Field) {
			t.Errorf("%v", e)
		}
	}
	var none *SystemRules
	if none.Rules() != nil || none.SensitiveAnnotations() != nil || none.comparesStatus(nil) {
		t.Error("no rules are some")
	}
}

func TestCheckRule(t *testing.T) {
	if err := CheckRule(model.IgnoreDifferences{JSONPointers: []string{"/a"}, JQPathExpressions: []string{".a"}}); err != nil {
		t.Error(err)
	}
	for _, r := range []model.IgnoreDifferences{{JSONPointers: []string{"a"}}, {JSONPointers: []string{""}}, {JSONPointers: []string{"/"}}, {JSONPointers: []string{"/a~2b"}}, {JSONPointers: []string{"/a~"}}, {JSONPointers: []string{"/a/-"}}, {JSONPointers: []string{"/a/-/b"}}, {Group: "apps/v1", Kind: "Deployment"}, {Group: "*/v1"}, {JQPathExpressions: []string{".["}}, {JQPathExpressions: []string{"input"}}, {JQPathExpressions: []string{"nosuch(1)"}}} {
		if err := CheckRule(r); fault.As(err).Code != "ignore_rule_invalid" {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestPointersToTextsOfSecrets: stringData is data once it is applied.
func TestPointersToTextsOfSecrets(t *testing.T) {
	for _, c := range []struct {
		name, kind, pointer string
		want                []string
	}{
		{"an entry", "Secret", "/stringData/p", []string{".data.q"}},
		{"an entry of data", "Secret", "/data/q", []string{".data.p"}},
		{"another entry", "Secret", "/stringData/x", []string{".data.p", ".data.q"}},
		{"another kind", "Other", "/stringData/p", []string{".stringData.q"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			field := "stringData"
			if c.kind == "Secret" {
				field = "data"
			}
			in := Input{Desired: object(t, head("v1", c.kind)+"stringData: {p: a, q: a}"), Live: body(t, head("v1", c.kind)+field+": {p: Yg==, q: Yg==}"), Managers: []live.FieldManager{},
				Ignore: []model.IgnoreDifferences{{Kind: c.kind, JSONPointers: []string{c.pointer}}}}
			res, err := Compare(in)
			if err != nil {
				t.Fatal(err)
			}
			if got := paths(res); !reflect.DeepEqual(got, c.want) {
				t.Errorf("differences %q, want %q", got, c.want)
			}
		})
	}
}

// TestSecretsInProblems: what a rule says about a Secret does not quote it.
func TestSecretsInProblems(t *testing.T) {
	const h = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
	for _, expr := range []string{`error(.data.p)`, `.data.p | error`, `.data | error`, `path(.data.p)`, `.data.p | tonumber`, `{(.data): 1}`} {
		res, err := Compare(Input{Desired: object(t, h+"data: {p: Y2FuYXJ5MQ==}"), Live: body(t, h+"data: {p: Y2FuYXJ5Mg==}"), Ignore: []model.IgnoreDifferences{{Kind: "Secret", JQPathExpressions: []string{expr}}}})
		if err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(res)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "Y2FuYXJ5") || strings.Contains(string(out), "canary") {
			t.Errorf("%s: %s", expr, out)
		}
	}
}
