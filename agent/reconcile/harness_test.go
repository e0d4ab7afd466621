package reconcile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/observe"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// plane is the control plane that the tests of this package share.
var plane struct {
	gosync.Mutex
	cp   *testbed.ControlPlane
	seen map[string]bool
}

func TestMain(m *testing.M) {
	code := m.Run()
	if plane.cp != nil {
		plane.cp.Stop()
	}
	os.Exit(code)
}

func controlPlane(t testing.TB) *testbed.ControlPlane {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane, which -short leaves out")
	}
	plane.Lock()
	defer plane.Unlock()
	if plane.cp != nil && plane.seen[t.Name()] {
		// A test that runs again, as with -count, begins with a new cluster.
		plane.cp.Stop()
		plane.cp = nil
	}
	if plane.cp == nil {
		plane.seen = map[string]bool{}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		cp, err := testbed.StartControlPlane(ctx, testbed.Options{Name: "reconcile"})
		if err != nil {
			t.Fatalf("%v", err)
		}
		plane.cp = cp
	}
	plane.seen[t.Name()] = true
	return plane.cp
}

// kube is an administrator's own hand in the cluster.
type kube struct {
	t      testing.TB
	client *http.Client
	base   string
}

func newKube(t testing.TB, cp *testbed.ControlPlane) *kube {
	cfg := cp.RESTConfig()
	cfg.QPS = -1
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &kube{t: t, client: client, base: cp.URL()}
}

func (k *kube) try(method, path, contentType, body string) (int, []byte) {
	k.t.Helper()
	req, err := http.NewRequest(method, k.base+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := k.client.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func (k *kube) do(method, path, contentType, body string) []byte {
	k.t.Helper()
	code, answer := k.try(method, path, contentType, body)
	if code/100 != 2 {
		k.t.Fatalf("%s %s: %d %s", method, path, code, answer)
	}
	return answer
}

func (k *kube) merge(path, body string) {
	k.t.Helper()
	k.do(http.MethodPatch, path+"?fieldManager=somebody", "application/merge-patch+json", body)
}

// get returns the object, or nil when it does not exist.
func (k *kube) get(path string) map[string]any {
	k.t.Helper()
	code, answer := k.try(http.MethodGet, path, "", "")
	if code == http.StatusNotFound {
		return nil
	}
	if code != http.StatusOK {
		k.t.Fatalf("GET %s: %d %s", path, code, answer)
	}
	var o map[string]any
	if err := json.Unmarshal(answer, &o); err != nil {
		k.t.Fatal(err)
	}
	return o
}

func field(o map[string]any, path ...string) any {
	var v any = o
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// eventually waits until cond is nil. There is no signal from the API server
// to somebody who only reads, so it looks again.
func eventually(t testing.TB, within time.Duration, cond func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", within, err)
		}
		<-tick.C
	}
}

// agent is an engine with everything it needs, against a real API server.
type agent struct {
	t      testing.TB
	k      *kube
	ns     string
	store  *journal.Store
	obs    *observe.Observer
	engine *Engine
	lease  *journal.Lease
	ops    *opLog
	log    *lockedBuffer
	stop   func()

	fenced  error
	melts   error // becomes fenced after so many answers
	answers int
	mu      gosync.Mutex
}

type opLog struct {
	mu      gosync.Mutex
	updates []model.OperationUpdate
}

func (o *opLog) Operation(u model.OperationUpdate) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.updates = append(o.updates, u)
}

func (o *opLog) of(id model.OperationID) []model.OperationUpdate {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []model.OperationUpdate
	for _, u := range o.updates {
		if u.ID == id {
			out = append(out, u)
		}
	}
	return out
}

type noReports struct{}

func (noReports) Changed(...model.AppUID)                 {}
func (noReports) ChangedSince(time.Time, ...model.AppUID) {}
func (noReports) SessionOpened()                          {}
func (noReports) SessionClosed()                          {}
func (noReports) ReportAck(uint64)                        {}

