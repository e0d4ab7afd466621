package access

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// eventPage is how many events one request asks for, and eventPages how many
	// requests are made for a namespace: beyond that the oldest of a very busy
	// one are not looked at.
	eventPage  = 200
	eventPages = 100
	// eventLists is how many lists of events an agent reads at once.
	eventLists = 2
	// eventBatch is how many travel in one piece.
	eventBatch = 100
	// clusterEvents is the namespace of events about objects that have none.
	clusterEvents = "default"
	// eventObjects is up to how many objects are asked about one by one.
	eventObjects = 3
)

// kubeEvent is a core/v1 Event, as far as it is shown. The API server serves
// events of both APIs as these.
type kubeEvent struct {
	Metadata struct {
		UID               string    `json:"uid"`
		ResourceVersion   string    `json:"resourceVersion"`
		CreationTimestamp time.Time `json:"creationTimestamp"`
	} `json:"metadata"`
	InvolvedObject struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Namespace  string `json:"namespace"`
		Name       string `json:"name"`
		UID        string `json:"uid"`
		FieldPath  string `json:"fieldPath"`
	} `json:"involvedObject"`
	Type           string     `json:"type"`
	Reason         string     `json:"reason"`
	Message        string     `json:"message"`
	Count          int        `json:"count"`
	FirstTimestamp *time.Time `json:"firstTimestamp"`
	LastTimestamp  *time.Time `json:"lastTimestamp"`
	EventTime      *time.Time `json:"eventTime"`
	Series         *struct {
		Count            int        `json:"count"`
		LastObservedTime *time.Time `json:"lastObservedTime"`
	} `json:"series"`
	Source struct {
		Component string `json:"component"`
		Host      string `json:"host"`
	} `json:"source"`
	ReportingComponent string `json:"reportingComponent"`
}

type kubeEvents struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	} `json:"metadata"`
	Items []kubeEvent `json:"items"`
}

// shown is the event about an object of the application.
func (e kubeEvent) shown(about model.ObjectKey) model.ObjectEvent {
	out := model.ObjectEvent{
		UID: e.Metadata.UID, Type: e.Type, Reason: e.Reason, Message: strings.Clone(cut(e.Message, 4096)), Count: max(e.Count, 1),
		Source: cmp.Or(e.Source.Component, e.ReportingComponent), Object: about, ObjectUID: e.InvolvedObject.UID,
		Field: e.InvolvedObject.FieldPath, FirstSeen: e.Metadata.CreationTimestamp,
	}
	// Older components set timestamps, newer ones a time and a series.
	for _, t := range []*time.Time{e.FirstTimestamp, e.EventTime} {
		if t != nil && !t.IsZero() {
			out.FirstSeen = *t
			break
		}
	}
	out.LastSeen = out.FirstSeen
	if e.LastTimestamp != nil && e.LastTimestamp.After(out.LastSeen) {
		out.LastSeen = *e.LastTimestamp
	}
	if s := e.Series; s != nil {
		out.Count = max(out.Count, s.Count)
		if s.LastObservedTime != nil && s.LastObservedTime.After(out.LastSeen) {
			out.LastSeen = *s.LastObservedTime
		}
	}
	manifest.GuardEvent(&out)
	return out
}

// audience is what the events of an answer may be about, by uid. Objects that
// are gone stay, because what happened to them is told after it did.
type audience map[string]model.ObjectKey

// pick is an event as it is shown, false when it is about something else.
func (a audience) pick(e kubeEvent) (model.ObjectEvent, bool) {
	key, ok := a[e.InvolvedObject.UID]
	if !ok {
		return model.ObjectEvent{}, false
	}
	return e.shown(key), true
}

func (a audience) add(objects []reached) {
	for _, r := range objects {
		a[r.UID] = r.Key
	}
}

// events answers the events of the selected objects.
func (s *Server) events(a *answer, objects []reached, q model.EventQuery) error {
	chosen, err := s.watched(objects, q.ObjectSelector)
	if err != nil {
		return err
	}
	who := audience{}
	who.add(chosen)
	places := placesOf(chosen)
	versions := make([]string, len(places))
	var all []model.ObjectEvent
	for i, p := range places {
		list, version, err := s.listEvents(a.ctx, p, cmp.Or(q.Limit, model.DefaultEvents), who.pick)
		if err != nil {
			return err
		}
		all = append(all, list...)
		versions[i] = version
	}
	all = newestEvents(all, cmp.Or(q.Limit, model.DefaultEvents))
	if q.Follow {
		slices.Reverse(all) // what comes is newer still
	}
	if err := sendEvents(a, all); err != nil || !q.Follow {
		return err
	}
	f := &eventFollower{s: s, a: a, who: who, selector: q.ObjectSelector, found: make(chan kubeEvent, eventBatch), namespaces: map[string]bool{}}
	return f.run(places, versions)
}

