{{/*
What a pod needs to carry the sidecar. In a parent chart the argument is `.Subcharts.modeltap`. With
`enabled: false` each template here renders nothing, and modeltap.targetPort the model's own port.

  modeltap.container        the container as a list item
  modeltap.initContainers   the same where the sidecar is native, else nothing
  modeltap.containers       the same where it is not, else nothing
  modeltap.volumes          list items, or nothing
  modeltap.podLabels        labels of the pod
  modeltap.podAnnotations   annotations of the pod
  modeltap.modelLifecycle   lifecycle of the model's container: it stops after the traffic has drained
  modeltap.targetPort       the Service's target: the sidecar's port, a number
*/}}

{{- define "modeltap.container" -}}
{{- include "modeltap.own" . -}}
{{- if .Values.enabled -}}
{{- $native := include "modeltap.native" . -}}
{{- with .Values.sidecar -}}
- name: {{ .name }}
  image: {{ include "modeltap.image" $ | quote }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  {{- if $native }}
  restartPolicy: Always
  {{- end }}
  args:
    - run
    {{- range .args }}
    - {{ . | quote }}
    {{- end }}
  env:
    {{- include "modeltap.env" $ | nindent 4 }}
  {{- with .extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .declarePorts }}
  ports:
    - name: proxy
      containerPort: {{ .ports.proxy }}
      protocol: TCP
    - name: metrics
      containerPort: {{ .ports.metrics }}
      protocol: TCP
    - name: health
      containerPort: {{ .ports.health }}
      protocol: TCP
  {{- end }}
  {{- with include "modeltap.probes" $ }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if $native }}
  {{- /* Its SIGTERM comes after the model's end, too late for traffic: the hook begins the drain, at the same time as
  the model's own hook begins to wait for it. A plain sidecar is told by SIGTERM. */}}
  lifecycle:
    preStop:
      exec:
        command: [modeltap, drain, --no-wait]
  {{- end }}
  resources:
    {{- include "modeltap.resources" $ | nindent 4 }}
  securityContext:
    {{- include "modeltap.securityContext" . | nindent 4 }}
  terminationMessagePolicy: FallbackToLogsOnError
  {{- with include "modeltap.volumeMounts" $ }}
  volumeMounts:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "modeltap.initContainers" -}}
{{- include "modeltap.own" . -}}
{{- if .Values.enabled -}}
{{- if include "modeltap.native" . -}}{{- include "modeltap.container" . -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "modeltap.containers" -}}
{{- include "modeltap.own" . -}}
{{- if .Values.enabled -}}
{{- if not (include "modeltap.native" .) -}}{{- include "modeltap.container" . -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "modeltap.env" -}}
{{- $sidecar := .Values.sidecar -}}
- name: MODELTAP_UPSTREAM
  value: {{ $sidecar.upstream | quote }}
- name: MODELTAP_LISTEN
  value: {{ printf "%s:%v" $sidecar.bindAddress $sidecar.ports.proxy | quote }}
- name: MODELTAP_ADMIN
  value: {{ printf "%s:%v" $sidecar.bindAddress $sidecar.ports.metrics | quote }}
- name: MODELTAP_HEALTH
  value: {{ printf "%s:%v" $sidecar.bindAddress $sidecar.ports.health | quote }}
- name: MODELTAP_DRAIN_QUIET
  value: {{ $sidecar.drainQuiet | quote }}
{{- if not (include "modeltap.native" .) }}
{{- /* A native sidecar is scraped between its drain and the model's end. */}}
- name: MODELTAP_FINAL_SCRAPE_WAIT
  value: {{ $sidecar.finalScrapeWait | quote }}
{{- end }}
{{- if include "modeltap.configMap" . }}
- name: MODELTAP_CONFIG
  value: /etc/modeltap/config/modeltap.yaml
{{- end }}
{{- if include "modeltap.referenceMap" . }}
- name: MODELTAP_REFERENCE
  value: {{ printf "/etc/modeltap/reference/%s" .Values.reference.key | quote }}
{{- end }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- /* $(NAME) takes only variables that stand before it. */}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "modeltap.resourceAttributes" . | quote }}
{{- with .Values.otlp }}
{{- if .serviceName }}
- name: OTEL_SERVICE_NAME
  value: {{ .serviceName | quote }}
{{- end }}
{{- if .endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ .protocol | quote }}
{{- end }}
{{- end }}
{{- with .Values.writeTokenSecret }}
{{- if .name }}
- name: MODELTAP_WRITE_TOKEN_FILE
  value: {{ printf "/etc/modeltap/write-token/%s" .key | quote }}
{{- end }}
{{- end }}
{{- include "modeltap.payloadLogEnv" . }}
{{- with .Values.accessLog }}
{{- if .target }}
- name: MODELTAP_ACCESS_LOG
  value: {{ .target | quote }}
