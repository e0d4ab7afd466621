package health

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// kindCase is a line of testdata/kinds.txt.
type kindCase struct {
	line  int
	kinds []model.GroupKind
	want  model.Health
	obj   map[string]any
	said  string
}

var conditionWord = regexp.MustCompile(`^([\w./-]+)=(\w+?)(?:/(\w+))?(?:@(\d+))?$`)

// kindCases reads testdata/kinds.txt.
func kindCases(t *testing.T) (out []kindCase) {
	t.Helper()
	text, err := os.ReadFile("testdata/kinds.txt")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []model.GroupKind
	for i, line := range strings.Split(string(text), "\n") {
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			continue
		}
		if line[0] != ' ' {
			fields := strings.Fields(line)
			kinds = nil
			for _, k := range fields[1:] {
				kinds = append(kinds, model.GroupKind{Group: fields[0], Kind: k})
			}
			continue
		}
		status, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		c := kindCase{line: i + 1, kinds: kinds, want: model.Health(status)}
		rest, c.said, _ = strings.Cut(rest, " ~")
		words, fields, hasFields := strings.Cut(strings.TrimSpace(rest), "{")
		if hasFields {
			c.obj = decode(t, "{"+fields)
		} else {
			c.obj = map[string]any{}
		}
		for _, w := range strings.Fields(words) {
			m := conditionWord.FindStringSubmatch(w)
			if m == nil {
				t.Fatalf("line %d: %q is no condition", i+1, w)
			}
			addCondition(c.obj, m[1], m[2], m[3], m[4])
		}
		out = append(out, c)
	}
	return out
}

func addCondition(obj map[string]any, typ, status, reason, generation string) {
	st, _ := obj["status"].(map[string]any)
	if st == nil {
		st = map[string]any{}
		obj["status"] = st
	}
	c := map[string]any{"type": typ, "status": status, "reason": reason, "message": strings.TrimSpace(typ + "=" + status + " " + reason)}
	if n, err := strconv.ParseInt(generation, 10, 64); err == nil {
		c["observedGeneration"] = n
	}
	list, _ := st["conditions"].([]any)
	st["conditions"] = append(list, c)
}

// TestCustomKinds goes through testdata/kinds.txt, and sees to it that every rule
// has a case that is well, and one that is not where the rule can say so.
func TestCustomKinds(t *testing.T) {
	well, ill := map[model.GroupKind]bool{}, map[model.GroupKind]bool{}
	n := 0
	for _, c := range kindCases(t) {
		for _, gk := range c.kinds {
			if checkOf(gk) == nil {
				t.Errorf("line %d: %s has no rule", c.line, gk)
			}
			obj := c.obj
			if _, named := obj["kind"]; !named {
				obj["kind"] = gk.Kind
			}
			got := Of(gk, obj)
			if got.Status != c.want || !strings.Contains(got.Message, c.said) {
				t.Errorf("line %d: %s is %s %q, want %s %q", c.line, gk, got.Status, got.Message, c.want, c.said)
			}
			if got.Status == model.HealthHealthy && got.Message != "" {
				t.Errorf("line %d: %s is well and says %q", c.line, gk, got.Message)
			}
			well[gk] = well[gk] || c.want == model.HealthHealthy
			ill[gk] = ill[gk] || c.want != model.HealthHealthy
			n++
		}
	}
	for gk := range custom {
		if Of(gk, map[string]any{}).Status == model.HealthHealthy {
			well[gk] = true
			if isExists(gk) {
				ill[gk] = true
			}
		}
		if !well[gk] || !ill[gk] {
			t.Errorf("%s has cases where it is well: %v, and where it is not: %v", gk, well[gk], ill[gk])
		}
	}
	t.Logf("%d cases over %d kinds with rules", n, len(custom))
}

