package kustomize_test

import (
	"fmt"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/hawser-dev/hawser/e2e/peers"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/render/kustomize"
	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/model"
)

const overlays = 50

// fleet is one base with the usual objects, and fifty overlays of it that
// change names, namespace, images, replicas and configuration.
func fleet() set {
	s := set{files: map[string]string{}}
	list := ""
	for i := range 5 {
		name := fmt.Sprintf("svc-%d", i)
		s.files["base/"+name+".yaml"] = fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: 2
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      serviceAccountName: %[1]s
      containers:
      - name: main
        image: registry.example.com/%[1]s:1.0.0
        ports: [{containerPort: 8080, name: http}]
        envFrom: [{configMapRef: {name: settings}}]
        resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {memory: 128Mi}}
        readinessProbe: {httpGet: {path: /healthz, port: http}}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec: {ports: [{port: 80, targetPort: http}], selector: {app: %[1]s}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %[1]s}
spec:
  rules:
  - host: %[1]s.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: %[1]s, port: {number: 80}}}}]}
`, name)
		list += "- " + name + ".yaml\n"
	}
	s.files["base/kustomization.yaml"] = "resources:\n" + list + "configMapGenerator:\n- name: settings\n  literals: [LOG=info, REGION=none]\n"
	for i := range overlays {
		dir := fmt.Sprintf("overlays/o%02d", i)
		s.files[dir+"/kustomization.yaml"] = fmt.Sprintf(`resources: [../../base]
namespace: tenant-%[1]d
namePrefix: t%[1]d-
labels: [{pairs: {tenant: t%[1]d}, includeTemplates: true}]
images: [{name: registry.example.com/svc-0, newTag: 1.0.%[1]d}]
replicas: [{name: svc-1, count: %[1]d}]
configMapGenerator:
- {name: settings, behavior: merge, literals: [REGION=r%[1]d]}
patches:
- path: memory.yaml
- target: {kind: Ingress, name: svc-2}
  patch: '[{"op": "replace", "path": "/spec/rules/0/host", "value": "t%[1]d.example.com"}]'
`, i)
		s.files[dir+"/memory.yaml"] = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: svc-3}\nspec: {template: {spec: {containers: [{name: main, resources: {limits: {memory: 1Gi}}}]}}}\n"
		s.builds = append(s.builds, dir)
	}
	return s
}

// BenchmarkFiftyOverlays builds each overlay of a base once, as fifty
// applications of a fleet do. The floor is the library alone, with all files in
// memory; the command is one process for each overlay.
func BenchmarkFiftyOverlays(b *testing.B) {
	s := fleet()
	perOverlay := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*overlays), "µs/overlay")
	}
	b.Run("floor", func(b *testing.B) {
		files := filesys.MakeFsInMemory()
		for name, text := range s.files {
			if err := files.WriteFile("/"+name, []byte(text)); err != nil {
				b.Fatal(err)
			}
		}
		for b.Loop() {
			for _, dir := range s.builds {
				built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/"+dir)
				if err == nil {
					_, err = built.AsYaml()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		perOverlay(b)
	})
	b.Run("renderer", func(b *testing.B) {
		host := &workspace.Memory{Trees: map[string]map[string]string{"": s.files}}
		for b.Loop() {
			for _, dir := range s.builds {
				host.Asked = nil
				w := &workspace.Workspace{Host: host, Dir: dir, Limits: workspace.DefaultLimits()}
				if _, err := kustomize.Render(w, nil); err != nil {
					b.Fatal(err)
				}
			}
		}
		perOverlay(b)
	})
	b.Run("worker", func(b *testing.B) {
		snapshot := openDisk(b, s.write(b))
		r := newRenderer(b, render.Options{})
		for n := 0; b.Loop(); n++ {
			for _, dir := range s.builds {
				// Another prefix each time, so that nothing is remembered.
				src := model.Source{Path: dir, Kustomize: &model.KustomizeSource{NameSuffix: fmt.Sprintf("-%d", n)}}
				if _, err := r.Render(b.Context(), render.Request{Source: src, Snapshot: snapshot}); err != nil {
					b.Fatal(err)
				}
			}
		}
		perOverlay(b)
	})
	b.Run("command", func(b *testing.B) {
		bins, dir, scratch := peers.Get(b), s.write(b), b.TempDir()
		for b.Loop() {
			for _, build := range s.builds {
				if _, err := bins.Build(b.Context(), dir, scratch, build); err != nil {
					b.Fatal(err)
				}
			}
		}
		perOverlay(b)
	})
}
