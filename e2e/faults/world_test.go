package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	"github.com/hawser-dev/hawser/e2e/kill"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

// patience is how long a test waits for anything. It is generous because the
// machine may be small and busy; speed is measured elsewhere.
const patience = 2 * time.Minute

// outsider is who changes things in the cluster that are not his.
const outsider = "somebody"

// world is what all tests share: a hub with its Postgres, Git, a control plane.
type world struct {
	*rig.Rig
	plane *testbed.ControlPlane
	api   *client.Client
	eye   *rig.Watcher
	hand  dynamic.Interface // the outsider's
	close []func()

	mu     sync.Mutex
	reader *kill.AuditReader
	logged []kill.Request
}

var (
	worldOnce sync.Once
	theWorld  *world
	worldErr  error
)

func TestMain(m *testing.M) { os.Exit(programOr(func() int { return runAll(m) })) }

func runAll(m *testing.M) int {
	flag.Parse()
	// They mostly wait, for what is not this machine's work.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	code := m.Run()
	if theWorld != nil {
		if dir := os.Getenv("HAWSER_KEEP_LOGS"); dir != "" && code != 0 {
			theWorld.keepLogs(dir)
		}
		theWorld.end()
	}
	return code
}

func (w *world) end() {
	for _, f := range slices.Backward(w.close) {
		f()
	}
}

func (w *world) keepLogs(dir string) {
	logs, _ := filepath.Glob(filepath.Join(w.Dir, "*.log"))
	err := os.MkdirAll(dir, 0o755)
	for _, path := range append(logs, w.plane.AuditLog()) {
		if b, readErr := os.ReadFile(path); readErr == nil {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, filepath.Base(path)), b, 0o644))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults: logs are not kept:", err)
	}
}

func need(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane and a hub, which -short leaves out")
	}
	worldOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		theWorld, worldErr = startWorld(ctx)
	})
	if worldErr != nil {
		t.Fatal(worldErr)
	}
	return theWorld
}

func startWorld(ctx context.Context) (_ *world, err error) {
	w := &world{}
	defer func() {
		if err != nil {
			w.end()
		}
	}()
	bin, remove, err := rig.WithFailpoints(ctx, os.Getenv("HAWSER_BIN"))
	if err != nil {
		return nil, err
	}
	w.close = append(w.close, remove)
	// All agents are ships.
	users := []string{outsider}
	for i := range maxShips {
		users = append(users, shipUser(i+1))
	}
	w.plane, err = testbed.StartControlPlane(ctx, testbed.Options{Name: "faults", AuditPolicy: fmt.Sprintf(kill.AuditPolicy, strings.Join(users, ", "))})
	if err != nil {
		return nil, err
	}
	w.close = append(w.close, w.plane.Stop)
	w.Rig, err = rig.Start(ctx, rig.Options{Bin: bin, HubArgs: []string{"--poll-interval", "60s", "--database-url", ""}})
	if err != nil {
		return nil, err
	}
	w.close = append(w.close, func() {
		if err := w.Rig.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "faults: closing:", err)
		}
	})
	if w.api, err = w.API(); err != nil {
		return nil, err
	}
	w.eye = rig.Watch(ctx, w.api)
	w.close = append(w.close, w.eye.Stop)
	kubeconfig, err := w.plane.UserKubeconfig(outsider, "system:masters")
	if err != nil {
		return nil, err
	}
	cfg, err := testbed.RESTConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	w.hand, err = dynamic.NewForConfig(cfg)
	return w, err
}

// ship is an agent with its cluster at the hub, its line there, and what it is
// loaded with: a repository with a directory for each application.
type ship struct {
	*rig.Agent
	world *world
	t     *testing.T
	ctx   context.Context
	name  string
	user  string
	line  *testbed.Proxy
	repo  *testbed.Repo
}

// maxShips may sail in one run of the tests.
const maxShips = 40

var ships struct {
	sync.Mutex
	n int
}

func shipUser(n int) string { return fmt.Sprintf("ship-%d", n) }

func nextUser(t *testing.T) string {
	ships.Lock()
	defer ships.Unlock()
	if ships.n++; ships.n > maxShips {
		t.Fatal("the audit policy has too few users; raise maxShips")
	}
	return shipUser(ships.n)
}

