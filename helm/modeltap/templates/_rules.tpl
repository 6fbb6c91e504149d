{{- /* What stands for each @name@ of the alert rules, as JSON: prometheusRule.values over the defaults of
files/rule_values.yaml, each refused if it is not of its kind. */ -}}
{{- define "modeltap.ruleValues" -}}
{{- $kinds := .Files.Get "files/rule_values.yaml" | fromYaml -}}
{{- $given := .Values.prometheusRule.values | default dict -}}
{{- range $name, $_ := $given -}}
{{- if not (hasKey $kinds $name) -}}
{{- fail (printf "prometheusRule.values.%s is no value of the alert rules; expected one of: %s" $name (keys $kinds | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- $names := dict -}}
{{- range $name, $row := $kinds -}}
{{- $value := ternary (get $given $name) $row.default (hasKey $given $name) -}}
{{- /* --set gives fractions as strings. */ -}}
{{- if and (not (has $row.kind (list "duration" "text"))) (kindIs "string" $value) (regexMatch "^[0-9]+([.][0-9]+)?$" (toString $value)) -}}
{{- $value = float64 $value -}}
{{- end -}}
{{- $wrong := include "modeltap.ruleValueWrong" (dict "row" $row "value" $value) -}}
{{- if $wrong -}}
{{- fail (printf "prometheusRule.values.%s: %v %s" $name $value $wrong) -}}
{{- end -}}
{{- if kindIs "string" $value -}}
{{- $_ := set $names $name $value -}}
{{- else -}}
{{- $number := float64 $value -}}
{{- $_ := set $names $name (ternary (printf "%.0f" $number) (toString $number) (eq (floor $number) $number)) -}}
{{- range $digits := list 0 1 2 -}}
{{- $_ := set $names (printf "%s:.%d%%" $name $digits) (printf "%.*f%%" $digits (mulf $number 100)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name := list "slo_availability" "slo_latency" "slo_ttft" -}}
{{- if ge (mulf (get $names "slo_page_quick" | float64) (subf 1.0 (get $names $name | float64))) 1.0 -}}
{{- fail (printf "prometheusRule.values.%s: %s allows so much that slo_page_quick is never reached" $name (get $names $name)) -}}
{{- end -}}
{{- end -}}
{{- $names | toJson -}}
{{- end -}}

{{- /* Empty for a value that its kind allows, else what was expected. */ -}}
{{- define "modeltap.ruleValueWrong" -}}
{{- $kind := .row.kind -}}
{{- if ne (kindIs "string" .value) (has $kind (list "duration" "text")) -}}
has the wrong type; expected a value of kind {{ $kind }}
{{- else if eq $kind "duration" -}}
{{- if not (regexMatch "^[1-9][0-9]*[smhd]$" .value) -}}
is no duration; expected such as 30m or 7d
{{- end -}}
{{- else if eq $kind "text" -}}
{{- if regexMatch "[@\\\\'\n]" .value -}}
would end a string; expected a text without @, \ and '
{{- end -}}
{{- else if eq $kind "ratio" -}}
{{- if or (le (float64 .value) 0.0) (ge (float64 .value) 1.0) -}}
is no ratio; expected a number between 0 and 1
{{- end -}}
{{- else if le (float64 .value) 0.0 -}}
lets every quiet endpoint alert; expected a number above 0
{{- else if .row.bounds -}}
{{- $found := false -}}
{{- range .row.bounds -}}
{{- if eq (float64 .) (float64 $.value) }}{{ $found = true }}{{ end -}}
{{- end -}}
{{- if not $found -}}
is no bound of the latency histogram; expected one of {{ .row.bounds | join ", " }}
{{- end -}}
{{- end -}}
{{- end -}}
