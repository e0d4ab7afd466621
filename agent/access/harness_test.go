package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/agent/observe"
	"github.com/hawser-dev/hawser/e2e/testbed"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/tunnel"
	"github.com/hawser-dev/hawser/shared/wire"
)

const patience = 60 * time.Second

// plane is the control plane that the tests of this package share, with the
// kubelet that answers for its nodes.
var plane struct {
	sync.Mutex
	cp      *testbed.ControlPlane
	kubelet *testbed.Kubelet
	err     error // why it did not start
	seen    map[string]bool
	// flood, if set, writes logs.
	flood func(ctx context.Context, r testbed.LogRequest, w io.Writer) bool
}

func TestMain(m *testing.M) {
	code := m.Run()
	if plane.cp != nil {
		plane.cp.Stop()
		plane.kubelet.Close()
	}
	os.Exit(code)
}

func controlPlane(t testing.TB) (*testbed.ControlPlane, *testbed.Kubelet) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane, which -short leaves out")
	}
	plane.Lock()
	defer plane.Unlock()
	if plane.err != nil {
		t.Fatal(plane.err)
	}
	if plane.cp != nil && plane.seen[t.Name()] {
		// A test that runs again, as with -count, begins with a new cluster: its
		// namespaces still end in this one.
		plane.cp.Stop()
		plane.kubelet.Close()
		plane.cp = nil
	}
	if plane.cp == nil {
		plane.seen = map[string]bool{}
		k, err := testbed.StartKubelet(testbed.KubeletOptions{Logs: func(ctx context.Context, r testbed.LogRequest, w io.Writer) bool {
			plane.Lock()
			flood := plane.flood
			plane.Unlock()
			return flood != nil && flood(ctx, r, w)
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		cp, err := testbed.StartControlPlane(ctx, testbed.Options{Name: "access", Kubelet: k})
		if err != nil {
			k.Close()
			plane.err = err
			t.Fatal(err)
		}
		plane.cp, plane.kubelet = cp, k
	}
	plane.seen[t.Name()] = true
	return plane.cp, plane.kubelet
}

func setFlood(t testing.TB, f func(ctx context.Context, r testbed.LogRequest, w io.Writer) bool) {
	plane.Lock()
	defer plane.Unlock()
	plane.flood = f
	t.Cleanup(func() {
		plane.Lock()
		defer plane.Unlock()
		plane.flood = nil
	})
}

// books are what the agent holds. They implement Applications.
type books struct {
	mu   sync.Mutex
	apps map[model.AppUID]book
}

type book struct {
	name    string
	objects []model.ObjectKey
}

func (b *books) Managed(app model.AppUID) (string, []model.ObjectKey, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, ok := b.apps[app]
	return a.name, slices.Clone(a.objects), ok
}

func (b *books) forget(app model.AppUID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.apps, app)
}

// policy implements Veto.
type policy struct {
	mu     sync.Mutex
	denied map[string]string // verb and kind → code
	asked  chan struct{}     // nil, or told of each question
}

func (p *policy) Allow(verb string, key model.ObjectKey) error {
	select {
	case p.asked <- struct{}{}:
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if code := p.denied[verb+" "+key.Kind]; code != "" {
		return fault.New(fault.Denied, code, "%s is vetoed", key)
	}
	return nil
}

// AllowCall looks at the verb and the resource.
func (p *policy) AllowCall(_ context.Context, _ string, i kubecall.Info) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if code := p.denied[i.Verb+" "+i.Resource]; code != "" {
		return fault.New(fault.Denied, code, "%s of %s is vetoed", i.Verb, i.Resource)
	}
	return nil
}

type someActions struct{}

func (someActions) Actions(gk model.GroupKind, object map[string]any) ([]model.ResourceAction, error) {
	if gk.Kind != "Deployment" {
		return nil, nil
	}
	return []model.ResourceAction{{Name: "restart"}, {Name: "scale", Params: []string{"replicas"}}}, nil
}

// rig is an agent's access server on the control plane, with a hub at the other
// end of the tunnel.
type rig struct {
	t         testing.TB
	cp        *testbed.ControlPlane
	kubelet   *testbed.Kubelet
	ns        string
	kube      *kube
	books     *books
	policy    *policy
	server    *Server
	hub       *tunnel.Session
	observer  *observe.Observer
	closeHub  func()
	redaction []byte
}

const app = model.AppUID("uid of shop")

// newRig makes a namespace and lets the agent hold the application shop in it,
// with the objects of the manifests (JSON, one each).
func newRig(t testing.TB, ns string, change func(*Options), objects ...string) *rig {
	t.Helper()
	cp, kubelet := controlPlane(t)
	r := &rig{
		t: t, cp: cp, kubelet: kubelet, ns: ns, kube: newKube(t, cp), redaction: []byte("a key of 32 bytes for the redaction"),
		books:  &books{apps: map[model.AppUID]book{app: {name: "shop"}}},
		policy: &policy{denied: map[string]string{}},
	}
	r.kube.do(http.MethodPost, "/api/v1/namespaces", fmt.Sprintf(`{"metadata":{"name":%q}}`, ns))
	for _, o := range objects {
		r.add(o, true)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	r.observer = observe.New(observe.Options{Config: cp.RESTConfig(), AgentVersion: "test", Log: log})
	o := Options{
		Config: cp.RESTConfig(), Applications: r.books, Objects: r.observer, Veto: r.policy, Actions: someActions{},
		RedactionKey: r.redaction, AllowExec: true, Log: log,
	}
	if change != nil {
		change(&o)
	}
	var err error
	if r.server, err = New(o); err != nil {
		t.Fatal(err)
	}
	r.observer.Subscribe(r.server.Event)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.observer.Run(ctx) })
	kinds := []model.GroupKind{
		{Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "ReplicaSet"}, {Kind: "Pod"}, {Kind: "ConfigMap"}, {Kind: "Secret"}, {Group: "batch", Kind: "Job"},
	}
	r.observer.Watch(kinds...)
	wait, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := r.observer.WaitSynced(wait, kinds...); err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	wg.Go(func() { r.server.Serve(ctx, far) })
	if r.hub, err = tunnel.NewOpener(near, tunnel.Options{}); err != nil {
		t.Fatal(err)
	}
	r.closeHub = func() { r.hub.Close(nil) }
	t.Cleanup(func() {
		r.hub.Close(nil)
		cancel()
		wg.Wait()
		r.kube.do(http.MethodDelete, "/api/v1/namespaces/"+ns, "")
	})
	return r
}

