package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/auth"
	"github.com/hawser-dev/hawser/hub/auth/authtest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/model"
)

// clusterToken asks for a token of one cluster.
func (w *world) clusterToken(cluster string, header ...string) (token string, until time.Time) {
	w.t.Helper()
	var got struct {
		Token     string
		ExpiresAt time.Time
	}
	w.call("POST", "/api/v1/clusters/"+cluster+"/kubectl-token", "", header...).ok(201).into(&got)
	if !strings.HasPrefix(got.Token, "hwk_") {
		w.t.Fatalf("%+v", got)
	}
	return got.Token, got.ExpiresAt
}

// What kubectl is given is good for one cluster's API server for ten minutes, and
// for nothing else; whoever holds it is whoever asked for it.
func TestA22_ATokenOfOneClusterIsGoodForNothingElse(t *testing.T) {
	w, k, _ := kubeWorld(t, listOfPods)
	w.store.clusters[1].Kubectl = true
	now := start
	w.auth = auth.New(w.store, func() time.Time { return now }, w.opts.Log)
	w.auth.SignWith(authtest.Signer("of this hub"))
	w.opts.Auth = w.auth
	w.handler = New(w.opts)
	token, until := w.clusterToken("eu")
	if d := until.Sub(start); d <= 0 || d > 10*time.Minute {
		t.Errorf("it lives %s", d)
	}
	bearer := "Authorization: Bearer " + token
	w.call("GET", podsOfEU, "", bearer).ok(200)
	if s := string(k.asked[0].Kube.Identity.Statement); !strings.Contains(s, `"user":"hawser:token:ana"`) {
		t.Errorf("it goes as %s", s)
	}
	us := w.call("GET", "/k8s/clusters/us/api/v1/pods", "", bearer)
	none := w.call("GET", "/k8s/clusters/ex/api/v1/pods", "", bearer)
	us.kube(401, "Unauthorized", "token_invalid")
	if us.body != none.body {
		t.Errorf("another cluster and none are told apart:\n%s\n%s", us.body, none.body)
	}
	for _, path := range []string{"/whoami", "/clusters", "/applications"} {
		w.call("GET", "/api/v1"+path, "", bearer).problem(401, "token_invalid")
	}
	w.call("POST", "/api/v1/clusters/eu/kubectl-token", "", bearer).problem(401, "token_invalid")
	w.call("GET", podsOfEU, "", "Authorization: Bearer hwk_A.A").kube(401, "Unauthorized", "token_invalid")
	asked := len(k.asked)

	body, signature, _ := strings.Cut(strings.TrimPrefix(token, "hwk_"), ".")
	holder, err := w.auth.Authenticate(t.Context(), "a", w.token)
	if err != nil {
		t.Fatal(err)
	}
	another := auth.New(w.store, nil, w.opts.Log)
	another.SignWith(authtest.Signer("of another hub"))
	forged, _, err := another.IssueForCluster(holder, "id-eu")
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"no signature": "hwk_" + body, "an empty one": "hwk_" + body + ".", "another hub's": forged, "changed": "hwk_A" + body[1:] + "." + signature,
		"a part more": token + ".x", "long": "hwk_" + strings.Repeat("A", 1<<16), "nothing": "hwk_", "in its other spelling": token + "=",
	} {
		// Asked without a count of attempts, which would refuse the last of them anyway.
		if who, _, err := w.auth.RecheckForCluster(t.Context(), bad); !fault.HasCode(err, "token_invalid") {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	now = until
	w.call("GET", podsOfEU, "", bearer).kube(401, "Unauthorized", "token_expired")
	if len(k.asked) != asked {
		t.Errorf("the agent was asked %d times more", len(k.asked)-asked)
	}
}

// It ends with what it was made for, also where it is open.
func TestA27_KubectlATokenOfOneClusterEndsWithItsHolder(t *testing.T) {
	w, k, _ := kubeWorld(t, func(s *scripted) {
		s.say(model.AccessAnswer{Kube: &model.KubeAnswer{Status: 200, Headers: []model.KubeHeader{{Name: "Content-Type", Values: []string{"application/json"}}}}})
		s.say(model.AccessAnswer{Data: []byte(`{"type":"ADDED","object":{}}` + "\n")})
		<-s.ctx.Done()
	})
	login, err := w.auth.ProviderLogin(t.Context(), "corp", "ann", "ann", []string{"ops"}, false, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		secret string
		end    func(t fleet.APIToken) error
	}{
		"API token": {w.as(true), func(x fleet.APIToken) error { return w.auth.Revoke(t.Context(), x.ID) }},
		"session":   {login.Secret, func(x fleet.APIToken) error { return w.auth.End(t.Context(), x) }},
	} {
		holder, err := w.auth.Authenticate(t.Context(), "a", c.secret)
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := w.auth.IssueForCluster(holder, "id-eu")
		if err != nil {
			t.Fatal(err)
		}
		s := w.serve(t, false)
		req, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL+podsOfEU+"?watch=1", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(resp.Body)
		if name == "session" { // who has no rights
			resp.Body.Close()
			if resp.StatusCode != 404 {
				t.Errorf("%s: %d", name, resp.StatusCode)
			}
		} else if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "ADDED") {
			t.Fatal(line, err)
		}
		if err := c.end(holder); err != nil {
			t.Fatal(err)
		}
		w.call("GET", podsOfEU, "", "Authorization: Bearer "+token).kube(401, "Unauthorized", "session_expired")
		if name == "session" {
			continue
		}
		line, err := in.ReadString('\n')
		if err != nil || !strings.Contains(line, "permission_revoked") {
			t.Errorf("%s: it ends with %q, %v", name, line, err)
		}
		resp.Body.Close()
		await(t, "the stream to the agent to be closed", func() bool { return k.open() == 0 })
	}
}

