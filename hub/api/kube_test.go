package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/model"
)

const podsOfEU = "/k8s/clusters/eu/api/v1/namespaces/shop/pods"

// kubeWorld is a hub that lets kubectl through to eu, whose agent answers as the
// test says.
func kubeWorld(t *testing.T, answer func(s *scripted)) (*world, *cluster, *fakeAudit) {
	t.Helper()
	log := &fakeAudit{}
	w, k := lookWorld(t, answer, func(o *Options) {
		o.Audit = log
		o.Vouch = func(s kubecall.Statement) (model.KubeIdentity, error) {
			return s.Sign(func([]byte) ([]byte, error) { return []byte("signed"), nil })
		}
	})
	w.store.clusters[0].Kubectl = true
	return w, k, log
}

// list answers with a list of pods.
func listOfPods(s *scripted) {
	s.say(model.AccessAnswer{Kube: &model.KubeAnswer{Status: 200, Headers: []model.KubeHeader{{Name: "Content-Type", Values: []string{"application/json"}}}}})
	s.say(model.AccessAnswer{Data: []byte(`{"kind":`)})
	s.say(model.AccessAnswer{Data: []byte(`"PodList"}`)})
	s.end(nil)
}

// status reads an answer as kubectl does.
func (a answer) kube(code int, reason, says string) {
	a.t.Helper()
	var s struct {
		Kind, Status, Reason, Message string
		Code                          int
	}
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.status != code || s.Kind != "Status" || s.Status != "Failure" || s.Code != code || s.Reason != reason || !strings.Contains(s.Message, says) {
		a.t.Errorf("%d %s, %v; want %d, %s and %q", a.status, a.body, err, code, reason, says)
	}
}

func (f *fakeAudit) records() (out []audit.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.chain {
		var r audit.Record
		if json.Unmarshal(s.Record, &r) == nil && r.Action == "kubectl" {
			out = append(out, r)
		}
	}
	return out
}

func TestKubectlIsPassedOn(t *testing.T) {
	w, k, log := kubeWorld(t, listOfPods)
	a := w.call("GET", podsOfEU+"?limit=500&labelSelector=a%3Db", "", "Accept: application/json", "Impersonate-User: system:admin", "Cookie: a=b", "X-Remote-User: x")
	if a.status != 200 || a.body != `{"kind":"PodList"}` || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	q := k.asked[0]
	if q.App != "" || q.By != "ana" || q.Kube.Method != "GET" || q.Kube.Path != "/api/v1/namespaces/shop/pods" || q.Kube.Query != "limit=500&labelSelector=a%3Db" || q.Kube.Body ||
		!reflect.DeepEqual(q.Kube.Headers, []model.KubeHeader{{Name: "Accept", Values: []string{"application/json"}}}) {
		t.Errorf("asked for %+v, %+v", q, q.Kube)
	}
	var s kubecall.Statement
	if err := json.Unmarshal(q.Kube.Identity.Statement, &s); err != nil || s.Cluster != "id-eu" || s.Request != q.ID || s.User != "hawser:token:ana" || !slices.Equal(s.Groups, []string{"hawser:everyone", "hawser:role:admin"}) {
		t.Errorf("the statement is %+v, %v", s, err)
	}
	if !bytes.Equal(s.Digest, kubecall.Digest(q.Kube.Method, q.Kube.Path, q.Kube.Query)) {
		t.Error("the statement is about another request")
	}
	if k.open() != 0 {
		t.Error("streams stay open")
	}
	r := log.records()
	if len(r) != 1 || r[0].Kind != audit.Command || r[0].Outcome != audit.Done || r[0].Cluster != "eu" || r[0].Actor != "ana" || r[0].Status != 200 ||
		r[0].Reason != "GET /api/v1/namespaces/shop/pods, 0 bytes in, 18 bytes out" {
		t.Errorf("the records are %+v", r)
	}
}

