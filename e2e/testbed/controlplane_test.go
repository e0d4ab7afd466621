package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// eventually polls what has no signal to wait for.
func eventually(t *testing.T, within time.Duration, what string, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s: %v", what, within, err)
		case <-tick.C:
		}
	}
}

// One control plane serves all the checks, as starting it costs the most.
func TestControlPlane(t *testing.T) {
	cp := NeedControlPlane(t, Options{Name: "check"})
	client := clientFor(t, cp.Kubeconfig())

	t.Run("is the Kubernetes it says", func(t *testing.T) {
		v, err := client.Discovery().ServerVersion()
		if err != nil || v.GitVersion != cp.KubernetesVersion() {
			t.Fatalf("server version %v, %v; want %s", v, err, cp.KubernetesVersion())
		}
	})
	t.Run("runs a Deployment", func(t *testing.T) { deploymentBecomesAvailable(t, client) })
	t.Run("deletes a namespace with its content", func(t *testing.T) { namespaceGoesAway(t, client) })
	t.Run("says who did what", func(t *testing.T) { auditTellsUsersApart(t, cp) })
	t.Run("holds service accounts to RBAC", func(t *testing.T) { serviceAccountIsLimited(t, cp) })
	t.Run("reports what it uses", func(t *testing.T) {
		usage, err := cp.Usage()
		if err != nil {
			t.Fatal(err)
		}
		for _, proc := range []string{ProcEtcd, ProcAPIServer, ProcControllerManager, ProcScheduler, ProcKwok} {
			u := usage[proc]
			if u.CPUSeconds <= 0 || u.RSS < 1<<20 || u.PeakRSS < u.RSS {
				t.Errorf("usage of %s: %+v", proc, u)
			}
			t.Logf("%s: %.2f s CPU, %d MiB", proc, u.CPUSeconds, u.RSS>>20)
		}
	})
	t.Run("survives the loss of its API server", func(t *testing.T) { apiServerComesBack(t, cp, client) })
	t.Run("leaves nothing behind", func(t *testing.T) { stopEndsEverything(t, cp) })
}

func clientFor(t *testing.T, kubeconfig []byte) kubernetes.Interface {
	t.Helper()
	config, err := RESTConfig(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func deploymentBecomesAvailable(t *testing.T, client kubernetes.Interface) {
	labels := map[string]string{"app": "web"}
	_, err := client.AppsV1().Deployments("default").Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](1),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "example.test/web:1"}}},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "one available replica", func(ctx context.Context) error {
		d, err := client.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{})
		if err != nil || d.Status.AvailableReplicas == 1 {
			return err
		}
		return fmt.Errorf("status %+v", d.Status)
	})
	pods, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil || len(pods.Items) != 1 || pods.Items[0].Status.Phase != corev1.PodRunning || pods.Items[0].Spec.ServiceAccountName != "default" {
		t.Fatalf("pods %+v, %v; want one, running, with the default service account", pods.Items, err)
	}
}

func namespaceGoesAway(t *testing.T, client kubernetes.Interface) {
	ctx := t.Context()
	if _, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "passing"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().ConfigMaps("passing").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "content"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Namespaces().Delete(ctx, "passing", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the namespace is gone", func(ctx context.Context) error {
		ns, err := client.CoreV1().Namespaces().Get(ctx, "passing", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		return fmt.Errorf("status %+v", ns.Status)
	})
}

func auditTellsUsersApart(t *testing.T, cp *ControlPlane) {
	log, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := cp.UserKubeconfig("mallory", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	_, err = clientFor(t, kubeconfig).CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "drift"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	e, err := log.Await(ctx, func(e AuditEvent) bool { return e.Write() && e.User == "mallory" })
	if err != nil {
		t.Fatal(err)
	}
	if e.Verb != "create" || e.Resource != "configmaps" || e.Namespace != "default" || e.Name != "drift" || e.Code != 201 || e.AuditID == "" ||
		e.RequestURI == "" || time.Since(e.Time).Abs() > time.Minute {
		t.Fatalf("event %+v", e)
	}
	all, err := cp.Audit().Next()
	if err != nil {
		t.Fatal(err)
	}
	ids, users := map[string]bool{}, map[string]int{}
	for _, e := range all {
		if ids[e.AuditID] {
			t.Fatalf("reported twice: %v", e)
		}
		ids[e.AuditID] = true
		users[e.User]++
	}
	for _, user := range []string{adminUser, controllerManagerUser, schedulerUser, kwokUser, "mallory"} {
		if users[user] == 0 {
			t.Errorf("no request by %s in the audit log; users: %v", user, users)
		}
	}
}

func serviceAccountIsLimited(t *testing.T, cp *ControlPlane) {
	ctx := t.Context()
	kubeconfig, err := cp.ServiceAccountKubeconfig(ctx, "hawser-system", "reader")
	if err != nil {
		t.Fatal(err)
	}
	client := clientFor(t, kubeconfig)
	if _, err := client.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("list without a role: %v; want forbidden", err)
	}
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}}}
	if err := cp.BindClusterRole(ctx, "reader", "hawser-system", "reader", rules); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the role works", func(ctx context.Context) error {
		_, err := client.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
		return err
	})
	if _, err := client.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("list of secrets: %v; want forbidden", err)
	}
}

func apiServerComesBack(t *testing.T, cp *ControlPlane, client kubernetes.Interface) {
	if err := cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := cp.StopAPIServer(); err == nil {
		t.Fatal("stopping a stopped API server succeeds")
	}
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{}); err == nil {
		t.Fatal("the API answers while its server is stopped")
	}
	if err := cp.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cp.StartAPIServer(t.Context()); err == nil {
		t.Fatal("starting a running API server succeeds")
	}
	// What was there is still there, and the controllers work again: they make and
	// run another pod.
	patch := []byte(`{"spec":{"replicas":2}}`)
	if _, err := client.AppsV1().Deployments("default").Patch(t.Context(), "web", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "two available replicas", func(ctx context.Context) error {
		d, err := client.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{})
		if err != nil || d.Status.AvailableReplicas == 2 {
			return err
		}
		return fmt.Errorf("status %+v", d.Status)
	})
}

// A control plane that cannot start says why, with the words of the process that
// failed, and leaves nothing running.
func TestControlPlaneThatCannotStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cp")
	_, err := StartControlPlane(t.Context(), Options{Name: "broken", Dir: dir, APIServerArgs: []string{"--no-such-flag"}})
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{"broken", ProcAPIServer, "no-such-flag"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".log" {
			t.Errorf("left behind: %s", e.Name())
		}
	}
	if _, err := StartControlPlane(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a directory that is not empty: %v", err)
	}
}

func TestControlPlaneStartHonoursItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if cp, err := StartControlPlane(ctx, Options{}); !errors.Is(err, context.Canceled) {
		if cp != nil {
			cp.Stop()
		}
		t.Fatalf("with a cancelled context: %v", err)
	}
}

func stopEndsEverything(t *testing.T, cp *ControlPlane) {
	var pids []int
	cp.mu.Lock()
	for _, p := range cp.procs {
		pids = append(pids, p.PID())
	}
	cp.mu.Unlock()
	began := time.Now()
	cp.Stop()
	t.Logf("stopped after %s", time.Since(began))
	cp.Stop() // a second one does nothing
	for _, pid := range pids {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
	if _, err := os.Stat(cp.Dir()); !os.IsNotExist(err) {
		t.Errorf("directory %s is still there (%v)", cp.Dir(), err)
	}
}
