{{- define "hawser.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "hawser.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "hawser.name" . }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{- define "hawser.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "hawser.fullname" .) .Values.serviceAccount.name }}
{{- else }}{{ required "serviceAccount.name: which account? serviceAccount.create is false" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{/* The hub's pods, and that of helm test. */}}
{{- define "hawser.pods" -}}
app.kubernetes.io/name: {{ include "hawser.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hawser.selector" -}}
{{ include "hawser.pods" . }}
app.kubernetes.io/component: hub
{{- end }}

{{- define "hawser.labels" -}}
{{ include "hawser.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: hawser
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "hawser.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry }}
{{- $name := .Values.image.repository }}
{{- if $registry }}{{ $name = printf "%s/%s" $registry $name }}{{ end }}
{{- if .Values.image.digest }}{{ printf "%s@%s" $name .Values.image.digest }}
{{- else }}{{ printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) }}{{ end }}
{{- end }}

{{/* What a schema cannot say, in words. */}}
{{- define "hawser.check" -}}
{{- $v := .Values }}
{{- if not $v.host }}{{ fail "host: the name under which people and agents reach the hub is missing, such as hub.example.com" }}{{ end }}
{{- if not $v.database.existingSecret }}{{ fail "database.existingSecret: the Secret with the URL of Postgres is missing; make it with: kubectl create secret generic hawser-database --from-literal=url=postgres://…" }}{{ end }}
{{- if not $v.vaultKey.existingSecret }}{{ fail "vaultKey.existingSecret: the Secret with the key that secrets are sealed with is missing; make it with: kubectl create secret generic hawser-vault-key --from-literal=key=\"$(openssl rand -base64 32)\"" }}{{ end }}
{{- if and $v.plugins.sidecars (not $v.plugins.enabled) }}{{ fail "plugins.sidecars: plugins.enabled is false" }}{{ end }}
{{- if and $v.ingress.enabled (eq $v.service.type "LoadBalancer") }}{{ fail "ingress.enabled: set service.type to ClusterIP, or the hub is reachable twice" }}{{ end }}
{{- if and $v.persistence.existingClaim (not $v.persistence.enabled) }}{{ fail "persistence.existingClaim: persistence.enabled is false" }}{{ end }}
{{- end }}

{{/* Environment and mounts that every command of the hub needs. */}}
{{- define "hawser.secretEnv" -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .Values.database.existingSecret }}, key: {{ .Values.database.key }}}
{{- if .Values.database.ca.existingSecret }}
- {name: PGSSLROOTCERT, value: /etc/hawser/database-ca/ca.crt}
{{- end }}
- {name: HAWSER_VAULT_KEY_FILE, value: /etc/hawser/vault/key}
{{- end }}

{{- define "hawser.secretMounts" -}}
- {name: vault-key, mountPath: /etc/hawser/vault, readOnly: true}
{{- if .Values.database.ca.existingSecret }}
- {name: database-ca, mountPath: /etc/hawser/database-ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "hawser.secretVolumes" -}}
- name: vault-key
  secret:
    secretName: {{ .Values.vaultKey.existingSecret }}
    items: [{key: {{ .Values.vaultKey.key }}, path: key}]
{{- if .Values.database.ca.existingSecret }}
- name: database-ca
  secret:
    secretName: {{ .Values.database.ca.existingSecret }}
    items: [{key: {{ .Values.database.ca.key }}, path: ca.crt}]
{{- end }}
{{- end }}