// What a login has open ends with it within 5 seconds, with the times of the product,
// whether kubectl came with its secret or with a token of one cluster, and at
// whichever hub it ends.
func TestA27_KubectlOfALoginEndsWithIt(t *testing.T) {
	logout := func(ctx context.Context, a *auth.Service, caller fleet.APIToken) error { return a.End(ctx, caller) }
	administrator := func(ctx context.Context, a *auth.Service, caller fleet.APIToken) error {
		return a.EndAnySession(ctx, caller.ID)
	}
	for name, c := range map[string]struct {
		swapped bool // for a token of one cluster
		end     func(context.Context, *auth.Service, fleet.APIToken) error
	}{
		"a logout":                  {false, logout},
		"a logout, of its token":    {true, logout},
		"an administrator":          {false, administrator},
		"an administrator, a token": {true, administrator},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &cluster{answer: func(s *scripted) {
				s.say(model.AccessAnswer{Kube: &model.KubeAnswer{Status: 200, Headers: []model.KubeHeader{{Name: "Content-Type", Values: []string{"application/json"}}}}})
				s.say(model.AccessAnswer{Data: []byte(`{"type":"ADDED","object":{}}` + "\n")})
				<-s.ctx.Done()
			}}
			// What is remembered grows old: the clock of this world goes.
			begun := time.Now()
			now := func() time.Time { return start.Add(time.Since(begun)) }
			var here *auth.Service
			w, _ := newPolicyWorld(t, rightsPolicy, func(o *Options) {
				o.Store.(*fakeStore).Identity.Now = now
				here = auth.New(o.Store.(*fakeStore), now, o.Log)
				here.SignWith(authtest.Signer("of this hub"))
				o.Auth, o.Access, o.Now = here, k, now
				o.Vouch = func(s kubecall.Statement) (model.KubeIdentity, error) {
					return s.Sign(func([]byte) ([]byte, error) { return []byte("signed"), nil })
				}
			})
			w.store.clusters[0].Kubectl = true
			_, secret, _ := strings.Cut(w.session("boss"), "Bearer ")
			caller, err := here.Authenticate(t.Context(), "a", secret)
			if err != nil {
				t.Fatal(err)
			}
			if c.swapped {
				if secret, _, err = here.IssueForCluster(caller, "id-eu"); err != nil {
					t.Fatal(err)
				}
			}
			s := w.serve(t, false)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", s.URL+podsOfEU+"?watch=1", nil)
			req.Header.Set("Authorization", "Bearer "+secret)
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			in := bufio.NewReader(resp.Body)
			if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "ADDED") {
				t.Fatal(resp.StatusCode, line, err)
			}
			ended := time.Now()
			if err := c.end(t.Context(), auth.New(w.store, now, w.opts.Log), caller); err != nil { // another hub's
				t.Fatal(err)
			}
			line, err := in.ReadString('\n')
			if took := time.Since(ended); err != nil || !strings.Contains(line, "permission_revoked") || took > 5*time.Second {
				t.Errorf("after %s it ends with %q, %v", took, line, err)
			}
			await(t, "the stream to the agent to be closed", func() bool { return k.open() == 0 })
		})
	}
}

