{{- define "hawser-agent.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "hawser-agent.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "hawser-agent.name" . }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{/* Names of what has no namespace: two agents of two hubs may be in one cluster. */}}
{{- define "hawser-agent.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "hawser-agent.fullname" .) }}
{{- end }}

{{- define "hawser-agent.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "hawser-agent.fullname" .) .Values.serviceAccount.name }}
{{- else }}{{ required "serviceAccount.name: which account? serviceAccount.create is false" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "hawser-agent.selector" -}}
app.kubernetes.io/name: {{ include "hawser-agent.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hawser-agent.labels" -}}
{{ include "hawser-agent.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: agent
app.kubernetes.io/part-of: hawser
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "hawser-agent.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry }}
{{- $name := .Values.image.repository }}
{{- if $registry }}{{ $name = printf "%s/%s" $registry $name }}{{ end }}
{{- if .Values.image.digest }}{{ printf "%s@%s" $name .Values.image.digest }}
{{- else }}{{ printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) }}{{ end }}
{{- end }}

{{/* What a schema cannot say, in words. */}}
{{- define "hawser-agent.check" -}}
{{- $v := .Values }}
{{- if not $v.hub.address }}{{ fail "hub.address: HOST:PORT of the hub is missing; hawser cluster enroll prints it" }}{{ end }}
{{- if not $v.hub.caHash }}{{ fail "hub.caHash: the hash of the hub's CA is missing; hawser cluster enroll prints it" }}{{ end }}
{{- if and $v.token.value $v.token.existingSecret }}{{ fail "token: give value or existingSecret, not both" }}{{ end }}
{{- if and $v.proxy.url $v.proxy.existingSecret }}{{ fail "proxy: give url or existingSecret, not both" }}{{ end }}
{{- if and $v.proxy.ca $v.proxy.existingCAConfigMap }}{{ fail "proxy: give ca or existingCAConfigMap, not both" }}{{ end }}
{{- if and (eq $v.profile "namespaced") (not $v.rbac.namespaces) }}{{ fail "rbac.namespaces: the profile namespaced needs at least one" }}{{ end }}
{{- if and (ne $v.profile "namespaced") $v.rbac.namespaces }}{{ fail (printf "rbac.namespaces is of the profile namespaced; the profile is %s" $v.profile) }}{{ end }}
{{- if and (eq $v.profile "impersonate") (not $v.rbac.accounts) }}{{ fail "rbac.accounts: the profile impersonate needs at least one {namespace, name}" }}{{ end }}
{{- if and (ne $v.profile "impersonate") $v.rbac.accounts }}{{ fail (printf "rbac.accounts is of the profile impersonate; the profile is %s" $v.profile) }}{{ end }}
{{- if and (eq $v.profile "cluster-admin") (not $v.rbac.allowClusterAdmin) }}{{ fail "rbac.allowClusterAdmin: the profile cluster-admin lets whoever controls the hub do everything in this cluster; set it to true if that is meant" }}{{ end }}
{{- if and (ne $v.profile "cluster-admin") $v.rbac.allowClusterAdmin }}{{ fail (printf "rbac.allowClusterAdmin is of the profile cluster-admin; the profile is %s" $v.profile) }}{{ end }}
{{- if eq $v.profile "observe" }}
{{- if $v.rbac.secrets }}{{ fail "rbac.secrets: the profile observe reads no Secrets" }}{{ end }}
{{- if $v.access.exec }}{{ fail "access.exec: the profile observe runs no commands" }}{{ end }}
{{- if $v.access.kubectl.enabled }}{{ fail "access.kubectl: the profile observe lets no kubectl in" }}{{ end }}
{{- end }}
{{- if and (eq $v.profile "namespaced") $v.access.kubectl.enabled }}{{ fail "access.kubectl: the profile namespaced cannot act as users, who have no namespace" }}{{ end }}
{{- if has .Release.Namespace $v.rbac.namespaces }}{{ fail (printf "rbac.namespaces: %s is the agent's own, where applications deploy nothing" .Release.Namespace) }}{{ end }}
{{- end }}

{{- define "hawser-agent.tokenSecret" -}}
{{- if .Values.token.existingSecret }}{{ .Values.token.existingSecret }}
{{- else if .Values.token.value }}{{ include "hawser-agent.fullname" . }}-token
{{- end }}
{{- end }}

{{- define "hawser-agent.proxyCA" -}}
{{- if .Values.proxy.existingCAConfigMap }}{{ .Values.proxy.existingCAConfigMap }}
{{- else if .Values.proxy.ca }}{{ include "hawser-agent.fullname" . }}-proxy-ca
{{- end }}
{{- end }}

{{/* Rules for the kinds of applications with some verbs: (dict "root" . "verbs" (list …)) */}}
{{- define "hawser-agent.kindRules" -}}
{{- $kinds := concat .root.Values.rbac.kinds .root.Values.rbac.extraKinds }}
{{- if .root.Values.rbac.secrets }}{{ $kinds = append $kinds (dict "apiGroups" (list "") "resources" (list "secrets")) }}{{ end }}
{{- range $kinds }}
- apiGroups: {{ toJson .apiGroups }}
  resources: {{ toJson .resources }}
  verbs: {{ toJson $.verbs }}
{{- end }}
{{- end }}

{{/* What workloads create (trees go down to pods), and what people may look at. */}}
{{- define "hawser-agent.lookRules" -}}
- apiGroups: [""]
  resources: [pods]
  verbs: [{{ if .Values.access.logs }}get, {{ end }}list, watch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [{{ if .Values.access.logs }}get, {{ end }}list, watch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch]
{{- if .Values.access.logs }}
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [list, watch]
{{- end }}
{{- if .Values.access.exec }}
- apiGroups: [""]
  resources: [pods/exec]
  verbs: [get, create]
{{- end }}
{{- end }}

{{/* Its own namespace: journal, identity and Lease, and what administrators tell it. */}}
{{- define "hawser-agent.ownRules" }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, create, update, delete]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [hawser-veto, hawser-customizations]
  verbs: [list, watch]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update]
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [{{ .Release.Namespace }}]
  verbs: [get]
{{- end }}

{{/* In the profile namespaced: which cluster this is, and each of its namespaces. */}}
{{- define "hawser-agent.uidRules" }}
- apiGroups: [""]
  resources: [namespaces]
  resourceNames: [kube-system]
  verbs: [get]
{{- end }}

{{- define "hawser-agent.namespaceRules" }}
{{- include "hawser-agent.kindRules" (dict "root" . "verbs" (fromJsonArray (include "hawser-agent.writeVerbs" .))) }}
{{ include "hawser-agent.lookRules" . }}
{{- end }}

{{/* In the other profiles but cluster-admin: the whole cluster. */}}
{{- define "hawser-agent.clusterRules" }}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list, watch{{ if and (eq .Values.profile "curated") .Values.rbac.createNamespaces }}, create, patch{{ end }}]
- apiGroups: [""]
  resources: [nodes]
  verbs: [list]
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [list, watch]
- apiGroups: [apiregistration.k8s.io]
  resources: [apiservices]
  verbs: [list, watch]
{{ include "hawser-agent.lookRules" . }}
{{- if eq .Values.profile "curated" }}
{{- include "hawser-agent.kindRules" (dict "root" . "verbs" (fromJsonArray (include "hawser-agent.writeVerbs" .))) }}
{{- else }}
{{- include "hawser-agent.kindRules" (dict "root" . "verbs" (list "get" "list" "watch")) }}
{{- end }}
{{- if .Values.access.kubectl.enabled }}
- apiGroups: [""]
  resources: [groups]
  resourceNames: {{ toJson .Values.access.kubectl.groups }}
  verbs: [impersonate]
- apiGroups: [""]
  resources: [users]
  {{- with .Values.access.kubectl.users }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [impersonate]
{{- end }}
{{- end }}

{{/* What the agent's preflight asks for, from the same rules: [{namespaces, rules}]. */}}
{{- define "hawser-agent.rights" -}}
{{- $rights := list (dict "namespaces" (list .Release.Namespace) "rules" (fromYamlArray (include "hawser-agent.ownRules" .))) }}
{{- if eq .Values.profile "namespaced" }}
{{- $rights = append $rights (dict "rules" (fromYamlArray (include "hawser-agent.uidRules" .))) }}
{{- $rights = append $rights (dict "namespaces" .Values.rbac.namespaces "rules" (fromYamlArray (include "hawser-agent.namespaceRules" .))) }}
{{- else if eq .Values.profile "cluster-admin" }}
{{- $rights = append $rights (dict "rules" (list (dict "apiGroups" (list "*") "resources" (list "*") "verbs" (list "*")))) }}
{{- else }}
{{- $rights = append $rights (dict "rules" (fromYamlArray (include "hawser-agent.clusterRules" .))) }}
{{- end }}
{{- range .Values.rbac.accounts }}
{{- $rights = append $rights (dict "namespaces" (list .namespace) "rules" (list (dict "apiGroups" (list "") "resources" (list "serviceaccounts") "resourceNames" (list .name) "verbs" (list "impersonate" "get")))) }}
{{- end }}
{{- toJson $rights }}
{{- end }}

{{- define "hawser-agent.writeVerbs" -}}
["get", "list", "watch", "create", "update", "patch", "delete"]
{{- end }}

{{/* The cluster's own policy: that of the values, and what the profile forbids, so that
     the agent says so and does not try. */}}
{{- define "hawser-agent.veto" -}}
{{- $policy := deepCopy .Values.veto.policy }}
{{- if eq .Values.profile "observe" }}
{{- $rule := dict "verbs" (list "create" "update" "delete" "action") "reason" "the agent is installed with the profile observe" }}
{{- $_ := set $policy "deny" (prepend (default (list) (get $policy "deny")) $rule) }}
{{- $_ := set $policy "exec" false }}
{{- $_ := set $policy "kubectl" false }}
{{- end }}
{{- toYaml $policy }}
{{- end }}

{{/* The port of the hub, or of the proxy before it. */}}
{{- define "hawser-agent.hubPort" -}}
{{- if and .Values.proxy.url (ne .Values.proxy.url "direct") }}
{{- $u := urlParse .Values.proxy.url }}
{{- $port := regexFind ":[0-9]+$" $u.host | trimPrefix ":" }}
{{- default (ternary "443" "80" (eq $u.scheme "https")) $port }}
{{- else }}{{ regexFind "[0-9]+$" .Values.hub.address }}{{ end }}
{{- end }}

{{/* Arguments of the agent about its way to the hub, and of its preflight. */}}
{{- define "hawser-agent.wayArgs" -}}
- --hub={{ .Values.hub.address }}
- --ca-hash={{ .Values.hub.caHash }}
{{- with .Values.clusterName }}
- --cluster-name={{ . }}
{{- end }}
{{- if eq .Values.profile "namespaced" }}
- --watch-namespace={{ join "," .Values.rbac.namespaces }}
{{- end }}
{{- if .Values.proxy.url }}
- --proxy={{ .Values.proxy.url }}
{{- else if .Values.proxy.existingSecret }}
- --proxy=$(HAWSER_PROXY)
{{- end }}
{{- if include "hawser-agent.proxyCA" . }}
- --proxy-ca=/etc/hawser/proxy-ca/ca.crt
{{- end }}
- {{ printf "--rights=%s" (include "hawser-agent.rights" .) | squote }}
{{- end }}

{{- define "hawser-agent.env" -}}
{{- $token := include "hawser-agent.tokenSecret" . -}}
- name: HAWSER_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- if $token }}
- name: HAWSER_TOKEN
  valueFrom:
    # Needed once: an agent that is enrolled starts without it.
    secretKeyRef: {name: {{ $token }}, key: {{ ternary .Values.token.key "token" (ne .Values.token.existingSecret "") }}, optional: true}
{{- end }}
{{- if .Values.proxy.existingSecret }}
- name: HAWSER_PROXY
  valueFrom:
    secretKeyRef: {name: {{ .Values.proxy.existingSecret }}, key: {{ .Values.proxy.key }}}
{{- end }}
{{- with .Values.extraEnv }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}
