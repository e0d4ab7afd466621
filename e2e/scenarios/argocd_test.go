package scenarios

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hawser-dev/hawser/e2e/rig"
)

// argoKinds are the kinds of Argo CD, as far as an API server needs to know them
// to keep their objects.
var argoKinds = map[string]string{"applications": "Application", "appprojects": "AppProject", "applicationsets": "ApplicationSet"}

// argoReady has an entry for each cluster where the kinds are.
var argoReady sync.Map // of *rig.Cluster to func() error

// installArgoCD makes an Argo CD as an import finds it in a cluster: its objects
// in the namespace that is called like the script, and in eu what it has applied.
func (s *script) installArgoCD(ctx context.Context, c *rig.Cluster) error {
	if err := needArgoCD(ctx, c); err != nil {
		return err
	}
	fill := strings.NewReplacer("${NAME}", s.name, "${REPO_URL}", s.repo.URL())
	for file, cluster := range map[string]*rig.Cluster{"hub.yaml": c, "target.yaml": s.eu} {
		b, err := os.ReadFile(filepath.Join("testdata", "argocd", file))
		if err != nil {
			return err
		}
		o, err := outsiderOf(cluster)
		if err != nil {
			return err
		}
		if err := o.create(ctx, []byte(fill.Replace(string(b)))); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// needArgoCD makes a cluster one where Argo CD's objects can be kept.
func needArgoCD(ctx context.Context, c *rig.Cluster) error {
	once, _ := argoReady.LoadOrStore(c, sync.OnceValue(func() error { return defineArgoKinds(ctx, c) }))
	return once.(func() error)()
}

func defineArgoKinds(ctx context.Context, c *rig.Cluster) error {
	o, err := outsiderOf(c)
	if err != nil {
		return err
	}
	crds := o.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	open := map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	for plural, kind := range argoKinds {
		_, err := crds.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
			"metadata": map[string]any{"name": plural + ".argoproj.io"},
			"spec": map[string]any{
				"group": "argoproj.io", "scope": "Namespaced", "names": map[string]any{"plural": plural, "kind": kind},
				"versions": []any{map[string]any{"name": "v1alpha1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": open}}},
			},
		}}, metav1.CreateOptions{FieldManager: "somebody"})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	// An API server serves a new kind a moment after it says so, and nothing tells
	// of that moment: so it is asked.
	for plural := range argoKinds {
		r := o.dynamic.Resource(schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: plural})
		for {
			if _, err = r.List(ctx, metav1.ListOptions{Limit: 1}); err == nil {
				if _, err = o.resource(plural+".argoproj.io", ""); err == nil {
					break
				}
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("the kind %s does not come: %w", plural, err)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}