// watched are the selected objects that the cluster's policy lets be seen. One
// that was named and may not is an error.
func (s *Server) watched(objects []reached, selector model.ObjectSelector) ([]reached, error) {
	chosen := pick(objects, selector)
	if len(chosen) == 0 {
		return nil, nothingMatches(objects, selector)
	}
	var refusal error
	chosen = slices.DeleteFunc(chosen, func(r reached) bool {
		err := s.o.Veto.Allow("get", r.Key)
		if err != nil {
			refusal = err
		}
		return err != nil
	})
	if len(chosen) == 0 {
		return nil, refusal
	}
	return chosen, nil
}

// newestEvents sorts events, the newest first, and keeps at most n.
func newestEvents(list []model.ObjectEvent, n int) []model.ObjectEvent {
	slices.SortStableFunc(list, func(x, y model.ObjectEvent) int {
		return cmp.Or(y.LastSeen.Compare(x.LastSeen), cmp.Compare(x.UID, y.UID))
	})
	return list[:min(n, len(list))]
}

func sendEvents(a *answer, list []model.ObjectEvent) error {
	for piece := range slices.Chunk(list, eventBatch) {
		if err := a.send(model.AccessAnswer{Events: piece}); err != nil {
			return err
		}
	}
	return nil
}

// eventPlace is where events are asked for: a namespace, and in it all events
// or those about one object.
type eventPlace struct{ namespace, uid string }

func (p eventPlace) query() url.Values {
	q := url.Values{}
	if p.uid != "" {
		q.Set("fieldSelector", "involvedObject.uid="+p.uid)
	}
	return q
}

func (p eventPlace) path() string {
	return "/api/v1/namespaces/" + url.PathEscape(p.namespace) + "/events"
}

