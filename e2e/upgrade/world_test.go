package upgrade

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

// patience is how long a test waits for anything. It is generous because the
// machine may be small and busy.
const patience = 2 * time.Minute

// world is a control plane with a hub and agents of both releases.
type world struct {
	*rig.Rig
	t     *testing.T
	ctx   context.Context
	plane *testbed.ControlPlane
	hand  dynamic.Interface
	api   *client.Client
	eye   *rig.Watcher
	// before and now are directories with the programs of the previous release,
	// and of this one. The command line is always this one's.
	before, now string

	audit    *testbed.AuditReader
	written  []testbed.AuditEvent // by agents, in the applications' namespaces
	clusters []*cluster
}

// start starts the previous release's hub.
func start(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane and a hub, which -short leaves out")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, now: rig.Programs(t)}
	built, err := previous(ctx, t.Output())
	if errors.Is(err, errNoHistory) {
		t.Skipf("commit %s is not built: %v", commit(), err)
	}
	w.check(err)
	w.before = t.TempDir()
	for _, name := range programs {
		w.check(os.Symlink(filepath.Join(built, name), filepath.Join(w.before, name)))
	}
	cli, err := filepath.Abs(filepath.Join(w.now, "hawser"))
	w.check(err)
	w.check(os.Symlink(cli, filepath.Join(w.before, "hawser")))
	w.plane = testbed.NeedControlPlane(t, testbed.Options{Name: "upgrade"})
	w.audit = w.plane.Audit()
	w.hand, err = dynamic.NewForConfig(w.plane.RESTConfig())
	w.check(err)
	w.Rig, err = rig.Start(ctx, rig.Options{Bin: w.before, HubArgs: []string{"--database-url", ""}})
	w.check(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the hub's log:\n%s", testbed.Tail(w.Hub.LogPath(), 30))
		}
		if err := w.Rig.Close(); err != nil {
			t.Error(err)
		}
	})
	w.api, err = w.API()
	w.check(err)
	w.eye = rig.Watch(ctx, w.api)
	t.Cleanup(w.eye.Stop)
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// await waits for something that the hub says.
func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeoutCause(w.ctx, patience, fmt.Errorf("%s has passed", patience))
	defer cancel()
	w.check(w.eye.Await(ctx, what, holds))
}

// hubOf stops the hub in good order and starts that of a directory of programs.
func (w *world) hubOf(bin string) {
	w.t.Helper()
	w.check(w.Hub.Stop())
	w.Bin = bin
	w.check(w.Hub.Start(w.ctx))
}

// hubCommand runs a command of the hub's program on its data.
func (w *world) hubCommand(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.Bin, "hawser-hub"), append(args, "--data", w.Hub.Data, "--listen", w.Hub.Addr)...)
	cmd.Dir = w.Dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// logged waits for a line of a program's log.
func (w *world) logged(path string, words ...string) {
	w.t.Helper()
	w.await(fmt.Sprintf("%s says %q", filepath.Base(path), words), func() bool { return testbed.Logged(path, words...) })
}

// cluster is an agent with an application: two ConfigMaps and a Deployment, synced,
// healed and pruned by itself.
type cluster struct {
	*rig.Agent
	*world
	app  string // also its namespace
	user string
	repo *testbed.Repo
	uids map[string]types.UID
	last string
}

// enrol starts an agent of a directory of programs.
func (w *world) enrol(name, bin string) *cluster {
	w.t.Helper()
	c := &cluster{world: w, app: name + "-shop", user: name + "-agent"}
	kubeconfig, err := w.plane.UserKubeconfig(c.user, "system:masters")
	w.check(err)
	c.Agent, err = w.NewAgent(rig.AgentOptions{Cluster: name, Kubeconfig: kubeconfig, Namespace: c.user, Bin: bin})
	w.check(err)
	w.t.Cleanup(func() {
		c.Stop()
		if w.t.Failed() {
			w.t.Logf("the end of the log of %s:\n%s", name, testbed.Tail(c.Log(), 30))
		}
	})
	c.repo, err = w.Git.CreateRepo(w.ctx, name)
	w.check(err)
	_, err = w.CLI(w.ctx, "repo", "add", c.repo.URL())
	w.check(err)
	w.check(c.Enrol(w.ctx, name+".log"))
	c.commit("first", true)
	w.check(w.api.Do(w.ctx, http.MethodPost, "/applications", fmt.Appendf(nil, `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: %[1]s}
spec:
  project: default
  source: {repoURL: %[2]q, path: app, targetRevision: %[3]s}
  destination: {name: %[4]s, namespace: %[1]s}
  syncPolicy: {automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true]}
`, c.app, c.repo.URL(), testbed.DefaultBranch, name), nil))
	c.settled()
	c.uids = c.objects()
	w.clusters = append(w.clusters, c)
	return c
}

