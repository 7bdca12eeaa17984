{{/* A Secret that External Secrets makes and keeps. Call with root, name, keys, and annotations. */}}
{{- define "kaireon.externalSecret" -}}
{{- $external := .root.Values.secret.external -}}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  {{- include "kaireon.metadata" . | nindent 2 }}
spec:
  refreshInterval: {{ $external.refreshInterval }}
  secretStoreRef: {name: {{ $external.storeRef.name | quote }}, kind: {{ $external.storeRef.kind }}}
  target: {name: {{ include "kaireon.name" . }}, creationPolicy: Owner}
  data:
    {{- range .keys }}
    - {secretKey: {{ . }}, remoteRef: {key: {{ $external.remoteKey | quote }}, property: {{ . }}}}
    {{- end }}
{{- end }}
