{{/* A server of the chart, for trials: one pod, one volume. Call with root, name, embedded, user, port, and as YAML
text: container (command, env, probes), mounts and volumes. */}}
{{- define "kaireon.datastore" -}}
{{- $call := dict "root" .root "name" .name "user" .user -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "kaireon.metadata" $call | nindent 2 }}
spec:
  serviceName: {{ include "kaireon.name" $call }}
  replicas: 1
  selector:
    matchLabels:
      {{- include "kaireon.selector" $call | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "kaireon.labels" $call | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext:
        {{- include "kaireon.podSecurity" $call | nindent 8 }}
      containers:
        - name: {{ .name }}
          image: {{ .embedded.image }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          ports: [{name: server, containerPort: {{ .port }}}]
          {{- .container | nindent 10 }}
          resources:
            {{- toYaml .embedded.resources | nindent 12 }}
          securityContext:
            {{- include "kaireon.containerSecurity" $call | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- .mounts | nindent 12 }}
      volumes:
        - {name: tmp, emptyDir: {sizeLimit: 1Gi}}
        {{- with .volumes }}
        {{- . | nindent 8 }}
        {{- end }}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .embedded.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ .embedded.storage }}}}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "kaireon.metadata" $call | nindent 2 }}
spec:
  ports: [{name: server, port: {{ .port }}, targetPort: server}]
  selector:
    {{- include "kaireon.selector" $call | nindent 4 }}
{{- end }}