// Whoever may not go to a cluster gets the same as for one that there is not.
func TestKubectlIsRefused(t *testing.T) {
	w, k, log := kubeWorld(t, listOfPods)
	own := w.token
	viewer := w.as(false, fleet.Grant{Project: "shop", Role: fleet.RoleEditor})
	other := w.as(false, fleet.Grant{Project: "none", Role: fleet.RoleEditor})
	w.call("GET", "/k8s/clusters/us/api/v1/pods", "").kube(403, "Forbidden", "kubectl is not let through to cluster")
	w.call("GET", "/k8s/clusters/none/api/v1/pods", "").kube(404, "NotFound", "cluster_unknown")
	w.token = viewer
	w.call("GET", podsOfEU, "").kube(403, "Forbidden", "you may not proxy clusters eu")
	w.token = other
	hidden, missing := w.call("GET", podsOfEU, ""), w.call("GET", "/k8s/clusters/ex/api/v1/namespaces/shop/pods", "")
	if hidden.status != 404 || strings.ReplaceAll(hidden.body, `\"eu\"`, `\"ex\"`) != missing.body {
		t.Errorf("hidden and missing are told apart:\n%s\n%s", hidden.body, missing.body)
	}
	w.token = "hwt_wrong"
	w.call("GET", podsOfEU, "").kube(401, "Unauthorized", "token_invalid")
	w.token = own
	w.call("GET", podsOfEU, "", "Authorization:").kube(401, "Unauthorized", "token_missing")
	w.call("GET", podsOfEU, "", "Authorization:", "Cookie: "+cookieName+"="+own).kube(401, "Unauthorized", "token_missing")
	w.call("GET", "/k8s/clusters/eu", "").kube(400, "BadRequest", "path_refused")
	w.call("OPTIONS", podsOfEU, "").kube(400, "BadRequest", "method_refused")
	w.call("GET", podsOfEU+"/p/exec", "", "Connection: Upgrade", "Upgrade: h2c").kube(400, "BadRequest", "upgrade_refused")
	if len(k.asked) != 0 {
		t.Errorf("the agent was asked for %+v", k.asked)
	}
	refusals := 0
	for _, r := range log.records() {
		if r.Kind == audit.Refusal && r.Outcome == audit.Denied {
			refusals++
		}
	}
	if refusals != 8 {
		t.Errorf("%d refusals have a record: %+v", refusals, log.records())
	}
	w.opts.AllowExec = false
	w.login()
	w.call("GET", podsOfEU+"/p/exec?command=sh", "", "Connection: Upgrade", "Upgrade: websocket").kube(403, "Forbidden", "exec_disabled")
}

// What has another spelling than the one is refused as it came, before the agent
// or anybody has read it in another way.
func TestP11TheHubTakesPathsInTheirOneSpelling(t *testing.T) {
	w, k, _ := kubeWorld(t, listOfPods)
	w.store.clusters[1].Kubectl = true
	s := httptest.NewServer(w.handler)
	defer s.Close()
	for _, target := range []string{
		"/k8s/clusters/eu/api/v1/namespaces/a/../kube-system/secrets", "/k8s/clusters/eu/api/v1/namespaces/%2e%2e/secrets", "/k8s/clusters/eu//api/v1/pods", "/k8s/clusters/eu/api/v1/pods/",
		"/k8s/clusters/eu/api/v1/pods;x", "/k8s/clusters/eu/api/v1/nodes/n/proxy/", "/k8s/clusters/us/../eu/api/v1/pods", "/k8s/clusters/../clusters/eu/api/v1/pods", "/k8s//clusters/eu/api/v1/pods",
		"/K8s/clusters/eu/api/v1/pods", "/%6b8s/clusters/eu/api/v1/pods", "/k8s/clusters/e%75/api/v1/pods", "/x/../k8s/clusters/eu/api/v1/pods", "//k8s/clusters/eu/api/v1/pods",
		"http://other/k8s/clusters/eu/api/v1/pods", "/k8s/clusters/eu/api/v1/pods?a;b", "/k8s/clusters/eu/metrics",
	} {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", target, w.token)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 400 && resp.StatusCode != 404 {
			t.Errorf("%s: %v, %v", target, resp, err)
		}
		conn.Close()
	}
	if len(k.asked) != 0 {
		t.Errorf("the agent was asked for %+v", k.asked[0].Kube)
	}
}

