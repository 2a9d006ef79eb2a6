{{- define "stopgap.selector" -}}
app.kubernetes.io/name: stopgap
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "stopgap.labels" -}}
{{ include "stopgap.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "stopgap.settings" -}}
{{ toYaml (mustMergeOverwrite (dict "store" "store/stopgap.db" "rules" "/etc/stopgap/rules") .Values.settings) }}
{{- end }}