// launch starts an agent under a name, which its namespaces begin with.
// throughAPI may turn the kubeconfig that it would get into another.
func launch(t *testing.T, name string, throughAPI ...func(kubeconfig []byte) []byte) *ship {
	t.Helper()
	w := need(t)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*patience, fmt.Errorf("%s has passed", 2*patience))
	t.Cleanup(cancel)
	s := &ship{world: w, t: t, ctx: ctx, name: name, user: nextUser(t)}
	kubeconfig, err := w.plane.UserKubeconfig(s.user, "system:masters")
	s.check(err)
	for _, change := range throughAPI {
		kubeconfig = change(kubeconfig)
	}
	s.line, err = testbed.StartProxy(w.Hub.Addr, 1)
	s.check(err)
	t.Cleanup(s.line.Close)
	s.Agent, err = w.NewAgent(rig.AgentOptions{Cluster: name, Kubeconfig: kubeconfig, Namespace: name + "-agent", Hub: s.line.Addr()})
	s.check(err)
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("the end of the log of %s:\n%s", name, testbed.Tail(s.Log(), 40))
		}
	})
	s.repo, err = w.Git.CreateRepo(ctx, name)
	s.check(err)
	_, err = w.CLI(ctx, "repo", "add", s.repo.URL())
	s.check(err)
	s.check(s.Enrol(ctx, name+".log"))
	return s
}

func (s *ship) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// commit replaces an application's manifests.
func (s *ship) commit(app string, manifests ...string) (sha string) {
	s.t.Helper()
	sha, err := s.repo.Commit(s.ctx, app, map[string][]byte{app + "/objects.yaml": []byte(strings.Join(manifests, "\n---\n"))})
	s.check(err)
	s.check(s.world.Push(s.ctx, s.repo.URL(), testbed.DefaultBranch, sha))
	return sha
}

const (
	automated = "{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true], retry: {limit: 20, backoff: {duration: 1s, maxDuration: 3s}}}"
	manual    = "{syncOptions: [CreateNamespace=true]}"
)

// deploy writes an application of the namespace of its own name.
func (s *ship) deploy(app, policy string) model.AppUID {
	s.t.Helper()
	text := fmt.Sprintf(`apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: %[1]s}
spec:
  project: default
  source: {repoURL: %[2]q, path: %[1]s, targetRevision: %[3]s}
  destination: {name: %[4]s, namespace: %[1]s}
  syncPolicy: %[5]s
`, app, s.repo.URL(), testbed.DefaultBranch, s.Cluster, policy)
	s.check(s.world.api.Do(s.ctx, http.MethodPost, "/applications", []byte(text), nil))
	var uid model.AppUID
	s.await("the hub has rendered "+app, func() bool {
		v, ok := s.world.eye.App(app)
		uid = v.UID
		return ok && v.Desired.Commit != ""
	})
	return uid
}

// await waits for something at the hub.
func (s *ship) await(what string, holds func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeoutCause(s.ctx, patience, fmt.Errorf("%s has passed", patience))
	defer cancel()
	s.check(s.world.eye.Await(ctx, what, holds))
}

// view waits until the hub's row of an application is as holds says.
func (s *ship) view(app, what string, holds func(model.AppView) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeoutCause(s.ctx, patience, fmt.Errorf("%s has passed", patience))
	defer cancel()
	err := s.world.eye.Await(ctx, app+" "+what, func() bool {
		v, ok := s.world.eye.App(app)
		return ok && holds(v)
	})
	if err != nil {
		v, _ := s.world.eye.App(app)
		s.t.Fatalf("%v; it is %s %s, %s (%s), at %.8s, conditions %v, operation %+v", err, v.Sync.Status, v.Sync.Reason, v.Health.Status, v.Health.Message, v.Revision, v.Conditions, v.Operation)
	}
}

// settled waits until the hub shows an application synced and healthy at a commit.
func (s *ship) settled(app, commit string) {
	s.t.Helper()
	s.view(app, "is synced and healthy", func(v model.AppView) bool { return rig.Settled(v) && v.Revision == commit })
}

// condition waits until an application has a condition of a code, and returns its
// message.
func (s *ship) condition(app, code string) (message string) {
	s.t.Helper()
	s.view(app, "has the condition "+code, func(v model.AppView) bool {
		i := slices.IndexFunc(v.Conditions, func(c model.Condition) bool { return c.Code == code })
		if i >= 0 {
			message = v.Conditions[i].Message
		}
		return i >= 0
	})
	return message
}

// sync asks for a sync.
func (s *ship) sync(app string, spec model.OperationSpec) model.OperationInfo {
	s.t.Helper()
	var op model.OperationInfo
	asked := time.Now()
	s.check(s.world.api.Do(s.ctx, http.MethodPost, "/applications/"+app+"/sync", spec, &op))
	s.world.eye.Keep(asked, op)
	return op
}

