package charts

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// warnings are those that the API server sends with its answers.
type warnings struct {
	mu   sync.Mutex
	seen []string
}

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, text)
}

func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.seen
	w.seen = nil
	return out
}

// installer creates objects as helm install does.
type installer struct {
	dynamic  dynamic.Interface
	client   kubernetes.Interface
	mapper   *restmapper.DeferredDiscoveryRESTMapper
	warnings *warnings
}

func newInstaller(t testing.TB, cp *testbed.ControlPlane) *installer {
	t.Helper()
	w := &warnings{}
	cfg := rest.CopyConfig(cp.RESTConfig())
	cfg.WarningHandler = w
	d, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &installer{dynamic: d, client: c, warnings: w,
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.Discovery()))}
}

func (i *installer) resource(o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := o.GroupVersionKind()
	m, err := i.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		return i.dynamic.Resource(m.Resource).Namespace(o.GetNamespace()), nil
	}
	return i.dynamic.Resource(m.Resource), nil
}

// create makes an object; a field that its kind does not have is an error.
func (i *installer) create(ctx context.Context, o *unstructured.Unstructured) error {
	r, err := i.resource(o)
	if err == nil {
		_, err = r.Create(ctx, o, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

// namespace makes one, restricted or not.
func (i *installer) namespace(t testing.TB, ctx context.Context, name string, restricted bool) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if restricted {
		ns.Labels = map[string]string{}
		for _, mode := range []string{"enforce", "warn", "audit"} {
			ns.Labels["pod-security.kubernetes.io/"+mode] = "restricted"
			ns.Labels["pod-security.kubernetes.io/"+mode+"-version"] = "latest"
		}
	}
	if _, err := i.client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// targets makes the namespaces that profiles name, for all tests.
func (i *installer) targets(t testing.TB, ctx context.Context) {
	t.Helper()
	for _, ns := range []string{"shop", "till"} {
		_, err := i.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
}

// podOf is the pod that a Deployment asks for, or the Pod itself.
func podOf(t testing.TB, o *unstructured.Unstructured) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	switch o.GetKind() {
	case "Pod":
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, pod); err != nil {
			t.Fatal(err)
		}
		return pod
	case "Deployment":
		template, _, err := unstructured.NestedMap(o.Object, "spec", "template")
		if err == nil {
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(template, pod)
		}
		if err != nil {
			t.Fatal(err)
		}
		pod.Name, pod.Namespace = o.GetName()+"-from-template", o.GetNamespace()
		return pod
	}
	return nil
}

// monitoringKinds are those of the Prometheus operator, as far as the charts use them.
var monitoringKinds = map[string]string{
	"ServiceMonitor": `{selector: {type: object, properties: {matchLabels: {type: object, additionalProperties: {type: string}}}}, endpoints: {type: array, items: {type: object, properties: {port: {type: string}, interval: {type: string}}}}}`,
	"PodMonitor":     `{selector: {type: object, properties: {matchLabels: {type: object, additionalProperties: {type: string}}}}, podMetricsEndpoints: {type: array, items: {type: object, properties: {port: {type: string}, interval: {type: string}}}}}`,
	"PrometheusRule": `{groups: {type: array, items: {type: object, required: [name], properties: {name: {type: string}, rules: {type: array, items: {type: object, required: [expr], properties: {alert: {type: string}, expr: {type: string}, for: {type: string, pattern: "^[0-9]+(s|m|h|d)$"}, labels: {type: object, additionalProperties: {type: string}}, annotations: {type: object, additionalProperties: {type: string}}}}}}}}}`,
}

// monitoring has the cluster serve these kinds.
func (i *installer) monitoring(t testing.TB, ctx context.Context) {
	t.Helper()
	for kind, spec := range monitoringKinds {
		singular := strings.ToLower(kind)
		crd := values(t, fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[1]ss.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: %[2]s, plural: %[1]ss, singular: %[1]s, listKind: %[2]sList}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: %[3]s}}}}}]
`, singular, kind, spec))
		if err := i.create(ctx, &unstructured.Unstructured{Object: crd}); err != nil {
			t.Fatal(err)
		}
	}
	for kind := range monitoringKinds {
		path := "/apis/monitoring.coreos.com/v1/" + strings.ToLower(kind) + "s"
		for i.client.CoreV1().RESTClient().Get().AbsPath(path).Do(ctx).Error() != nil {
			select {
			case <-ctx.Done():
				t.Fatalf("%s is not served", kind)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	i.mapper.Reset()
}

// TestEveryObjectIsTakenUnderRestricted applies what the charts render to, with all
// settings that are tried, to a real API server. The pods are made through it too:
// a Deployment is taken whatever its pods may be, and only warns.
func TestEveryObjectIsTakenUnderRestricted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cp := controlPlane(t)
	in := newInstaller(t, cp)
	in.monitoring(t, ctx)
	in.targets(t, ctx)
	in.warnings.take()
	for _, s := range settings() {
		t.Run(s.name, func(t *testing.T) {
			ns := "try-" + s.name
			in.namespace(t, ctx, ns, true)
			pods := 0
			for _, o := range objects(t, mustRender(t, s.chart, ns, s.vals(t))) {
				if o.GetNamespace() == "" && o.GetKind() == "ConfigMap" { // an extra object, to which Helm gives the release's
					o.SetNamespace(ns)
				}
				if err := in.create(ctx, o); err != nil {
					t.Error(err)
				}
				if o.GetKind() == "Deployment" {
					pod := podOf(t, o)
					if _, err := in.client.CoreV1().Pods(ns).Create(ctx, pod, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}); err != nil {
						t.Errorf("the pod of %s: %v", o.GetName(), err)
					}
				}
				if podOf(t, o) != nil {
					pods++
				}
			}
			if pods == 0 {
				t.Error("there is no pod")
			}
			for _, w := range in.warnings.take() {
				t.Errorf("the API server warns: %s", w)
			}
		})
	}

	t.Run("what is not restricted is refused, so the above means something", func(t *testing.T) {
		in.namespace(t, ctx, "try-loose", true)
		loose := merge(values(t, hubLeast), values(t, `{securityContext: {allowPrivilegeEscalation: true}}`))
		refused := false
		for _, o := range objects(t, mustRender(t, hubName, "try-loose", loose)) {
			err := in.create(ctx, o)
			if o.GetKind() == "Pod" {
				refused = err != nil && strings.Contains(err.Error(), `violates PodSecurity "restricted:latest"`)
			} else if err != nil {
				t.Error(err)
			}
		}
		if !refused {
			t.Error("a pod that may gain privileges is taken")
		}
		if len(in.warnings.take()) == 0 {
			t.Error("no warning for its Deployment is seen")
		}
	})
}