// Headers that say who somebody is, however they are written on the wire.
func TestP10TheHubLeavesHeadersBehind(t *testing.T) {
	w, k, _ := kubeWorld(t, listOfPods)
	s := httptest.NewServer(w.handler)
	defer s.Close()
	for name, lines := range map[string]string{
		"plain":         "Impersonate-User: system:admin\r\nImpersonate-Group: system:masters\r\nImpersonate-Uid: 0\r\nImpersonate-Extra-Scopes: x\r\n",
		"odd case":      "iMPERSONATE-uSER: system:admin\r\n",
		"underscores":   "Impersonate_User: system:admin\r\n",
		"folded":        "Accept: application/json\r\n Impersonate-User: system:admin\r\n",
		"by connection": "Connection: close, Impersonate-User, Authorization\r\nImpersonate-User: x\r\n",
		"front proxy":   "X-Remote-User: system:admin\r\nX-Remote-Group: system:masters\r\nX-Forwarded-For: 127.0.0.1\r\n",
		"space":         "Impersonate-User : system:admin\r\n",
		"two tokens":    "Authorization: Bearer of-another\r\n",
	} {
		k.mu.Lock()
		k.asked = nil
		k.mu.Unlock()
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\n%sConnection: close\r\n\r\n", podsOfEU, w.token, lines)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(name, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		conn.Close()
		if name == "two tokens" || name == "space" {
			if len(k.asked) != 0 || resp.StatusCode != 401 && resp.StatusCode != 400 {
				t.Errorf("%s: %d", name, resp.StatusCode)
			}
			continue
		}
		if len(k.asked) != 1 {
			t.Fatalf("%s: asked %d times, %d", name, len(k.asked), resp.StatusCode)
		}
		for _, h := range k.asked[0].Kube.Headers {
			if h.Name != "Accept" && h.Name != "User-Agent" {
				t.Errorf("%s: %+v is passed on", name, h)
			}
		}
		if !strings.Contains(string(k.asked[0].Kube.Identity.Statement), `"user":"hawser:token:ana"`) {
			t.Errorf("%s: as %s", name, k.asked[0].Kube.Identity.Statement)
		}
	}
}

// A page that a cluster answers does not run with the hub's origin, sets no cookie
// and leads nowhere; and an agent answers for its own cluster alone.
func TestT04AClustersAnswerIsNothingOfTheHubs(t *testing.T) {
	var media string
	w, k, _ := kubeWorld(t, func(s *scripted) {
		s.say(model.AccessAnswer{Kube: &model.KubeAnswer{Status: 200, Headers: []model.KubeHeader{
			{Name: "Content-Type", Values: []string{media}}, {Name: "Set-Cookie", Values: []string{cookieName + "=x"}}, {Name: "set-cookie", Values: []string{"a=b"}},
			{Name: "Content-Security-Policy", Values: []string{"default-src *"}}, {Name: "X-Content-Type-Options", Values: []string{"off"}}, {Name: "Location", Values: []string{"https://evil"}},
			{Name: "Access-Control-Allow-Origin", Values: []string{"*"}}, {Name: "Content-Disposition", Values: []string{"inline"}}, {Name: "Strict-Transport-Security", Values: []string{"max-age=0"}}, {Name: "Refresh", Values: []string{"0;url=x"}},
		}}})
		s.say(model.AccessAnswer{Data: []byte("<script>alert(1)</script>")})
		s.end(nil)
	})
	for m, attached := range map[string]bool{"text/html": true, "image/svg+xml": true, "application/xhtml+xml": true, "text/xml": true, "nonsense": true, "text/html; charset=utf-8": true, "application/json": false, "application/vnd.kubernetes.protobuf": false, "text/plain": false} {
		media = m
		h := w.call("GET", podsOfEU, "").ok(200).header
		got := h.Get("Content-Type")
		if attached != (h.Get("Content-Disposition") == "attachment") || attached != (got == "application/octet-stream") {
			t.Errorf("%s is answered as %s, %s", m, got, h.Get("Content-Disposition"))
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Set-Cookie": "", "Location": "", "Access-Control-Allow-Origin": "", "Refresh": "", "Strict-Transport-Security": "max-age=31536000", "Cache-Control": "no-store",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q", m, name, got)
			}
		}
		if csp := h.Values("Content-Security-Policy"); len(csp) != 1 || !strings.HasPrefix(csp[0], "sandbox; default-src 'none'") {
			t.Errorf("%s: the policy is %q", m, csp)
		}
	}
	// The statement is of the cluster that was asked for, so that no other takes it.
	w.store.clusters[1].Kubectl = true
	w.call("GET", "/k8s/clusters/us/api/v1/pods", "").ok(200)
	if last := k.asked[len(k.asked)-1].Kube.Identity.Statement; !strings.Contains(string(last), `"cluster":"id-us"`) {
		t.Errorf("the statement for us is %s", last)
	}
	for _, status := range []int{0, 100, 101, 302, 307, 600} {
		k.answer = func(s *scripted) {
			s.say(model.AccessAnswer{Kube: &model.KubeAnswer{Status: status}})
			s.end(nil)
		}
		w.call("GET", podsOfEU, "").kube(502, "", "access_failed")
	}
}

