{{/*
Names and switches. Every template takes the context of this chart: `.` inside it, and
`.Subcharts.modeltap` (or the alias) in a parent chart. Invariant: a context of another chart is
refused, because its name and appVersion would give wrong names and image tags without a word.
*/}}

{{- define "modeltap.own" -}}
{{- if not (and .Chart (hasKey (.Chart.Annotations | toJson | fromJson) "modeltap/templates")) -}}
{{- fail (printf "modeltap: the templates need the context of the modeltap chart, got that of %q; write: include \"modeltap.container\" .Subcharts.modeltap" ((.Chart).Name | default "something else")) -}}
{{- end -}}
{{- end -}}

{{- define "modeltap.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* 48 characters leave room for the suffixes "-alert-rules" and the like within 63. */ -}}
{{- define "modeltap.fullname" -}}
{{- $name := include "modeltap.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "modeltap.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "modeltap.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: modeltap
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "modeltap.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- /* "true" or nothing: is the sidecar an init container that keeps running? */ -}}
{{- define "modeltap.native" -}}
{{- $native := toString .Values.sidecar.native -}}
{{- if eq $native "auto" -}}
{{- if semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version -}}true{{- end -}}
{{- else if eq $native "true" -}}
{{- if semverCompare "<1.28.0-0" .Capabilities.KubeVersion.Version -}}
{{- fail (printf "modeltap: sidecar.native is true, but Kubernetes %s has no native sidecars (expected 1.29 or later); use auto or false" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
true
{{- end -}}
{{- end -}}

{{- /* Name of the ConfigMap with the configuration, or nothing. */ -}}
{{- define "modeltap.configMap" -}}
{{- if .Values.existingConfigMap -}}
{{- .Values.existingConfigMap -}}
{{- else if .Values.config -}}
{{- printf "%s-config" (include "modeltap.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- /* Name of the ConfigMap with the reference profile, or nothing. */ -}}
{{- define "modeltap.referenceMap" -}}
{{- if .Values.reference.existingConfigMap -}}
{{- .Values.reference.existingConfigMap -}}
{{- else if .Values.reference.profile -}}
{{- printf "%s-reference" (include "modeltap.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- /* "true" or nothing: are the prometheus.io annotations wanted? */ -}}
{{- define "modeltap.scrapeAnnotations" -}}
{{- $wanted := toString .Values.scrapeAnnotations -}}
{{- if or (eq $wanted "true") (and (eq $wanted "auto") (not .Values.podMonitor.enabled)) -}}true{{- end -}}
{{- end -}}

{{- define "modeltap.exampleSelector" -}}
app.kubernetes.io/name: {{ include "modeltap.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: model
{{- end -}}
