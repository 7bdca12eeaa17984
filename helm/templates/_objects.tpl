{{/* The Deployment of a tier. Call with root, name, and isScaled where something else counts its pods. */}}
{{- define "kaireon.deployment" -}}
{{- $tier := include "kaireon.tier" . | fromYaml -}}
{{- $settings := include "kaireon.settings" (dict "root" .root "key" $tier.key) | fromYaml -}}
{{- $reads := get (.root.Files.Get "files/environment.yaml" | fromYaml).tiers .name | default list -}}
{{- $isPooled := and .root.Values.pgbouncer.enabled (has "DATABASE_URL" $reads) -}}
{{- $call := dict "root" .root "name" .name "settings" $settings "isPooled" $isPooled -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "kaireon.metadata" $call | nindent 2 }}
spec:
  {{- if not .isScaled }}
  replicas: {{ $settings.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 25%}}
  selector:
    matchLabels:
      {{- include "kaireon.selector" . | nindent 6 }}
  template:
    metadata:
      {{- include "kaireon.podMetadata" (merge (dict "annotations" (include "kaireon.checksums" .root | fromYaml)) $call) | nindent 6 }}
    spec:
      {{- include "kaireon.pod" $call | nindent 6 }}
      {{- if $isPooled }}
      initContainers:
        {{- include "kaireon.pgbouncer" $call | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "kaireon.image" (dict "root" .root "image" .name) }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          ports: [{name: {{ $tier.portName }}, containerPort: {{ $tier.port }}}]
          env:
            {{- include "kaireon.env" $call | trim | nindent 12 }}
            {{- with $settings.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          startupProbe: {httpGet: {path: {{ $tier.alive }}, port: {{ $tier.portName }}}, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 60}
          livenessProbe: {httpGet: {path: {{ $tier.alive }}, port: {{ $tier.portName }}}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3}
          readinessProbe: {httpGet: {path: {{ $tier.ready }}, port: {{ $tier.portName }}}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 2}
          {{- if ne $tier.portName "metrics" }}
          # Until nobody sends anything any more.
          lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
          {{- end }}
          resources:
            {{- toYaml $settings.resources | nindent 12 }}
          securityContext:
            {{- include "kaireon.containerSecurity" . | nindent 12 }}
          volumeMounts:
            {{- include "kaireon.mounts" $call | nindent 12 }}
      volumes:
        {{- include "kaireon.volumes" $call | nindent 8 }}
{{- end }}

{{/* A pod is made anew when what it was started with changes. */}}
{{- define "kaireon.checksums" -}}
checksum/config: {{ include "kaireon.environment" . | sha256sum }}
{{- if eq .Values.secret.mode "values" }}
checksum/secret: {{ toYaml .Values.secret.values | sha256sum }}
{{- end }}
{{- if .Values.pgbouncer.enabled }}
checksum/pgbouncer: {{ include "kaireon.pgbouncer.ini" . | sha256sum }}
{{- end }}
{{- end }}

{{- define "kaireon.serviceAccount" -}}
{{- $tier := include "kaireon.tier" . | fromYaml -}}
{{- $settings := include "kaireon.settings" (dict "root" .root "key" $tier.key) | fromYaml -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "kaireon.metadata" (dict "root" .root "name" .name "annotations" $settings.serviceAccount.annotations) | nindent 2 }}
automountServiceAccountToken: false
{{- end }}

{{/* A Service that balances nothing: how Prometheus finds the pods, also those that are not ready. */}}
{{- define "kaireon.metricsService" -}}
{{- $tier := include "kaireon.tier" . | fromYaml -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "kaireon.metadata" (dict "root" .root "name" .name "labels" (dict "kaireon.ai/metrics" "true")) | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  ports: [{name: {{ $tier.portName }}, port: {{ $tier.port }}, targetPort: {{ $tier.portName }}}]
  selector:
    {{- include "kaireon.selector" . | nindent 4 }}
{{- end }}

{{- define "kaireon.pdb" -}}
{{- $tier := include "kaireon.tier" . | fromYaml -}}
{{- $settings := include "kaireon.settings" (dict "root" .root "key" $tier.key) | fromYaml -}}
{{- if $settings.pdb.enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "kaireon.metadata" . | nindent 2 }}
spec:
  minAvailable: {{ $settings.pdb.minAvailable }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "kaireon.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* KEDA counts what waits in Postgres, where the truth is. Call with root, name, query and target. */}}
{{- define "kaireon.scaledObject" -}}
{{- $tier := include "kaireon.tier" . | fromYaml -}}
{{- $keda := (get .root.Values $tier.key).keda -}}
{{- $topology := include "kaireon.topology" .root | fromYaml -}}
{{- $name := include "kaireon.name" (dict "root" .root "name" .name) -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "kaireon.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {name: {{ $name }}}
  minReplicaCount: {{ $keda.minReplicas }}
  maxReplicaCount: {{ $keda.maxReplicas }}
  pollingInterval: {{ $keda.pollingIntervalSeconds }}
  cooldownPeriod: {{ $keda.cooldownSeconds }}
  # When Postgres does not answer.
  fallback: {failureThreshold: 3, replicas: {{ $keda.minReplicas }}}
  triggers:
    - type: postgresql
      authenticationRef: {name: {{ $name }}}
      metadata:
        # KEDA asks from its own namespace.
        host: {{ ternary (printf "%s.%s.svc" $topology.postgresHost .root.Release.Namespace) $topology.postgresHost $topology.isPostgresEmbedded | quote }}
        port: {{ $topology.postgresPort | quote }}
        userName: {{ .root.Values.postgres.user | quote }}
        dbName: {{ .root.Values.postgres.database | quote }}
        sslmode: {{ $topology.sslmode | quote }}
        query: {{ .query | quote }}
        targetQueryValue: {{ include "kaireon.text" .target | quote }}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  {{- include "kaireon.metadata" . | nindent 2 }}
spec:
  secretTargetRef:
    - {parameter: password, name: {{ $topology.secretName }}, key: POSTGRES_PASSWORD}
{{- end }}