// add creates an object in the rig's namespace; managed ones carry the tracking
// id and are in the agent's books.
func (r *rig) add(text string, managed bool) {
	r.t.Helper()
	o := parse(r.t, text)
	o.Key.Namespace = r.ns
	meta := o.Body["metadata"].(map[string]any)
	meta["namespace"] = r.ns
	if managed {
		annotations, _ := meta["annotations"].(map[string]any)
		if annotations == nil {
			annotations = map[string]any{}
			meta["annotations"] = annotations
		}
		annotations[model.AnnotationTrackingID] = model.TrackingID("shop", o.Key)
		r.books.mu.Lock()
		b := r.books.apps[app]
		b.objects = append(b.objects, o.Key)
		r.books.apps[app] = b
		r.books.mu.Unlock()
	}
	r.kube.do(http.MethodPost, collection(o.Key, o.APIVersion()), string(o.JSON()))
}

func collection(key model.ObjectKey, apiVersion string) string {
	prefix := "/api/" + apiVersion
	if key.Group != "" {
		prefix = "/apis/" + apiVersion
	}
	return prefix + "/namespaces/" + key.Namespace + "/" + strings.ToLower(key.Kind) + "s"
}

// asked is an open request.
type asked struct {
	t       testing.TB
	st      *tunnel.Stream
	sources map[int]model.LogSource
	lines   []model.LogLine // that came and were not looked at
}

