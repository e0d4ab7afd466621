package install

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// stopGrace is what a process gets between SIGTERM and SIGKILL.
const stopGrace = 15 * time.Second

// Pods is the kubelet of a control plane that was started without kwok: it runs the
// first container of every pod of some namespaces as a process of this machine, and
// ends it with its pod. It tells the API server which pods run, are ready by their
// probes, and have ended, and answers for their logs.
type Pods struct {
	// Namespaces whose pods are run.
	Namespaces []string
	// Programs by the last part of an image's name.
	Programs map[string]string
	// Listen is the address in place of a container's port, by the port's name. A
	// port without one gets a free one.
	Listen map[string]string
	// Dir is where mounts and logs are.
	Dir string

	kubelet *testbed.Kubelet
	running map[types.UID]*running // of the goroutine of Run
	ready   chan types.UID
	ended   chan types.UID

	mu   sync.Mutex
	logs map[string]string // files, by namespace/pod/container
}

type running struct {
	pod     *corev1.Pod
	process *testbed.Process
	ports   []*testbed.ReservedPort
}

func (r *running) stop() {
	r.process.Stop(stopGrace)
	for _, port := range r.ports {
		port.Release()
	}
	r.ports = nil
}

// Kubelet is what a control plane asks for logs of the pods; Close ends it.
func (p *Pods) Kubelet() (*testbed.Kubelet, error) {
	p.running, p.logs = map[types.UID]*running{}, map[string]string{}
	p.ready, p.ended = make(chan types.UID), make(chan types.UID)
	var err error
	p.kubelet, err = testbed.StartKubelet(testbed.KubeletOptions{Logs: p.writeLog})
	return p.kubelet, err
}

func (p *Pods) writeLog(_ context.Context, r testbed.LogRequest, w io.Writer) bool {
	p.mu.Lock()
	path := p.logs[r.Namespace+"/"+r.Pod+"/"+r.Container]
	p.mu.Unlock()
	if path == "" {
		return false
	}
	text, err := os.ReadFile(path)
	if err == nil {
		_, err = w.Write(text)
	}
	return err == nil
}