- name: MODELTAP_ACCESS_LOG_SAMPLE
  value: {{ .sample | quote }}
{{- end }}
{{- end }}
{{- include "modeltap.labelsEnv" . }}
{{- include "modeltap.gpuEnv" . }}
{{- with $sidecar.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "modeltap.labelsEnv" -}}
{{- with .Values.labels -}}
{{- if or .store .storeSecret.name }}
- name: MODELTAP_LABEL_STORE
{{- if .storeSecret.name }}
  valueFrom:
    secretKeyRef:
      name: {{ .storeSecret.name | quote }}
      key: {{ .storeSecret.key | quote }}
{{- else }}
  value: {{ .store | quote }}
{{- end }}
{{- with .joinKeys }}
- name: MODELTAP_JOIN_KEYS
  value: {{ join "," . | quote }}
{{- end }}
- name: MODELTAP_LABEL_ROWS
  value: {{ int64 .rows | quote }}
- name: MODELTAP_LABEL_AGE
  value: {{ .ageDays | quote }}
- name: MODELTAP_LABEL_MATURITY
  value: {{ .maturityDays | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "modeltap.payloadLogEnv" -}}
{{- with .Values.payloadLog -}}
{{- if .target }}
- name: MODELTAP_PAYLOAD_LOG_TARGET
  value: {{ .target | quote }}
- name: MODELTAP_PAYLOAD_LOG_MODE
  value: {{ .mode | quote }}
- name: MODELTAP_PAYLOAD_LOG_SAMPLE
  value: {{ .sample | quote }}
