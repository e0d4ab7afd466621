package access

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// small is a server on objects in memory, with an API server that a test plays.
func small(t *testing.T, api http.HandlerFunc, o *objects, managed ...model.ObjectKey) (*Server, *policy, *books) {
	t.Helper()
	if api == nil {
		api = func(http.ResponseWriter, *http.Request) {}
	}
	web := httptest.NewServer(api)
	t.Cleanup(web.Close)
	p := &policy{denied: map[string]string{}}
	b := &books{apps: map[model.AppUID]book{app: {name: "shop", objects: managed}}}
	s, err := New(Options{Config: &rest.Config{Host: web.URL}, Applications: b, Objects: o, Veto: p, Actions: someActions{}, Recheck: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s, p, b
}

// What is shown ends when the cluster's policy, the application or the project
// does not let it be shown any more.
func TestGuardEndsWithThePermission(t *testing.T) {
	for name, c := range map[string]struct {
		take func(s *Server, p *policy, b *books)
		code string
	}{
		"a veto": {func(_ *Server, p *policy, _ *books) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.denied["exec Pod"] = "vetoed"
		}, "vetoed"},
		"the object has left": {func(_ *Server, _ *policy, b *books) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.apps[app] = book{name: "shop"}
		}, "object_left"},
		"the application has gone": {func(_ *Server, _ *policy, b *books) { b.forget(app) }, "application_not_held"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := object("Pod a/p", "shop")
			s, p, b := small(t, nil, &objects{records: []live.Record{pod}}, pod.Key)
			all, err := s.reach(app)
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			p.asked = make(chan struct{})
			g, stop := s.guard(&answer{ctx: as(t.Context(), ""), app: app}, "exec", all)
			defer stop()
			for range 3 { // it looks again and again, and goes on
				select {
				case <-p.asked:
				case <-g.ctx.Done():
				case <-time.After(patience):
					t.Fatal("it does not look")
				}
			}
			if g.ctx.Err() != nil {
				t.Fatalf("it ended by itself: %v", context.Cause(g.ctx))
			}
			c.take(s, p, b)
			select {
			case <-g.ctx.Done():
			case <-time.After(patience):
				t.Fatal("it goes on")
			}
			if err := context.Cause(g.ctx); !fault.HasCode(err, c.code) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// An object that is gone from the cluster tells its own end.
func TestObjectThatIsGoneHasNotLeft(t *testing.T) {
	pod := object("Pod a/p", "shop")
	s, _, _ := small(t, nil, &objects{}, pod.Key)
	if err := s.still(nil, "logs", reached{Record: pod}); err != nil {
		t.Error(err)
	}
}

// An object that was replaced by another of its name is not the one that the books
// mean: its content may be anybody's.
func TestA13_WhatHasTheNameOnlyIsNotShown(t *testing.T) {
	for _, uid := range []string{"uid of another", ""} {
		for name, read := range map[string]func(*Server, context.Context, reached) (any, error){
			"its content": func(s *Server, ctx context.Context, r reached) (any, error) {
				return s.redactedJSON(ctx, "app", r, false)
			},
			"its actions": func(s *Server, ctx context.Context, r reached) (any, error) { return s.read(ctx, r) },
			"its logs":    func(s *Server, ctx context.Context, r reached) (any, error) { return s.readPod(ctx, r) },
		} {
			pod := object("Pod a/p", "shop")
			s, _, _ := small(t, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"a","uid":%q}}`, uid)
			}, &objects{records: []live.Record{pod}}, pod.Key)
			kind, _ := (&objects{}).Kind(pod.Key.GroupKind())
			if got, err := read(s, as(t.Context(), ""), reached{pod, kind}); !fault.HasCode(err, "object_gone") {
				t.Errorf("%s, of %q: %v, %v", name, uid, got, err)
			}
		}
	}
}

func TestProjectBoundsWhatIsReached(t *testing.T) {
	pod, secret := object("Pod a/p", "shop"), object("Secret a/s", "shop")
	s, _, _ := small(t, nil, &objects{records: []live.Record{pod, secret}}, pod.Key, secret.Key)
	s.o.Permitted = func(_ model.AppUID, key model.ObjectKey) error {
		if key.Kind == "Secret" {
			return fault.New(fault.Denied, "kind_denied", "no")
		}
		return nil
	}
	all, err := s.reach(app)
	if err != nil || keysOf(all) != "Pod a/p" {
		t.Errorf("reached %s, %v", keysOf(all), err)
	}
}

// crowd counts who is in a handler at once. The first leave when as many are there as
// are let in, and there was time for one more.
type crowd struct {
	mu         sync.Mutex
	full, over chan struct{}
	size       int
	now, most  int
}

func newCrowd(size int) *crowd {
	return &crowd{size: size, full: make(chan struct{}), over: make(chan struct{})}
}

func (c *crowd) enter() (leave func()) {
	c.mu.Lock()
	c.now++
	if c.now > c.most {
		switch c.most = c.now; c.most {
		case c.size:
			time.AfterFunc(50*time.Millisecond, func() { close(c.full) })
		case c.size + 1:
			close(c.over)
		}
	}
	c.mu.Unlock()
	select {
	case <-c.full:
	case <-c.over:
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now--
	}
}

// Of a namespace that is full of others' events only what is asked for is held,
// the newest, and only a few lists are read at once.
func TestListOfEventsHoldsOnlyWhatIsWanted(t *testing.T) {
	var pages atomic.Int32
	c := newCrowd(eventLists)
	s, _, _ := small(t, func(w http.ResponseWriter, r *http.Request) {
		defer c.enter()()
		pages.Add(1)
		page := 0
		fmt.Sscan(r.URL.Query().Get("continue"), &page)
		var items []string
		for i := range 50 {
			items = append(items, fmt.Sprintf(`{"metadata":{"uid":"%d-%d","creationTimestamp":%q},"involvedObject":{"uid":%q},"message":%q}`,
				page, i, at(page*50+i).Format(time.RFC3339), []string{"mine", "theirs"}[i%2], strings.Repeat("x", 5000)))
		}
		next := ""
		if page < 3 {
			next = fmt.Sprint(page + 1)
		}
		fmt.Fprintf(w, `{"metadata":{"resourceVersion":"7","continue":%q},"items":[%s]}`, next, strings.Join(items, ","))
	}, &objects{})
	who := audience{"mine": {Kind: "Pod", Name: "p"}}
	results := make(chan error, 6)
	for range cap(results) {
		go func() {
			list, version, err := s.listEvents(as(context.Background(), ""), eventPlace{namespace: "a"}, 10, who.pick)
			if err == nil && (version != "7" || len(newestEvents(list, 10)) != 10 || list[0].UID != "3-48" || len(list) > 35 || len(list[0].Message) > 4100) {
				err = fmt.Errorf("%d events at %s, the first %s", len(list), version, list[0].UID)
			}
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if c.most != eventLists || pages.Load() != 24 {
		t.Errorf("%d lists at once, %d pages", c.most, pages.Load())
	}
}

func TestFewObjectsAreInMemoryAtOnce(t *testing.T) {
	c := newCrowd(maxReads)
	s, _, _ := small(t, func(w http.ResponseWriter, _ *http.Request) {
		defer c.enter()()
		fmt.Fprint(w, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"a","uid":"uid of ConfigMap a/c"}}`)
	}, &objects{})
	kind, _ := (&objects{}).Kind(model.GroupKind{Kind: "ConfigMap"})
	results := make(chan error, 20)
	for range cap(results) {
		go func() {
			_, err := s.redactedJSON(as(context.Background(), ""), "app", reached{object("ConfigMap a/c", ""), kind}, false)
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if c.most != maxReads {
		t.Errorf("%d objects at once", c.most)
	}
}

// A change of one object wakes those who wait for it and those who wait for any,
// and nobody else; what was waited for is not remembered.
func TestNewsOfOneObject(t *testing.T) {
	n := newNews()
	mine, theirs := object("Pod a/mine", "").Key, object("Pod a/theirs", "").Key
	woke := func(ch <-chan struct{}) bool {
		select {
		case <-ch:
			return true
		default:
			return false
		}
	}
	one, leave := n.nextOf(mine)
	any1 := n.next()
	n.publish(theirs)
	if woke(one) || !woke(any1) {
		t.Error("a change of another object wakes the wrong ones")
	}
	n.publish(mine)
	if !woke(one) {
		t.Error("its change wakes nobody")
	}
	again, leave2 := n.nextOf(mine)
	leave()
	if n.publish(mine); !woke(again) {
		t.Error("who left took the others along")
	}
	leave2()
	if len(n.of) != 0 {
		t.Errorf("%d are remembered", len(n.of))
	}
}

// followed is what following one container says, whose pod and log are played.
func followed(t *testing.T, q model.LogQuery, log func(n int, r *http.Request, w http.ResponseWriter), status func(opened int) string) []string {
	t.Helper()
	var opened atomic.Int32
	pod := object("Pod a/p", "shop")
	s, _, _ := small(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/log") {
			log(int(opened.Add(1)), r, w)
			return
		}
		fmt.Fprintf(w, `{"metadata":{"uid":%q},"spec":{"containers":[{"name":"main"}]},"status":%s}`, pod.UID, status(int(opened.Load())))
	}, &objects{records: []live.Record{pod}}, pod.Key)
	all, err := s.reach(app)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	f, err := filterOf(q, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l := &logFollower{s: s, a: &answer{app: app}, q: q, f: f, out: make(chan model.AccessAnswer, 100)}
	ctx, cancel := context.WithTimeout(as(t.Context(), ""), patience)
	defer cancel()
	l.follow(ctx, source{LogSource: model.LogSource{Number: 1, Pod: "p", Container: "main"}, pod: all[0]}, true)
	close(l.out)
	var said []string
	for m := range l.out {
		for _, line := range m.Lines {
			said = append(said, string(line.Text))
		}
		if m.Notice != nil {
			said = append(said, m.Notice.Code)
		}
	}
	return said
}

const (
	runs = `{"phase":"Running","containerStatuses":[{"name":"main","containerID":"1","state":{"running":{"startedAt":"t1"}}}]}`
	over = `{"phase":"Failed","containerStatuses":[{"name":"main","containerID":"1","state":{"terminated":{"containerID":"1","startedAt":"t1"}}}]}`
)

// The last lines of a container, which say why it ended, are read although the
// stream broke off before them.
func TestEndOfALifeIsReadAfterABreak(t *testing.T) {
	said := followed(t, model.LogQuery{Follow: true}, func(n int, _ *http.Request, w http.ResponseWriter) {
		fmt.Fprint(w, stamp(at(1), "hello"))
		if n == 1 {
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, stamp(at(2), "fatal"))
	}, func(opened int) string {
		if opened == 0 {
			return runs
		}
		return over
	})
	if got := strings.Join(said, ", "); got != "hello, fatal" {
		t.Errorf("it says: %s", got)
	}
}

// A quiet log that is opened again does not bring what tail left out.
func TestTailIsKeptUntilSomethingWasRead(t *testing.T) {
	tail := int64(0)
	said := followed(t, model.LogQuery{Follow: true, Tail: &tail}, func(_ int, r *http.Request, w http.ResponseWriter) {
		if r.URL.Query().Get("tailLines") != "0" {
			fmt.Fprint(w, stamp(at(1), "old"))
		}
	}, func(opened int) string {
		if opened < 2 {
			return runs
		}
		return over
	})
	if len(said) != 0 {
		t.Errorf("it says: %s", said)
	}
}
