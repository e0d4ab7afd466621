package observe

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/agent/health"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"k8s.io/client-go/rest"
)

// Options configure an Observer.
type Options struct {
	// Config reaches the cluster. It is copied; its rate limits are ignored.
	Config *rest.Config
	// ExcludeNamespaces are not observed: the agent's own, so that its journal
	// does not wake it. Presence of objects in them is Unknown.
	ExcludeNamespaces []string
	// Namespaces are the only ones that are observed, each by itself, when there are
	// any: for an agent that may not look elsewhere. Nothing is known of objects in
	// others and of those without a namespace.
	Namespaces []string
	// Health judges objects before the rules of agent/health do; see SetHealth.
	Health health.Override
	// AgentVersion is for the user agent, "hawser-agent/<version>".
	AgentVersion string
	Log          *slog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Kinds that the observer watches for itself, metadata only unless an
// application manages them: namespaces to count them, the others to know when
// discovery changed.
var (
	kindNamespace  = model.GroupKind{Kind: "Namespace"}
	kindCRD        = model.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
	kindAPIService = model.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"}
)

// descendants are the kinds to watch so that trees reach down to pods once an
// application manages the key.
var descendants = map[model.GroupKind][]model.GroupKind{
	{Group: "apps", Kind: "Deployment"}:  {{Group: "apps", Kind: "ReplicaSet"}, {Kind: "Pod"}},
	{Group: "apps", Kind: "ReplicaSet"}:  {{Kind: "Pod"}},
	{Group: "apps", Kind: "StatefulSet"}: {{Kind: "Pod"}},
	{Group: "apps", Kind: "DaemonSet"}:   {{Kind: "Pod"}},
	{Group: "batch", Kind: "Job"}:        {{Kind: "Pod"}},
	{Group: "batch", Kind: "CronJob"}:    {{Group: "batch", Kind: "Job"}, {Kind: "Pod"}},
}

// Observer holds the live facts of one cluster. Its methods may be called from
// several goroutines, and before Run: nothing is known then.
type Observer struct {
	opts  Options
	log   *slog.Logger
	now   func() time.Time
	trim  trimmer
	store *store
	disc  *discovery
	queue *queue

	silence    silences
	rediscover time.Duration

	mu      sync.Mutex
	client  *http.Client
	base    *url.URL
	initErr error
	wanted  map[model.GroupKind]*reflector
	ending  map[model.GroupKind]*reflector // forgotten, and still running
	running context.Context                // nil until Run
	stopped bool
	onKind  []func(model.GroupKind)
	changed chan struct{} // closed and replaced when the state of a kind changed
	wg      sync.WaitGroup
}

// New makes an Observer. A configuration that cannot work is reported by Run.
func New(o Options) *Observer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ob := &Observer{
		opts:       o,
		log:        o.Log,
		now:        o.Now,
		queue:      newQueue(),
		rediscover: rediscover,
		silence:    silences{list: listSilence, whole: listWhole, bookmark: bookmarkSilence, live: livePeriod},
		wanted:     map[model.GroupKind]*reflector{},
		ending:     map[model.GroupKind]*reflector{},
		changed:    make(chan struct{}),
	}
	ob.trim.setOverride(o.Health)
	ob.store = newStore(o.Now, o.ExcludeNamespaces, o.Namespaces...)
	ob.client, ob.base, ob.initErr = newClient(o)
	ob.disc = &discovery{get: ob.get, now: o.Now, log: o.Log, kick: make(chan struct{}, 1)}
	return ob
}

// newClient makes the one HTTP client of the observer: no rate limit on our
// side, the API server's priority and fairness decides; no compression, which
// costs both sides more CPU than a cluster's network is worth.
func newClient(o Options) (*http.Client, *url.URL, error) {
	if o.Config == nil {
		return nil, nil, fault.New(fault.Invalid, "cluster_config", "no configuration to reach the cluster's API server was given")
	}
	cfg := rest.CopyConfig(o.Config)
	cfg.QPS, cfg.Burst, cfg.RateLimiter = -1, 0, nil
	cfg.DisableCompression = true
	cfg.Timeout = 0 // watches are long; single requests carry a deadline in their context
	version := o.AgentVersion
	if version == "" {
		version = "dev"
	}
	cfg.UserAgent = "hawser-agent/" + version
	own := cfg.Transport == nil
	if own && cfg.Dial == nil {
		// client-go shares transports between equal configurations. With a dialler
		// of its own this one is nobody else's, and boundReceiveBuffers changes it.
		cfg.Dial = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.Invalid, "cluster_config", "the configuration to reach the cluster's API server is not usable")
	}
	if own {
		boundReceiveBuffers(client.Transport)
	}
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.Invalid, "cluster_config", "the address of the cluster's API server is not a URL")
	}
	return client, base, nil
}

