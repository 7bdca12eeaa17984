{{/* A value of the environment as text: Helm reads every number as a float. */}}
{{- define "kaireon.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ toString . }}{{ end }}
{{- end }}

{{/* Everything that the values come to, as variables; which tier is given which, files/environment.yaml says. */}}
{{- define "kaireon.environment" -}}
{{- $values := .Values -}}
{{- $topology := include "kaireon.topology" . | fromYaml -}}
{{- $all := dict "API_HOST" "0.0.0.0" "API_PORT" "3000" "WORKER_INPROCESS" "0" "WORKER_METRICS_PORT" "9464"
      "OUTBOX_HEALTH_HOST" "0.0.0.0" "OUTBOX_HEALTH_PORT" "9465" "STREAM_HEALTH_HOST" "0.0.0.0" "STREAM_HEALTH_PORT" "9466"
      "ML_WORKER_HOST" "0.0.0.0" "ML_WORKER_PORT" "8000" "MCP_HOST" "0.0.0.0" "MCP_PORT" "8080"
      "KAIREON_API_URL" (printf "http://%s:%v" (include "kaireon.name" (dict "root" . "name" "api")) $values.api.service.port)
      "MCP_ENABLED" (and $values.mcp.enabled (not $values.mcp.dedicated) | toString)
      "OUTBOX_POLL_INTERVAL_MS" (include "kaireon.text" $values.outboxPublisher.pollIntervalMs)
      "REDIS_URL" $topology.redisUrl -}}
{{- /* Whoever asks MCP names one of these hosts; any other is refused. */ -}}
{{- $host := include "kaireon.name" (dict "root" . "name" (ternary "mcp" "api" $values.mcp.dedicated)) -}}
{{- $hosts := list -}}
{{- range list $host (printf "%s.%s" $host .Release.Namespace) (printf "%s.%s.svc" $host .Release.Namespace) }}
{{- $hosts = concat $hosts (list . (printf "%s:*" .)) -}}
{{- end -}}
{{- if and $values.api.ingress.enabled (not $values.mcp.dedicated) }}{{ $hosts = append $hosts $values.api.ingress.host }}{{ end -}}
{{- $_ := set $all "MCP_ALLOWED_HOSTS" (join "," $hosts) -}}
{{- with $values.redis.broker }}{{ $_ := set $all "CELERY_BROKER_URL" . }}{{ end -}}
{{- if $values.mlWorker.enabled -}}
{{- $_ := set $all "ML_WORKER_URL" (printf "http://%s:8000" (include "kaireon.name" (dict "root" . "name" "ml-worker"))) -}}
{{- end -}}
{{- range $block, $variables := (.Files.Get "files/backends.yaml" | fromYaml).variables }}
{{- range $key, $name := $variables }}
{{- with get (get $values $block) $key }}{{ $_ := set $all $name (toString .) }}{{ end }}
{{- end }}
{{- end -}}
{{- if $topology.isStream }}{{ $_ := set $all "STREAM_SOURCE" $topology.bus }}{{ end -}}
{{- range $name, $value := $values.config }}{{ $_ := set $all $name (include "kaireon.text" $value) }}{{ end -}}
{{- $_ := set $all "EVENT_PUBLISHER" $topology.bus -}}
{{- $_ := set $all "INTERACTION_STORE" $topology.store -}}
{{- $url := or $values.opensearch.url (has "OPENSEARCH_URL" $topology.secretKeys) -}}
{{- if and $values.opensearch.enabled $url }}{{ $_ := set $all "SEARCH_INDEX" "opensearch" }}{{ end -}}
{{- range $topology.secretKeys }}{{ $_ := unset $all . }}{{ end -}}
{{ toYaml $all }}
{{- end }}

{{/* The URL of Postgres without its password, which libpq takes from PGPASSWORD. Call with root and isPooled. */}}
{{- define "kaireon.databaseUrl" -}}
{{- $topology := include "kaireon.topology" .root | fromYaml -}}
{{- $login := printf "postgresql://%s@" .root.Values.postgres.user -}}
{{- if .isPooled -}}
{{ $login }}127.0.0.1:6432/{{ .root.Values.postgres.database }}?sslmode=disable
{{- else -}}
{{ $login }}{{ $topology.postgresHost }}:{{ $topology.postgresPort }}/{{ .root.Values.postgres.database }}?sslmode={{ $topology.sslmode }}
{{- with .root.Values.postgres.external.caSecret }}&sslrootcert=/etc/kaireon/postgres-ca/ca.crt{{ end }}
{{- end }}
{{- end }}

{{/* How a container reaches Postgres. Call with root and isPooled. */}}
{{- define "kaireon.databaseEnv" -}}
{{- $topology := include "kaireon.topology" .root | fromYaml -}}
- {name: DATABASE_URL, value: {{ include "kaireon.databaseUrl" . | quote }}}
{{- if .isPooled }}
- {name: DATABASE_POOLER, value: transaction-prepared}
- {name: DATABASE_DIRECT_URL, value: {{ include "kaireon.databaseUrl" (dict "root" .root "isPooled" false) | quote }}}
{{- end }}
- {name: PGPASSWORD, valueFrom: {secretKeyRef: {name: {{ dig "secretName" $topology.secretName . }}, key: POSTGRES_PASSWORD}}}
{{- end }}

{{/* What a tier reads and nothing else: from the Secret, else from the ConfigMap. Call with root, name and isPooled. */}}
{{- define "kaireon.env" -}}
{{- $topology := include "kaireon.topology" .root | fromYaml -}}
{{- $all := include "kaireon.environment" .root | fromYaml -}}
{{- $reads := get (.root.Files.Get "files/environment.yaml" | fromYaml).tiers .name | default list -}}
{{- $config := include "kaireon.name" (dict "root" .root "name" "config") -}}
{{- if has "DATABASE_URL" $reads }}
{{ include "kaireon.databaseEnv" . }}
{{- end }}
{{- range $reads }}
{{- if has . $topology.secretKeys }}
- {name: {{ . }}, valueFrom: {secretKeyRef: {name: {{ $topology.secretName }}, key: {{ . }}}}}
{{- else if hasKey $all . }}
- {name: {{ . }}, valueFrom: {configMapKeyRef: {name: {{ $config }}, key: {{ . }}}}}
{{- end }}
{{- end }}
{{- if has "EXTERNAL_ENDPOINT_ALLOWLIST" $reads }}
{{- range $topology.secretKeys }}
{{- if hasPrefix "KAIREON_SECRET_" . }}
- {name: {{ . }}, valueFrom: {secretKeyRef: {name: {{ $topology.secretName }}, key: {{ . }}}}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
