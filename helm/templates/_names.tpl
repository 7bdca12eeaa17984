{{/* <release>-<component>: the release gives way, never the component. Call with root, name, and most (63). */}}
{{- define "kaireon.name" -}}
{{- $most := int (dig "most" 63 .) -}}
{{- $room := int (sub $most (len .name | add1)) -}}
{{- printf "%s-%s" (.root.Release.Name | trunc $room | trimSuffix "-") .name -}}
{{- end }}

{{- define "kaireon.selector" -}}
app.kubernetes.io/name: kaireon
app.kubernetes.io/instance: {{ .root.Release.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "kaireon.labels" -}}
{{ include "kaireon.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* metadata of an object of a component. Call with root, name, and where it differs: as, most, annotations, labels. */}}
{{- define "kaireon.metadata" -}}
name: {{ include "kaireon.name" (dict "root" .root "name" (dig "as" .name .) "most" (dig "most" 63 .)) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "kaireon.labels" . | nindent 2 }}
  {{- with dig "labels" nil . }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with dig "annotations" nil . }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "kaireon.image" -}}
{{- $image := .root.Values.image -}}
{{- $tag := ternary $image.tag .root.Chart.AppVersion (ne $image.tag "") -}}
{{- with $image.registry }}{{ trimSuffix "/" . }}/{{ end }}{{ $image.prefix }}{{ .image }}:{{ $tag }}
{{- end }}