// receiveBuffer is how much of a list or watch may have arrived and not be read
// yet. Go's default for HTTP/2 is 4 MiB for each stream: an agent that lists ten
// kinds at its start would hold 40 MiB of JSON that it has no use for yet.
const receiveBuffer = 256 << 10

// boundReceiveBuffers finds the transport below its wrappers; it must not have
// been used yet.
func boundReceiveBuffers(rt http.RoundTripper) {
	for {
		switch t := rt.(type) {
		case *http.Transport:
			t.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: receiveBuffer}
			return
		case interface{ WrappedRoundTripper() http.RoundTripper }:
			rt = t.WrappedRoundTripper()
		default:
			return
		}
	}
}

// Run discovers and watches until ctx ends. It owns every goroutine of the
// Observer and returns when all have ended: with nil after a cancelled ctx, or
// at once with a fault when the configuration cannot work.
func (o *Observer) Run(ctx context.Context) error {
	if o.initErr != nil {
		return o.initErr
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.mu.Lock()
	if o.running != nil {
		o.mu.Unlock()
		return fault.New(fault.Internal, "observer_running", "the observer was started twice")
	}
	o.running = ctx
	for _, r := range o.wanted {
		o.startLocked(r)
	}
	o.mu.Unlock()
	if len(o.opts.Namespaces) == 0 {
		o.want(false, always...)
	}

	o.wg.Go(func() { o.queue.run(ctx) })
	o.wg.Go(func() { o.runDiscovery(ctx) })
	<-ctx.Done()
	o.mu.Lock()
	o.stopped = true // Watch starts nothing any more
	o.mu.Unlock()
	o.wg.Wait()
	return nil
}

// Watch starts to observe kinds; calling it again for the same
// kind does nothing. A kind that is not served yet is watched as soon as it is.
// Kinds that objects of these kinds create, such as pods, are watched too.
func (o *Observer) Watch(gks ...model.GroupKind) {
	o.want(true, gks...)
	for _, gk := range gks {
		if more := descendants[gk]; len(more) > 0 {
			o.want(true, more...)
		}
	}
}

// WatchNames starts to observe kinds like Watch, and is content with the metadata
// of their objects, unless somebody watches them as a whole.
func (o *Observer) WatchNames(gks ...model.GroupKind) { o.want(false, gks...) }

// want registers reflectors. full asks for whole objects; false is content
// with metadata.
func (o *Observer) want(full bool, gks ...model.GroupKind) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, gk := range gks {
		r := o.wanted[gk]
		if r == nil {
			r = newReflector(o, gk, full)
			o.wanted[gk] = r
			if before := o.ending[gk]; before != nil {
				r.after = before.done // it adds the kind then
			} else {
				o.store.addKind(gk, full)
			}
			if o.running != nil {
				o.startLocked(r)
			}
			continue
		}
		if full && !r.full.Swap(true) {
			o.store.upgradeKind(gk)
			r.restart()
		}
	}
}

func (o *Observer) startLocked(r *reflector) {
	if o.stopped {
		return
	}
	ctx, stop := context.WithCancel(o.running)
	r.stop = stop
	o.wg.Go(func() {
		defer o.ended(r)
		if r.after != nil {
			<-r.after
			o.mu.Lock()
			if ctx.Err() == nil {
				o.store.addKind(r.gk, r.full.Load())
			}
			o.mu.Unlock()
		}
		r.run(ctx)
	})
}

// ended is the end of a reflector's goroutine.
func (o *Observer) ended(r *reflector) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.stop()
	close(r.done)
	if o.ending[r.gk] == r {
		delete(o.ending, r.gk)
	}
}

// always are the kinds that the observer needs itself.
var always = []model.GroupKind{kindNamespace, kindCRD, kindAPIService}

// ForgetNames ends what WatchNames began, for kinds that nobody watches as a
// whole: their watches, and what is in memory of their objects. Nothing is known
// of them then, which is not that they are gone. It does not wait.
func (o *Observer) ForgetNames(gks ...model.GroupKind) {
	var forgotten []model.GroupKind
	o.mu.Lock()
	for _, gk := range gks {
		r := o.wanted[gk]
		if r == nil || r.full.Load() || slices.Contains(always, gk) {
			continue
		}
		delete(o.wanted, gk)
		if r.stop != nil {
			r.stop()
			o.ending[gk] = r
		}
		o.store.dropKind(gk)
		forgotten = append(forgotten, gk)
	}
	o.mu.Unlock()
	for _, gk := range forgotten {
		o.kindChanged(gk)
	}
}

