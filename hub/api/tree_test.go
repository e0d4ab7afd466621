package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// kept is Answers that two hubs share. Every value that was ever there stays.
type kept struct {
	mu         sync.Mutex
	values     map[string][]byte
	asked, hit int
}

func (k *kept) Get(_ context.Context, name string) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	v, ok := k.values[name]
	if ok {
		k.hit++
	}
	return v, ok
}

func (k *kept) Put(_ context.Context, name string, value []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.values == nil {
		k.values = map[string][]byte{}
	}
	k.values[name] = value
}

func someTree(r *rand.Rand) model.ResourceTree {
	t := model.ResourceTree{Nodes: []model.TreeNode{}, Truncated: r.IntN(4) == 0}
	for i := range r.IntN(3) {
		n := model.TreeNode{ObjectKey: model.ObjectKey{Kind: "Pod", Name: fmt.Sprint("<pod>&", i)}, Images: []string{fmt.Sprint("image:", r.IntN(2))}}
		n.Health.Status = []model.Health{model.HealthHealthy, model.HealthDegraded}[r.IntN(2)]
		t.Nodes = append(t.Nodes, n)
	}
	if r.IntN(3) == 0 {
		t.Orphaned, t.OrphanedTotal = []model.TreeNode{{ObjectKey: model.ObjectKey{Kind: "Secret", Name: "left"}}}, 1+r.IntN(2)
	}
	return t
}

// TestATreeThatIsKeptIsTheNewest: two hubs share what they keep, which never forgets,
// and answer as one that keeps nothing, byte for byte, whatever is reported.
func TestATreeThatIsKeptIsTheNewest(t *testing.T) {
	shared := &kept{}
	hubs := []*world{newWorld(t), newWorld(t, func(o *Options) { o.Trees = shared }), newWorld(t, func(o *Options) { o.Trees = shared })}
	for _, w := range hubs {
		for _, name := range []string{"web", "api"} {
			w.call("PUT", "/api/v1/applications/"+name, application(name)).ok(201)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		tree := someTree(r)
		for _, w := range hubs {
			w.store.tree = tree
		}
		for range 1 + r.IntN(3) {
			path := "/api/v1/applications/" + []string{"web", "api"}[r.IntN(2)] + "/tree"
			w := hubs[1+r.IntN(2)]
			got, want := w.call("GET", path, "").ok(200).body, hubs[0].call("GET", path, "").ok(200).body
			if got != want {
				t.Fatalf("with what is kept\n%s\nwithout\n%s", got, want)
			}
			var whole treeAnswer
			if err := json.Unmarshal([]byte(got), &whole); err != nil {
				t.Fatal(err)
			}
			if again, err := json.Marshal(whole); err != nil || string(again) != got {
				t.Fatalf("%s %v is not as documented:\n%s", again, err, got)
			}
		}
	}
	if read := hubs[1].store.treesRead + hubs[2].store.treesRead; shared.hit == 0 || read != shared.asked-shared.hit {
		t.Errorf("%d looks, %d hits, %d trees read", shared.asked, shared.hit, read)
	}
}

// TestA38_WhoMayNotSeeATreeGetsItFromNoCache: it is kept, and another hub takes it
// from there; of who may not see the application nobody even looks.
func TestA38_WhoMayNotSeeATreeGetsItFromNoCache(t *testing.T) {
	shared := &kept{}
	w := newRightsWorld(t)
	w.opts.Trees = shared
	w.login()
	w.store.tree = model.ResourceTree{Nodes: []model.TreeNode{{ObjectKey: model.ObjectKey{Kind: "Pod", Name: "hidden"}}}}
	path := "/api/v1/applications/web/tree"
	for range 2 {
		w.call("GET", path, "").ok(200)
	}
	if shared.hit != 1 {
		t.Fatalf("%d hits", shared.hit)
	}
	stranger := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "bank", Role: "editor"})
	before := shared.asked
	if a := w.call("GET", path, "", stranger); a.status != 404 || strings.Contains(a.body, "hidden") || shared.asked != before {
		t.Errorf("%d %s, %d looks", a.status, a.body, shared.asked-before)
	}
	// He may see it, and then it is another project's between the route's check and
	// the look: as if it were not there.
	friend := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "shop", Role: "viewer"})
	w.call("GET", path, "", friend).ok(200)
	before = shared.asked
	w.store.movesTrees = "bank"
	if a := w.call("GET", path, "", friend); a.status != 404 || strings.Contains(a.body, "hidden") || shared.asked != before {
		t.Errorf("%d %s, %d looks", a.status, a.body, shared.asked-before)
	}
}

// TestNamesOfTreesAreApart: of two states that differ in anything.
func TestNamesOfTreesAreApart(t *testing.T) {
	v := fleet.TreeVersion{App: "a", Digest: "d", At: start}
	names := map[string]string{nameOfTree(v): "as it is"}
	for what, change := range map[string]func(*fleet.TreeVersion){
		"application": func(v *fleet.TreeVersion) { v.App = "b" },
		"digest":      func(v *fleet.TreeVersion) { v.Digest = "e" },
		"time":        func(v *fleet.TreeVersion) { v.At = v.At.Add(1000) },
		"shifted":     func(v *fleet.TreeVersion) { v.App, v.Digest = "a d", "" },
	} {
		other := v
		change(&other)
		if same, ok := names[nameOfTree(other)]; ok && other.Known() {
			t.Errorf("%s and %s", what, same)
		}
		names[nameOfTree(other)] = what
	}
	for _, v := range []fleet.TreeVersion{{}, {App: "a", At: start}, {App: "a", Digest: "d"}, {Digest: "d", At: start}} {
		if v.Known() {
			t.Errorf("%+v says which tree it is", v)
		}
	}
}
