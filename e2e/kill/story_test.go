package kill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/model"
)

// story is the life of one application with its agent, as a seed shapes it.
type story struct {
	*lane
	name  string // of application and namespace
	seed  uint64
	point string // where the agent dies; "" for nowhere
	nth   int    // at which hit
	// lost is the request whose answer the agent does not get, 0 for none.
	lost int
	took time.Duration
	err  error

	uid model.AppUID
	// automated: syncs and self-heal by itself.
	automated bool
	asked     []Asked
	revisions []Revision

	mu        sync.Mutex
	marks     []Mark
	views     []View
	converged bool // once
	deleting  bool
	killed    bool
}

// chance is the seed's decision about something that has a name, between 0 and n.
func (s *story) chance(about string, n int) int {
	sum := uint64(14695981039346656037)
	for _, b := range []byte(about) {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return rand.New(rand.NewPCG(s.seed, sum)).IntN(n)
}

func (s *story) mark(what, point string, key model.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks = append(s.marks, Mark{At: time.Now(), What: what, Point: point, Key: key})
}

func (s *story) key(group, kind, name string) model.ObjectKey {
	return model.ObjectKey{Group: group, Kind: kind, Namespace: s.name, Name: name}
}

// run lives through the story. The agent is stopped in the end.
func (s *story) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s has passed", patience))
	defer cancel()
	s.automated = s.seed%3 != 2
	orders := "trace"
	switch {
	case s.point != "":
		orders = fmt.Sprintf("%s=kill@%d", s.point, s.nth)
	case s.lost > 0:
		orders = fmt.Sprintf("kube.request.after=error@%d", s.lost)
	}
	if err := s.Start(s.name+".log", failpoint.Variable+"="+orders); err != nil {
		return err
	}
	s.mark(Started, "", model.ObjectKey{})
	nursed := make(chan error, 1)
	nurse, dismiss := context.WithCancel(ctx)
	go func() {
		err := s.nurse(nurse)
		if err != nil {
			cancel()
		}
		nursed <- err
	}()
	err = s.live(ctx)
	dismiss()
	// What the nurse says explains the rest.
	if failure := <-nursed; failure != nil {
		err = failure
	}
	s.Stop()
	if err != nil {
		err = fmt.Errorf("%w\nthe end of the agent's log:\n%s", err, testbed.Tail(s.Log(), 25))
	}
	return err
}

// nurse waits until the agent has died where it should, and starts it again;
// for some seeds without its line to the hub, and then something has to be put
// right before it gets the line back.
func (s *story) nurse(ctx context.Context) error {
	process := s.Process()
	select {
	case <-ctx.Done():
		return nil
	case <-process.Exited():
	}
	if s.point == "" {
		return process.Failure()
	}
	if end := testbed.Tail(s.Log(), 1); !strings.HasPrefix(end, fmt.Sprintf("%s%s %d kill", failpoint.Prefix, s.point, s.nth)) {
		return fmt.Errorf("the agent did not die at %s: %w", s.point, process.Failure())
	}
	s.mark(Killed, s.point, model.ObjectKey{})
	s.mu.Lock()
	s.killed = true
	alone := s.seed%3 == 0 && s.automated && s.converged && !s.deleting
	s.mu.Unlock()
	if s.seed%3 == 1 {
		if err := s.sweep(ctx); err != nil {
			return err
		}
	}
	if alone {
		s.line.Set(testbed.Cut)
		defer s.line.Set(testbed.Well)
		s.mark(Cut, "", model.ObjectKey{})
		// What the agent had sent before it died may come after it: then there was no
		// drift for the next one to put right.
		for stays := false; !stays; {
			if err := s.drift(ctx, "a"); err != nil {
				return err
			}
			o, err := s.world.hand.Resource(configMaps).Namespace(s.name).Get(ctx, "a", metav1.GetOptions{})
			if err != nil {
				return err
			}
			stays = strings.Contains(ContentOf("ConfigMap", o.Object), "mutiny")
		}
		s.mark(Drifted, "", s.key("", "ConfigMap", "a"))
	}
	if err := s.Start(s.name+"-again.log", failpoint.Variable+"="); err != nil {
		return err
	}
	s.mark(Started, "", model.ObjectKey{})
	if alone {
		// The checker judges whether it was healed; here it is only waited for.
		s.healed(ctx, "a")
		s.mark(Joined, "", model.ObjectKey{})
		s.line.Set(testbed.Well)
	}
	process = s.Process()
	select {
	case <-ctx.Done():
		return nil
	case <-process.Exited():
		return fmt.Errorf("the agent that was started again has ended: %w", process.Failure())
	}
}

