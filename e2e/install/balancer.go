package install

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// Balance gives every Service of type LoadBalancer this machine's address, as a cloud
// would give it one, until ctx ends. Whoever installs waits for it.
func Balance(ctx context.Context, cp *testbed.ControlPlane) error {
	client, err := kubernetes.NewForConfig(cp.RESTConfig())
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		w, err := client.CoreV1().Services("").Watch(ctx, metav1.ListOptions{})
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		for ev := range w.ResultChan() {
			s, ok := ev.Object.(*corev1.Service)
			if !ok || s.Spec.Type != corev1.ServiceTypeLoadBalancer || len(s.Status.LoadBalancer.Ingress) > 0 {
				continue
			}
			_, err := client.CoreV1().Services(s.Namespace).Patch(ctx, s.Name, types.MergePatchType,
				[]byte(`{"status":{"loadBalancer":{"ingress":[{"ip":"127.0.0.1"}]}}}`), metav1.PatchOptions{}, "status")
			if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
				w.Stop()
				return err
			}
		}
	}
	return nil
}