// ended waits for the end of an operation.
func (s *ship) ended(op model.OperationInfo) (end model.OperationInfo) {
	s.t.Helper()
	s.await("operation "+string(op.ID)+" has ended", func() (ok bool) {
		end, ok = s.world.eye.Ended(s.ctx, op.App, op.ID)
		return ok
	})
	return end
}

var (
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	crds       = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

func configMap(name, value string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}, data: {v: %q}}", name, value)
}

// value is data.v of a ConfigMap, "" when it does not exist.
func (s *ship) value(namespace, name string) string {
	s.t.Helper()
	o, err := s.world.hand.Resource(configMaps).Namespace(namespace).Get(s.ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return ""
	}
	s.check(err)
	v, _, _ := unstructured.NestedString(o.Object, "data", "v")
	return v
}

// eventually waits until holds does. Who only reads gets no signal from the API
// server, so it looks again.
func (s *ship) eventually(what string, within time.Duration, holds func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(within)
	for !holds() {
		if time.Now().After(deadline) {
			s.t.Fatalf("after %s: not %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// drift changes a ConfigMap, as somebody with kubectl would.
func (s *ship) drift(namespace, name, value string) {
	s.t.Helper()
	_, err := s.world.hand.Resource(configMaps).Namespace(namespace).Patch(s.ctx, name, types.MergePatchType,
		fmt.Appendf(nil, `{"data":{"v":%q}}`, value), metav1.PatchOptions{FieldManager: outsider})
	s.check(err)
}

// create makes objects, as somebody with kubectl would.
func (s *ship) create(resource schema.GroupVersionResource, namespace string, o map[string]any) *unstructured.Unstructured {
	s.t.Helper()
	made, err := s.world.hand.Resource(resource).Namespace(namespace).Create(s.ctx, &unstructured.Unstructured{Object: o}, metav1.CreateOptions{FieldManager: outsider})
	s.check(err)
	return made
}

// witnessed is the audit log up to now: the writes in namespaces that begin with
// the ship's name.
func (s *ship) witnessed() []kill.Request {
	s.t.Helper()
	// A request of our own shows up in the log after everything before it.
	name := "barrier-" + uuid.NewString()
	_, err := s.world.hand.Resource(configMaps).Namespace("default").Patch(s.ctx, name, types.MergePatchType, []byte("{}"), metav1.PatchOptions{FieldManager: outsider})
	if !apierrors.IsNotFound(err) {
		s.t.Fatalf("the barrier was answered with %v", err)
	}
	for {
		all, seen, err := s.world.audit(name)
		s.check(err)
		if seen {
			mine := slices.DeleteFunc(all, func(r kill.Request) bool { return !strings.HasPrefix(r.Key.Namespace, s.name) })
			kill.InOrder(mine)
			return mine
		}
		select {
		case <-s.ctx.Done():
			s.t.Fatalf("the audit log does not come to our request: %v", context.Cause(s.ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// audit is the whole audit log so far; seen tells whether it is past a request
// about an object of a name.
func (w *world) audit(name string) (all []kill.Request, seen bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reader == nil {
		w.reader = kill.NewAuditReader(w.plane.AuditLog())
	}
	more, err := w.reader.Next()
	w.logged = append(w.logged, more.Requests...)
	seen = slices.ContainsFunc(w.logged, func(r kill.Request) bool { return r.Key.Name == name })
	return slices.Clone(w.logged), seen, err
}

// by keeps the requests of one user that match.
func by(user string, requests []kill.Request, match func(kill.Request) bool) []kill.Request {
	var out []kill.Request
	for _, r := range requests {
		if r.User == user && match(r) {
			out = append(out, r)
		}
	}
	return out
}

func isDelete(r kill.Request) bool { return strings.HasPrefix(r.Verb, "delete") }

// in matches requests in a namespace.
func in(namespace string) func(kill.Request) bool {
	return func(r kill.Request) bool { return r.Key.Namespace == namespace }
}

func describe(requests []kill.Request) string {
	var b strings.Builder
	for i, r := range requests {
		if i == 10 {
			fmt.Fprintf(&b, "\n… and %d more", len(requests)-i)
			break
		}
		fmt.Fprintf(&b, "\n%s %s %s %d %s op=%s %s", r.At.Format("15:04:05.000"), r.Verb, r.Key, r.Code, r.User, r.Operation, r.Content)
	}
	return b.String()
}

// noDeletes holds that the ship deleted nothing in a namespace.
func (s *ship) noDeletes(namespace string) {
	s.t.Helper()
	if found := by(s.user, s.witnessed(), func(r kill.Request) bool { return isDelete(r) && r.Key.Namespace == namespace }); len(found) > 0 {
		s.t.Errorf("the agent deleted:%s", describe(found))
	}
}
