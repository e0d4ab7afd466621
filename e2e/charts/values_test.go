package charts

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/yaml"
)

func TestLint(t *testing.T) {
	for _, s := range settings() {
		l := lint.All(chartDir(s.chart), s.vals(t), s.namespace, true)
		for _, m := range l.Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %s", s.name, m)
			}
		}
	}
}

// TestWrongValues are mistakes that people make, and what is said of them.
func TestWrongValues(t *testing.T) {
	type row struct{ chart, values, says string }
	rows := []row{
		// Typos, at each depth.
		{hubName, `{hots: hub.example.com}`, `additional properties 'hots' not allowed`},
		{hubName, `{vaultkey: {existingSecret: x}}`, `additional properties 'vaultkey' not allowed`},
		{hubName, `{database: {existingSecert: x}}`, `at '/database': additional properties 'existingSecert' not allowed`},
		{hubName, `{database: {url: "postgres://u:p@h/d"}}`, `at '/database': additional properties 'url' not allowed`},
		{hubName, `{database: {ca: {secret: x}}}`, `at '/database/ca': additional properties 'secret' not allowed`},
		{hubName, `{redis: {url: "redis://x"}}`, `at '/redis': additional properties 'url' not allowed`},
		{hubName, `{image: {tags: v1}}`, `at '/image': additional properties 'tags' not allowed`},
		{hubName, `{networkPolicy: {enable: false}}`, `at '/networkPolicy': additional properties 'enable' not allowed`},
		{hubName, `{resources: {limit: {memory: 1Gi}}}`, `at '/resources': additional properties 'limit' not allowed`},
		{hubName, `{metrics: {serviceMonitor: {enable: true}}}`, `at '/metrics/serviceMonitor': additional properties 'enable' not allowed`},
		{hubName, `{securityContext: {allowPrivilegeEscalaton: false}}`, `at '/securityContext': additional properties 'allowPrivilegeEscalaton' not allowed`},
		{hubName, `{tolerations: [{key: a, efect: NoSchedule}]}`, `at '/tolerations/0': additional properties 'efect' not allowed`},
		{hubName, `{networkPolicy: {ingressFrom: [{namespaceSelector: {matchLabel: {a: b}}}]}}`, `at '/networkPolicy/ingressFrom/0/namespaceSelector': additional properties 'matchLabel' not allowed`},
		{agent, `{hub: {adress: "h:443"}}`, `at '/hub': additional properties 'adress' not allowed`},
		{agent, `{hub: {cahash: x}}`, `at '/hub': additional properties 'cahash' not allowed`},
		{agent, `{tokn: {value: x}}`, `additional properties 'tokn' not allowed`},
		{agent, `{proxy: {URL: "http://p:1"}}`, `at '/proxy': additional properties 'URL' not allowed`},
		{agent, `{rbac: {namespace: [shop]}}`, `at '/rbac': additional properties 'namespace' not allowed`},
		{agent, `{rbac: {kinds: [{apiGroups: [""], resources: [configmaps], verbs: ["*"]}]}}`, `at '/rbac/kinds/0': additional properties 'verbs' not allowed`},
		{agent, `{rbac: {accounts: [{namespace: a, nmae: b}]}}`, `at '/rbac/accounts/0'`},
		{agent, `{access: {kubectl: {enable: true}}}`, `at '/access/kubectl': additional properties 'enable' not allowed`},
		{agent, `{veto: {policy: {denny: []}}}`, `at '/veto/policy': additional properties 'denny' not allowed`},
		{agent, `{veto: {policy: {deny: [{namespace: [a]}]}}}`, `at '/veto/policy/deny/0': additional properties 'namespace' not allowed`},
		// Values that cannot be meant.
		{hubName, `{host: "https://hub.example.com"}`, `at '/host': 'https://hub.example.com' does not match pattern`},
		{hubName, `{host: "hub.example.com:443"}`, `at '/host': 'hub.example.com:443' does not match pattern`},
		{hubName, `{port: 0}`, `at '/port'`},
		{hubName, `{port: "443"}`, `at '/port': got string, want integer`},
		{hubName, `{replicas: 3}`, `at '/replicas': maximum: got 3, want 1`},
		{hubName, `{image: {digest: "abc"}}`, `at '/image/digest'`},
		{hubName, `{service: {type: Loadbalancer}}`, `at '/service/type': value must be one of 'LoadBalancer', 'ClusterIP', 'NodePort'`},
		{hubName, `{repositories: {pollInterval: 3 minutes}}`, `at '/repositories/pollInterval'`},
		{hubName, `{repositories: {blockedNetworks: [10.0.0.0]}}`, `at '/repositories/blockedNetworks/0'`},
		{hubName, `{persistence: {size: 20GB}}`, `at '/persistence/size'`},
		{hubName, `{log: {level: trace}}`, `at '/log/level': value must be one of 'debug', 'info', 'warn', 'error'`},
		{hubName, `{exec: "false"}`, `at '/exec': got string, want boolean`},
		{agent, `{hub: {address: hub.example.com}}`, `at '/hub/address': 'hub.example.com' does not match pattern`},
		{agent, `{hub: {address: "https://hub.example.com:443"}}`, `at '/hub/address'`},
		{agent, `{hub: {caHash: abc}}`, `at '/hub/caHash': 'abc' does not match pattern`},
		{agent, `{profile: admin}`, `at '/profile': value must be one of 'observe', 'namespaced', 'curated', 'impersonate', 'cluster-admin'`},
		{agent, `{proxy: {url: "proxy:3128"}}`, `at '/proxy/url'`},
		{agent, `{proxy: {ca: proxy-ca.pem}}`, `at '/proxy/ca'`},
		{agent, `{replicas: 2}`, `at '/replicas': maximum: got 2, want 1`},
		{agent, `{rbac: {kinds: [{apiGroups: ["*"], resources: [deployments]}]}}`, `at '/rbac/kinds/0/apiGroups/0': '*' does not match pattern`},
		{agent, `{rbac: {extraKinds: [{apiGroups: [""], resources: ["*"]}]}}`, `at '/rbac/extraKinds/0/resources/0': '*' does not match pattern`},
		{agent, `{rbac: {extraKinds: [{apiGroups: [""], resources: [pods/exec]}]}}`, `at '/rbac/extraKinds/0/resources/0'`},
		{agent, `{rbac: {kinds: [{apiGroups: [""], resources: [secrets]}]}}`, `at '/rbac/kinds/0/resources/0': 'not' failed`},
		{agent, `{access: {kubectl: {enabled: true, groups: ["system:masters"]}}}`, `at '/access/kubectl/groups/0'`},
		{agent, `{access: {kubectl: {enabled: true, groups: []}}}`, `at '/access/kubectl/groups': minItems: got 0, want 1`},
		{agent, `{veto: {policy: {deny: [{verbs: [write]}]}}}`, `at '/veto/policy/deny/0/verbs/0': value must be one of`},
		// Values that do not go together, and those that are missing.
		{hubName, `{host: ""}`, `host: the name under which people and agents reach the hub is missing`},
		{hubName, `{database: {existingSecret: ""}}`, `database.existingSecret: the Secret with the URL of Postgres is missing`},
		{hubName, `{vaultKey: {existingSecret: ""}}`, `vaultKey.existingSecret: the Secret with the key that secrets are sealed with is missing`},
		{hubName, `{ingress: {enabled: true}}`, `ingress.enabled: set service.type to ClusterIP`},
		{hubName, `{plugins: {sidecars: [{name: a, image: b}]}}`, `plugins.sidecars: plugins.enabled is false`},
		{hubName, `{persistence: {existingClaim: a}}`, `persistence.existingClaim: persistence.enabled is false`},
		{hubName, `{serviceAccount: {create: false}}`, `serviceAccount.name: which account?`},
		{agent, `{hub: {address: ""}}`, `hub.address: HOST:PORT of the hub is missing`},
		{agent, `{hub: {caHash: ""}}`, `hub.caHash: the hash of the hub's CA is missing`},
		{agent, `{token: {value: a, existingSecret: b}}`, `token: give value or existingSecret, not both`},
		{agent, `{proxy: {url: "http://p:1", existingSecret: b}}`, `proxy: give url or existingSecret, not both`},
		{agent, `{proxy: {ca: "-----BEGIN CERTIFICATE-----", existingCAConfigMap: b}}`, `proxy: give ca or existingCAConfigMap, not both`},
		{agent, `{profile: namespaced}`, `rbac.namespaces: the profile namespaced needs at least one`},
		{agent, `{profile: namespaced, rbac: {namespaces: [there]}}`, `rbac.namespaces: there is the agent's own`},
		{agent, `{rbac: {namespaces: [shop]}}`, `rbac.namespaces is of the profile namespaced; the profile is curated`},
		{agent, `{profile: impersonate}`, `rbac.accounts: the profile impersonate needs at least one`},
		{agent, `{rbac: {accounts: [{namespace: a, name: b}]}}`, `rbac.accounts is of the profile impersonate; the profile is curated`},
		{agent, `{profile: cluster-admin}`, `rbac.allowClusterAdmin: the profile cluster-admin lets whoever controls the hub do everything`},
		{agent, `{rbac: {allowClusterAdmin: true}}`, `rbac.allowClusterAdmin is of the profile cluster-admin; the profile is curated`},
		{agent, `{profile: observe, rbac: {secrets: true}}`, `rbac.secrets: the profile observe reads no Secrets`},
		{agent, `{profile: observe, access: {exec: true}}`, `access.exec: the profile observe runs no commands`},
		{agent, `{profile: observe, access: {kubectl: {enabled: true}}}`, `access.kubectl: the profile observe lets no kubectl in`},
		{agent, `{profile: namespaced, rbac: {namespaces: [shop]}, access: {kubectl: {enabled: true}}}`, `access.kubectl: the profile namespaced cannot act as users`},
		{agent, `{serviceAccount: {create: false}}`, `serviceAccount.name: which account?`},
	}
	for _, r := range rows {
		vals := merge(least(t, r.chart), values(t, r.values))
		_, err := render(load(t, r.chart), "there", vals)
		if err == nil {
			t.Errorf("%s takes %s", r.chart, r.values)
		} else if !strings.Contains(err.Error(), r.says) {
			t.Errorf("%s says of %s:\n%v\nwant %q", r.chart, r.values, err, r.says)
		}
	}
}