// live tells the story.
func (s *story) live(ctx context.Context) error {
	if err := s.commit(ctx, 1); err != nil {
		return err
	}
	foreign := body("v1", "ConfigMap", "foreign", nil)
	namespace := body("v1", "Namespace", s.name, nil)
	if _, err := s.world.hand.Resource(rig.Namespaces).Create(ctx, unstructuredOf(namespace), metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := s.world.hand.Resource(configMaps).Namespace(s.name).Create(ctx, unstructuredOf(foreign), metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := s.create(ctx); err != nil {
		return err
	}
	if !s.automated {
		if err := s.sync(ctx, model.OperationSpec{Prune: true}); err != nil {
			return err
		}
	}
	if err := s.rest(ctx); err != nil {
		return err
	}
	middle := []struct {
		name string
		do   func(context.Context) error
	}{
		{"commit", func(ctx context.Context) error { return s.commit(ctx, 2) }},
		{"sync", func(ctx context.Context) error { return s.sync(ctx, model.OperationSpec{Prune: true}) }},
		{"action", s.restart},
		{"drift", func(ctx context.Context) error { return s.drift(ctx, "a") }},
		{"erase", s.erase},
	}
	order := rand.New(rand.NewPCG(s.seed, 7)).Perm(len(middle))
	for _, i := range order {
		if err := middle[i].do(ctx); err != nil {
			return fmt.Errorf("%s: %w", middle[i].name, err)
		}
		// Some steps are waited for, others run into each other.
		if s.chance("wait "+middle[i].name, 2) == 0 && s.automated {
			if err := s.rest(ctx); err != nil {
				return fmt.Errorf("after %s: %w", middle[i].name, err)
			}
		}
	}
	if !s.automated {
		// A sync is about what the hub has rendered when it is asked for.
		err := s.world.eye.Await(ctx, "the hub has rendered the newest commit of "+s.name, func() bool {
			v, ok := s.world.eye.App(s.name)
			return ok && v.Desired.Commit == s.revisions[len(s.revisions)-1].Commit
		})
		if err != nil {
			return err
		}
		if err := s.sync(ctx, model.OperationSpec{Prune: true}); err != nil {
			return err
		}
	}
	if err := s.rest(ctx); err != nil {
		return err
	}
	return s.cascade(ctx)
}

func (s *story) create(ctx context.Context) error {
	policy := "{syncOptions: [CreateNamespace=true]}"
	if s.automated {
		policy = "{automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true], retry: {limit: 10, backoff: {duration: 1s, maxDuration: 2s}}}"
	}
	app := fmt.Sprintf(`apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: %[1]s}
spec:
  project: default
  source: {repoURL: %[2]q, path: %[1]s, targetRevision: %[3]s}
  destination: {name: %[4]s, namespace: %[1]s}
  syncPolicy: %[5]s
`, s.name, s.repo.URL(), testbed.DefaultBranch, s.Cluster, policy)
	if err := s.world.api.Do(ctx, http.MethodPost, "/applications", []byte(app), nil); err != nil {
		return err
	}
	// A sync can be asked for when there is something to sync.
	return s.world.eye.Await(ctx, "the hub has rendered "+s.name, func() bool {
		v, ok := s.world.eye.App(s.name)
		s.uid = v.UID
		return ok && v.Desired.Commit != ""
	})
}

func (s *story) commit(ctx context.Context, version int) error {
	objects, manifests := s.manifests(version)
	at := time.Now()
	sha, err := s.lane.commit(ctx, s.name, manifests)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revisions = append(s.revisions, Revision{At: at, Commit: sha, Objects: objects})
	return nil
}

// sync asks for a sync. There is one operation of an application at a time.
func (s *story) sync(ctx context.Context, spec model.OperationSpec) error {
	if err := s.world.eye.Await(ctx, "the operations of "+s.name+" have ended", func() bool { return s.allEnded(ctx) }); err != nil {
		return err
	}
	return s.operation(ctx, http.MethodPost, "/applications/"+s.name+"/sync", spec)
}

// restart asks for the resource action of that name.
func (s *story) restart(ctx context.Context) error {
	if err := s.world.eye.Await(ctx, "the operations of "+s.name+" have ended", func() bool { return s.allEnded(ctx) }); err != nil {
		return err
	}
	return s.operation(ctx, http.MethodPost, "/applications/"+s.name+"/actions", map[string]any{"resource": s.key("apps", "Deployment", "web"), "action": "restart"})
}

// operation asks for an operation, and notes that it was accepted.
func (s *story) operation(ctx context.Context, method, path string, in any) error {
	var op model.OperationInfo
	at := time.Now()
	if err := s.world.api.Do(ctx, method, path, in, &op); err != nil {
		return err
	}
	s.world.eye.Keep(at, op)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, Asked{At: at, ID: op.ID, Kind: op.Kind, Spec: op.Spec})
	return nil
}

// drift changes a ConfigMap, as somebody with kubectl would.
func (s *story) drift(ctx context.Context, name string) error {
	patch := fmt.Appendf(nil, `{"data":{"v":"mutiny-%d"}}`, time.Now().UnixNano())
	_, err := s.world.hand.Resource(configMaps).Namespace(s.name).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: outsider})
	return err
}