func TestA22SecretsOfAgentsAreNoneOfUsers(t *testing.T) {
	w, k, _ := kubeWorld(t, listOfPods)
	for _, token := range []string{"hwe_secret", "hwe_" + w.token[4:], "eyJhbGciOiJub25lIn0.eyJhdWQiOiJodWItYWdlbnQifQ."} {
		w.token = token
		w.call("GET", podsOfEU, "").kube(401, "Unauthorized", "token_invalid")
		w.call("GET", "/api/v1/whoami", "").problem(401, "token_invalid")
	}
	if len(k.asked) != 0 {
		t.Error("the agent was asked")
	}
}

// Whatever is open ends with the permission, and kubectl is told why where its
// answer has a form for that.
func TestA27_KubectlEndsWithThePermission(t *testing.T) {
	for name, c := range map[string]struct {
		take func(w *world)
		says string
	}{
		"the token was revoked": {func(w *world) {
			tokens, err := w.auth.Tokens(w.t.Context())
			if err != nil || w.auth.Revoke(w.t.Context(), tokens[0].ID) != nil {
				w.t.Error("not revoked")
			}
		}, "permission_revoked"},
		"kubectl was turned off": {func(w *world) { _ = w.store.SetClusterKubectl(w.t.Context(), "id-eu", false, 0) }, "kubectl_disabled"},
		"the cluster was deleted": {func(w *world) {
			w.store.mu.Lock()
			defer w.store.mu.Unlock()
			w.store.clusters = w.store.clusters[1:]
		}, "permission_revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			w, k, log := kubeWorld(t, func(s *scripted) {
				s.say(model.AccessAnswer{Kube: &model.KubeAnswer{Status: 200, Headers: []model.KubeHeader{{Name: "Content-Type", Values: []string{"application/json"}}}}})
				s.say(model.AccessAnswer{Data: []byte(`{"type":"ADDED","object":{}}` + "\n")})
				<-s.ctx.Done()
			})
			s := w.serve(t, false)
			req, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL+podsOfEU+"?watch=1", nil)
			req.Header.Set("Authorization", "Bearer "+w.token)
			resp, err := s.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			in := bufio.NewReader(resp.Body)
			if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "ADDED") {
				t.Fatal(line, err)
			}
			if r := log.records(); len(r) != 1 || r[0].Kind != audit.Begun {
				t.Errorf("while it goes on the records are %+v", r)
			}
			c.take(w)
			line, err := in.ReadString('\n')
			var event struct {
				Type   string
				Object struct{ Kind, Message string }
			}
			if err != nil || json.Unmarshal([]byte(line), &event) != nil || event.Type != "ERROR" || event.Object.Kind != "Status" || !strings.Contains(event.Object.Message, c.says) {
				t.Errorf("it ends with %q, %v", line, err)
			}
			if _, err := in.ReadByte(); err != io.EOF {
				t.Errorf("after the end: %v", err)
			}
			await(t, "the stream to the agent to be closed", func() bool { return k.open() == 0 })
			await(t, "the end's record", func() bool {
				r := log.records()
				return len(r) == 2 && r[1].Kind == audit.Command && r[1].Code == c.says && r[1].Outcome == audit.Denied
			})
		})
	}
}

// upgrade asks for a command as kubectl does, and returns the connection.
func (w *world) upgrade(t *testing.T, s *httptest.Server) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	u, _ := url.Parse(s.URL)
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "POST %s/p/exec?command=sh HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v5.channel.k8s.io\r\nContent-Length: 0\r\n\r\n", podsOfEU, w.token)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, in, resp
}

