package main

import (
	"fmt"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// corpus is a set of sources of one kind. Every render of it is of content that
// was not seen before, so that no cache answers.
type corpus struct {
	name, what string
	// files of the repository.
	files map[string]string
	// source of the i-th render.
	source func(i int) model.Source
	// nonce is a file that differs in every render, and its content.
	nonce   string
	content func(i int) string
	// objects that each render has to give.
	objects int
	// renders in one sample.
	renders int
}

func corpora() []corpus {
	return []corpus{smallChart(), largeChart(), overlays(), plainYAML(), jinjaSet()}
}

const chartHelpers = `{{- define "app.name" -}}{{ .Chart.Name | trunc 63 | trimSuffix "-" }}{{- end }}
{{- define "app.fullname" -}}{{ printf "%s-%s" .Release.Name (include "app.name" .) | trunc 63 | trimSuffix "-" }}{{- end }}
{{- define "app.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/name: {{ include "app.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- define "app.selector" -}}
app.kubernetes.io/name: {{ include "app.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
`

// smallChart has ten templates, as most charts that people write do.
func smallChart() corpus {
	head := func(api, kind, suffix string) string {
		return "apiVersion: " + api + "\nkind: " + kind + "\nmetadata:\n  name: {{ include \"app.fullname\" . }}" + suffix + "\n  labels:\n    {{- include \"app.labels\" . | nindent 4 }}\n"
	}
	files := map[string]string{
		"chart/Chart.yaml":             "apiVersion: v2\nname: web\nversion: 1.2.3\nappVersion: \"2.0\"\n",
		"chart/values.yaml":            smallValues,
		"chart/templates/_helpers.tpl": chartHelpers,
		"chart/templates/deployment.yaml": head("apps/v1", "Deployment", "") + `spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels:
      {{- include "app.selector" . | nindent 6 }}
  template:
    metadata:
      annotations:
        checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
      labels:
        {{- include "app.selector" . | nindent 8 }}
    spec:
      serviceAccountName: {{ include "app.fullname" . }}
      containers:
        - name: {{ .Chart.Name }}
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          ports:
            {{- range $name, $port := .Values.ports }}
            - name: {{ $name }}
              containerPort: {{ $port }}
            {{- end }}
          env:
            {{- range .Values.env }}
            - name: {{ .name }}
              value: {{ .value | quote }}
            {{- end }}
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
`,
		"chart/templates/service.yaml": head("v1", "Service", "") + `spec:
  selector:
    {{- include "app.selector" . | nindent 4 }}
  ports:
    {{- range $name, $port := .Values.ports }}
    - name: {{ $name }}
      port: {{ $port }}
    {{- end }}
`,
		"chart/templates/configmap.yaml": head("v1", "ConfigMap", "") + `data:
  {{- range $k, $v := .Values.config }}
  {{ $k }}: {{ tpl $v $ | quote }}
  {{- end }}
`,
		"chart/templates/secret.yaml":         head("v1", "Secret", "") + "stringData:\n  token: {{ .Values.token | quote }}\n",
		"chart/templates/serviceaccount.yaml": head("v1", "ServiceAccount", ""),
		"chart/templates/ingress.yaml": `{{- if .Values.ingress.enabled }}
` + head("networking.k8s.io/v1", "Ingress", "") + `spec:
  rules:
    {{- range .Values.ingress.hosts }}
    - host: {{ . }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ include "app.fullname" $ }}
                port: {name: http}
    {{- end }}
{{- end }}
`,
		"chart/templates/hpa.yaml":           head("autoscaling/v2", "HorizontalPodAutoscaler", "") + "spec:\n  minReplicas: {{ .Values.replicas }}\n  maxReplicas: {{ mul .Values.replicas 4 }}\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include \"app.fullname\" . }}}\n",
		"chart/templates/pdb.yaml":           head("policy/v1", "PodDisruptionBudget", "") + "spec:\n  maxUnavailable: 1\n  selector:\n    matchLabels:\n      {{- include \"app.selector\" . | nindent 6 }}\n",
		"chart/templates/networkpolicy.yaml": head("networking.k8s.io/v1", "NetworkPolicy", "") + "spec:\n  podSelector:\n    matchLabels:\n      {{- include \"app.selector\" . | nindent 6 }}\n  policyTypes: [Ingress]\n",
		"chart/templates/role.yaml":          head("rbac.authorization.k8s.io/v1", "Role", "") + "rules:\n  - apiGroups: [\"\"]\n    resources: [configmaps]\n    verbs: [get, list, watch]\n",
	}
	return corpus{
		name: "helm-10", what: "a chart of ten templates", files: files, objects: 10, renders: 200,
		source:  withValues,
		nonce:   "README.md",
		content: func(i int) string { return fmt.Sprint(i) },
	}
}

// withValues is a source whose application brings values of its own: many
// applications share a chart, and differ in those.
func withValues(i int) model.Source {
	return model.Source{Path: "chart", Helm: &model.HelmSource{ValuesObject: fmt.Appendf(nil, `{"image": {"tag": "1.%d"}}`, i)}}
}

const smallValues = `replicas: 2
image: {repository: registry.example/web, tag: "1.0"}
ports: {http: 8080, metrics: 9090}
token: secret
env: [{name: LOG, value: info}, {name: REGION, value: eu}]
resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
config: {url: "http://{{ .Release.Name }}.example", mode: fast}
ingress: {enabled: true, hosts: [a.example, b.example]}
`

const largeComponents = 40

// largeChart is of the size of a monitoring stack: 40 components with 8 objects
// each, dashboards, and long values.
func largeChart() corpus {
	files := map[string]string{
		"chart/Chart.yaml":             "apiVersion: v2\nname: stack\nversion: 60.0.0\nappVersion: \"0.74\"\n",
		"chart/templates/_helpers.tpl": chartHelpers,
	}
	var values strings.Builder
	values.WriteString("global: {registry: registry.example}\ncomponents:\n")
	for c := range largeComponents {
		name := fmt.Sprintf("component%02d", c)
		fmt.Fprintf(&values, "  %s:\n    enabled: true\n    replicas: 2\n    image: {name: part%d, tag: v1.%d}\n    args: [--log=info, --shards=4, --retention=15d]\n    resources: {requests: {cpu: 50m, memory: 64Mi}}\n    rules:\n", name, c, c)
		for r := range 12 {
			fmt.Fprintf(&values, "      - {alert: Alert%02d, expr: 'sum(rate(requests_total{job=\"%s\",code=~\"5..\"}[5m])) > %d', for: 10m, severity: warning}\n", r, name, r)
		}
		files["chart/templates/"+name+".yaml"] = largeComponent(name)
		files["chart/dashboards/"+name+".json"] = `{"title": "` + name + `", "panels": [` + strings.TrimSuffix(strings.Repeat(`{"type": "graph", "title": "Requests", "targets": [{"expr": "sum(rate(http_requests_total[5m])) by (code)", "legendFormat": "{{code}}"}], "gridPos": {"h": 8, "w": 12}}, `, 40), ", ") + `]}`
	}
	files["chart/values.yaml"] = values.String()
	return corpus{
		name: "helm-large", what: fmt.Sprintf("a chart of %d objects", largeComponents*8), files: files, objects: largeComponents * 8, renders: 12,
		source:  withValues,
		nonce:   "README.md",
		content: func(i int) string { return fmt.Sprint(i) },
	}
}

func largeComponent(name string) string {
	head := func(api, kind string) string {
		return "---\napiVersion: " + api + "\nkind: " + kind + "\nmetadata:\n  name: {{ printf \"%s-%s\" (include \"app.fullname\" $) $name }}\n  namespace: {{ $.Release.Namespace }}\n  labels:\n    {{- include \"app.labels\" $ | nindent 4 }}\n    component: {{ $name }}\n"
	}
	return `{{- $name := "` + name + `" }}
{{- with index .Values.components $name }}
{{- if .enabled }}
` + head("apps/v1", "Deployment") + `spec:
  replicas: {{ .replicas }}
  selector:
    matchLabels:
      {{- include "app.selector" $ | nindent 6 }}
      component: {{ $name }}
  template:
    metadata:
      labels:
        {{- include "app.selector" $ | nindent 8 }}
        component: {{ $name }}
    spec:
      serviceAccountName: {{ printf "%s-%s" (include "app.fullname" $) $name }}
      securityContext: {runAsNonRoot: true, runAsUser: 65534}
      containers:
        - name: {{ $name }}
          image: {{ printf "%s/%s:%s" $.Values.global.registry .image.name .image.tag }}
          args:
            {{- range .args }}
            - {{ . | quote }}
            {{- end }}
          resources:
            {{- toYaml .resources | nindent 12 }}
          readinessProbe: {httpGet: {path: /-/ready, port: 9090}, periodSeconds: 5}
` + head("v1", "Service") + "spec:\n  ports: [{name: http, port: 9090}]\n  selector:\n    {{- include \"app.selector\" $ | nindent 4 }}\n" +
		head("v1", "ServiceAccount") +
		head("rbac.authorization.k8s.io/v1", "ClusterRole") + "rules:\n  - apiGroups: [\"\"]\n    resources: [nodes, pods, services, endpoints]\n    verbs: [get, list, watch]\n" +
		head("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") + "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ printf \"%s-%s\" (include \"app.fullname\" $) $name }}}\nsubjects: [{kind: ServiceAccount, name: {{ $name }}, namespace: {{ $.Release.Namespace }}}]\n" +
		head("policy/v1", "PodDisruptionBudget") + "spec: {minAvailable: 1, selector: {matchLabels: {component: {{ $name }}}}}\n" +
		head("monitoring.coreos.com/v1", "PrometheusRule") + `spec:
  groups:
    - name: {{ $name }}
      rules:
        {{- range .rules }}
        - alert: {{ .alert }}
          expr: {{ .expr | quote }}
          for: {{ .for }}
          labels:
            severity: {{ .severity }}
        {{- end }}
` + head("v1", "ConfigMap") + "data:\n  dashboard.json: |-\n    {{- $.Files.Get (printf \"dashboards/%s.json\" $name) | nindent 4 }}\n{{- end }}\n{{- end }}\n"
}

const overlayCount = 50

// overlays are 50 overlays of one Kustomize base.
func overlays() corpus {
	files := map[string]string{
		"base/kustomization.yaml": "resources: [deployment.yaml, service.yaml, config.yaml, rbac.yaml, nonce.yaml]\nlabels: [{pairs: {team: shop}, includeSelectors: true}]\n",
		"base/deployment.yaml":    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      serviceAccountName: web\n      containers:\n        - name: web\n          image: registry.example/web:1.0\n          envFrom: [{configMapRef: {name: settings}}]\n          ports: [{containerPort: 8080}]\n",
		"base/service.yaml":       "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n",
		"base/config.yaml":        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base}\ndata: {a: b}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web}\nspec: {podSelector: {matchLabels: {app: web}}}\n",
		"base/rbac.yaml":          "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: web}\nrules: [{apiGroups: [\"\"], resources: [configmaps], verbs: [get]}]\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: web}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}\nsubjects: [{kind: ServiceAccount, name: web}]\n",
	}
	for i := range overlayCount {
		dir := fmt.Sprintf("overlays/o%02d/", i)
		files[dir+"kustomization.yaml"] = fmt.Sprintf("resources: [../../base]\nnamespace: team-%02d\nnamePrefix: o%02d-\nimages: [{name: registry.example/web, newTag: \"1.%d\"}]\nreplicas: [{name: web, count: %d}]\npatches: [{path: patch.yaml}]\nconfigMapGenerator: [{name: settings, files: [settings.properties]}]\n", i, i, i, i%5+1)
		files[dir+"patch.yaml"] = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, resources: {requests: {cpu: 100m}}}]}}}\n"
		files[dir+"settings.properties"] = fmt.Sprintf("overlay=%d\n", i)
	}
	return corpus{
		name: "kustomize-50", what: "50 overlays of one Kustomize base", files: files, objects: 9, renders: overlayCount,
		source: func(i int) model.Source { return model.Source{Path: fmt.Sprintf("overlays/o%02d", i%overlayCount)} },
		nonce:  "base/nonce.yaml",
		content: func(i int) string {
			return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nonce}\ndata: {n: \"%d\"}\n", i)
		},
	}
}

