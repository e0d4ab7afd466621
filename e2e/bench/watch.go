package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

var (
	deploymentsGVR = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	configMapsGVR  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// observer is what is measured with: a watch of the workload's objects of one
// kind. It is open before the clock starts.
type observer struct {
	watch.Interface
	seen map[string]bool
}

func dynamicClient(cp *testbed.ControlPlane) (dynamic.Interface, error) {
	config := cp.RESTConfig()
	config.QPS = -1
	config.UserAgent = "bench"
	return dynamic.NewForConfig(config)
}

func watchAll(ctx context.Context, cp *testbed.ControlPlane, gvr schema.GroupVersionResource) (*observer, error) {
	return watchSome(ctx, cp, gvr, "", "")
}

// watchSome watches all objects of the workload, or one.
func watchSome(ctx context.Context, cp *testbed.ControlPlane, gvr schema.GroupVersionResource, namespace, name string) (*observer, error) {
	client, err := dynamicClient(cp)
	if err != nil {
		return nil, err
	}
	options := metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=bench"}
	if name != "" {
		options = metav1.ListOptions{FieldSelector: "metadata.name=" + name}
	}
	resource := client.Resource(gvr).Namespace(namespace)
	list, err := resource.List(ctx, options)
	if err != nil {
		return nil, err
	}
	options.ResourceVersion = list.GetResourceVersion()
	w, err := resource.Watch(ctx, options)
	if err != nil {
		return nil, err
	}
	return &observer{Interface: w, seen: map[string]bool{}}, nil
}

// until returns when n different objects have been as holds says.
func (o *observer) until(ctx context.Context, n int, holds func(*unstructured.Unstructured) bool) error {
	clear(o.seen)
	for len(o.seen) < n {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d objects were seen as awaited: %w", len(o.seen), n, ctx.Err())
		case event, open := <-o.ResultChan():
			if !open {
				return fmt.Errorf("the watch ended after %d of %d objects", len(o.seen), n)
			}
			object, ok := event.Object.(*unstructured.Unstructured)
			if ok && event.Type != watch.Deleted && holds(object) {
				o.seen[object.GetNamespace()+"/"+object.GetName()] = true
			}
		}
	}
	return nil
}

// available is a Deployment whose controller has seen it and says so.
func available(o *unstructured.Unstructured) bool {
	observed, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "Available" && m["status"] == "True" {
			return observed >= o.GetGeneration()
		}
	}
	return false
}

func revisionIs(revision string) func(*unstructured.Unstructured) bool {
	return func(o *unstructured.Unstructured) bool {
		got, _, _ := unstructured.NestedString(o.Object, "data", "revision")
		return got == revision
	}
}

// restFor is a pause in which what was started comes to rest.
func restFor(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
