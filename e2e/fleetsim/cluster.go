package fleetsim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/observe"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Cluster is a Kubernetes cluster as far as an agent can tell: objects in memory
// that it writes as sync.Applier and is told of as reconcile.Observer, and the
// Secrets of its own namespace. Its methods may be called from several goroutines.
type Cluster struct {
	name    string
	uid     string
	version string
	nodes   int

	mu       sync.Mutex
	rnd      *rand.Rand
	last     int64 // resource version
	objects  map[model.ObjectKey]*object
	view     *view // of the agent that runs, nil for none
	dark     time.Time
	deletes  int
	writes   int
	secrets  map[string]journal.Secret
	settings *model.Settings
}

// object is one object as it is stored.
type object struct {
	raw []byte // with managedFields
	rec live.Record
	// trouble is why a Deployment does not become available, "" for nothing.
	trouble string
	// settling: what a controller will note of it is under way.
	settling bool
}

// newCluster makes a cluster of which everything follows from seed and number.
func newCluster(seed uint64, number int, name string) *Cluster {
	c := &Cluster{name: name, rnd: rand.New(rand.NewPCG(seed, uint64(number))), last: 1000, objects: map[model.ObjectKey]*object{}, secrets: map[string]journal.Secret{}}
	c.version = kubeVersions[number%len(kubeVersions)]
	c.nodes = 1 + c.rnd.IntN(20)
	for _, ns := range []string{"default", "kube-system"} {
		u := newObject(kindNamespace, model.ObjectKey{Kind: "Namespace", Name: ns})
		c.store(u, &object{})
	}
	c.uid = c.objects[model.ObjectKey{Kind: "Namespace", Name: "kube-system"}].rec.UID
	return c
}

var kubeVersions = []string{"v1.33.4", "v1.34.2", "v1.35.0"}

// Name of the cluster at the hub.
func (c *Cluster) Name() string { return c.name }

// Deletes is how many objects were ever deleted.
func (c *Cluster) Deletes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deletes
}

// Writes is how many writes were ever accepted, those of its own controllers and of
// people excepted.
func (c *Cluster) Writes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

// Body is an object as the API server would answer it; nil when there is none.
func (c *Cluster) Body(key model.ObjectKey) *unstructured.Unstructured {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.objects[key]
	if o == nil {
		return nil
	}
	u, err := decode(o.raw)
	if err != nil {
		panic(err) // it was encoded here
	}
	return u
}

// SetDark says whether the API server answers. While it is dark nothing can be
// read, written or observed in the cluster; its objects live on.
func (c *Cluster) SetDark(dark bool) {
	c.mu.Lock()
	was := !c.dark.IsZero()
	switch {
	case dark && !was:
		c.dark = time.Now()
	case !dark && was:
		c.dark = time.Time{}
	default:
		c.mu.Unlock()
		return
	}
	v := c.view
	c.mu.Unlock()
	if v != nil {
		v.kindsChanged()
	}
}

func (c *Cluster) isDark() bool { return !c.dark.IsZero() }

func unreachable(what any) error {
	return fault.New(fault.Unavailable, "cluster_unreachable", "%v: the API server cannot be reached: it is switched off", what)
}

// newUID is a random uid; c.mu is held or nobody else has c yet.
func (c *Cluster) newUID() string {
	a, b := c.rnd.Uint64(), c.rnd.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(a>>32), uint16(a>>16), uint16(a)&0xfff, uint16(b>>48)&0xfff, b&0xffffffffffff)
}

func newObject(gk model.GroupKind, key model.ObjectKey) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	version := "v1"
	if gk.Group != "" {
		version = gk.Group + "/v1"
	}
	u.SetAPIVersion(version)
	u.SetKind(gk.Kind)
	u.SetName(key.Name)
	u.SetNamespace(key.Namespace)
	return u
}

func decode(raw []byte) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	return u, u.UnmarshalJSON(raw)
}

// store stores an object in a new version and tells the agent; o is what is known of
// it beside. c.mu is held.
func (c *Cluster) store(u *unstructured.Unstructured, o *object) {
	c.last++
	u.SetResourceVersion(strconv.FormatInt(c.last, 10))
	if u.GetUID() == "" {
		u.SetUID(typesUID(c.newUID()))
		u.SetCreationTimestamp(metaNow())
		u.SetGeneration(1)
	}
	raw, err := u.MarshalJSON()
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	gvk := u.GroupVersionKind()
	rec, err := observe.RecordOf(model.GroupKind{Group: gvk.Group, Kind: gvk.Kind}, raw)
	if err != nil {
		panic(err)
	}
	old := o.rec
	if rec.Health.Status != "" {
		if rec.Health.Since = old.Health.Since; old.Health.Status != rec.Health.Status {
			now := time.Now()
			rec.Health.Since = &now
		}
	}
	o.raw, o.rec = raw, rec
	c.objects[rec.Key] = o
	if rec.Key.GroupKind() == kindDeployment {
		c.control(o, u)
	}
	c.tell(live.Event{Key: rec.Key, Apps: appsOf(old, rec), SpecChanged: old.SpecHash != rec.SpecHash || old.UID != rec.UID})
}

// remove deletes an object and what is in it, and tells the agent. c.mu is held.
func (c *Cluster) remove(key model.ObjectKey) {
	o := c.objects[key]
	delete(c.objects, key)
	c.last++
	c.deletes++
	c.tell(live.Event{Key: key, Apps: appsOf(o.rec), SpecChanged: true, Deleted: true})
	if key.GroupKind() != kindNamespace {
		return
	}
	for k := range maps.Clone(c.objects) {
		if k.Namespace == key.Name {
			c.remove(k)
		}
	}
}

func appsOf(recs ...live.Record) (apps []string) {
	for _, rec := range recs {
		if app, _, ok := model.ParseTrackingID(rec.TrackingID); ok && (len(apps) == 0 || apps[0] != app) {
			apps = append(apps, app)
		}
	}
	return apps
}

func (c *Cluster) tell(ev live.Event) {
	if c.view != nil {
		c.view.add(ev)
	}
}
