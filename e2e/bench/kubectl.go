package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

const (
	listedPods     = 500
	podListRepeats = 60
	kubectlRuns    = 12
	listNamespace  = "listed"
	// listGoal is how much longer a list may take through the hub than without it.
	listGoal = 1.3
)

// kubectl measures a list of 500 pods through the hub against the same request,
// by the same client, to the API server itself: one after the other, over
// connections that stay open; and then the program kubectl both ways.
func (b *bench) kubectl(ctx context.Context) error {
	program, err := testbed.Kubectl(ctx, b.log)
	if err != nil {
		return err
	}
	r, err := rig.Start(ctx, rig.Options{Bin: b.bin, Log: b.log, HubArgs: []string{"--database-url", ""}, AgentArgs: []string{"--allow-kubectl"}})
	if err != nil {
		return err
	}
	defer r.Close()
	cluster, err := r.AddCluster(ctx, clusterName)
	if err != nil {
		return err
	}
	if err := cluster.Enrol(ctx); err != nil {
		return err
	}
	config := filepath.Join(r.Dir, "through.kubeconfig")
	for _, args := range [][]string{{"cluster", "kubectl", clusterName, "--enable"}, {"cluster", "kubeconfig", clusterName, "--file", config}} {
		if _, err := r.CLI(ctx, args...); err != nil {
			return err
		}
	}
	admin := rest.CopyConfig(cluster.RESTConfig())
	admin.QPS = -1
	if err := preparePods(ctx, admin); err != nil {
		return err
	}
	through, err := clientcmd.BuildConfigFromFlags("", config)
	if err != nil {
		return err
	}
	if err := restFor(ctx, calm); err != nil {
		return err
	}
	for _, form := range []struct{ name, accept string }{
		{"json", "application/json"}, {"table", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}, {"protobuf", "application/vnd.kubernetes.protobuf"},
	} {
		if err := b.listBoth(ctx, form.name, form.accept, admin, through); err != nil {
			return fmt.Errorf("%s: %w", form.name, err)
		}
	}
	for range kubectlRuns {
		for _, way := range []struct{ name, config string }{{"direct", cluster.KubeconfigPath()}, {"through", config}} {
			cmd := exec.CommandContext(ctx, program, "--kubeconfig", way.config, "--cache-dir", filepath.Join(r.Dir, "cache-"+way.name), "get", "pods", "-n", listNamespace)
			cmd.Env = r.CLIEnv()
			begin := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("kubectl %s: %w\n%s", way.name, err, out)
			}
			took := milliseconds(time.Since(begin))
			m := b.add("kubectl/program-"+way.name, "the program kubectl get pods of 500, "+way.name, "ms", took)
			if way.name == "through" {
				m.over("kubectl/program-direct").atMost("ratio", listGoal)
			}
		}
	}
	return nil
}

// listBoth asks both ways in turn, so that what else the machine does meets both.
func (b *bench) listBoth(ctx context.Context, name, accept string, direct, through *rest.Config) error {
	var clients [2]*http.Client
	for i, config := range []*rest.Config{direct, through} {
		var err error
		if clients[i], err = rest.HTTPClientFor(config); err != nil {
			return err
		}
	}
	for n := range podListRepeats + 5 {
		for i, config := range []*rest.Config{direct, through} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/api/v1/namespaces/"+listNamespace+"/pods?limit=500", nil)
			if err != nil {
				return err
			}
			req.Header.Set("Accept", accept)
			begin := time.Now()
			resp, err := clients[i].Do(req)
			if err != nil {
				return err
			}
			size, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			took := time.Since(begin)
			if err != nil || resp.StatusCode != http.StatusOK || size < 10_000 {
				return fmt.Errorf("%s answered %d and %d bytes: %w", config.Host, resp.StatusCode, size, err)
			}
			if n < 5 { // until both are warm
				continue
			}
			if i == 0 {
				b.add("kubectl/"+name+"-direct", "list of 500 pods as "+name+", to the API server", "ms", milliseconds(took))
			} else {
				b.add("kubectl/"+name+"-through", "the same through the hub", "ms", milliseconds(took)).over("kubectl/"+name+"-direct").atMost("ratio", listGoal)
			}
		}
	}
	return nil
}

// preparePods makes the pods, and lets the hub's administrators read them.
func preparePods(ctx context.Context, admin *rest.Config) error {
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return err
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "hub-admins"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "hawser:role:admin"}},
	}, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: listNamespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	errs := make(chan error, listedPods)
	var wg sync.WaitGroup
	work := make(chan int)
	for range 8 {
		wg.Go(func() {
			for i := range work {
				_, err := client.CoreV1().Pods(listNamespace).Create(ctx, listedPod(i), metav1.CreateOptions{})
				errs <- err
			}
		})
	}
	for i := range listedPods {
		work <- i
	}
	close(work)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// listedPod is a pod as large as those of a Deployment usually are. It waits for
// ever: what changes while it is listed would be measured as well.
func listedPod(i int) *corev1.Pod {
	no := false
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web-6c9f7d5b8-%05d", i), Labels: map[string]string{"app": "web", "pod-template-hash": "6c9f7d5b8"}, Annotations: map[string]string{"prometheus.io/scrape": "true"}},
		Spec: corev1.PodSpec{
			NodeSelector: map[string]string{"nothing": "matches"}, AutomountServiceAccountToken: &no,
			Containers: []corev1.Container{{
				Name: "main", Image: "registry.example.com/shop/web:1.2.3", Ports: []corev1.ContainerPort{{ContainerPort: 8080}},
				Env: []corev1.EnvVar{{Name: "DATABASE", Value: "postgres://db.example.com/shop"}, {Name: "LOG_LEVEL", Value: "info"}},
			}},
		},
	}
}

func milliseconds(d time.Duration) float64 { return round(float64(d.Microseconds()) / 1000) }
