package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"sigs.k8s.io/yaml"
)

const (
	namespaces = 20
	configSize = 2 << 10
	branch     = "main"
)

// workload is N applications of 4 objects.
type workload struct {
	n        int
	replicas int
}

type object = map[string]any

func appName(i int) string   { return fmt.Sprintf("app-%04d", i) }
func namespace(i int) string { return fmt.Sprintf("team-%02d", i%namespaces) }

// configName is the object that change and latency change.
func configName(i int) string { return appName(i) + "-config" }

// objects of application i; revision is what changes in a change.
func (w workload) objects(i int, revision string) map[string]object {
	name := appName(i)
	labels := object{"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "bench"}
	meta := func(name string) object { return object{"name": name, "labels": labels} }
	return map[string]object{
		"deployment.yaml": {
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(name),
			"spec": object{
				"replicas": w.replicas,
				"selector": object{"matchLabels": object{"app.kubernetes.io/name": name}},
				"template": object{
					"metadata": object{"labels": labels},
					"spec": object{
						"serviceAccountName": name,
						"containers": []any{object{
							"name": "main", "image": "registry.example/app:1.0",
							"ports":     []any{object{"name": "http", "containerPort": 8080}},
							"resources": object{"requests": object{"cpu": "10m", "memory": "16Mi"}},
						}},
					},
				},
			},
		},
		"service.yaml": {
			"apiVersion": "v1", "kind": "Service", "metadata": meta(name),
			"spec": object{
				"clusterIP": "None", "selector": object{"app.kubernetes.io/name": name},
				"ports": []any{object{"name": "http", "port": 80, "targetPort": "http"}},
			},
		},
		"serviceaccount.yaml": {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(name)},
		"config.yaml":         {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(configName(i)), "data": object{"text": text(i), "revision": revision}},
	}
}

// text is 2 KB that are the same in every run and do not compress to nothing.
func text(i int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
	rnd := rand.New(rand.NewPCG(uint64(i), 0x5ea))
	b := make([]byte, configSize)
	for j := range b {
		b[j] = letters[rnd.IntN(len(letters))]
		if j%64 == 63 {
			b[j] = '\n'
		}
	}
	return string(b)
}

// files is the repository: a directory for each application.
func (w workload) files(revision string) (map[string][]byte, error) {
	all := map[string][]byte{}
	for i := range w.n {
		for name, o := range w.objects(i, revision) {
			b, err := yaml.Marshal(o)
			if err != nil {
				return nil, err
			}
			all[appName(i)+"/"+name] = b
		}
	}
	return all, nil
}

// changes is what a commit has that gives application i, or all, a new revision.
func (w workload) changes(revision string, apps ...int) (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, i := range apps {
		b, err := yaml.Marshal(w.objects(i, revision)["config.yaml"])
		if err != nil {
			return nil, err
		}
		all[appName(i)+"/config.yaml"] = b
	}
	return all, nil
}

func (w workload) all() []int {
	apps := make([]int, w.n)
	for i := range apps {
		apps[i] = i
	}
	return apps
}

// applications is the input of `hawser apply -f -`.
func (w workload) applications(repoURL, cluster string) ([]byte, error) {
	var out bytes.Buffer
	for i := range w.n {
		b, err := json.Marshal(object{
			"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
			"metadata": object{"name": appName(i)},
			"spec": object{
				"project":     "default",
				"source":      object{"repoURL": repoURL, "path": appName(i), "targetRevision": branch},
				"destination": object{"name": cluster, "namespace": namespace(i)},
				"syncPolicy": object{
					"automated":   object{"prune": true, "selfHeal": true},
					"syncOptions": []string{"CreateNamespace=true"},
				},
			},
		})
		if err != nil {
			return nil, err
		}
		out.WriteString("---\n")
		out.Write(b)
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}