// Synced reports whether absence of an object of the kind would be known.
func (o *Observer) Synced(gk model.GroupKind) bool { return o.store.kindState(gk) == stateLive }

// WaitSynced waits until every kind is synced. It returns a fault kind_unknown
// at once when complete discovery says that the cluster does not serve one of
// them, and a fault kind_unsynced naming the first that is missing when ctx
// ends before.
func (o *Observer) WaitSynced(ctx context.Context, gks ...model.GroupKind) error {
	for {
		o.mu.Lock()
		changed := o.changed
		o.mu.Unlock()
		missing := slices.IndexFunc(gks, func(gk model.GroupKind) bool { return !o.Synced(gk) })
		if missing < 0 {
			return nil
		}
		if _, err := o.Kind(gks[missing]); fault.HasCode(err, codeKindUnknown) {
			return err
		}
		select {
		case <-ctx.Done():
			e := fault.Wrap(context.Cause(ctx), fault.Unavailable, "kind_unsynced", "the objects of kind %s are not known yet", gks[missing])
			if why := o.store.kindReason(gks[missing]); why != "" {
				e.Message += ": " + why
			}
			return e
		case <-changed:
		}
	}
}

// Get answers what is known of one object. With Unknown the record is the last
// one known, if any. Cluster-scoped objects have no namespace in their key.
func (o *Observer) Get(key model.ObjectKey) (live.Record, live.Presence) { return o.store.get(key) }

// AppsOf are the names of the applications that an object belongs to, by its
// tracking id or through its owners.
func (o *Observer) AppsOf(key model.ObjectKey) []string { return o.store.appsOf(key) }

// Tracked lists the objects whose tracking id names the application.
func (o *Observer) Tracked(app string) []live.Record { return o.store.tracked(app) }

// Children lists the objects that name uid as an owner.
func (o *Observer) Children(uid string) []live.Record { return o.store.ownedBy(uid) }

// List returns the records of a kind.
func (o *Observer) List(gk model.GroupKind) []live.Record { return o.store.list(gk) }

// In returns the records of a kind in some namespaces; with topLevel only of
// objects that no other owns.
func (o *Observer) In(gk model.GroupKind, namespaces map[string]bool, topLevel bool) []live.Record {
	return o.store.in(gk, namespaces, topLevel)
}

// Namespaces counts the namespaces of the cluster, as far as known, without
// the excluded ones; of an observer that looks only into some, those.
func (o *Observer) Namespaces() int {
	if n := len(o.opts.Namespaces); n > 0 {
		return n
	}
	return o.store.count(kindNamespace)
}

// Subscribe adds a function that is called for every change, one call at a time
// and in order of the first undelivered change of each object. It must not block
// for long: later events wait, merged by object. Subscribe before Run, or
// events may be missed.
func (o *Observer) Subscribe(f func(live.Event)) { o.queue.subscribe(f) }

// OnKind adds a function that is called when a kind was synced, broke, came back
// or is served in another way, and with the zero value when discovery changed. It is called from the observer's goroutines and
// must return soon. Add it before Run.
func (o *Observer) OnKind(f func(model.GroupKind)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.onKind = append(o.onKind, f)
}

// Saw takes an object as the API server answered it to our own request, so that
// nobody has to wait for the watch to bring it. Older news than what is known,
// and kinds that are not watched, are ignored. An object that cannot be read is
// an error; the watch will bring it.
func (o *Observer) Saw(obj []byte) error {
	gk, err := kindOf(obj)
	if err != nil {
		return err
	}
	full, watched := o.store.wantsFull(gk)
	if !watched {
		return nil
	}
	_, err = o.accept(gk, "", obj, full, func(rec live.Record) (live.Event, bool) { return o.store.saw(rec, full) })
	return err
}

// kindChanged tells waiters and subscribers; the zero GroupKind stands for
// discovery itself.
func (o *Observer) kindChanged(gk model.GroupKind) {
	o.mu.Lock()
	close(o.changed)
	o.changed = make(chan struct{})
	subs := o.onKind
	o.mu.Unlock()
	for _, f := range subs {
		f(gk)
	}
}

// jitter returns a random duration in [d/2, d).
func jitter(d time.Duration) time.Duration {
	if d <= 1 {
		return d
	}
	return d/2 + rand.N(d/2)
}