type lockedBuffer struct {
	mu gosync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var instances struct {
	gosync.Mutex
	n int
}

// startAgent starts an agent whose journal lives in namespace ns.
func startAgent(t testing.TB, cp *testbed.ControlPlane, ns string) *agent {
	t.Helper()
	instances.Lock()
	instances.n++
	instance := fmt.Sprintf("test-%d", instances.n)
	instances.Unlock()
	a := &agent{t: t, k: newKube(t, cp), ns: ns, ops: &opLog{}, log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := cp.RESTConfig()
	cfg.QPS = -1
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(cp.URL())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	jc := journal.NewClient(client, base, ns, "hawser-agent/test")
	if err := jc.EnsureNamespace(ctx); err != nil {
		t.Fatal(err)
	}
	a.lease = journal.NewLease(jc, instance, log, time.Now)
	var wg gosync.WaitGroup
	wg.Go(func() {
		if err := a.lease.Run(ctx); err != nil {
			log.Error("lease", "error", err)
		}
	})
	select {
	case <-a.lease.Acquired():
	case <-time.After(40 * time.Second):
		t.Fatal("the lease was not acquired")
	}
	a.store, err = journal.OpenStore(ctx, journal.StoreOptions{Secrets: jc, Instance: instance, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	a.obs = observe.New(observe.Options{Config: cfg, ExcludeNamespaces: []string{ns}, Log: log})
	a.engine = New(Options{Journal: a.store, Observer: a.obs, Applier: sync.NewKube(client, base, "hawser-agent/test"), Operations: a.ops, Reports: noReports{},
		Fence: a.fence, ClusterName: "test", OwnNamespace: ns, RedactionKey: []byte("k"), Log: log})
	storeCtx, stopStore := context.WithCancel(context.Background())
	wg.Go(func() { _ = a.obs.Run(ctx) })
	wg.Go(func() { _ = a.engine.Run(ctx) })
	wg.Go(func() {
		if err := a.store.Run(storeCtx); err != nil {
			log.Error("journal", "error", err)
		}
	})
	stopped := false
	a.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		stopStore()
		wg.Wait()
	}
	t.Cleanup(func() {
		a.stop()
		if t.Failed() {
			t.Logf("agent log:\n%s", a.log.String())
		}
	})
	return a
}

func (a *agent) fence() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fenced != nil {
		return a.fenced
	}
	if a.melts != nil {
		if a.answers == 0 {
			a.fenced, a.melts = a.melts, nil
			return a.fenced
		}
		a.answers--
	}
	return a.lease.Held()
}

// fuse closes the fence after it was asked n times.
func (a *agent) fuse(n int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers, a.melts = n, err
}

func (a *agent) blown() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fenced
}

func (a *agent) setFence(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fenced = err
}

func parse(t testing.TB, yaml string) []manifest.Object {
	t.Helper()
	objs, err := manifest.Parse("test.yaml", []byte(yaml), manifest.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return objs
}

// desired makes a desired state that is allowed everything.
func desired(t testing.TB, name, ns string, g model.Generation, policy *model.SyncPolicy, yaml string) (model.Desired, []byte) {
	t.Helper()
	encoded, digest, err := manifest.EncodeBundle(parse(t, yaml))
	if err != nil {
		t.Fatal(err)
	}
	return model.Desired{
		App: model.AppUID("uid-" + name), Name: name, Project: "default", Generation: g, Bundle: digest,
		Revision: model.Revision{Commit: fmt.Sprintf("%040d", g)},
		Spec:     model.DesiredSpec{Namespace: ns, SyncPolicy: policy, ClusterName: "test", Destination: model.Destination{Name: "test", Namespace: ns}},
		ProjectSpec: model.AppProjectSpec{
			SourceRepos: []string{"*"}, Destinations: []model.ProjectDestination{{Server: "*", Namespace: "*"}, {Name: "*", Namespace: "*"}},
			ClusterResourceWhitelist: []model.KindRule{{Group: "*", Kind: "*"}},
		},
	}, encoded
}

func automated(prune, heal bool, options ...string) *model.SyncPolicy {
	return &model.SyncPolicy{Automated: &model.AutomatedSync{Prune: prune, SelfHeal: heal}, SyncOptions: append(options, "CreateNamespace=true"),
		Retry: &model.RetryStrategy{Limit: 5, Backoff: &model.Backoff{Duration: "1s"}}}
}

// send hands a desired state over as the link does, and waits for the answer.
func (a *agent) send(d model.Desired, bundle []byte) error {
	a.t.Helper()
	acked := make(chan error, 1)
	a.engine.Desired(a.t.Context(), d, bundle, func(err error) { acked <- err })
	select {
	case err := <-acked:
		return err
	case <-time.After(30 * time.Second):
		a.t.Fatal("no acknowledgement")
		return nil
	}
}

func (a *agent) mustSend(d model.Desired, bundle []byte) {
	a.t.Helper()
	if err := a.send(d, bundle); err != nil {
		a.t.Fatalf("refused: %v", err)
	}
}

func (a *agent) status(uid model.AppUID) model.AppStatus {
	st, _ := a.engine.Status(uid)
	return st
}

// synced waits until the application is synced at a generation.
func (a *agent) synced(uid model.AppUID, g model.Generation) model.AppStatus {
	a.t.Helper()
	var st model.AppStatus
	eventually(a.t, 60*time.Second, func() error {
		st = a.status(uid)
		if st.Generation != g || st.Sync.Status != model.SyncSynced || st.Revision != fmt.Sprintf("%040d", g) {
			return fmt.Errorf("generation %d is %s (%s), revision %s, conditions %v, resources %+v", st.Generation, st.Sync.Status, st.Sync.Reason, st.Revision, st.Conditions, st.Resources)
		}
		return nil
	})
	return st
}

// ended waits for an operation's only end.
func (a *agent) ended(id model.OperationID) model.OperationUpdate {
	a.t.Helper()
	var end model.OperationUpdate
	eventually(a.t, 60*time.Second, func() error {
		for _, u := range a.ops.of(id) {
			if u.Phase.Terminal() {
				end = u
				return nil
			}
		}
		return fmt.Errorf("operation %s has not ended: %+v", id, a.ops.of(id))
	})
	return end
}

func (a *agent) operation(id model.OperationID, seq int64, uid model.AppUID, spec model.OperationSpec) {
	a.engine.Operation(a.t.Context(), model.Command{ID: id, Seq: seq, App: uid, Kind: model.OperationSync, Spec: spec})
}

func configMap(ns, name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {v: %q}\n---\n", name, ns, value)
}

func cmPath(ns, name string) string { return "/api/v1/namespaces/" + ns + "/configmaps/" + name }
