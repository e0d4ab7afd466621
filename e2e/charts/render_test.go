package charts

import (
	"bytes"
	"cmp"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write testdata/*.golden.yaml, and what the charts take from elsewhere")

const (
	root     = "../../"
	hubName  = "hawser"
	agent    = "hawser-agent"
	caHash   = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	anyToken = "hwe_only-for-tests"
)

func chartDir(name string) string { return filepath.Join(root, "charts", name) }

func load(t testing.TB, name string) *chart.Chart {
	t.Helper()
	c, err := loader.Load(chartDir(name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// values reads values as in a file.
func values(t testing.TB, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(text), &out); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return out
}

// merge is values with others over them, as of two -f.
func merge(base, over map[string]any) map[string]any {
	out := maps.Clone(base)
	for k, v := range over {
		a, isMap := out[k].(map[string]any)
		b, both := v.(map[string]any)
		if isMap && both {
			v = merge(a, b)
		}
		out[k] = v
	}
	return out
}

// file is what one template renders to.
type file struct{ name, text string }

// render is what helm template does, in the order of the names of templates.
func render(c *chart.Chart, namespace string, vals map[string]any) ([]file, error) {
	caps := chartutil.DefaultCapabilities.Copy()
	caps.KubeVersion = chartutil.KubeVersion{Version: "v1.37.2", Major: "1", Minor: "37"}
	all, err := chartutil.ToRenderValues(c, vals, chartutil.ReleaseOptions{Name: c.Name(), Namespace: namespace, Revision: 1, IsInstall: true}, caps)
	if err != nil {
		return nil, err
	}
	texts, err := engine.Engine{Strict: true}.Render(c, all)
	if err != nil {
		return nil, err
	}
	var out []file
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if text := strings.TrimSpace(texts[name]); text != "" && !strings.HasSuffix(name, ".tpl") {
			out = append(out, file{strings.TrimPrefix(name, c.Name()+"/templates/"), text})
		}
	}
	return out, nil
}

// objects are those of manifests, in the order in which Helm installs them.
func objects(t testing.TB, files []file) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for _, f := range files {
		if f.name == "NOTES.txt" {
			continue
		}
		for doc := range strings.SplitSeq("\n"+f.text, "\n---") {
			o := &unstructured.Unstructured{}
			if err := yaml.UnmarshalStrict([]byte(doc), &o.Object); err != nil {
				t.Fatalf("%s: %v\n%s", f.name, err, doc)
			}
			if len(o.Object) == 0 {
				continue
			}
			if o.GetKind() == "" || o.GetName() == "" || o.GetAPIVersion() == "" {
				t.Fatalf("%s: not an object:\n%s", f.name, doc)
			}
			out = append(out, o)
		}
	}
	// Accounts and roles before what uses them.
	order := []string{"NetworkPolicy", "ServiceAccount", "Secret", "ConfigMap", "PersistentVolumeClaim", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service"}
	place := func(o *unstructured.Unstructured) int {
		if i := slices.Index(order, o.GetKind()); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(out, func(a, b *unstructured.Unstructured) int { return cmp.Compare(place(a), place(b)) })
	return out
}

func mustRender(t testing.TB, chart, namespace string, vals map[string]any) []file {
	t.Helper()
	files, err := render(load(t, chart), namespace, vals)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// setting is values of a chart that are tried throughout.
type setting struct{ name, chart, namespace, values string }

const hubLeast = `
host: hub.example.com
database: {existingSecret: hawser-database}
vaultKey: {existingSecret: hawser-vault-key}
`

const agentLeast = `
hub: {address: "hub.example.com:443", caHash: "` + caHash + `"}
token: {value: ` + anyToken + `}
`

// profiles are the agent's, with what each of them needs.
var profiles = map[string]string{
	"observe":       `{profile: observe}`,
	"namespaced":    `{profile: namespaced, rbac: {namespaces: [shop, till]}}`,
	"curated":       `{}`,
	"impersonate":   `{profile: impersonate, rbac: {accounts: [{namespace: shop, name: deployer}, {namespace: till, name: deployer}]}}`,
	"cluster-admin": `{profile: cluster-admin, rbac: {allowClusterAdmin: true}}`,
}

func settings() []setting {
	out := []setting{
		{"hub", hubName, "hawser", ``},
		{"hub-everything", hubName, "hawser", `
global: {imageRegistry: registry.example.com}
nameOverride: hub
commonLabels: {team: platform}
image: {digest: "sha256:abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789"}
imagePullSecrets: [{name: registry}]
port: 8443
extraNames: [hub.internal, 10.1.2.3]
agents: {chart: "oci://registry.example.com/charts/hawser-agent", imageRegistry: registry.example.com}
redis: {existingSecret: hawser-redis, ca: {existingSecret: redis-ca}}
tls: {existingSecret: hub-tls}
webhooks: {existingSecret: hawser-webhooks}
repositories: {pollInterval: 1m, hosts: ["git.example.com"], blockedNetworks: [10.0.0.0/8]}
audit: {exports: ["syslog+tls://log.example.com:6514"], ca: {existingSecret: log-ca}, headersSecret: {existingSecret: log-headers}}
exec: false
renderWorkers: 4
persistence: {enabled: true, storageClassName: fast}
plugins:
  enabled: true
  sidecars:
  - name: cue
    restartPolicy: Always
    image: registry.example.com/cue:0.14
    command: [/hawser/hawser-hub, plugin-host, --config=/plugin/plugin.yaml, --socket=/plugins/cue.sock, --socket-group]
    securityContext: {runAsUser: 61201, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: hawser, mountPath: /hawser, readOnly: true}, {name: plugins, mountPath: /plugins}, {name: cue, mountPath: /plugin}]
extraVolumes: [{name: cue, configMap: {name: cue-plugin}}]
service: {type: ClusterIP, annotations: {a: b}}
ingress: {enabled: true}
networkPolicy:
  ingressFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress}}}]
  metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  databaseTo: [{ipBlock: {cidr: 10.2.0.0/16}}]
  redisTo: [{podSelector: {matchLabels: {app: redis}}}]
  repositoryTo: [{ipBlock: {cidr: 10.3.0.0/16}}]
  extraEgress: [{ports: [{protocol: TCP, port: 6514}]}]
metrics:
  appLabels: [team]
  serviceMonitor: {enabled: true, labels: {release: prometheus}}
  prometheusRule: {enabled: true}
  dashboard: {enabled: true, annotations: {grafana_folder: Hawser}}
serviceAccount: {annotations: {a: b}}
nodeSelector: {kubernetes.io/os: linux}
tolerations: [{key: infra, operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/arch, operator: In, values: [amd64, arm64]}]}]}}}
topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app.kubernetes.io/name: hub}}}]
priorityClassName: system-cluster-critical
podLabels: {zone: inner}
podAnnotations: {note: x}
extraArgs: ["--password-pattern=^.{20,}$"]
extraEnv: [{name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "http://otel:4318"}]
extraObjects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: beside}}]
`},
		{"agent-everything", agent, "hawser-system", `
global: {imageRegistry: registry.example.com}
fullnameOverride: eyes
commonLabels: {team: platform}
image: {tag: v9}
imagePullSecrets: [{name: registry}]
clusterName: eu
token: {value: "", existingSecret: enrolment, key: code}
proxy: {url: "https://proxy.example.com:3129", ca: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"}
serviceAccount: {name: eyes, annotations: {a: b}}
rbac: {extraKinds: [{apiGroups: [cert-manager.io], resources: [certificates, issuers]}], secrets: true, createNamespaces: false}
access: {exec: true, kubectl: {enabled: true, groups: ["hawser:everyone", "hawser:role:admin"], users: ["hawser:ada"]}}
veto: {create: true, policy: {deny: [{namespaces: ["kube-*"], reason: not yours}], maxDeletes: {perHour: 100}}}
metrics: {podMonitor: {enabled: true}}
networkPolicy:
  metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  apiServerTo: [{ipBlock: {cidr: 10.0.0.1/32}}]
  apiServerPorts: [6443]
  hubTo: [{ipBlock: {cidr: 10.9.0.0/16}}]
  extraEgress: [{ports: [{protocol: TCP, port: 4318}]}]
replicas: 0
priorityClassName: system-cluster-critical
podDisruptionBudget: {enabled: true}
tolerations: [{operator: Exists}]
extraVolumes: [{name: lua, configMap: {name: lua}}]
extraVolumeMounts: [{name: lua, mountPath: /lua}]
extraEnv: [{name: HAWSER_OVERRIDES, value: /lua}]
extraArgs: [--log-level=debug]
extraObjects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: beside}}]
`},
		{"agent-proxy-secret", agent, "hawser-system", `
proxy: {existingSecret: proxy, existingCAConfigMap: roots}
`},
	}
	for _, name := range slices.Sorted(maps.Keys(profiles)) {
		out = append(out, setting{"agent-" + name, agent, "hawser-system", profiles[name]})
	}
	return out
}

// vals are the setting's over the least that the chart asks for.
func (s setting) vals(t testing.TB) map[string]any {
	return merge(least(t, s.chart), values(t, s.values))
}

func least(t testing.TB, chart string) map[string]any {
	if chart == agent {
		return values(t, agentLeast)
	}
	return values(t, hubLeast)
}

func TestWhatTheChartsRenderTo(t *testing.T) {
	var known []string
	for _, s := range settings() {
		t.Run(s.name, func(t *testing.T) {
			files := mustRender(t, s.chart, s.namespace, s.vals(t))
			objects(t, files)
			var got bytes.Buffer
			for _, f := range files {
				text := f.text
				if f.name == "NOTES.txt" {
					text = "# " + strings.ReplaceAll(text, "\n", "\n# ")
				}
				got.WriteString("--- # " + f.name + "\n" + strings.TrimPrefix(text, "---\n") + "\n")
			}
			path := filepath.Join("testdata", s.name+".golden.yaml")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s differs; go test ./e2e/charts -update, and look at the difference. It is now:\n%s", path, firstDifference(string(want), got.String()))
			}
		})
		known = append(known, s.name+".golden.yaml")
	}
	found, err := filepath.Glob("testdata/*.golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if !slices.Contains(known, filepath.Base(f)) {
			t.Errorf("%s is of no setting", f)
		}
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range g {
		if i >= len(w) || w[i] != g[i] {
			return strings.Join(g[max(0, i-3):min(len(g), i+6)], "\n")
		}
	}
	return "(shorter)"
}