func TestUpgradedConnectionsCarryBothWays(t *testing.T) {
	w, k, log := kubeWorld(t, func(s *scripted) {
		s.say(model.AccessAnswer{Kube: &model.KubeAnswer{Status: 101, Headers: []model.KubeHeader{{Name: "X-Stream-Protocol-Version", Values: []string{"v5.channel.k8s.io"}}}}})
		for {
			select {
			case in := <-s.inputs:
				s.say(model.AccessAnswer{Data: []byte("you said " + string(in.Stdin))})
			case <-s.ctx.Done():
				return
			}
		}
	})
	s := httptest.NewServer(w.handler)
	defer s.Close()
	conn, in, resp := w.upgrade(t, s)
	if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "SPDY/3.1" || resp.Header.Get("X-Stream-Protocol-Version") != "v5.channel.k8s.io" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	fmt.Fprint(conn, "hello\n")
	if line, err := in.ReadString('\n'); line != "you said hello\n" {
		t.Fatal(line, err)
	}
	if q := k.asked[0].Kube; q.Upgrade != "SPDY/3.1" || q.Body {
		t.Errorf("asked for %+v", q)
	}
	conn.Close()
	await(t, "the stream to the agent to be closed", func() bool { return k.open() == 0 })
	await(t, "the end's record", func() bool {
		r := log.records()
		return len(r) == 2 && r[0].Kind == audit.Begun && r[1].Kind == audit.Command
	})
	if r := log.records(); !strings.Contains(r[1].Reason, `program "sh", 6 bytes in, 15 bytes out`) || r[1].Outcome != audit.Done {
		t.Errorf("the end's record is %+v", r[1])
	}

	// And it ends with the permission.
	_, in, _ = w.upgrade(t, s)
	if err := w.store.SetClusterKubectl(t.Context(), "id-eu", false, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := in.ReadByte(); err == nil {
		t.Error("something was said")
	}
	await(t, "the stream to the agent to be closed", func() bool { return k.open() == 0 })
}

// What a client sends behind an upgrade that was refused is neither passed on nor
// taken for a request.
func TestP12AfterAFailedUpgradeNothingIsRead(t *testing.T) {
	w, k, _ := kubeWorld(t, func(s *scripted) {
		s.say(model.AccessAnswer{Kube: &model.KubeAnswer{Status: 403, Headers: []model.KubeHeader{{Name: "Content-Type", Values: []string{"text/plain"}}}}})
		s.say(model.AccessAnswer{Data: []byte("no")})
		s.end(nil)
	})
	s := httptest.NewServer(w.handler)
	defer s.Close()
	conn, in, resp := w.upgrade(t, s)
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer %s\r\n\r\n", podsOfEU, w.token)
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 403 || string(body) != "no" || err != nil || !resp.Close {
		t.Errorf("%d %q, %v, closes %v", resp.StatusCode, body, err, resp.Close)
	}
	if rest, _ := io.ReadAll(in); len(rest) != 0 {
		t.Errorf("more is answered: %q", rest)
	}
	if len(k.asked) != 1 {
		t.Errorf("the agent was asked %d times", len(k.asked))
	}
}

func TestBodiesOfKubectl(t *testing.T) {
	got := make(chan string, 1)
	w, _, log := kubeWorld(t, func(s *scripted) {
		all := ""
		for {
			select {
			case in := <-s.inputs:
				if all += string(in.Stdin); !in.StdinEnd {
					continue
				}
			case <-s.ctx.Done():
				return
			}
			break
		}
		got <- all
		listOfPods(s)
	})
	w.call("POST", podsOfEU, "kind: Pod", "Content-Type: application/yaml").ok(200)
	if body := <-got; body != "kind: Pod" {
		t.Errorf("the cluster got %q", body)
	}
	w.call("POST", podsOfEU, strings.Repeat("x", maxCallBody+1)).kube(413, "RequestEntityTooLarge", "body_too_large")
	log.mu.Lock()
	log.broken = true
	log.mu.Unlock()
	w.call("POST", podsOfEU, "kind: Pod").kube(503, "ServiceUnavailable", "audit_unavailable")
	select {
	case body := <-got:
		t.Errorf("what could not be recorded was done: %q", body)
	default:
	}
}

// An agent that answers and takes nothing of the body holds nobody up.
func TestAnAnswerThatComesBeforeTheBodyIsTaken(t *testing.T) {
	w, k, _ := kubeWorld(t, listOfPods)
	begun := time.Now()
	w.call("POST", podsOfEU, "kind: Pod", "Content-Type: application/yaml").ok(200)
	if took := time.Since(begun); took > patience || k.open() != 0 {
		t.Errorf("it took %s, %d streams are open", took, k.open())
	}
}

func TestAnAgentThatIsAwayIsToldToKubectl(t *testing.T) {
	w, k, _ := kubeWorld(t, listOfPods)
	k.refuse = fault.New(fault.Unavailable, "agent_offline", "away")
	w.call("GET", podsOfEU, "").kube(503, "ServiceUnavailable", `the agent of cluster "eu" is not connected to the hub`)
	k.refuse = nil
	k.answer = func(s *scripted) { s.end(fault.New(fault.Denied, "vetoed", "the cluster says no")) }
	w.call("GET", podsOfEU, "").kube(403, "Forbidden", "hawser: the cluster says no")
}