// commit gives the application's ConfigMap another value; one that is not kept is
// gone from Git.
func (c *cluster) commit(value string, kept bool) {
	c.t.Helper()
	objects := fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: prices}, data: {v: %q}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: till}
spec:
  selector: {matchLabels: {app: till}}
  template:
    metadata: {labels: {app: till}}
    spec: {containers: [{name: till, image: till}]}
`, value)
	if kept {
		objects += "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: banner}}\n"
	}
	var err error
	c.last, err = c.repo.Commit(c.ctx, value, map[string][]byte{"app/objects.yaml": []byte(objects)})
	c.check(err)
	c.check(c.Push(c.ctx, c.repo.URL(), testbed.DefaultBranch, c.last))
}

// settled waits until the hub shows the application in sync with the last commit.
func (c *cluster) settled() {
	c.t.Helper()
	var v model.AppView
	c.await(c.app+" is synced and healthy", func() bool {
		v = model.AppView{}
		return c.api.Get(c.ctx, "/applications/"+c.app, &v) == nil && rig.Settled(v) && v.Revision == c.last
	})
}

// works holds that a commit comes to the cluster and is reported, and that drift is
// healed.
func (c *cluster) works(value string) {
	c.t.Helper()
	c.commit(value, true)
	c.settled()
	if got := c.value(); got != value {
		c.t.Errorf("%s is said to be in sync, and the cluster has %q, not %q", c.app, got, value)
	}
	_, err := c.hand.Resource(configMaps).Namespace(c.app).Patch(c.ctx, "prices", types.MergePatchType, []byte(`{"data":{"v":"drifted"}}`), metav1.PatchOptions{FieldManager: "somebody"})
	c.check(err)
	c.await("the drift of "+c.app+" is healed", func() bool { return c.value() == value })
	c.settled()
	if now := c.objects(); fmt.Sprint(now) != fmt.Sprint(c.uids) {
		c.t.Errorf("the objects of %s were %v and are %v", c.app, c.uids, now)
	}
}

// upgraded waits until the hub shows the cluster connected with an agent of a version.
func (c *cluster) upgraded(version string) {
	c.t.Helper()
	c.check(c.AwaitConnected(c.ctx))
	c.await(c.Cluster+" has an agent of "+version, func() bool {
		var got model.Cluster
		return c.api.Get(c.ctx, "/clusters/"+c.Cluster, &got) == nil && got.Connected && got.AgentVersion == version
	})
}

// version is that of the cluster's agent.
func (w *world) version(c *cluster) string {
	w.t.Helper()
	var got model.Cluster
	w.check(w.api.Get(w.ctx, "/clusters/"+c.Cluster, &got))
	return got.AgentVersion
}

var (
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
)

func (c *cluster) value() string {
	c.t.Helper()
	o, err := c.hand.Resource(configMaps).Namespace(c.app).Get(c.ctx, "prices", metav1.GetOptions{})
	c.check(err)
	v, _, _ := unstructured.NestedString(o.Object, "data", "v")
	return v
}

// objects are the uids of what the application owns: an object that was deleted and
// made again has another.
func (c *cluster) objects() map[string]types.UID {
	c.t.Helper()
	found := map[string]types.UID{}
	for kind, resource := range map[string]schema.GroupVersionResource{"ConfigMap": configMaps, "Deployment": deployments} {
		list, err := c.hand.Resource(resource).Namespace(c.app).List(c.ctx, metav1.ListOptions{})
		c.check(err)
		for _, o := range list.Items {
			if o.GetName() != "kube-root-ca.crt" {
				found[kind+" "+o.GetName()] = o.GetUID()
			}
		}
	}
	return found
}

// writes are what agents wrote in the applications' namespaces since the last call;
// written is all that they ever wrote there.
func (w *world) writes() []testbed.AuditEvent {
	w.t.Helper()
	before := len(w.written)
	// A request of our own shows up in the log after everything before it.
	barrier := "barrier-" + uuid.NewString()
	_, err := w.hand.Resource(configMaps).Namespace("default").Patch(w.ctx, barrier, types.MergePatchType, []byte("{}"), metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		w.t.Fatalf("the barrier was answered with %v", err)
	}
	for reached := false; !reached; {
		events, err := w.audit.Next()
		w.check(err)
		for _, e := range events {
			reached = reached || e.Name == barrier
			for _, c := range w.clusters {
				if e.Write() && e.User == c.user && e.Namespace == c.app && !strings.Contains(e.RequestURI, "dryRun=All") {
					w.written = append(w.written, e)
				}
			}
		}
		select {
		case <-w.ctx.Done():
			w.t.Fatal("the audit log does not come to our request")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return w.written[before:]
}

// untouched holds that agents write nothing while something happens after which
// everything is in sync.
func (w *world) untouched(what string, happens func()) {
	w.t.Helper()
	w.writes()
	happens()
	for _, c := range w.clusters {
		c.settled()
	}
	for _, e := range w.writes() {
		w.t.Errorf("%s: %s", what, e)
	}
}