// Run watches the control plane until ctx ends, and then ends all processes. An error
// says which pod could not be run, or did not stay.
func (p *Pods) Run(ctx context.Context, cp *testbed.ControlPlane) error {
	client, err := kubernetes.NewForConfig(cp.RESTConfig())
	if err != nil {
		return err
	}
	defer func() {
		for _, r := range p.running {
			r.stop()
		}
	}()
	if err := p.openNodes(ctx, client); err != nil {
		return err
	}
	for ctx.Err() == nil {
		// Without a version it begins with what there is.
		w, err := client.CoreV1().Pods("").Watch(ctx, metav1.ListOptions{})
		if err == nil {
			err = p.follow(ctx, cp, client, w)
			w.Stop()
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// openNodes makes the nodes ones that pods are scheduled to.
func (p *Pods) openNodes(ctx context.Context, client kubernetes.Interface) error {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, node := range nodes.Items {
		status := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady","message":""}],
			"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}},
			"capacity":{"cpu":"8","memory":"16Gi","pods":"50"},"allocatable":{"cpu":"8","memory":"16Gi","pods":"50"}}}`, p.kubelet.Port())
		if _, err := client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, []byte(status), metav1.PatchOptions{}, "status"); err != nil {
			return err
		}
		if _, err := client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, []byte(`{"spec":{"taints":null}}`), metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// follow ends without an error when the watch does.
func (p *Pods) follow(ctx context.Context, cp *testbed.ControlPlane, client kubernetes.Interface, w watch.Interface) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case uid := <-p.ready:
			if r := p.running[uid]; r != nil {
				if err := tell(ctx, client, r.pod, corev1.PodRunning, true); err != nil {
					return err
				}
			}
		case uid := <-p.ended:
			if r := p.running[uid]; r != nil {
				if err := over(ctx, client, r); err != nil {
					return err
				}
			}
		case ev, open := <-w.ResultChan():
			if !open {
				return nil
			}
			pod, ok := ev.Object.(*corev1.Pod)
			if !ok || !slices.Contains(p.Namespaces, pod.Namespace) || pod.Spec.NodeName == "" {
				continue
			}
			if err := p.event(ctx, cp, client, pod, ev.Type == watch.Deleted); err != nil {
				return fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err)
			}
		}
	}
}

// event starts what should run and ends what should not.
func (p *Pods) event(ctx context.Context, cp *testbed.ControlPlane, client kubernetes.Interface, pod *corev1.Pod, gone bool) error {
	r := p.running[pod.UID]
	switch {
	case gone || pod.DeletionTimestamp != nil:
		if r != nil {
			delete(p.running, pod.UID)
			r.stop()
		}
		if gone {
			return nil
		}
		now := int64(0)
		err := client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		return err
	case r == nil && pod.Status.Phase == corev1.PodPending:
		if err := p.start(ctx, cp, client, pod); err != nil {
			return err
		}
		return tell(ctx, client, pod, corev1.PodRunning, false)
	}
	return nil
}

// over is about a process that has ended: the pod of one that runs once is over, the
// pod of another is broken.
func over(ctx context.Context, client kubernetes.Interface, r *running) error {
	r.stop()
	if r.pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		return r.process.Failure()
	}
	if r.process.Succeeded() {
		return tell(ctx, client, r.pod, corev1.PodSucceeded, false)
	}
	return tell(ctx, client, r.pod, corev1.PodFailed, false)
}

// tell says in a pod's status what has become of it.
func tell(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod, phase corev1.PodPhase, ready bool) error {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	patch := fmt.Sprintf(`{"status":{"phase":%[1]q,"conditions":[{"type":"Ready","status":%[2]q},{"type":"ContainersReady","status":%[2]q}]}}`, phase, status)
	_, err := client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// start runs the first container of a pod.
func (p *Pods) start(ctx context.Context, cp *testbed.ControlPlane, client kubernetes.Interface, pod *corev1.Pod) error {
	c := pod.Spec.Containers[0]
	image, _, _ := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":")
	program := p.Programs[image]
	if program == "" {
		return fmt.Errorf("no program is known for image %s", c.Image)
	}
	dir := filepath.Join(p.Dir, pod.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	secrets := client.CoreV1().Secrets(pod.Namespace)
	places, err := mount(ctx, secrets, dir, pod.Spec.Volumes, c.VolumeMounts)
	if err != nil {
		return err
	}
	env, err := environment(ctx, secrets, pod.Namespace, c.Env)
	if err != nil {
		return err
	}
	r := &running{pod: pod}
	addresses := map[string]string{} // by port name
	moves := map[string]string{}
	for _, port := range c.Ports {
		address := p.Listen[port.Name]
		if address == "" {
			free, err := testbed.ReservePort()
			if err != nil {
				return err
			}
			r.ports = append(r.ports, free)
			address = free.Addr()
		}
		addresses[port.Name] = address
		moves[fmt.Sprintf("=:%d", port.ContainerPort)] = "=" + address
	}
	args := make([]string, 0, len(c.Args))
	for _, a := range c.Args {
		for name, value := range env {
			a = strings.ReplaceAll(a, "$("+name+")", value)
		}
		for from, to := range moves {
			if rest, ok := strings.CutSuffix(a, from); ok {
				a = rest + to
			}
		}
		args = append(args, places.moved(a))
	}
	// The account of the pod, where it is to have one.
	if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
		kubeconfig, err := cp.ServiceAccountKubeconfig(ctx, pod.Namespace, pod.Spec.ServiceAccountName)
		if err != nil {
			return err
		}
		env["KUBECONFIG"] = filepath.Join(dir, "kubeconfig")
		if err := os.WriteFile(env["KUBECONFIG"], kubeconfig, 0o600); err != nil {
			return err
		}
	}
	vars := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		vars = append(vars, name+"="+places.moved(env[name]))
	}
	log := filepath.Join(dir, c.Name+".log")
	if r.process, err = testbed.StartProcess(pod.Namespace+"/"+pod.Name, log, dir, vars, program, args...); err != nil {
		return err
	}
	p.running[pod.UID] = r
	go func() {
		if c.ReadinessProbe != nil && c.ReadinessProbe.HTTPGet != nil && probe(ctx, r.process, c.ReadinessProbe.HTTPGet, addresses) {
			send(ctx, p.ready, pod.UID)
		}
		<-r.process.Exited()
		send(ctx, p.ended, pod.UID)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logs[pod.Namespace+"/"+pod.Name+"/"+c.Name] = log
	return nil
}

func send(ctx context.Context, to chan<- types.UID, uid types.UID) {
	select {
	case to <- uid:
	case <-ctx.Done():
	}
}

// probe asks until a process is ready, and returns false when it has ended before.
func probe(ctx context.Context, process *testbed.Process, get *corev1.HTTPGetAction, addresses map[string]string) bool {
	client := &http.Client{
		Timeout: 2 * time.Second,
		// A kubelet does not look at the certificate either.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
	scheme := strings.ToLower(cmp.Or(string(get.Scheme), "http"))
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+addresses[get.Port.StrVal]+get.Path, nil)
		if err != nil {
			return false
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-process.Exited():
			return false
		case <-tick.C:
		}
	}
}

// mounts are where the mount paths of a container are here.
type mounts map[string]string

// moved is a text with the path of a mount in it, led here.
func (m mounts) moved(text string) string {
	for from, to := range m {
		before, after, found := strings.Cut(text, from)
		if found && (before == "" || strings.HasSuffix(before, "=")) && (after == "" || after[0] == '/') {
			return before + to + after
		}
	}
	return text
}

// mount makes a container's volumes: directories, of which some hold a Secret.
func mount(ctx context.Context, secrets typedcorev1.SecretInterface, dir string, volumes []corev1.Volume, wanted []corev1.VolumeMount) (mounts, error) {
	places := mounts{}
	for _, m := range wanted {
		at := filepath.Join(dir, strings.ReplaceAll(strings.Trim(m.MountPath, "/"), "/", "-"))
		if err := os.MkdirAll(at, 0o700); err != nil {
			return nil, err
		}
		places[m.MountPath] = at
		i := slices.IndexFunc(volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		if i < 0 {
			return nil, fmt.Errorf("it has no volume %s", m.Name)
		}
		source := volumes[i].Secret
		if source == nil {
			continue
		}
		secret, err := secrets.Get(ctx, source.SecretName, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		items := source.Items
		if len(items) == 0 {
			for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
				items = append(items, corev1.KeyToPath{Key: key, Path: key})
			}
		}
		for _, item := range items {
			if err := os.WriteFile(filepath.Join(at, item.Path), secret.Data[item.Key], 0o600); err != nil {
				return nil, err
			}
		}
	}
	return places, nil
}

// environment is a container's, as far as the charts make use of what there is.
func environment(ctx context.Context, secrets typedcorev1.SecretInterface, namespace string, vars []corev1.EnvVar) (map[string]string, error) {
	env := map[string]string{}
	for _, e := range vars {
		from := e.ValueFrom
		switch {
		case from == nil:
			env[e.Name] = e.Value
		case from.FieldRef != nil && from.FieldRef.FieldPath == "metadata.namespace":
			env[e.Name] = namespace
		case from.SecretKeyRef != nil:
			secret, err := secrets.Get(ctx, from.SecretKeyRef.Name, metav1.GetOptions{})
			if optional := from.SecretKeyRef.Optional; apierrors.IsNotFound(err) && optional != nil && *optional {
				continue
			}
			if err != nil {
				return nil, err
			}
			env[e.Name] = string(secret.Data[from.SecretKeyRef.Key])
		default:
			return nil, fmt.Errorf("nothing here gives %s its value", e.Name)
		}
	}
	return env, nil
}
