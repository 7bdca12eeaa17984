{{/* What cannot be, each line with its remedy: a rendering fails with all of them. */}}
{{- define "kaireon.errors" -}}
{{- $values := .Values -}}
{{- $topology := include "kaireon.topology" . | fromYaml -}}
{{- $backends := .Files.Get "files/backends.yaml" | fromYaml -}}
{{- $environment := .Files.Get "files/environment.yaml" | fromYaml -}}
{{- $names := list (list "eventbus" "config.EVENT_PUBLISHER" $values.config.EVENT_PUBLISHER) (list "interactionStore" "config.INTERACTION_STORE" $values.config.INTERACTION_STORE) }}
{{- range $alias := list "eventbus" "interactionStore" }}
{{- if hasKey $values $alias }}
{{- $names = append $names (list $alias (printf "%s.backend" $alias) (get $values $alias).backend) }}
{{- end }}
{{- end }}
{{- range $names }}
{{- $known := get $backends (index . 0) }}
{{- if not (hasKey $known (index . 2 | trimPrefix "aws_")) }}
{{ index . 1 }} is {{ index . 2 | quote }}, which is none: set it to one of {{ keys $known | sortAlpha | join ", " }}.
{{- end }}
{{- end }}
{{- $all := list }}
{{- range $environment.tiers }}{{ $all = concat $all . }}{{ end }}
{{- range $name, $value := $values.config }}
{{- if has $name $environment.owned }}
config.{{ $name }} is made by the chart: set postgres.* and pgbouncer.* instead.
{{- else if has $name $environment.secrets }}
config.{{ $name }} is a secret: put it into the Secret, and its name into secret.keys (or both into secret.values).
{{- else if not (has $name $all) }}
config.{{ $name }} is read by no tier: correct its name or remove it; docs/operations lists the variables.
{{- end }}
{{- end }}
{{- range $key := $topology.secretKeys }}
{{- if has $key $environment.owned }}
The Secret's key {{ $key }} is made by the chart: leave it out of the Secret, and set postgres.* instead.
{{- else if not (or (has $key $all) (eq $key "POSTGRES_PASSWORD") (hasPrefix "KAIREON_SECRET_" $key)) }}
The Secret's key {{ $key }} is read by no tier: correct its name or remove it from secret.keys (or secret.values).
{{- end }}
{{- end }}
{{- range $key := list "API_KEY_PEPPER" "POSTGRES_PASSWORD" }}
{{- if not (has $key $topology.secretKeys) }}
The Secret has no {{ $key }}: add it to secret.keys and to the Secret (or to secret.values).
{{- end }}
{{- end }}
{{- if and (eq $values.secret.mode "external") (not $values.secret.external.storeRef.name) }}
secret.mode is external and secret.external.storeRef.name is empty: name the SecretStore that External Secrets reads.
{{- end }}
{{- if and (eq $values.secret.mode "existing") (not $values.secret.existingSecret) }}
secret.mode is existing and secret.existingSecret is empty: name the Secret, or set secret.mode to values or external.
{{- end }}
{{- if and (eq $values.postgres.mode "external") (hasPrefix "verify-" $values.postgres.external.sslmode) (not $values.postgres.external.caSecret) }}
postgres.external.sslmode is {{ $values.postgres.external.sslmode }} and postgres.external.caSecret is empty: name a Secret with ca.crt, or set sslmode to require.
{{- end }}
{{- if contains "+cluster://" $values.redis.broker }}
redis.broker is a Redis Cluster, for which Celery has no transport: name a standalone or Sentinel server.
{{- end }}
{{- range $url := list "redis.external.url" "redis.broker" }}
{{- $text := ternary $values.redis.external.url $values.redis.broker (eq $url "redis.external.url") }}
{{- if contains "@" $text }}
{{ $url }} has a login: put the URL into the Secret as {{ ternary "REDIS_URL" "CELERY_BROKER_URL" (eq $url "redis.external.url") }}, its name into secret.keys, and leave {{ $url }} empty.
{{- end }}
{{- end }}
{{- if and $values.redis.cluster (eq $values.redis.mode "embedded") }}
redis.cluster is true and redis.mode is embedded, which is one server: set redis.mode to external, or redis.cluster to false.
{{- end }}
{{- range $tier, $scaler := dict "api" "autoscaling" "worker" "keda" "mlWorker" "keda" "outboxPublisher" "keda" "stream" "" "mcp" "" }}
{{- $settings := get $values $tier }}
{{- $scaling := get $settings $scaler | default (dict "enabled" false) }}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) }}
{{ $tier }}.{{ $scaler }}.minReplicas is {{ $scaling.minReplicas }} and maxReplicas {{ $scaling.maxReplicas }}: raise maxReplicas, or lower minReplicas.
{{- end }}
{{- $least := ternary $scaling.minReplicas $settings.replicas $scaling.enabled | int }}
{{- if and $settings.pdb.enabled $least (ge (int $settings.pdb.minAvailable) $least) }}
{{ $tier }}.pdb.minAvailable is {{ $settings.pdb.minAvailable }} and no more than {{ $least }} pods are sure: no node could be drained; set it lower, or pdb.enabled to false.
{{- end }}
{{- end }}
{{- if and $values.api.ingress.enabled (not $values.api.ingress.host) }}
api.ingress.enabled is true and api.ingress.host is empty: set the host, or turn the ingress off.
{{- end }}
{{- end }}

