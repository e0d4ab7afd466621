package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/e2e/rig"
)

// outsider is somebody with a kubeconfig who is not Hawser.
type outsider struct {
	dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

var outsiders sync.Map // of *rig.Cluster to *outsider

func outsiderOf(c *rig.Cluster) (*outsider, error) {
	if o, ok := outsiders.Load(c); ok {
		return o.(*outsider), nil
	}
	config := c.RESTConfig()
	config.QPS = -1
	config.UserAgent = "somebody"
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	o := &outsider{dynamic: d, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))}
	actual, _ := outsiders.LoadOrStore(c, o)
	return actual.(*outsider), nil
}

// resource finds what a word such as "deployment" or "widgets.example.dev" means.
func (o *outsider) resource(word, namespace string) (dynamic.ResourceInterface, error) {
	name, group, _ := strings.Cut(word, ".")
	gvr, err := o.mapper.ResourceFor(schema.GroupVersionResource{Group: group, Resource: strings.ToLower(name)})
	if meta.IsNoMatchError(err) {
		o.mapper.Reset()
		gvr, err = o.mapper.ResourceFor(schema.GroupVersionResource{Group: group, Resource: strings.ToLower(name)})
	}
	if err != nil {
		return nil, err
	}
	return in(o.dynamic.Resource(gvr), namespace), nil
}

func in(r dynamic.NamespaceableResourceInterface, namespace string) dynamic.ResourceInterface {
	if namespace == "" {
		return r
	}
	return r.Namespace(namespace)
}

const kubeUsage = "kube CLUSTER get KIND [NS/]NAME [PATH] | patch KIND [NS/]NAME JSON | delete KIND [NS/]NAME | create FILE | argocd | await KIND [NS/]NAME COND…"

func cmdKube(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		usage(ts, kubeUsage)
	}
	cluster := of(ts).cluster(args[0])
	if cluster == nil {
		ts.Fatalf("there is no cluster %s", args[0])
	}
	o, err := outsiderOf(cluster)
	ts.Check(err)
	ctx, cancel := within()
	defer cancel()
	if args[1] == "argocd" && len(args) == 2 {
		ts.Check(of(ts).installArgoCD(ctx, cluster))
		return
	}
	if args[1] == "create" && len(args) == 3 {
		verdict(ts, neg, o.create(ctx, []byte(ts.ReadFile(args[2]))))
		return
	}
	if len(args) < 4 {
		usage(ts, kubeUsage)
	}
	namespace, name := splitName(args[3])
	client, err := o.resource(args[2], namespace)
	if err != nil {
		verdict(ts, neg, err)
		return
	}
	rest := args[4:]
	switch {
	case args[1] == "get" && len(rest) <= 1:
		got, err := client.Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			err = printAt(ts, got.Object, rest)
		}
		verdict(ts, neg, err)
	case args[1] == "patch" && len(rest) == 1:
		_, err := client.Patch(ctx, name, types.MergePatchType, []byte(rest[0]), metav1.PatchOptions{FieldManager: "somebody"})
		verdict(ts, neg, err)
	case args[1] == "delete" && len(rest) == 0:
		verdict(ts, neg, client.Delete(ctx, name, metav1.DeleteOptions{}))
	case args[1] == "await" && !neg:
		conditions, err := parseConditions(rest)
		ts.Check(err)
		ts.Check(awaitObject(ctx, client, name, conditions))
	default:
		usage(ts, kubeUsage)
	}
}

func splitName(s string) (namespace, name string) {
	if ns, n, ok := strings.Cut(s, "/"); ok {
		return ns, n
	}
	return "", s
}

func printAt(ts *testscript.TestScript, object map[string]any, path []string) error {
	var at any = object
	if len(path) == 1 {
		steps, rest, err := parsePath(path[0])
		if err != nil || rest != "" {
			return errors.Join(err, fmt.Errorf("%q is no path", path[0]))
		}
		at = lookup(object, steps)
	}
	fmt.Fprintln(ts.Stdout(), text(at))
	return nil
}

func (o *outsider) create(ctx context.Context, file []byte) error {
	for doc := range strings.SplitSeq(string(file), "\n---\n") {
		var body map[string]any
		if err := yaml.Unmarshal([]byte(doc), &body); err != nil {
			return err
		}
		object := &unstructured.Unstructured{Object: body}
		gvk := object.GroupVersionKind()
		mapping, err := o.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
		if err != nil {
			return err
		}
		_, err = in(o.dynamic.Resource(mapping.Resource), object.GetNamespace()).Create(ctx, object, metav1.CreateOptions{FieldManager: "somebody"})
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitObject watches one object until the conditions hold.
func awaitObject(ctx context.Context, client dynamic.ResourceInterface, name string, conditions []condition) error {
	missing := "nothing was seen"
	only := "metadata.name=" + name
	fail := func(err error) error {
		if ctx.Err() != nil {
			return fmt.Errorf("not within %v: %s", patience, missing)
		}
		return err
	}
	for {
		list, err := client.List(ctx, metav1.ListOptions{FieldSelector: only})
		if err != nil {
			return fail(err)
		}
		var now map[string]any
		if len(list.Items) > 0 {
			now = list.Items[0].Object
		}
		if missing = unmet(conditions, now); missing == "" {
			return nil
		}
		w, err := client.Watch(ctx, metav1.ListOptions{FieldSelector: only, ResourceVersion: list.GetResourceVersion()})
		if err != nil {
			return fail(err)
		}
		for event := range w.ResultChan() {
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok || object.GetKind() == "Status" {
				break
			}
			now = object.Object
			if event.Type == "DELETED" {
				now = nil
			}
			if missing = unmet(conditions, now); missing == "" {
				w.Stop()
				return nil
			}
		}
		w.Stop()
		if ctx.Err() != nil {
			return fail(ctx.Err())
		}
	}
}
