package helm

import (
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// webChart are the files of the chart that the comparison with helm uses.
func webChart(b *testing.B) files {
	b.Helper()
	root := os.DirFS("../../../e2e/peers/testdata/charts/web")
	out := files{}
	err := fs.WalkDir(root, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := fs.ReadFile(root, p)
		out[p] = string(text)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// bigChart makes 300 objects in 60 templates.
func bigChart() files {
	out := chartOf(files{"values.yaml": "labels: {team: a, tier: b}\nreplicas: 3\n", "templates/_h.tpl": "{{ define \"labels\" }}app: {{ .Release.Name }}\n{{ toYaml .Values.labels }}{{ end }}"})
	for i := range 60 {
		out[fmt.Sprintf("templates/t%02d.yaml", i)] = fmt.Sprintf(`{{- range $i := until 5 }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $.Release.Name }}-%d-{{ $i }}
  labels:
    {{- include "labels" $ | nindent 4 }}
spec:
  replicas: {{ $.Values.replicas }}
  selector:
    matchLabels:
      {{- include "labels" $ | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "labels" $ | nindent 8 }}
    spec:
      containers:
        - name: main
          image: "registry.example.com/app:{{ $.Chart.Version }}"
          ports: [{name: http, containerPort: 8080}]
          resources: {limits: {cpu: 500m, memory: 256Mi}, requests: {cpu: 100m, memory: 128Mi}}
{{- end }}
`, i)
	}
	return out
}

func benchmarks(b *testing.B) map[string]files {
	return map[string]files{"web": webChart(b), "big": bigChart()}
}

// BenchmarkRender is a render without the pipe to a worker.
func BenchmarkRender(b *testing.B) {
	for name, tree := range benchmarks(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				w, _ := space(tree, &model.HelmSource{Values: fmt.Sprintf("n: %d", i)})
				if _, err := Render(w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEngine is its floor: the templates of a chart that is parsed, with
// values that are merged.
func BenchmarkEngine(b *testing.B) {
	for name, tree := range benchmarks(b) {
		b.Run(name, func(b *testing.B) {
			w, _ := space(tree, nil)
			r := renderer{w: w}
			c, err := r.load("", "")
			if err != nil {
				b.Fatal(err)
			}
			top, err := renderValues(c, nil, release{name: "a", namespace: "b"})
			if err != nil {
				b.Fatal(err)
			}
			kube, err := parseKubeVersion(DefaultKubeVersion)
			if err != nil {
				b.Fatal(err)
			}
			setCapabilities(top, kube, nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := execute(c, top); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
