{{- /* Name of everything in the release's namespace: the release's, with "changeover" in it. */ -}}
{{- define "changeover.name" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains "changeover" .Release.Name }}
{{- .Release.Name }}
{{- else }}
{{- printf "%s-changeover" .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Name of what belongs to no namespace, or to another one: releases of one name must not meet there. */ -}}
{{- define "changeover.clusterName" -}}
{{ .Release.Namespace }}-{{ include "changeover.name" . }}
{{- end }}

{{- /* Labels that a selector may use: they never change. */ -}}
{{- define "changeover.selector" -}}
app.kubernetes.io/name: changeover
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Labels of everything. */ -}}
{{- define "changeover.labels" -}}
{{ include "changeover.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Labels of the pod: yours cannot overrule those that the selector needs. */ -}}
{{- define "changeover.podLabels" -}}
{{- toYaml (merge (fromYaml (include "changeover.labels" .)) .Values.podLabels) }}
{{- end }}

{{- /* Annotations of the pod: yours overrule those for Prometheus. */ -}}
{{- define "changeover.podAnnotations" -}}
{{- $prometheus := dict "prometheus.io/scrape" "true" "prometheus.io/port" "8080" "prometheus.io/path" "/metrics" }}
{{- toYaml (mergeOverwrite $prometheus .Values.podAnnotations) }}
{{- end }}

{{- /* The operator's image; a digest pins it. */ -}}
{{- define "changeover.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
{{- end }}

{{- /* The operator's ServiceAccount. */ -}}
{{- define "changeover.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "changeover.name" .) }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* The operator as the subject of a binding. */ -}}
{{- define "changeover.subjects" -}}
subjects:
- kind: ServiceAccount
  name: {{ include "changeover.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* The operator's configuration file. */ -}}
{{- define "changeover.config" -}}
{{- $names := list }}
{{- range .Values.metricSources }}{{ $names = append $names .name }}{{ end }}
{{- if lt (len (uniq $names)) (len $names) }}
{{- fail (printf "metricSources: two have the same name, and the operator would not start; give each its own (%s)" (join ", " $names)) }}
{{- end -}}
metricSources: {{ .Values.metricSources | toJson }}
loaderImage: {{ .Values.loaderImage | quote }}
gateways: {{ .Values.gateways | toJson }}
watchNamespaces: {{ .Values.watchNamespaces | toJson }}
lease: {namespace: {{ .Release.Namespace }}, name: {{ include "changeover.name" . }}}
notifications: {allowedHosts: {{ .Values.notifications.allowedHosts | toJson }}}
logLevel: {{ .Values.log.level }}
logFormat: {{ .Values.log.format }}
{{- end }}

{{- /* What the operator does in a namespace that it serves, each right with its reason; no wildcard, and no Secret but
    those that are named for notifications.
    tests/apiserver/test_rbac.py holds this against the code: a right too many fails as one too few does. */ -}}
{{- define "changeover.rules" -}}
# Our own kinds are watched, read anew at every pass, and listed to find what a broken watch hid.
- apiGroups: [changeover.dev]
  resources: [frameworkbenchmarks, canarymigrations]
  verbs: [get, list, watch]
# A benchmark past its ttlAfterFinished.
- apiGroups: [changeover.dev]
  resources: [frameworkbenchmarks]
  verbs: [delete]
# The finalizer that gives a route back before its migration goes.
- apiGroups: [changeover.dev]
  resources: [canarymigrations]
  verbs: [patch]
# What we report.
- apiGroups: [changeover.dev]
  resources: [frameworkbenchmarks/status, canarymigrations/status]
  verbs: [patch]
# Candidates while they are measured, and the canary that a benchmark chose; those of users are only read.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, create, patch, delete]
# In front of those Deployments; read first, so that a Service of somebody else's is never taken over.
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, patch, delete]
# The records of a benchmark's runs; they go with the benchmark, by owner reference, or when a new result replaces them.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, patch, delete]
# Whether pods are ready, where they run, and which image they run.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
# The report of a load run.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
# Load runs.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, create, patch, delete]
# The route that carries the weights; never deleted, because it carries traffic.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, create, patch]
{{- with .Values.notifications.secretNames }}
# Where notifications go, by name; nothing else is read of Secrets.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson . }}
  verbs: [get]
{{- end }}
# What happened and why, for `kubectl describe` and `kubectl events`.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