// sweep deletes the Jobs that have succeeded, as a cluster does with those that have
// a ttlSecondsAfterFinished.
func (s *story) sweep(ctx context.Context) error {
	in := s.world.hand.Resource(jobs).Namespace(s.name)
	list, err := in.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, o := range list.Items {
		background := metav1.DeletePropagationBackground
		if VersionOf("Job", o.Object).Settled {
			if err := in.Delete(ctx, o.GetName(), metav1.DeleteOptions{PropagationPolicy: &background}); err != nil && !gone(err) {
				return err
			}
		}
	}
	return nil
}

// erase deletes an object.
func (s *story) erase(ctx context.Context) error {
	err := s.world.hand.Resource(configMaps).Namespace(s.name).Delete(ctx, "z", metav1.DeleteOptions{})
	if gone(err) {
		return nil
	}
	return err
}

// healed waits until a ConfigMap is as some revision has it, for a while.
func (s *story) healed(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		o, err := s.world.hand.Resource(configMaps).Namespace(s.name).Get(ctx, name, metav1.GetOptions{})
		if err == nil && !strings.Contains(ContentOf("ConfigMap", o.Object), "mutiny") {
			return
		}
		select { // a watch would cost more than it saves
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// rest waits until the hub shows the newest revision synced and healthy and every
// operation ended, and the namespace is as in Git; then it looks at it. The hub
// may tell a little late of what has just been changed.
func (s *story) rest(ctx context.Context) error {
	var view View
	for {
		err := s.world.eye.Await(ctx, s.name+" is at rest", func() bool {
			v, ok := s.world.eye.App(s.name)
			return ok && rig.Settled(v) && v.Revision == s.revisions[len(s.revisions)-1].Commit && s.allEnded(ctx)
		})
		if err != nil {
			v, _ := s.world.eye.App(s.name)
			return fmt.Errorf("%w: it is %s %s, %s, at %.8s; conditions %v; operation %+v", err, v.Sync.Status, v.Sync.Reason, v.Health.Status, v.Revision, v.Conditions, v.Operation)
		}
		now, err := s.look(ctx, Converged)
		if err != nil && !view.At.IsZero() && ctx.Err() != nil {
			s.views = append(s.views, view) // the checker says what is wrong with it
			return fmt.Errorf("%s does not become as in Git: %w", s.name, err)
		}
		if err != nil {
			return err
		}
		view = now
		if len(Check(History{App: s.name, Revisions: s.revisions, Views: []View{view}})) == 0 {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.converged = true
	s.views = append(s.views, view)
	return nil
}

func (s *story) allEnded(ctx context.Context) bool {
	return !slices.ContainsFunc(s.asked, func(a Asked) bool {
		_, ended := s.world.eye.Ended(ctx, s.uid, a.ID)
		return !ended
	})
}

func (s *story) look(ctx context.Context, when string) (View, error) {
	v := View{At: time.Now(), When: when}
	for resource, kind := range map[schema.GroupVersionResource]string{configMaps: "ConfigMap", deployments: "Deployment", jobs: "Job"} {
		list, err := s.world.hand.Resource(resource).Namespace(s.name).List(ctx, metav1.ListOptions{})
		if err != nil {
			return v, err
		}
		for _, o := range list.Items {
			o.SetAPIVersion(resource.GroupVersion().String())
			v.Objects = append(v.Objects, LiveOf(kind, o.Object))
		}
	}
	return v, nil
}

// cascade deletes the application with its objects.
func (s *story) cascade(ctx context.Context) error {
	s.mu.Lock()
	s.deleting = true
	s.mu.Unlock()
	if err := s.operation(ctx, http.MethodDelete, "/applications/"+s.name+"?cascade=true", nil); err != nil {
		return err
	}
	err := s.world.eye.Await(ctx, s.name+" is deleted", func() bool {
		_, there := s.world.eye.App(s.name)
		return !there && s.allEnded(ctx)
	})
	if err != nil {
		return err
	}
	view, err := s.look(ctx, Deleted)
	if err != nil {
		return err
	}
	s.views = append(s.views, view)
	// What the hub says now must be what it said.
	for _, a := range s.asked {
		if _, err := s.world.eye.Operation(ctx, a.ID); err != nil {
			return err
		}
	}
	return nil
}

// history is what the others have recorded of the story.
func (s *story) history(audit Audit) (History, error) {
	h := History{
		App: s.name, UID: s.uid, Namespace: s.name, Agent: s.Cluster, Revisions: s.revisions, Asked: s.asked,
		Marks: s.marks, Views: s.views,
	}
	for _, said := range s.world.eye.Said(s.uid) {
		h.Said = append(h.Said, Statement{At: said.At, Asked: said.Asked, ID: said.ID, Phase: said.Phase, Message: said.Message})
	}
	for _, r := range audit.Requests {
		if r.Key.Namespace == s.name || r.Key == (model.ObjectKey{Kind: "Namespace", Name: s.name}) {
			h.Requests = append(h.Requests, r)
		}
	}
	Resolve(h.Requests, s.world.stored.in(s.name))
	InOrder(h.Requests)
	var err error
	h.Journal, err = audit.Entries(s.Namespace, s.uid)
	return h, err
}

// hits counts how often each point was hit, of an agent that traces.
func hits(log string) (map[string]int, error) {
	b, err := os.ReadFile(log)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, failpoint.Prefix); ok {
			name, _, _ := strings.Cut(rest, " ")
			counts[name]++
		}
	}
	return counts, nil
}

// missed reports whether the answer was kept from the agent.
func (s *story) missed() bool {
	b, err := os.ReadFile(filepath.Join(s.world.Dir, s.name+".log"))
	return err == nil && strings.Contains(string(b), fmt.Sprintf("%skube.request.after %d error\n", failpoint.Prefix, s.lost))
}

func gone(err error) bool { return apierrors.IsNotFound(err) || errors.Is(err, context.Canceled) }
