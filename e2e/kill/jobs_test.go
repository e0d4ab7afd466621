package kill

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var (
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	jobs        = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
)

const (
	// jobManager is who looks after the stories' Jobs instead of the cluster's
	// own controller, which would run pods.
	jobManager = "kill.hawser.dev/test"
	// jobTakes is how long a Job runs, an annotation.
	jobTakes = "kill.hawser.dev/takes"
)

// finishJobs lets the Jobs of the stories succeed, each after its time.
func (w *world) finishJobs() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			watcher, err := w.hand.Resource(jobs).Watch(ctx, metav1.ListOptions{})
			if err != nil {
				continue
			}
			seen := map[types.UID]bool{}
			for ev := range watcher.ResultChan() {
				job, ok := ev.Object.(*unstructured.Unstructured)
				if !ok || seen[job.GetUID()] {
					continue
				}
				if by, _, _ := unstructured.NestedString(job.Object, "spec", "managedBy"); by != jobManager {
					continue
				}
				seen[job.GetUID()] = true
				takes, err := time.ParseDuration(job.GetAnnotations()[jobTakes])
				if err != nil {
					continue
				}
				wg.Go(func() {
					select {
					case <-ctx.Done():
					case <-time.After(takes):
						w.finishJob(ctx, job)
					}
				})
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// seenVersions is every version of the stories' objects, by namespace.
type seenVersions struct {
	mu       sync.Mutex
	versions map[string][]Version
}

func (s *seenVersions) in(namespace string) []Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.versions[namespace])
}

// watchObjects notes what is stored, until stop.
func (w *world) watchObjects() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for resource, kind := range map[schema.GroupVersionResource]string{configMaps: "ConfigMap", deployments: "Deployment", jobs: "Job"} {
		wg.Go(func() {
			from := ""
			for ctx.Err() == nil {
				watcher, err := w.hand.Resource(resource).Watch(ctx, metav1.ListOptions{ResourceVersion: from})
				if err != nil {
					from = ""
					continue
				}
				for ev := range watcher.ResultChan() {
					o, ok := ev.Object.(*unstructured.Unstructured)
					if !ok || o.GetKind() == "Status" {
						from = "" // from the beginning: versions in between may be missed
						break
					}
					from = o.GetResourceVersion()
					v := VersionOf(kind, o.Object)
					v.Gone = ev.Type == "DELETED" || o.GetDeletionTimestamp() != nil
					w.stored.mu.Lock()
					w.stored.versions[o.GetNamespace()] = append(w.stored.versions[o.GetNamespace()], v)
					w.stored.mu.Unlock()
				}
				watcher.Stop()
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// finishJob reports a Job as complete. One that was deleted meanwhile is left.
func (w *world) finishJob(ctx context.Context, job *unstructured.Unstructured) {
	now := time.Now().UTC().Truncate(time.Second).Format(time.RFC3339)
	condition := func(kind string) map[string]any {
		return map[string]any{"type": kind, "status": "True", "reason": "CompletionsReached", "lastProbeTime": now, "lastTransitionTime": now}
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": job.GetUID()},
		"status": map[string]any{
			"startTime": now, "completionTime": now, "succeeded": 1, "ready": 0,
			"conditions": []any{condition("SuccessCriteriaMet"), condition("Complete")},
		},
	})
	if err != nil {
		return
	}
	_, err = w.hand.Resource(jobs).Namespace(job.GetNamespace()).Patch(ctx, job.GetName(), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: jobManager}, "status")
	if err != nil && !gone(err) {
		w.log.Logf("a Job was not finished: %v", err)
	}
}