// Who somebody is to a cluster is judged there once, when a request begins. One that
// goes on ends when it would be somebody else's by now, also where kubectl stays
// allowed.
func TestA27_KubectlEndsWhenSomebodyIsAnotherToTheCluster(t *testing.T) {
	const proxies = "p, ann, clusters, get, *, allow\np, ann, clusters, proxy, *, allow\n"
	k := &cluster{answer: func(s *scripted) {
		s.say(model.AccessAnswer{Kube: &model.KubeAnswer{Status: 200, Headers: []model.KubeHeader{{Name: "Content-Type", Values: []string{"application/json"}}}}})
		s.say(model.AccessAnswer{Data: []byte(`{"type":"ADDED","object":{}}` + "\n")})
		<-s.ctx.Done()
	}}
	begun := time.Now()
	now := func() time.Time { return start.Add(time.Since(begun)) }
	w, _ := newPolicyWorld(t, proxies+"g, ann, role:admin\n", func(o *Options) {
		o.Store.(*fakeStore).Identity.Now = now
		o.Auth, o.Access, o.Now = auth.New(o.Store.(*fakeStore), now, o.Log), k, now
		o.Vouch = func(s kubecall.Statement) (model.KubeIdentity, error) {
			return s.Sign(func([]byte) ([]byte, error) { return []byte("signed"), nil })
		}
	})
	w.store.clusters[0].Kubectl = true
	ann := w.session("ann")
	s := w.serve(t, false)
	follow := func() *bufio.Reader {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		t.Cleanup(cancel)
		req, _ := http.NewRequestWithContext(ctx, "GET", s.URL+podsOfEU+"?watch=1", nil)
		name, value, _ := strings.Cut(ann, ": ")
		req.Header.Set(name, value)
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		in := bufio.NewReader(resp.Body)
		if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "ADDED") {
			t.Fatal(resp.StatusCode, line, err)
		}
		return in
	}
	in := follow()
	w.putPolicy(map[string]string{"policy.csv": proxies})
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "permission_revoked") || !strings.Contains(line, "somebody else") {
		t.Errorf("with the group of administrators gone it goes on with %q, %v", line, err)
	}
	follow() // as who she is now
	if groups := k.asked[1].Kube.Identity.Statement; strings.Contains(string(groups), "role:admin") {
		t.Errorf("begun again it is as %s", groups)
	}
}

// A cluster's setting is remembered for two seconds, and a change at this hub
// counts at once.
func TestTheSettingOfAClusterIsRemembered(t *testing.T) {
	w, _, _ := kubeWorld(t, listOfPods)
	now := start
	w.opts.Now = func() time.Time { return now }
	w.handler = New(w.opts)
	w.call("GET", podsOfEU, "").ok(200)
	set := func(on bool) {
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		w.store.clusters[0].Kubectl = on
	}
	set(false) // at another hub
	w.call("GET", podsOfEU, "").ok(200)
	now = now.Add(callClusterAge)
	w.call("GET", podsOfEU, "").kube(403, "Forbidden", "kubectl_disabled")
	set(true)
	now = now.Add(callClusterAge)
	w.call("GET", podsOfEU, "").ok(200)
	w.call("PUT", "/api/v1/clusters/eu/kubectl", `{"enabled":false}`).ok(200)
	w.call("GET", podsOfEU, "").kube(403, "Forbidden", "kubectl_disabled")
}

// Every way in beside the API is asked as every caller of the table of rights;
// there is none without a line here.
func TestRightsOutsideTheAPI(t *testing.T) {
	const way = "GET " + kubePrefix
	table := map[string]map[string]string{
		way: {"admin": "200", "editor": "403", "operator": "403", "viewer": "403", "other": "404", "nobody": "401", "reader": "403", "deployer": "200", "boss": "200", "stranger": "404", "ci": "404"},
	}
	w, _ := newPolicyWorld(t, rightsPolicy)
	for prefix := range w.handler.(*Handler).api.outside() {
		if table["GET "+prefix] == nil {
			t.Errorf("%s is in no table: who may go there?", prefix)
		}
	}
	for _, who := range callers {
		k := &cluster{answer: listOfPods}
		w, _ := newPolicyWorld(t, rightsPolicy, func(o *Options) {
			o.Access, o.AccessLimits = k, quick
			o.Vouch = func(s kubecall.Statement) (model.KubeIdentity, error) {
				return s.Sign(func([]byte) ([]byte, error) { return []byte("signed"), nil })
			}
		})
		w.store.clusters[0].Kubectl = true
		header := w.headerOf(who)
		a := w.call("GET", podsOfEU, "", header)
		if got := fmt.Sprint(a.status); got != table[way][who.name] {
			t.Errorf("%s: %s, the table says %s: %s", who.name, got, table[way][who.name], a.body)
		}
		if a.status != 200 && len(k.asked) != 0 {
			t.Errorf("%s: the agent was asked", who.name)
		}
		// A token for it is given to whom it would be of use, and to nobody else.
		given := w.call("POST", "/api/v1/clusters/eu/kubectl-token", "", header)
		if (given.status == 201) != (a.status == 200) || given.status != 201 && given.status != a.status {
			t.Errorf("%s: %d, and %d for a token: %s", who.name, a.status, given.status, given.body)
		}
		if given.status == 201 {
			var got struct{ Token string }
			if json.Unmarshal([]byte(given.body), &got) != nil || w.call("GET", podsOfEU, "", "Authorization: Bearer "+got.Token).status != 200 {
				t.Errorf("%s: the token is not taken", who.name)
			}
		}
	}
}
