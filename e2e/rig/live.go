package rig

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Resources that the demo and the scenarios speak of.
var (
	Deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	ConfigMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	Namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

// Object is one object in a cluster, looked at and changed as an outsider does:
// directly at the API server.
type Object struct {
	client    dynamic.ResourceInterface
	cluster   *Cluster
	Name      string
	Namespace string
}

// Object names an object of the cluster.
func (c *Cluster) Object(resource schema.GroupVersionResource, namespace, name string) (*Object, error) {
	client, err := dynamic.NewForConfig(c.RESTConfig())
	if err != nil {
		return nil, err
	}
	return &Object{client: client.Resource(resource).Namespace(namespace), cluster: c, Name: name, Namespace: namespace}, nil
}

// Get reads the object.
func (o *Object) Get(ctx context.Context) (*unstructured.Unstructured, error) {
	return o.client.Get(ctx, o.Name, metav1.GetOptions{})
}

// Patch merges a change into the object, as somebody with kubectl would.
func (o *Object) Patch(ctx context.Context, patch any) error {
	b, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	_, err = o.client.Patch(ctx, o.Name, types.MergePatchType, b, metav1.PatchOptions{FieldManager: "somebody"})
	return err
}

// Delete deletes the object, as somebody with kubectl would.
func (o *Object) Delete(ctx context.Context) error {
	return o.client.Delete(ctx, o.Name, metav1.DeleteOptions{})
}

// Await returns when the object is as holds says; the argument is nil while the
// object does not exist. It watches and does not poll.
func (o *Object) Await(ctx context.Context, what string, holds func(*unstructured.Unstructured) bool) error {
	for {
		list, err := o.client.List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + o.Name})
		if err != nil {
			return fmt.Errorf("waiting until %s in %s: %w", what, o.cluster.Name, err)
		}
		var now *unstructured.Unstructured
		if len(list.Items) > 0 {
			now = &list.Items[0]
		}
		if holds(now) {
			return nil
		}
		w, err := o.client.Watch(ctx, metav1.ListOptions{
			FieldSelector: "metadata.name=" + o.Name, ResourceVersion: list.GetResourceVersion(),
		})
		if err != nil {
			return fmt.Errorf("waiting until %s in %s: %w", what, o.cluster.Name, err)
		}
		for event := range w.ResultChan() {
			obj, ok := event.Object.(*unstructured.Unstructured)
			if !ok || obj.GetKind() == "Status" {
				break
			}
			if event.Type == "DELETED" {
				obj = nil
			}
			if holds(obj) {
				w.Stop()
				return nil
			}
		}
		w.Stop()
		if ctx.Err() != nil {
			return fmt.Errorf("waited in vain until %s in %s: %w", what, o.cluster.Name, ctx.Err())
		}
	}
}

// Field reads a string or number of an object as text; "" when it is not there.
func Field(o *unstructured.Unstructured, path ...string) string {
	if o == nil {
		return ""
	}
	v, ok, err := unstructured.NestedFieldNoCopy(o.Object, path...)
	if err != nil || !ok {
		return ""
	}
	return fmt.Sprint(v)
}