{{/* What is named and not filled in, each line with its remedy: told in the notes, and refused with `strict`. */}}
{{- define "kaireon.mismatches" -}}
{{- $values := .Values -}}
{{- $topology := include "kaireon.topology" . | fromYaml -}}
{{- $backends := .Files.Get "files/backends.yaml" | fromYaml -}}
{{- range $pair := list (list "eventbus" "eventbus.backend" "config.EVENT_PUBLISHER" $topology.bus) (list "interactionStore" "interactionStore.backend" "config.INTERACTION_STORE" $topology.store) }}
{{- $key := ternary (index $pair 1) (index $pair 2) (hasKey $values (index $pair 0)) -}}
{{- $backend := get (get $backends (index $pair 0)) (index $pair 3) | default dict -}}
{{- range $need := include "kaireon.missing" (dict "root" $ "backend" $backend) | splitList " " | compact }}
{{ $key }} is {{ index $pair 3 }} and {{ $backend.block }}.{{ $need }} is empty: set {{ $backend.block }}.{{ $need }}, or choose another backend.
{{- end }}
{{- end }}
{{- if and (eq $values.postgres.mode "external") (not $values.postgres.external.host) }}
postgres.mode is external and postgres.external.host is empty: set postgres.external.host.
{{- end }}
{{- $isUrl := or $values.redis.external.url (has "REDIS_URL" $topology.secretKeys) }}
{{- if and (eq $values.redis.mode "external") (not $isUrl) }}
redis.mode is external and redis.external.url is empty: set redis.external.url, or put REDIS_URL into the Secret and secret.keys.
{{- end }}
{{- if and $values.redis.cluster $values.redis.external.url (not (contains "+cluster://" $values.redis.external.url)) }}
redis.cluster is true and redis.external.url names one server: begin it with redis+cluster:// or rediss+cluster://.
{{- end }}
{{- if and $values.redis.cluster (not (or $values.redis.broker (has "CELERY_BROKER_URL" $topology.secretKeys))) }}
redis.cluster is true and redis.broker is empty: Celery has no transport for a Cluster, so the queues need a standalone or Sentinel server; set redis.broker, or put CELERY_BROKER_URL into the Secret and secret.keys.
{{- end }}
{{- if and $values.opensearch.enabled (not (or $values.opensearch.url (has "OPENSEARCH_URL" $topology.secretKeys))) }}
opensearch.enabled is true and opensearch.url is empty: searches stay in Postgres; set opensearch.url.
{{- end }}
{{- if and $topology.isStreamAsked (not $topology.isStream) }}
config.FLOW_STREAMING_ENABLED is true and the event bus is {{ $topology.bus }}: the stream tier needs a broker; set the bus to kafka, redpanda, msk, kinesis or pulsar and fill in its block.
{{- end }}
{{- end }}