// plainYAML is 1 MB of manifests in 250 files.
func plainYAML() corpus {
	files := map[string]string{}
	for i := range 250 {
		files[fmt.Sprintf("plain/%03d.yaml", i)] = fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%03d}\ndata:\n  text: |\n", i) +
			strings.Repeat("    some line of configuration, 64 bytes with its indentation ...\n", 62)
	}
	return corpus{
		name: "plain-1mb", what: "1 MB of plain YAML in 250 files", files: files, objects: 251, renders: 20,
		source: func(int) model.Source { return model.Source{Path: "plain"} },
		nonce:  "plain/nonce.yaml",
		content: func(i int) string {
			return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nonce}\ndata: {n: \"%d\"}\n", i)
		},
	}
}

// jinjaSet is 20 templates that loop over environments.
func jinjaSet() corpus {
	files := map[string]string{"jinja/macros.inc": "{% macro labels(app) export %}app: {{ app }}{% endmacro %}\n"}
	for i := range 20 {
		files[fmt.Sprintf("jinja/t%02d.yaml.j2", i)] = fmt.Sprintf(`{%% for env in environments %%}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: part%d-{{ env.name }}
  labels: {app: "{{ app|upper }}"}
data:
  region: "{{ env.region }}"
  replicas: "{{ env.replicas }}"
  {%% if env.region == "eu" %%}gdpr: "yes"{%% else %%}gdpr: "no"{%% endif %%}
{%% endfor %%}
`, i)
	}
	return corpus{
		name: "jinja-20", what: "20 Jinja2 templates, 200 objects", files: files, objects: 200, renders: 60,
		source: func(int) model.Source {
			return model.Source{Path: "jinja", Jinja: &model.JinjaSource{ValueFiles: []string{"values.yaml"}}}
		},
		nonce: "jinja/values.yaml",
		content: func(i int) string {
			var b strings.Builder
			fmt.Fprintf(&b, "app: web%d\nenvironments:\n", i)
			for e := range 10 {
				fmt.Fprintf(&b, "  - {name: e%d, region: %s, replicas: %d}\n", e, []string{"eu", "us"}[e%2], e)
			}
			return b.String()
		},
	}
}
