{{- define "headgate.selector" -}}
app.kubernetes.io/name: headgate
app.kubernetes.io/component: controller
{{- end }}
{{- define "headgate.labels" -}}
{{ include "headgate.selector" . }}
app.kubernetes.io/part-of: headgate
{{- end }}
{{- define "headgate.meta" -}}
name: headgate
namespace: {{ .Release.Namespace }}
labels:
  {{- include "headgate.labels" . | nindent 2 }}
{{- end }}
