{{- define "kaireon.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Who a pod runs as. Call with root, name, and user where it is not ours. */}}
{{- define "kaireon.podSecurity" -}}
{{- $user := int (dig "user" 10001 .) -}}
runAsNonRoot: true
runAsUser: {{ $user }}
runAsGroup: {{ $user }}
fsGroup: {{ $user }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* metadata of a pod of ours. Call with root, name, settings, and more: labels, annotations. */}}
{{- define "kaireon.podMetadata" -}}
labels:
  {{- include "kaireon.labels" . | nindent 2 }}
  {{- range $more := list (dig "labels" nil .) .settings.podLabels }}
  {{- with $more }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- end }}
{{- $annotations := dict }}
{{- range $more := list (dig "annotations" nil .) .settings.podAnnotations }}
{{- range $key, $value := $more }}{{ $_ := set $annotations $key $value }}{{ end }}
{{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What every pod of ours has. Call with root, name, settings, and account (its ServiceAccount's component). */}}
{{- define "kaireon.pod" -}}
serviceAccountName: {{ dig "account" (include "kaireon.name" (dict "root" .root "name" .name)) . }}
automountServiceAccountToken: false
# A Service called `api` would become API_PORT=tcp://...
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .settings.terminationGracePeriodSeconds }}
securityContext:
  {{- include "kaireon.podSecurity" . | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with get $.settings $key }}
{{ $key }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .settings.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - labelSelector:
      matchLabels:
        {{- include "kaireon.selector" $ | nindent 8 }}
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Volumes of a pod, and their mounts in the tier's own container. Call with root, settings and isPooled. */}}
{{- define "kaireon.volumes" -}}
- {name: tmp, emptyDir: {sizeLimit: 1Gi}}
{{- with .root.Values.postgres.external.caSecret }}
- {name: postgres-ca, secret: {secretName: {{ . }}}}
{{- end }}
{{- if .isPooled }}
- {name: pgbouncer-config, configMap: {name: {{ include "kaireon.name" (dict "root" .root "name" "pgbouncer") }}}}
- {name: pgbouncer-run, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
{{- end }}
{{- with .settings.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "kaireon.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- with .root.Values.postgres.external.caSecret }}
- {name: postgres-ca, mountPath: /etc/kaireon/postgres-ca, readOnly: true}
{{- end }}
{{- with .settings.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* PgBouncer beside a tier: a native sidecar, there before the tier is and after it. */}}
{{- define "kaireon.pgbouncer" -}}
{{- $topology := include "kaireon.topology" .root | fromYaml -}}
- name: pgbouncer
  image: {{ .root.Values.pgbouncer.image }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  restartPolicy: Always
  command: [/bin/sh, /etc/pgbouncer-config/start.sh]
  env:
    - {name: PGUSER, value: {{ .root.Values.postgres.user | quote }}}
    - {name: PGPASSWORD, valueFrom: {secretKeyRef: {name: {{ $topology.secretName }}, key: POSTGRES_PASSWORD}}}
  startupProbe:
    exec: {command: [nc, -z, 127.0.0.1, "6432"]}
    periodSeconds: 1
    failureThreshold: 30
  resources:
    {{- toYaml .root.Values.pgbouncer.resources | nindent 4 }}
  securityContext:
    {{- include "kaireon.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: pgbouncer-config, mountPath: /etc/pgbouncer-config, readOnly: true}
    - {name: pgbouncer-run, mountPath: /run/pgbouncer}
    {{- with .root.Values.postgres.external.caSecret }}
    - {name: postgres-ca, mountPath: /etc/kaireon/postgres-ca, readOnly: true}
    {{- end }}
{{- end }}