- name: MODELTAP_PAYLOAD_LOG_NAMESPACE
  value: $(POD_NAMESPACE)
{{- with .service }}
- name: MODELTAP_PAYLOAD_LOG_SERVICE
  value: {{ . | quote }}
{{- end }}
{{- with .headers }}
- name: MODELTAP_PAYLOAD_LOG_HEADERS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .redact }}
- name: MODELTAP_PAYLOAD_LOG_REDACT
  value: {{ join "," . | quote }}
{{- end }}
{{- with .tokenSecret }}
{{- if .name }}
- name: MODELTAP_PAYLOAD_LOG_TOKEN_FILE
  value: {{ printf "/etc/modeltap/payload-log/%s" .key | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{- /* The folder of payload files, or nothing. */ -}}
{{- define "modeltap.payloadFolder" -}}
{{- $target := .Values.payloadLog.target -}}
{{- if hasPrefix "/" $target -}}
{{- if hasSuffix ".jsonl" $target -}}{{- dir $target -}}{{- else -}}{{- $target -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "modeltap.gpuEnv" -}}
{{- if eq .Values.gpu.mode "none" }}
{{- /* "void": an image built on CUDA must not take hold of the model's GPU. */}}
- name: NVIDIA_VISIBLE_DEVICES
  value: void
{{- else if eq .Values.gpu.mode "env" }}
- name: NVIDIA_VISIBLE_DEVICES
  value: all
- name: NVIDIA_DRIVER_CAPABILITIES
  value: utility
{{- end }}
{{- end -}}

{{- define "modeltap.resourceAttributes" -}}
{{- $pairs := list "k8s.pod.name=$(POD_NAME)" "k8s.pod.uid=$(POD_UID)" "k8s.namespace.name=$(POD_NAMESPACE)" "k8s.node.name=$(NODE_NAME)" (printf "k8s.container.name=%s" .Values.sidecar.name) -}}
{{- range $key, $value := .Values.otlp.resourceAttributes -}}
{{- $pairs = append $pairs (printf "%s=%v" $key $value) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{- define "modeltap.probes" -}}
{{- $port := .Values.sidecar.ports.health -}}
{{- $paths := dict "startupProbe" "/livez" "livenessProbe" "/livez" "readinessProbe" "/readyz" -}}
{{- $probes := list -}}
{{- range $kind := list "startupProbe" "livenessProbe" "readinessProbe" -}}
{{- $probe := get $.Values.sidecar $kind -}}
{{- if $probe.enabled -}}
{{- $get := dict "path" (get $paths $kind) "port" $port -}}
{{- $probes = append $probes (dict $kind (merge (dict "httpGet" $get) (omit $probe "enabled")) | toYaml) -}}
{{- end -}}
{{- end -}}
{{- join "\n" $probes -}}
{{- end -}}

{{- define "modeltap.modelLifecycle" -}}
{{- include "modeltap.own" . -}}
{{- if .Values.enabled -}}
preStop:
  httpGet:
    {{- /* A native sidecar's drain is begun by a process that has to start first. */}}
    path: /wait-for-drain{{ if include "modeltap.native" . }}?notice=10{{ end }}
    port: {{ .Values.sidecar.ports.health }}
{{- end -}}
{{- end -}}

{{- define "modeltap.resources" -}}
{{- $resources := deepCopy .Values.sidecar.resources -}}
{{- if eq .Values.gpu.mode "claim" -}}
{{- $name := required "modeltap: gpu.mode is claim, so gpu.claimName must name an entry of the pod's resourceClaims" .Values.gpu.claimName -}}
{{- $_ := set $resources "claims" (list (dict "name" $name)) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- /* Takes .Values.sidecar. A user of null is left out, for clusters that assign one. */ -}}
{{- define "modeltap.securityContext" -}}
{{- $context := deepCopy .securityContext -}}
{{- if not (kindIs "invalid" .runAsUser) -}}{{- $_ := set $context "runAsUser" .runAsUser -}}{{- end -}}
{{- if not (kindIs "invalid" .runAsGroup) -}}{{- $_ := set $context "runAsGroup" .runAsGroup -}}{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{- define "modeltap.volumeMounts" -}}
{{- $mounts := list -}}
{{- if include "modeltap.configMap" . -}}
{{- $mounts = append $mounts (dict "name" "modeltap-config" "mountPath" "/etc/modeltap/config" "readOnly" true) -}}
{{- end -}}
{{- if include "modeltap.referenceMap" . -}}
{{- $mounts = append $mounts (dict "name" "modeltap-reference" "mountPath" "/etc/modeltap/reference" "readOnly" true) -}}
{{- end -}}
{{- if .Values.writeTokenSecret.name -}}
{{- $mounts = append $mounts (dict "name" "modeltap-write-token" "mountPath" "/etc/modeltap/write-token" "readOnly" true) -}}
{{- end -}}
{{- if and .Values.payloadLog.target .Values.payloadLog.tokenSecret.name -}}
{{- $mounts = append $mounts (dict "name" "modeltap-payload-token" "mountPath" "/etc/modeltap/payload-log" "readOnly" true) -}}
{{- end -}}
{{- with include "modeltap.payloadFolder" . -}}
{{- $mounts = append $mounts (dict "name" "modeltap-payloads" "mountPath" .) -}}
{{- end -}}
{{- with concat $mounts .Values.sidecar.extraVolumeMounts -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{- define "modeltap.volumes" -}}
{{- include "modeltap.own" . -}}
{{- if .Values.enabled -}}
{{- $volumes := list -}}
{{- with include "modeltap.configMap" . -}}
{{- $volumes = append $volumes (dict "name" "modeltap-config" "configMap" (dict "name" .)) -}}
{{- end -}}
{{- with include "modeltap.referenceMap" . -}}
{{- $volumes = append $volumes (dict "name" "modeltap-reference" "configMap" (dict "name" .)) -}}
{{- end -}}
{{- with .Values.writeTokenSecret.name -}}
{{- $volumes = append $volumes (dict "name" "modeltap-write-token" "secret" (dict "secretName" .)) -}}
{{- end -}}
{{- if and .Values.payloadLog.target .Values.payloadLog.tokenSecret.name -}}
{{- $volumes = append $volumes (dict "name" "modeltap-payload-token" "secret" (dict "secretName" .Values.payloadLog.tokenSecret.name)) -}}
{{- end -}}
{{- if include "modeltap.payloadFolder" . -}}
{{- $volumes = append $volumes (dict "name" "modeltap-payloads" "emptyDir" (dict "sizeLimit" .Values.payloadLog.volumeSize)) -}}
{{- end -}}
{{- /* Absent with the values of a chart from before it: `helm upgrade --reuse-values`. */ -}}
{{- with concat $volumes (.Values.sidecar.extraVolumes | default list) -}}{{- toYaml . -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "modeltap.podLabels" -}}
{{- include "modeltap.own" . -}}
{{- if .Values.enabled -}}
modeltap/sidecar: enabled
modeltap/instance: {{ include "modeltap.fullname" . }}
{{- end -}}
{{- end -}}

{{- define "modeltap.podAnnotations" -}}
{{- include "modeltap.own" . -}}
{{- if .Values.enabled -}}
{{- /* The digest restarts the pods when the mounted configuration changes. */ -}}
modeltap/config-digest: {{ list .Values.config .Values.reference | toJson | sha256sum | trunc 16 | quote }}
{{- if include "modeltap.scrapeAnnotations" . }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .Values.sidecar.ports.metrics | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- end -}}
{{- end -}}

{{- /* A number: named ports of native sidecars are not resolved for Services before Kubernetes 1.33
(kubernetes/kubernetes 128850). */ -}}
{{- define "modeltap.targetPort" -}}
{{- include "modeltap.own" . -}}
{{- if .Values.enabled -}}
{{- .Values.sidecar.ports.proxy -}}
{{- else -}}
{{- include "modeltap.upstreamPort" . -}}
{{- end -}}
{{- end -}}

{{- define "modeltap.upstreamPort" -}}
{{- $url := urlParse .Values.sidecar.upstream -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end -}}