// open are the places of the schemas where any member is taken, and why.
var open = map[string]string{
	"properties/global":                          "the globals of a chart around this one are here too",
	"definitions/volume":                         "Kubernetes checks it",
	"definitions/container":                      "Kubernetes checks it",
	"definitions/object":                         "any object",
	"definitions/object/metadata":                "any object",
	"definitions/affinity/nodeAffinity":          "Kubernetes checks it",
	"definitions/affinity/podAffinity":           "Kubernetes checks it",
	"definitions/affinity/podAntiAffinity":       "Kubernetes checks it",
	"definitions/env/valueFrom/fieldRef":         "Kubernetes checks it",
	"definitions/env/valueFrom/resourceFieldRef": "Kubernetes checks it",
	"definitions/env/valueFrom/configMapKeyRef":  "Kubernetes checks it",
	"definitions/env/valueFrom/secretKeyRef":     "Kubernetes checks it",
}

// TestSchemasAreClosed walks the schemas: a new object that takes any member has to
// say why.
func TestSchemasAreClosed(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{hubName, agent} {
		text, err := os.ReadFile(filepath.Join(chartDir(name), "values.schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]any
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Fatal(err)
		}
		var walk func(path string, node map[string]any)
		walk = func(path string, node map[string]any) {
			if node["type"] == "object" && node["additionalProperties"] == nil {
				seen[path] = true
				if open[path] == "" {
					t.Errorf("%s: %s takes any member", name, path)
				}
			}
			if node["additionalProperties"] == true {
				t.Errorf("%s: %s takes any member", name, path)
			}
			for _, group := range []string{"properties", "definitions"} {
				members, _ := node[group].(map[string]any)
				for k, v := range members {
					under := path + "/" + k
					if path == "" {
						under = group + "/" + k
					}
					walk(under, v.(map[string]any))
				}
			}
			for _, k := range []string{"items", "additionalProperties", "not"} {
				if v, ok := node[k].(map[string]any); ok {
					walk(path, v)
				}
			}
		}
		walk("", schema)
	}
	for path := range open {
		if !seen[path] {
			t.Errorf("%s is not open in any schema", path)
		}
	}
}

// TestEveryValueHasADefault holds values.yaml and the schema to each other: what can
// be set stands in the file, where people read.
func TestEveryValueHasADefault(t *testing.T) {
	for _, name := range []string{hubName, agent} {
		c := load(t, name)
		var schema map[string]any
		if err := json.Unmarshal(c.Schema, &schema); err != nil {
			t.Fatal(err)
		}
		var compare func(path string, node map[string]any, vals map[string]any)
		compare = func(path string, node, vals map[string]any) {
			members, _ := node["properties"].(map[string]any)
			for k, v := range members {
				got, ok := vals[k]
				if !ok {
					t.Errorf("%s: %s%s is in the schema and not in values.yaml", name, path, k)
					continue
				}
				below, isMap := got.(map[string]any)
				if isMap && len(below) > 0 && v.(map[string]any)["$ref"] == nil {
					compare(path+k+".", v.(map[string]any), below)
				}
			}
		}
		compare("", schema, c.Values)
	}
}

// TestOneVersion: charts/VERSION is the version of both charts and of the images
// that they install.
func TestOneVersion(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "charts", "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSpace(string(b))
	for _, name := range []string{hubName, agent} {
		path := filepath.Join(chartDir(name), "Chart.yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			text = regexp.MustCompile(`(?m)^version: .*$`).ReplaceAll(text, []byte("version: "+version))
			text = regexp.MustCompile(`(?m)^appVersion: .*$`).ReplaceAll(text, []byte(`appVersion: "v`+version+`"`))
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		m := load(t, name).Metadata
		if m.Version != version || m.AppVersion != "v"+version {
			t.Errorf("%s has version %s and appVersion %s; charts/VERSION says %s (go test ./e2e/charts -update)", name, m.Version, m.AppVersion, version)
		}
	}
}

// TestAlertsAreThoseOfTheDocumentation: a chart can only use files of its own.
func TestAlertsAreThoseOfTheDocumentation(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(root, "docs", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(chartDir(hubName), "files", "alerts.yaml")
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != string(want) {
		t.Fatalf("%s is not docs/alerts.yaml; go test ./e2e/charts -update (%v)", path, err)
	}
	var file struct {
		Groups []struct{ Rules []any }
	}
	if err := yaml.Unmarshal(want, &file); err != nil {
		t.Fatal(err)
	}
	on := merge(values(t, hubLeast), values(t, `{metrics: {prometheusRule: {enabled: true}}}`))
	for _, o := range objects(t, mustRender(t, hubName, "hawser", on)) {
		if o.GetKind() != "PrometheusRule" {
			continue
		}
		groups := o.Object["spec"].(map[string]any)["groups"].([]any)
		if rules := groups[0].(map[string]any)["rules"].([]any); len(rules) != len(file.Groups[0].Rules) || !strings.Contains(fmt.Sprint(rules), "{{ $labels.cluster }}") {
			t.Errorf("%d rules of %d, or their templates are lost", len(rules), len(file.Groups[0].Rules))
		}
		return
	}
	t.Error("there is no PrometheusRule")
}

var (
	metricRow  = regexp.MustCompile("(?m)^\\| `(hawser_[a-z0-9_]+)` \\| (\\w+) \\| ([^|]*) \\|")
	metricName = regexp.MustCompile(`\bhawser_[a-z0-9_]+`)
	selector   = regexp.MustCompile(`(hawser_[a-z0-9_]+)\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"`)
	grouped    = regexp.MustCompile(`by \(([^)]*)\)`)
)

// TestDashboardShowsWhatExists holds the dashboard to docs/metrics.md.
func TestDashboardShowsWhatExists(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	exist := map[string][]string{}
	for _, m := range metricRow.FindAllStringSubmatch(string(page), -1) {
		labels := strings.FieldsFunc(m[3], func(r rune) bool { return r == ',' || r == ' ' })
		if exist[m[1]] == nil {
			exist[m[1]] = []string{}
		}
		exist[m[1]] = append(exist[m[1]], labels...)
		if m[2] == "histogram" {
			for _, s := range []string{"_bucket", "_sum", "_count"} {
				exist[m[1]+s] = append(slices.Clone(exist[m[1]]), "le")
			}
		}
	}
	if len(exist) < 50 {
		t.Fatalf("only %d metrics are found in docs/metrics.md", len(exist))
	}
	text, err := os.ReadFile(filepath.Join(chartDir(hubName), "files", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Templating struct {
			List []struct {
				Name, Type string
				Query      any
			}
		}
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	var variables []string
	check := func(where, expr string) {
		found := metricName.FindAllString(expr, -1)
		if len(found) == 0 {
			t.Errorf("%s asks for no metric: %s", where, expr)
		}
		var labels []string
		for _, name := range found {
			if exist[name] == nil {
				t.Errorf("%s: there is no metric %s", where, name)
			}
			labels = append(labels, exist[name]...)
		}
		for _, s := range selector.FindAllStringSubmatch(expr, -1) {
			for _, l := range labelName.FindAllStringSubmatch(s[2], -1) {
				if !slices.Contains(exist[s[1]], l[1]) {
					t.Errorf("%s: %s has no label %s", where, s[1], l[1])
				}
			}
		}
		for _, g := range grouped.FindAllStringSubmatch(expr, -1) {
			for l := range strings.SplitSeq(g[1], ",") {
				if !slices.Contains(labels, strings.TrimSpace(l)) {
					t.Errorf("%s: nothing has the label %s", where, l)
				}
			}
		}
		for _, v := range regexp.MustCompile(`\$([a-z]+)`).FindAllStringSubmatch(expr, -1) {
			if !slices.Contains(variables, v[1]) {
				t.Errorf("%s: there is no variable %s", where, v[0])
			}
		}
	}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if q, ok := v.Query.(map[string]any); ok {
			check("variable "+v.Name, q["query"].(string))
		}
	}
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	asked := 0
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if x >= 24 || taken[[2]int{x, y}] != "" {
					t.Fatalf("panel %q is over %q or beyond the edge", p.Title, taken[[2]int{x, y}])
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Title == "" {
			t.Errorf("panel %d shows nothing", p.ID)
		}
		for _, q := range p.Targets {
			asked++
			check(p.Title, q.Expr)
		}
	}
	if asked < 20 {
		t.Errorf("the dashboard asks %d questions", asked)
	}
}

// TestNoSecretIsInAPod: what is secret comes from Secrets, and the hub's chart makes none.
func TestNoSecretIsInAPod(t *testing.T) {
	for _, s := range settings() {
		for _, o := range objects(t, mustRender(t, s.chart, s.namespace, s.vals(t))) {
			text, err := yaml.Marshal(o.Object)
			if err != nil {
				t.Fatal(err)
			}
			if o.GetKind() == "Secret" && (s.chart == hubName || len(slices.Collect(maps.Keys(o.Object["stringData"].(map[string]any)))) != 1) {
				t.Errorf("%s makes the Secret %s", s.name, o.GetName())
			}
			if o.GetKind() != "Secret" && strings.Contains(string(text), anyToken) {
				t.Errorf("%s: the token is in %s %s", s.name, o.GetKind(), o.GetName())
			}
		}
	}
}
