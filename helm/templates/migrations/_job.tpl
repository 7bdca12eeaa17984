{{/* A Job that migrates. Call with root, as (its name), arguments, hook (empty: none), secretName and retries. */}}
{{- define "kaireon.migration" -}}
{{- $settings := include "kaireon.settings" (dict "root" .root "key" "migrations") | fromYaml -}}
{{- $topology := include "kaireon.topology" .root | fromYaml -}}
{{- $call := dict "root" .root "name" "migrations" "settings" $settings "isPooled" false "account" "default" "secretName" .secretName -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- $annotations := dict }}
  {{- with .hook }}
  {{- $annotations = dict "helm.sh/hook" . "helm.sh/hook-weight" "0" "helm.sh/hook-delete-policy" "before-hook-creation" }}
  {{- end }}
  {{- include "kaireon.metadata" (dict "root" .root "name" "migrations" "as" .as "annotations" $annotations) | nindent 2 }}
spec:
  backoffLimit: {{ .retries }}
  activeDeadlineSeconds: {{ .root.Values.migrations.deadlineSeconds }}
  ttlSecondsAfterFinished: 86400
  template:
    metadata:
      {{- include "kaireon.podMetadata" $call | nindent 6 }}
    spec:
      restartPolicy: Never
      {{- include "kaireon.pod" $call | nindent 6 }}
      containers:
        - name: migrate
          image: {{ include "kaireon.image" (dict "root" .root "image" "cli") }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: {{ toJson .arguments }}
          env:
            {{- include "kaireon.databaseEnv" $call | nindent 12 }}
            - {name: LOG_LEVEL, value: {{ .root.Values.config.LOG_LEVEL | quote }}}
            {{- with $settings.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          resources:
            {{- toYaml $settings.resources | nindent 12 }}
          securityContext:
            {{- include "kaireon.containerSecurity" $call | nindent 12 }}
          volumeMounts:
            {{- include "kaireon.mounts" $call | nindent 12 }}
      volumes:
        {{- include "kaireon.volumes" $call | nindent 8 }}
{{- end }}
