package testbed

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// prepareNodes creates the simulated nodes, waits until kwok has made them Ready
// and the controller-manager has made the default service account, and makes the
// nodes schedulable.
func (cp *ControlPlane) prepareNodes(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(cp.RESTConfig())
	if err != nil {
		return fmt.Errorf("testbed: %w", err)
	}
	for i := range cp.opts.Nodes {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("node-%d", i+1),
			Labels: map[string]string{
				corev1.LabelHostname:   fmt.Sprintf("node-%d", i+1),
				corev1.LabelOSStable:   "linux",
				corev1.LabelArchStable: "amd64",
			},
		}}
		err := cp.await(ctx, ProcAPIServer, func(ctx context.Context) error {
			_, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	err = cp.await(ctx, ProcControllerManager, func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	if err != nil || cp.opts.NoKwok {
		return err
	}
	return cp.await(ctx, ProcKwok, func(ctx context.Context) error { return openNodes(ctx, client) })
}

// openNodes removes the taints of nodes that are Ready. The API server puts
// not-ready on every new node, and the controller that takes it off again is not
// running here.
func openNodes(ctx context.Context, client kubernetes.Interface) error {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var waiting error
	for _, node := range nodes.Items {
		if !nodeReady(&node) {
			waiting = errors.Join(waiting, fmt.Errorf("node %s is not Ready", node.Name))
			continue
		}
		if len(node.Spec.Taints) == 0 {
			continue
		}
		_, err := client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, []byte(`{"spec":{"taints":null}}`), metav1.PatchOptions{})
		waiting = errors.Join(waiting, err)
	}
	return waiting
}

func nodeReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
