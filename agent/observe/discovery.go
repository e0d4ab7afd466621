package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Codes of errors about kinds.
const (
	codeKindUnknown      = "kind_unknown"
	codeKindUndetermined = "kind_undetermined"
)

const (
	acceptAggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
		"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"

	// refreshDebounce lets a burst of changes cause one refresh.
	refreshDebounce = 150 * time.Millisecond
	// refreshMinimum is the least time between refreshes that unknown kinds
	// ask for.
	refreshMinimum = 10 * time.Second
	// settleFirst and settleCap pace refreshes while discovery lags behind the
	// CustomResourceDefinitions that exist.
	settleFirst = 500 * time.Millisecond
	settleCap   = time.Minute
	// rediscover is how often an observer asks that may not watch the definitions,
	// so that nothing tells it of a new kind.
	rediscover = 5 * time.Minute
)

// discovery keeps the catalogue. It asks the server only when something says
// that the answer changed.
type discovery struct {
	get  func(ctx context.Context, path string, query url.Values, accept string) ([]byte, string, error)
	now  func() time.Time
	log  *slog.Logger
	kick chan struct{}

	refreshing sync.Mutex // one refresh at a time

	mu   sync.RWMutex
	cat  *catalogue // nil until a refresh succeeded
	last time.Time  // end of the last refresh
	err  error      // of the last refresh
	// defined are the definitions of custom resources seen last, by name
	// "plural.group".
	defined map[string]bool
}

// refreshSoon asks runDiscovery for a refresh.
func (d *discovery) refreshSoon() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// lookup answers from the catalogue.
func (d *discovery) lookup(gk model.GroupKind) (live.Kind, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.cat == nil {
		return live.Kind{}, fault.Wrap(d.err, fault.Unavailable, codeKindUndetermined,
			"whether the cluster serves kind %s is not known, because its API discovery has not answered yet", gk)
	}
	if k, ok := d.cat.kinds[gk]; ok {
		return k, nil
	}
	if why, failed := d.cat.failed[gk.Group]; failed {
		return live.Kind{}, fault.New(fault.Unavailable, codeKindUndetermined,
			"whether the cluster serves kind %s is not known: %s", gk, why)
	}
	return live.Kind{}, fault.New(fault.Unprocessable, codeKindUnknown, "the cluster does not serve kind %s", gk).
		WithFix("Install the CustomResourceDefinition of %s in the cluster, or take objects of this kind out of the application.", gk)
}

// refresh asks the server. changed is true when kinds are served in another way
// than before.
func (d *discovery) refresh(ctx context.Context) (changed bool, err error) {
	d.refreshing.Lock()
	defer d.refreshing.Unlock()
	d.mu.RLock()
	before := d.cat
	d.mu.RUnlock()
	gvs, err := d.fetch(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = d.now()
	d.err = err
	if err != nil {
		return false, err
	}
	d.cat = build(gvs, before)
	return !d.cat.equal(before), nil
}

// fetch reads the core group and all others; with aggregated discovery that is
// one request each.
func (d *discovery) fetch(ctx context.Context) ([]groupVersion, error) {
	core, err := d.fetchRoot(ctx, "/api")
	if err != nil {
		return nil, err
	}
	others, err := d.fetchRoot(ctx, "/apis")
	if err != nil {
		return nil, err
	}
	return append(core, others...), nil
}

func (d *discovery) fetchRoot(ctx context.Context, path string) ([]groupVersion, error) {
	body, _, err := d.get(ctx, path, nil, acceptAggregated)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "discovery_failed", "the cluster's API discovery does not answer")
	}
	gvs, aggregated, err := parseAggregated(body)
	if err == nil && !aggregated {
		if path == "/api" {
			gvs, err = parseCoreVersions(body)
		} else {
			gvs, err = parseGroups(body)
		}
		if err == nil {
			gvs, err = d.fetchEach(ctx, path, gvs)
		}
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Upstream, "discovery_failed", "the cluster's API discovery answers something that cannot be read")
	}
	if len(gvs) == 0 {
		return nil, fault.New(fault.Upstream, "discovery_failed", "the cluster's API discovery answers that it serves nothing")
	}
	return gvs, nil
}

// fetchEach reads the resources of each version; one that fails makes only its
// own group undetermined.
func (d *discovery) fetchEach(ctx context.Context, path string, gvs []groupVersion) ([]groupVersion, error) {
	for i, gv := range gvs {
		p := path + "/" + gv.version
		if gv.group != "" {
			p = path + "/" + gv.group + "/" + gv.version
		}
		body, _, err := d.get(ctx, p, nil, "application/json")
		if err == nil {
			gvs[i], err = parseResourceList(gv.group, gv.version, body)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			gvs[i].failed = fmt.Sprintf("the server behind %s does not answer", strings.TrimPrefix(p, path+"/"))
		}
	}
	return gvs, nil
}

