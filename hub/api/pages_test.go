package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/inventory"
)

// keptPages is kept, near and far.
type keptPages struct{ kept }

func (k *keptPages) Get(ctx context.Context, name string, _ bool) ([]byte, bool) {
	return k.kept.Get(ctx, name)
}

func (k *keptPages) Put(ctx context.Context, name string, value []byte, _ bool) {
	k.kept.Put(ctx, name, value)
}

// TestA38_ListsThatAreKeptEqualTheSingleDecisions: users ask the same questions, each
// first or after another, while the policy changes between requests. A right that is
// given or taken back holds for the next list; nothing that is kept is ever forgotten.
func TestA38_ListsThatAreKeptEqualTheSingleDecisions(t *testing.T) {
	pages := &keptPages{}
	var passed atomic.Int64 // seconds
	var index *inventory.Index
	w, _ := newPolicyWorld(t, "", func(o *Options) {
		index = inventory.New(inventory.Options{Store: o.Store.(*fakeStore), Log: o.Log, Pages: pages,
			Now: func() time.Time { return start.Add(time.Duration(passed.Load()) * time.Second) }})
		_ = index.Load(t.Context())
		o.Inventory = index
	})
	w.index = index
	var all []string
	for i, name := range []string{"api", "prod-1", "prod-2"} {
		w.put("shop", name)
		w.put("bank", fmt.Sprintf("core-%d", i))
		all = append(all, name, fmt.Sprintf("core-%d", i))
	}
	all = append(all, "web")
	slices.Sort(all)
	r := rand.New(rand.NewPCG(8, 9))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	partial := 0
	for range 40 {
		var b strings.Builder
		for range 1 + r.IntN(5) {
			fmt.Fprintf(&b, "p, %s, applications, get, \"%s\", %s\n", pick("alice", "bob", "role:both"), pick("*", "shop/*", "*/web", "sh*/p*", "bank/core-1", "bank/*"), pick("allow", "allow", "allow", "deny"))
		}
		w.putPolicy(map[string]string{"policy.csv": b.String() + "g, alice, role:both\ng, bob, role:both\n"})
		passed.Add(10)
		for range 4 {
			who := w.session(pick("alice", "bob", "eve"))
			query := pick("?limit=500", "?limit=500&facets=none", "?limit=500&sort=-name")
			listed := w.call("GET", "/api/v1/applications"+query, "", who).names(t)
			var single []string
			for _, name := range all {
				if w.call("GET", "/api/v1/applications/"+name, "", who).status == http.StatusOK {
					single = append(single, name)
				}
			}
			if !slices.Equal(listed, single) {
				t.Fatalf("%s\n%s lists %v; single decisions allow %v", b.String(), query, listed, single)
			}
			if len(single) > 0 && len(single) < len(all) {
				partial++
			}
		}
	}
	if pages.hit < 20 || partial < 20 {
		t.Errorf("%d hits of %d looks, %d partial lists: this shows nothing", pages.hit, pages.asked, partial)
	}

	// What commands are decided by is made anew.
	before := pages.asked
	admin := "Authorization: Bearer " + w.as(true)
	w.call("POST", "/api/v1/jobs", `{"kind":"refresh","filter":"name:prod-*"}`, admin).ok(202)
	if pages.asked != before {
		t.Error("a job took what it is about from a cache")
	}
}
