package api

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// notes is the lock of a store that says, when it is asked to, which of its methods
// requests call.
type notes struct {
	sync.Mutex
	note  bool
	names []string
}

func (a *notes) Lock() {
	a.Mutex.Lock()
	if !a.note {
		return
	}
	pcs := make([]uintptr, 128)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	name, request := "", false
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if _, method, ok := strings.Cut(f.Function, "(*fakeStore)."); ok && method != "lock" {
			name = method // the outermost: what was called
		}
		request = request || strings.Contains(f.Function, "gin.(*Engine).ServeHTTP") || strings.Contains(f.Function, "(*kubeCall).serve")
	}
	if request && name != "" && (len(a.names) == 0 || a.names[len(a.names)-1] != name) {
		a.names = append(a.names, name)
	}
}

// during are the methods that a request calls, in their order.
func (a *notes) during(request func()) string {
	a.Mutex.Lock()
	a.note, a.names = true, nil
	a.Mutex.Unlock()
	request()
	a.Mutex.Lock()
	defer a.Mutex.Unlock()
	a.note = false
	return strings.Join(a.names, " ")
}

// Unknown and forbidden are one answer after one way: the same questions to the
// store, in the same order, and nothing told to the other parts. So neither the bytes
// nor the time say which it was. Asked is every route that writes something with a
// name, by somebody with a grant elsewhere, by one whom the policy gives another
// project, and by one who may read elsewhere.
func TestA21_WritesAskTheSameOfHiddenAndUnknown(t *testing.T) {
	csv := "p, alice, *, *, bank/*, allow\np, bob, applications, get, bank/*, allow\n"
	routes := 0
	for _, r := range Routes() {
		if r.Public || r.Method == http.MethodGet || !strings.Contains(r.Path, "/:") {
			continue
		}
		key := r.Method + " " + r.Path
		names, ok := things[strings.Split(r.Path, "/")[1]]
		if !ok {
			continue // of settings, users, tokens: only administrators, whatever the name
		}
		routes++
		for _, who := range []string{"grant", "alice", "bob"} {
			var bodies, ways, told [2]string
			for i, name := range names {
				w, _ := newPolicyWorld(t, csv)
				header := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "bank", Role: "editor"})
				if who != "grant" {
					header = w.session(who)
				}
				// What is kept for a while is there for both.
				w.call("GET", "/api/v1/applications", "", header).ok(200)
				w.calls.take()
				before := w.store.fingerprint()
				path := "/api/v1" + strings.NewReplacer(":name", name, ":id", name, ":role", "ci").Replace(r.Path)
				var a answer
				ways[i] = w.store.mu.during(func() { a = w.short(r.Method, path, bodyNamed(key, name), header) })
				told[i] = w.calls.take()
				if a.status < 400 || w.store.fingerprint() != before {
					t.Errorf("%s: %s is answered %d for %s: %s", key, who, a.status, name, a.body)
				}
				bodies[i] = fmt.Sprint(a.status, " ", strings.ReplaceAll(strings.ReplaceAll(a.body, `"`+names[1], `"`+names[0]), "/"+names[1], "/"+names[0]))
			}
			creates := slices.Contains([]string{"PUT /applications/:name", "PUT /applicationsets/:name"}, key)
			if bodies[0] != bodies[1] && !creates {
				t.Errorf("%s by %s\nhidden:  %s\nunknown: %s", key, who, bodies[0], bodies[1])
			}
			if ways[0] != ways[1] && !creates {
				t.Errorf("%s by %s asks\nhidden:  %s\nunknown: %s", key, who, ways[0], ways[1])
			}
			if told[0] != "" || told[1] != "" {
				t.Errorf("%s by %s\nhidden:  tells %q\nunknown: tells %q", key, who, told[0], told[1])
			}
		}
	}
	if routes < 20 {
		t.Errorf("only %d routes were asked", routes)
	}
}

// The same holds of kubectl, also while others go to the hidden cluster, which is
// remembered for them.
func TestA21_KubectlAsksTheSameOfHiddenAndUnknown(t *testing.T) {
	w, _, _ := kubeWorld(t, listOfPods)
	boss, stranger := w.token, w.as(false, fleet.Grant{Project: "none", Role: fleet.RoleEditor})
	var bodies, ways [2]string
	for i, name := range []string{"eu", "ex"} {
		w.token = boss
		w.call("GET", podsOfEU, "").ok(200)
		w.token = stranger
		w.call("GET", "/k8s/clusters/"+name+"/api/v1/pods", "") // what is kept for a while is there for both
		ways[i] = w.store.mu.during(func() {
			a := w.call("GET", "/k8s/clusters/"+name+"/api/v1/pods", "")
			bodies[i] = fmt.Sprint(a.status, strings.ReplaceAll(a.body, name, "NAME"))
		})
	}
	if ways[0] != ways[1] || ways[0] == "" || bodies[0] != bodies[1] {
		t.Errorf("hidden asks %q and is answered %s\nunknown asks %q and is answered %s", ways[0], bodies[0], ways[1], bodies[1])
	}
}
