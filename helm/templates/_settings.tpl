{{/* The settings of a component: `defaults`, each key of its own block in the place of the one there. The one merge of
defaults: Helm's `default` would take 0 and false for unset. */}}
{{- define "kaireon.settings" -}}
{{- $merged := deepCopy .root.Values.defaults -}}
{{- range $key, $value := get .root.Values .key }}
{{- $_ := set $merged $key $value }}
{{- end }}
{{- toYaml $merged }}
{{- end }}

{{/* What the templates ask more than once: the topology that the values come to, with the overlay's aliases resolved. */}}
{{- define "kaireon.topology" -}}
{{- $values := .Values -}}
{{- $bus := get $values.config "EVENT_PUBLISHER" | toString -}}
{{- if hasKey $values "eventbus" -}}
{{- $bus = ternary $values.eventbus.backend "redis" $values.eventbus.enabled -}}
{{- end -}}
{{- $store := get $values.config "INTERACTION_STORE" | toString -}}
{{- if hasKey $values "interactionStore" -}}
{{- $store = $values.interactionStore.backend -}}
{{- end -}}
{{- $bus = $bus | trimPrefix "aws_" -}}
{{- $backends := .Files.Get "files/backends.yaml" | fromYaml -}}
{{- $broker := get $backends.eventbus $bus | default dict -}}
{{- $asked := eq (get $values.config "FLOW_STREAMING_ENABLED" | toString) "true" -}}
{{- $filled := not (include "kaireon.missing" (dict "root" . "backend" $broker)) -}}
{{- $secret := ternary (keys $values.secret.values | sortAlpha) $values.secret.keys (eq $values.secret.mode "values") -}}
bus: {{ $bus }}
store: {{ $store }}
isStreamAsked: {{ $asked }}
isStream: {{ and $asked (eq ($broker.isBroker | toString) "true") $filled }}
isPooled: {{ $values.pgbouncer.enabled }}
isPostgresEmbedded: {{ eq $values.postgres.mode "embedded" }}
isRedisEmbedded: {{ eq $values.redis.mode "embedded" }}
secretName: {{ ternary $values.secret.existingSecret (include "kaireon.name" (dict "root" . "name" "secrets")) (eq $values.secret.mode "existing") }}
secretKeys: {{ toJson $secret }}
{{- if eq $values.postgres.mode "embedded" }}
postgresHost: {{ include "kaireon.name" (dict "root" . "name" "postgres") }}
postgresPort: 5432
sslmode: disable
{{- else }}
# A name that never resolves says in every log what is missing.
postgresHost: {{ ternary $values.postgres.external.host "postgres-external-host-is-not-set.invalid" (ne $values.postgres.external.host "") | quote }}
postgresPort: {{ $values.postgres.external.port }}
sslmode: {{ $values.postgres.external.sslmode }}
{{- end }}
{{- if eq $values.redis.mode "embedded" }}
redisUrl: redis://{{ include "kaireon.name" (dict "root" . "name" "redis") }}:6379/0
{{- else }}
redisUrl: {{ ternary $values.redis.external.url (printf "%s://redis-external-url-is-not-set.invalid:6379" (ternary "redis+cluster" "redis" $values.redis.cluster)) (ne $values.redis.external.url "") | quote }}
{{- end }}
{{- end }}

{{/* The keys that a backend needs and its block lacks, with spaces between. AWS_REGION stands in for a region of a bus.
Call with root and backend (an entry of files/backends.yaml). */}}
{{- define "kaireon.missing" -}}
{{- $block := get .root.Values (.backend.block | toString) -}}
{{- $missing := list -}}
{{- range $need := .backend.needs }}
{{- $isGiven := or (get $block $need) (and (eq $need "region") $.backend.isBus (hasKey $.root.Values.config "AWS_REGION")) -}}
{{- if not $isGiven }}{{ $missing = append $missing $need }}{{ end -}}
{{- end -}}
{{- join " " $missing -}}
{{- end }}

{{/* The tier of a name: files/tiers.yaml. */}}
{{- define "kaireon.tier" -}}
{{- get (.root.Files.Get "files/tiers.yaml" | fromYaml) .name | toYaml }}
{{- end }}