func (r *rig) ask(q model.AccessRequest) *asked {
	r.t.Helper()
	st, err := r.hub.Open()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(st.Close)
	if q.App == "" {
		q.App = app
	}
	q.ID, q.By = "test", "somebody"
	if err := st.Send(context.Background(), wire.AccessRequestToProto(q)); err != nil {
		r.t.Fatal(err)
	}
	return &asked{t: r.t, st: st, sources: map[int]model.LogSource{}}
}

// next waits for the next piece.
func (a *asked) next() model.AccessAnswer {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var p agentv1.AccessAnswer
	if err := a.st.Receive(ctx, &p); err != nil {
		a.t.Fatalf("waiting for an answer: %v", err)
	}
	m, err := wire.AccessAnswer(&p)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, s := range m.Sources {
		a.sources[s.Number] = s
	}
	return m
}

// all reads an answer to its end.
func (a *asked) all() (pieces []model.AccessAnswer, end model.AccessEnd) {
	a.t.Helper()
	for {
		m := a.next()
		if m.End != nil {
			return pieces, *m.End
		}
		pieces = append(pieces, m)
	}
}

// text reads the lines of an answer, "pod/container text", to its end.
func (a *asked) text() (lines []string, notices []model.LogNotice, err error) {
	a.t.Helper()
	pieces, end := a.all()
	names := map[int]string{}
	for _, m := range pieces {
		for _, s := range m.Sources {
			names[s.Number] = s.Pod + "/" + s.Container
		}
		for _, l := range m.Lines {
			lines = append(lines, names[l.Source]+" "+string(l.Text))
		}
		if m.Notice != nil {
			notices = append(notices, *m.Notice)
		}
	}
	return lines, notices, end.Err
}

// follow hands each line of an answer that goes on to f until it returns true.
func (a *asked) follow(f func(source model.LogSource, line string) bool) {
	a.t.Helper()
	for {
		for len(a.lines) == 0 {
			m := a.next()
			if m.End != nil {
				a.t.Fatalf("it ended: %v", m.End.Err)
			}
			a.lines = m.Lines
		}
		for len(a.lines) > 0 {
			l := a.lines[0]
			a.lines = a.lines[1:]
			if f(a.sources[l.Source], string(l.Text)) {
				return
			}
		}
	}
}

// mustLine waits for a line and fails on any other.
func (a *asked) mustLine(pod, text string) {
	a.t.Helper()
	a.follow(func(s model.LogSource, line string) bool {
		if s.Pod != pod || line != text {
			a.t.Fatalf("%s says %q; want %s to say %q", s.Pod, line, pod, text)
		}
		return true
	})
}

func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// reachable waits until the agent has observed n objects of the application
// that a selector means.
func (r *rig) reachable(n int, s model.ObjectSelector) []reached {
	r.t.Helper()
	var found []reached
	await(r.t, fmt.Sprintf("%d objects %+v", n, s), func() bool {
		all, err := r.server.reach(app)
		if err != nil {
			r.t.Fatal(err)
		}
		found = pick(all, s)
		return len(found) == n
	})
	return found
}

// kube is an administrator's hand in the cluster.
type kube struct {
	t      testing.TB
	client *http.Client
	base   string
}

func newKube(t testing.TB, cp *testbed.ControlPlane) *kube {
	cfg := cp.RESTConfig()
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &kube{t: t, client: client, base: cp.URL()}
}

func (k *kube) do(method, path, body string) []byte {
	k.t.Helper()
	req, err := http.NewRequest(method, k.base+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/strategic-merge-patch+json")
	}
	resp, err := k.client.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	if resp.StatusCode/100 != 2 {
		k.t.Fatalf("%s %s: %s", method, path, errors.New(string(answer)))
	}
	return answer
}

func wireInput(in model.AccessInput) *agentv1.AccessInput { return wire.AccessInputToProto(in) }
