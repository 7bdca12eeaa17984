{{- define "kaireon.notes" -}}
{{- $topology := include "kaireon.topology" . | fromYaml }}
{{- $api := include "kaireon.name" (dict "root" . "name" "api") }}
Kaireon {{ .Chart.AppVersion }} as {{ .Release.Name }} in {{ .Release.Namespace }}: events to {{ $topology.bus }}, interactions in {{ $topology.store }}.

  kubectl --namespace {{ .Release.Namespace }} get pods --selector app.kubernetes.io/instance={{ .Release.Name }}
  kubectl --namespace {{ .Release.Namespace }} port-forward service/{{ $api }} 3000:{{ .Values.api.service.port }}
  curl http://127.0.0.1:3000/api/ready
{{- if .Values.cli.enabled }}
  kubectl --namespace {{ .Release.Namespace }} exec deployment/{{ include "kaireon.name" (dict "root" . "name" "cli") }} -- kaireon doctor
{{- end }}
{{- if eq .Values.secret.mode "existing" }}

Pods wait for the Secret {{ .Values.secret.existingSecret }} with {{ join ", " .Values.secret.keys }}.
{{- end }}
{{- with include "kaireon.mismatches" . | trim }}

NOT FILLED IN. The release is applied as it is; what needs these does not start:
{{- range splitList "\n" . }}
  - {{ . }}
{{- end }}
{{- end }}
{{- if hasKey .Values "postgresExternalReplicas" }}

postgresExternalReplicas is {{ include "kaireon.text" .Values.postgresExternalReplicas }}: advisory. The chart makes no replicas and sends no reads to them; DATABASE_REPLICA_URLS in config or the Secret does.
{{- end }}
{{- if or (hasKey .Values "eventbus") (hasKey .Values "interactionStore") }}
eventbus and interactionStore choose the way only: topics, streams, tables and keyspaces must exist already; the chart makes none.
{{- end }}
{{- if or .Values.worker.keda.enabled .Values.mlWorker.keda.enabled .Values.outboxPublisher.keda.enabled }}
The ScaledObjects need KEDA in the cluster; without it set <tier>.keda.enabled to false, and <tier>.replicas counts.
{{- end }}
{{- end }}
