package kill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hawser-dev/hawser/shared/model"
)

// body is a manifest.
func body(apiVersion, kind, name string, rest map[string]any) map[string]any {
	o := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}}
	for k, v := range rest {
		o[k] = v
	}
	return o
}

func unstructuredOf(o map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: o}
}

func annotate(o map[string]any, pairs ...string) map[string]any {
	annotations := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		annotations[pairs[i]] = pairs[i+1]
	}
	o["metadata"].(map[string]any)["annotations"] = annotations
	return o
}

// manifests are the application's objects in a version, as the checker and as
// Git have them.
func (s *story) manifests(version int) ([]Object, []byte) {
	var objects []Object
	var git bytes.Buffer
	add := func(o map[string]any) {
		b, err := json.Marshal(o)
		if err != nil {
			panic(err) // they are made here
		}
		git.Write(b)
		git.WriteString("\n---\n")
	}
	config := func(name string, wave int, value string) {
		o := body("v1", "ConfigMap", name, map[string]any{"data": map[string]any{"v": value}})
		add(annotate(o, model.AnnotationSyncWave, fmt.Sprint(wave)))
		objects = append(objects, Object{Key: s.key("", "ConfigMap", name), Phase: "Sync", Wave: wave, Keep: true, Content: ContentOf("ConfigMap", o)})
	}
	config("a", 0, fmt.Sprintf("a%d", version))
	config("b", 0, "b1")
	if version == 1 {
		config("old-early", 0, "o")
		config("old-late", 2, "o")
	} else {
		config("new", 1, "n")
	}
	config("z", 2, fmt.Sprintf("z%d", version))
	job := func(name, phase, policy string) {
		o := body("batch/v1", "Job", name, map[string]any{"spec": map[string]any{
			"managedBy": jobManager,
			"template": map[string]any{"spec": map[string]any{
				"restartPolicy": "Never", "containers": []any{map[string]any{"name": "main", "image": fmt.Sprintf("registry.example/%s:%d", name, version)}},
			}},
		}})
		annotate(o, model.AnnotationHook, phase, jobTakes, fmt.Sprintf("%dms", s.chance("takes "+name, 300)))
		if policy != "" {
			o["metadata"].(map[string]any)["annotations"].(map[string]any)[model.AnnotationHookDelete] = policy
		}
		key := s.key("batch", "Job", name)
		if strings.HasSuffix(name, "-") {
			o["metadata"].(map[string]any)["generateName"] = name
			delete(o["metadata"].(map[string]any), "name")
			key.Name += "*"
		}
		add(o)
		objects = append(objects, Object{Key: key, Phase: phase, Hook: true, Keep: policy != "HookSucceeded", Content: ContentOf("Job", o)})
	}
	job("migrate", "PreSync", "")
	job("check-", "PostSync", "HookSucceeded")
	job("announce", "PostSync", "")
	job("farewell", "PreDelete", "HookSucceeded")
	job("last", "PostDelete", "")
	labels := map[string]any{"app": "web"}
	web := body("apps/v1", "Deployment", "web", map[string]any{"spec": map[string]any{
		"replicas": 1, "selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{
			"terminationGracePeriodSeconds": 0,
			"containers":                    []any{map[string]any{"name": "main", "image": fmt.Sprintf("registry.example/web:%d", version)}},
		}},
	}})
	add(annotate(web, model.AnnotationSyncWave, "1"))
	objects = append(objects, Object{Key: s.key("apps", "Deployment", "web"), Phase: "Sync", Wave: 1, Keep: true, Content: fmt.Sprintf("1 × registry.example/web:%d", version)})
	return objects, git.Bytes()
}