// placesOf are the requests that together bring the events of objects: one for
// each of a few objects, or one for each namespace.
func placesOf(objects []reached) []eventPlace {
	var out []eventPlace
	for _, r := range objects {
		p := eventPlace{namespace: cmp.Or(r.Key.Namespace, clusterEvents)}
		if len(objects) <= eventObjects {
			p.uid = r.UID
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// listEvents lists the newest events of a place that keep wants, at most limit of
// them. A namespace may have far more, of others: of each page only what is
// wanted is held.
func (s *Server) listEvents(ctx context.Context, p eventPlace, limit int, keep func(kubeEvent) (model.ObjectEvent, bool)) (out []model.ObjectEvent, version string, err error) {
	select {
	case s.lists <- struct{}{}:
		defer func() { <-s.lists }()
	case <-ctx.Done():
		return nil, "", context.Cause(ctx)
	}
	query := p.query()
	query.Set("limit", strconv.Itoa(eventPage))
	for range eventPages {
		raw, err := s.get(ctx, p.path(), query)
		if err != nil {
			return nil, "", err
		}
		var list kubeEvents
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, "", fault.Wrap(err, fault.Upstream, "cluster_failed", "the cluster's list of events could not be read")
		}
		for _, e := range list.Items {
			if shown, ok := keep(e); ok {
				out = append(out, shown)
			}
		}
		if len(out) > limit {
			out = slices.Clone(newestEvents(out, limit)) // lets go of the others' texts
		}
		version = list.Metadata.ResourceVersion
		if list.Metadata.Continue == "" {
			break
		}
		query.Set("continue", list.Metadata.Continue)
	}
	return out, version, nil
}

const (
	// settleTime is how long changes in the cluster may gather before the
	// objects of an application are looked up anew.
	settleTime = 300 * time.Millisecond
	// maxStrangers is how many events are kept of objects that are not known to
	// belong to the application: an event may come before its object does.
	maxStrangers = 500
)

// eventFollower follows the events of an application's objects, also of those
// that come to it. Its fields belong to run's goroutine.
type eventFollower struct {
	s          *Server
	a          *answer
	who        audience
	selector   model.ObjectSelector
	found      chan kubeEvent
	strangers  []kubeEvent
	namespaces map[string]bool // that are watched
	watches    sync.WaitGroup
}

// run answers what comes until the answer's context ends. places were listed at
// versions.
func (f *eventFollower) run(places []eventPlace, versions []string) error {
	ctx, cancel := context.WithCancelCause(f.a.ctx)
	defer f.watches.Wait()
	defer cancel(nil)
	for i, p := range places {
		f.watch(ctx, cancel, p.namespace, versions[i])
	}
	settle := time.NewTimer(0)
	defer settle.Stop()
	recheck := time.NewTicker(f.s.o.Recheck)
	defer recheck.Stop()
	var changed <-chan struct{}
	for {
		var batch []model.ObjectEvent
		select {
		case <-ctx.Done():
			if f.a.ctx.Err() != nil {
				return nil
			}
			return context.Cause(ctx)
		case e := <-f.found:
			batch = f.take(e, batch)
			for len(f.found) > 0 && len(batch) < eventBatch {
				batch = f.take(<-f.found, batch)
			}
		case <-changed:
			changed = nil
			settle.Reset(settleTime)
		case <-recheck.C:
			if err := f.drop(); err != nil {
				return err
			}
		case <-settle.C:
			changed = f.s.news.next() // before looking, so that nothing is missed
			now, err := f.s.again(f.a.app, f.selector)
			if err != nil {
				return err
			}
			f.who.add(now)
			for _, r := range now {
				f.watch(ctx, cancel, cmp.Or(r.Key.Namespace, clusterEvents), "")
			}
			strangers := f.strangers
			f.strangers = nil
			for _, e := range strangers {
				batch = f.take(e, batch)
			}
		}
		if err := sendEvents(f.a, batch); err != nil {
			return err
		}
	}
}

// drop ends what is told about objects that may not be seen any more. When none
// is left the reason is returned.
func (f *eventFollower) drop() error {
	objects, err := f.s.reach(f.a.app)
	if err != nil {
		return err
	}
	var refusal error
	for uid, key := range f.who {
		if err := f.s.still(objects, "get", reached{Record: live.Record{Key: key, UID: uid}}); err != nil {
			refusal = err
			delete(f.who, uid)
		}
	}
	if len(f.who) == 0 {
		return refusal
	}
	return nil
}

// take appends an event to a batch, or keeps it among the strangers.
func (f *eventFollower) take(e kubeEvent, batch []model.ObjectEvent) []model.ObjectEvent {
	if key, ok := f.who[e.InvolvedObject.UID]; ok {
		return append(batch, e.shown(key))
	}
	if f.strangers = append(f.strangers, e); len(f.strangers) > maxStrangers {
		f.strangers = slices.Delete(f.strangers, 0, len(f.strangers)-maxStrangers)
	}
	return batch
}

// watch begins to watch a namespace, unless it is watched, from a version on, ""
// for from now on.
func (f *eventFollower) watch(ctx context.Context, fail context.CancelCauseFunc, namespace, version string) {
	if f.namespaces[namespace] {
		return
	}
	f.namespaces[namespace] = true
	f.watches.Go(func() {
		if err := f.s.watchEvents(ctx, eventPlace{namespace: namespace}, version, f.found); err != nil {
			fail(err)
		}
	})
}

// again are the selected objects as they are now, none or more. It is an error
// that the application is not held any more.
func (s *Server) again(app model.AppUID, selector model.ObjectSelector) ([]reached, error) {
	objects, err := s.reach(app)
	if err != nil {
		return nil, err
	}
	chosen, _ := s.watched(objects, selector) // that there are none now is no error
	return chosen, nil
}

// watchEvents hands over events of a place from a version on until ctx ends. A
// watch that ends is opened again; one whose version is too old goes on with
// what comes.
func (s *Server) watchEvents(ctx context.Context, p eventPlace, version string, found chan<- kubeEvent) error {
	const leastPause, mostPause = 200 * time.Millisecond, 10 * time.Second
	pause := leastPause
	for ctx.Err() == nil {
		began := time.Now()
		err := func() (err error) {
			if version == "" {
				none := func(kubeEvent) (model.ObjectEvent, bool) { return model.ObjectEvent{}, false }
				if _, version, err = s.listEvents(ctx, p, 0, none); err != nil {
					return err
				}
			}
			version, err = s.watchOnce(ctx, p, version, found)
			return err
		}()
		if err != nil && ctx.Err() == nil && !fault.As(err).Kind.Retryable() {
			return err
		}
		if time.Since(began) > mostPause {
			pause = leastPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, mostPause)
		}
	}
	return nil
}

// watchOnce returns the version to go on from, "" when it is too old.
func (s *Server) watchOnce(ctx context.Context, p eventPlace, version string, found chan<- kubeEvent) (string, error) {
	query := p.query()
	query.Set("watch", "true")
	query.Set("resourceVersion", version)
	query.Set("allowWatchBookmarks", "true")
	resp, err := s.open(ctx, p.path(), query)
	if err != nil {
		return version, err
	}
	defer resp.Body.Close()
	in := json.NewDecoder(resp.Body)
	for {
		var item struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := in.Decode(&item); err != nil {
			return version, nil // it ended, or broke off: it is opened again
		}
		if item.Type == "ERROR" {
			var status struct {
				Code int `json:"code"`
			}
			if json.Unmarshal(item.Object, &status) == nil && status.Code != http.StatusGone {
				return "", refused(status.Code, item.Object)
			}
			return "", nil
		}
		var e kubeEvent
		if err := json.Unmarshal(item.Object, &e); err != nil {
			return version, nil
		}
		version = cmp.Or(e.Metadata.ResourceVersion, version)
		if item.Type != "ADDED" && item.Type != "MODIFIED" {
			continue // a bookmark, or an event whose time is over
		}
		select {
		case found <- e:
		case <-ctx.Done():
			return version, nil
		}
	}
}