// isExists reports whether nothing in an object matters to the rule of its kind:
// it is well with everything that makes others ill.
func isExists(gk model.GroupKind) bool {
	obj := map[string]any{
		"spec":   map[string]any{"suspend": true, "paused": true},
		"status": map[string]any{"phase": "Failed", "state": "Failed", "ready": false, "bindings": []any{map[string]any{"conditions": []any{map[string]any{"type": "Accepted", "status": "False"}}}}},
	}
	for _, typ := range []string{"Ready", "Synced", "Valid", "Accepted", "Available", "ValidPipeline", "VariablesReconciled"} {
		addCondition(obj, typ, "False", "Failed", "")
	}
	for _, typ := range []string{"Error", "NotReady", "Failed", "ConfigUnsupported", "AgentReconcileError", "Stalled"} {
		addCondition(obj, typ, "True", "Failed", "")
	}
	return Of(gk, obj).Status == model.HealthHealthy
}

// TestRulesReadWhatIsThere: conditions in unusual forms.
func TestRulesReadWhatIsThere(t *testing.T) {
	gk := model.GroupKind{Group: "external-secrets.io", Kind: "ExternalSecret"}
	for name, c := range map[string]struct {
		obj  string
		want model.Health
	}{
		"a boolean status":        {`{status: {conditions: [{type: Ready, status: true}]}}`, "Healthy"},
		"a false boolean":         {`{status: {conditions: [{type: Ready, status: false}]}}`, "Degraded"},
		"a type that is repeated": {`{status: {conditions: [{type: Ready, status: Odd}, {type: Ready, status: "False"}]}}`, "Degraded"},
		"no list":                 {`{status: {conditions: {type: Ready}}}`, "Progressing"},
		"no objects":              {`{status: {conditions: [1, null, "Ready"]}}`, "Progressing"},
		"no status":               {`{status: none}`, "Progressing"},
		"an odd status":           {`{status: {conditions: [{type: Ready, status: Odd}]}}`, "Progressing"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Of(gk, decode(t, c.obj)); got.Status != c.want {
				t.Errorf("got %+v, want %s", got, c.want)
			}
		})
	}
}

func TestKindsOfOneGroupRule(t *testing.T) {
	for gk, want := range map[model.GroupKind]bool{
		{Group: "s3.aws.crossplane.io", Kind: "Bucket"}:               true,
		{Group: "aws.upbound.io", Kind: "Thing"}:                      true,
		{Group: "crossplane.io", Kind: "Thing"}:                       false, // the dot counts
		{Group: "networking.istio.io", Kind: "EnvoyFilter"}:           true,
		{Group: "notistio.io", Kind: "EnvoyFilter"}:                   false,
		{Group: "infrastructure.cluster.x-k8s.io", Kind: "Anything"}:  true,
		{Group: "constraints.gatekeeper.sh", Kind: "K8sAllowedRepos"}: true,
		{Group: "example.com", Kind: "Widget"}:                        false,
		{Kind: "Widget"}:                                              false,
	} {
		if got := checkOf(gk) != nil; got != want {
			t.Errorf("%s has a rule: %v", gk, got)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	deployment := map[string]any{
		"metadata": map[string]any{"generation": int64(1)},
		"spec":     map[string]any{"replicas": int64(2)},
		"status":   map[string]any{"observedGeneration": int64(1), "replicas": int64(2), "updatedReplicas": int64(2), "availableReplicas": int64(2)},
	}
	certificate := map[string]any{}
	addCondition(certificate, "Ready", "True", "Ready", "1")
	widget := map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "w"}}
	addCondition(widget, "Ready", "True", "Ready", "1")
	for name, c := range map[string]struct {
		gk  model.GroupKind
		obj map[string]any
	}{
		"typed":  {model.GroupKind{Group: "apps", Kind: "Deployment"}, deployment},
		"rule":   {model.GroupKind{Group: "cert-manager.io", Kind: "Certificate"}, certificate},
		"group":  {model.GroupKind{Group: "s3.aws.crossplane.io", Kind: "Bucket"}, certificate},
		"others": {model.GroupKind{Group: "example.com", Kind: "Widget"}, widget},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Of(c.gk, c.obj)
			}
		})
	}
}