// parseCoreVersions reads the versions of the core group of servers without
// aggregated discovery.
func parseCoreVersions(body []byte) (out []groupVersion, err error) {
	var l struct {
		Kind     string   `json:"kind"`
		Versions []string `json:"versions"`
	}
	if err := json.Unmarshal(body, &l); err != nil {
		return nil, err
	}
	if l.Kind != "APIVersions" {
		return nil, fmt.Errorf("the answer is not a list of API versions")
	}
	for _, v := range l.Versions {
		if segment(v) {
			out = append(out, groupVersion{version: v})
		}
	}
	return out, nil
}

// Kind says how a kind is served. A kind that complete discovery does not name
// is a fault kind_unknown, and discovery is asked again in the background, but
// not too often; where discovery failed it is kind_undetermined.
func (o *Observer) Kind(gk model.GroupKind) (live.Kind, error) {
	k, err := o.disc.lookup(gk)
	if err != nil {
		o.disc.mu.RLock()
		old := o.now().Sub(o.disc.last) >= refreshMinimum
		o.disc.mu.RUnlock()
		if old {
			o.disc.refreshSoon()
		}
	}
	return k, err
}

// Kinds lists every kind that the cluster serves, by group and kind.
func (o *Observer) Kinds() []live.Kind {
	o.disc.mu.RLock()
	defer o.disc.mu.RUnlock()
	if o.disc.cat == nil {
		return nil
	}
	return o.disc.cat.sorted()
}

// RefreshDiscovery asks the cluster now what it serves, and waits for the answer.
func (o *Observer) RefreshDiscovery(ctx context.Context) error {
	changed, err := o.disc.refresh(ctx)
	if changed {
		o.discoveryChanged()
	}
	return err
}

// discoveryChanged wakes reflectors whose kind may be served now, or in another
// way, and tells subscribers of those whose answer changed.
func (o *Observer) discoveryChanged() {
	o.mu.Lock()
	rs := make([]*reflector, 0, len(o.wanted))
	for _, r := range o.wanted {
		rs = append(rs, r)
	}
	o.mu.Unlock()
	for _, r := range rs {
		k, err := o.disc.lookup(r.gk)
		if err == nil && r.servedAt(resourcePath(k)) {
			continue
		}
		if err == nil || fault.HasCode(err, codeKindUnknown) {
			r.restart()
		}
	}
	// Somebody may wait for a kind that is not watched, or for the answer that
	// it does not exist.
	o.kindChanged(model.GroupKind{})
}

// runDiscovery refreshes at the start until it succeeds, and then when asked.
func (o *Observer) runDiscovery(ctx context.Context) {
	pause := settleFirst
	for {
		changed, err := o.disc.refresh(ctx)
		if ctx.Err() != nil {
			return
		}
		if changed {
			o.discoveryChanged()
			pause = settleFirst
		}
		if err != nil {
			o.log.Warn("API discovery failed", "error", err)
		}
		// While something is known to be missing, ask again at growing
		// intervals; otherwise not before something changes. A definition that
		// is never served, as its names are taken, is not waited for for ever.
		var again <-chan time.Time
		var timer *time.Timer
		if err != nil || o.disc.failedGroups() || o.lagging() && pause < settleCap {
			timer = time.NewTimer(jitter(pause))
			again = timer.C
			pause = min(2*pause, settleCap)
		} else {
			pause = settleFirst
			if len(o.opts.Namespaces) > 0 {
				timer = time.NewTimer(jitter(o.rediscover))
				again = timer.C
			}
		}
		select {
		case <-ctx.Done():
		case <-again:
		case <-o.disc.kick:
			debounce := time.NewTimer(refreshDebounce)
			select {
			case <-ctx.Done():
			case <-debounce.C:
			}
			debounce.Stop()
			select { // what came meanwhile is covered by the refresh that follows
			case <-o.disc.kick:
			default:
			}
			pause = settleFirst
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// lagging reports whether discovery does not agree with the definitions of
// custom resources: the server needs a moment to publish a new one and to forget
// an old one.
func (o *Observer) lagging() bool {
	if o.store.kindState(kindCRD) != stateLive {
		return false
	}
	d := o.disc
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cat == nil {
		return false
	}
	exist := map[string]bool{}
	lags := false
	for _, rec := range o.store.list(kindCRD) {
		exist[rec.Key.Name] = true
		if !rec.Deleting && !d.cat.resources[rec.Key.Name] {
			lags = true
		}
	}
	for name := range d.defined {
		if !exist[name] && d.cat.resources[name] { // removed, and still served
			lags, exist[name] = true, true
		}
	}
	d.defined = exist
	return lags
}

// failedGroups reports whether discovery of some group failed.
func (d *discovery) failedGroups() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.cat == nil || len(d.cat.failed) > 0
}
