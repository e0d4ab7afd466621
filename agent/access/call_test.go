package access

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/agent/live"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/tunnel"
	"github.com/hawser-dev/hawser/shared/wire"
)

// callRig is an agent's access server with an API server that the test plays, and
// a hub that may lie at the other end of the tunnel.
type callRig struct {
	t      *testing.T
	hub    *tunnel.Session
	policy *policy
	key    *ecdsa.PrivateKey
	ca     *x509.Certificate
	server *Server
	calls  int
}

func newCallRig(t *testing.T, api http.HandlerFunc, change func(*Options)) *callRig {
	t.Helper()
	web := httptest.NewTLSServer(api)
	t.Cleanup(web.Close)
	r := &callRig{t: t, policy: &policy{denied: map[string]string{}}}
	var err error
	if r.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &r.key.PublicKey, r.key)
	if err != nil {
		t.Fatal(err)
	}
	if r.ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	o := Options{
		Config:       &rest.Config{Host: web.URL, BearerToken: "the agent's own", TLSClientConfig: rest.TLSClientConfig{Insecure: true}},
		Applications: &books{}, Objects: &objects{}, Veto: r.policy, Actions: someActions{}, Recheck: 5 * time.Millisecond,
		AllowKubectl: true, AllowExec: true, Hub: func() (*x509.Certificate, model.ClusterID) { return r.ca, "eu" },
	}
	if change != nil {
		change(&o)
	}
	if r.server, err = New(o); err != nil {
		t.Fatal(err)
	}
	at, from := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.server.Serve(ctx, from) })
	if r.hub, err = tunnel.NewOpener(at, tunnel.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.hub.Close(nil); cancel(); wg.Wait() })
	return r
}

// sign makes the statement of an honest hub.
func (r *callRig) sign(s kubecall.Statement) model.KubeIdentity {
	r.t.Helper()
	id, err := s.Sign(func(sum []byte) ([]byte, error) { return ecdsa.SignASN1(rand.Reader, r.key, sum) })
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *callRig) statement(q model.KubeRequest) kubecall.Statement {
	r.calls++
	return kubecall.Statement{Cluster: "eu", Request: fmt.Sprintf("request-%d", r.calls), Digest: kubecall.Digest(q.Method, q.Path, q.Query), At: time.Now(),
		User: "hawser:user:ann", Groups: []string{"hawser:everyone"}}
}

// open asks as an honest hub does.
func (r *callRig) open(q model.KubeRequest) *tunnel.Stream {
	r.t.Helper()
	s := r.statement(q)
	q.Identity = r.sign(s)
	return r.openAs(s.Request, q)
}

func (r *callRig) openAs(id string, q model.KubeRequest) *tunnel.Stream {
	r.t.Helper()
	st, err := r.hub.Open()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(st.Close)
	if err := st.Send(r.t.Context(), wire.AccessRequestToProto(model.AccessRequest{ID: id, By: "ann", Kube: &q})); err != nil {
		r.t.Fatal(err)
	}
	return st
}

// answerOf reads a whole answer.
func (r *callRig) answerOf(st *tunnel.Stream) (status int, h http.Header, body string, err error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for {
		var p agentv1.AccessAnswer
		if err := st.Receive(ctx, &p); err != nil {
			r.t.Fatalf("the answer ended early: %v", err)
		}
		m, err := wire.AccessAnswer(&p)
		switch {
		case err != nil:
			r.t.Fatal(err)
		case m.End != nil:
			return status, h, body, m.End.Err
		case m.Kube != nil:
			status, h = m.Kube.Status, kubecall.Header(m.Kube.Headers)
		default:
			body += string(m.Data)
		}
	}
}

func (r *callRig) do(q model.KubeRequest) (status int, h http.Header, body string, err error) {
	r.t.Helper()
	return r.answerOf(r.open(q))
}

var getPods = model.KubeRequest{Method: "GET", Path: "/api/v1/namespaces/shop/pods", Query: "limit=500"}

// A hub that was taken over sends whatever headers it likes. What reaches the API
// server says who it is by the signed statement alone.
func TestP10TheAgentTakesNoHeaderThatSaysWhoItIs(t *testing.T) {
	var got http.Header
	var host, uri string
	r := newCallRig(t, func(w http.ResponseWriter, req *http.Request) {
		got, host, uri = req.Header.Clone(), req.Host, req.RequestURI
		w.Header().Set("Set-Cookie", "session=1")
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{}`)
	}, nil)
	q := getPods
	q.Headers = []model.KubeHeader{
		{Name: "Accept", Values: []string{"application/json"}},
		{Name: "Impersonate-User", Values: []string{"system:admin"}}, {Name: "impersonate-user", Values: []string{"system:admin"}},
		{Name: "IMPERSONATE-GROUP", Values: []string{"system:masters"}}, {Name: "Impersonate_User", Values: []string{"system:admin"}},
		{Name: "Impersonate-Uid", Values: []string{"0"}}, {Name: "Impersonate-Extra-Scopes", Values: []string{"all"}},
		{Name: "X-Remote-User", Values: []string{"system:admin"}}, {Name: "X-Remote-Group", Values: []string{"system:masters"}},
		{Name: "Authorization", Values: []string{"Bearer of-somebody"}}, {Name: "Connection", Values: []string{"Impersonate-User, Authorization"}},
		{Name: "Cookie", Values: []string{"a=b"}}, {Name: "Host", Values: []string{"other"}}, {Name: "Transfer-Encoding", Values: []string{"chunked"}}, {Name: "X-Forwarded-For", Values: []string{"127.0.0.1"}},
		{Name: "Upgrade", Values: []string{"websocket"}},
	}
	status, h, _, err := r.do(q)
	if err != nil || status != 200 {
		t.Fatal(status, err)
	}
	want := http.Header{
		"Accept": {"application/json"}, "Authorization": {"Bearer the agent's own"}, "Impersonate-User": {"hawser:user:ann"}, "Impersonate-Group": {"hawser:everyone"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the API server saw\n%v\nand should have seen\n%v", got, want)
	}
	if strings.Contains(host, "other") || uri != q.Path+"?"+q.Query {
		t.Errorf("asked %s for %s", host, uri)
	}
	if h.Get("Set-Cookie") != "" || h.Get("Content-Type") != "application/json" {
		t.Errorf("answered %v", h)
	}
	for name, header := range map[string]model.KubeHeader{
		"twice":                       {Name: "Content-Type", Values: []string{"application/json", "application/yaml"}},
		"folded":                      {Name: "Accept", Values: []string{"a\r\n Impersonate-User: b"}},
		"no text":                     {Name: "Accept", Values: []string{"a\x00"}},
		"a token as WebSocket wants":  {Name: "Sec-WebSocket-Protocol", Values: []string{"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.c2VjcmV0"}},
		"a token beside another word": {Name: "Sec-WebSocket-Protocol", Values: []string{"v5.channel.k8s.io", "base64url.bearer.authorization.k8s.io.c2VjcmV0"}},
	} {
		q := getPods
		if strings.HasPrefix(name, "a token") {
			q = model.KubeRequest{Method: "GET", Path: "/api/v1/namespaces/shop/pods/a/exec", Query: "command=sh", Upgrade: "websocket"}
		}
		q.Headers = []model.KubeHeader{header}
		got = nil
		if _, _, _, err := r.do(q); !fault.HasCode(err, "header_refused") || got != nil {
			t.Errorf("a header %s: %v, %v", name, err, got)
		}
	}
}

// A request without a statement of the hub, or with one that is not for it, is
// made as nobody, and never as the agent.
func TestP10TheAgentActsForNobodyWhomTheHubDoesNotVouchFor(t *testing.T) {
	asked := 0
	r := newCallRig(t, func(w http.ResponseWriter, req *http.Request) { asked++; io.WriteString(w, "{}") }, nil)
	change := func(f func(s *kubecall.Statement)) model.KubeIdentity {
		s := r.statement(getPods)
		s.Request = "this"
		f(&s)
		return r.sign(s)
	}
	good := change(func(*kubecall.Statement) {})
	// raw signs what Statement.Sign would refuse to.
	raw := func(user string, groups string) model.KubeIdentity {
		text := strings.Replace(string(good.Statement), `"hawser:user:ann"`, user, 1)
		text = strings.Replace(text, `["hawser:everyone"]`, groups, 1)
		return model.KubeIdentity{Statement: []byte(text), Signature: r.signText([]byte(text))}
	}
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	own := r.key
	r.key = other
	foreign := change(func(*kubecall.Statement) {})
	r.key = own
	for name, id := range map[string]model.KubeIdentity{
		"none":                     {},
		"no signature":             {Statement: good.Statement},
		"another key":              foreign,
		"changed":                  {Statement: []byte(strings.Replace(string(good.Statement), "user:ann", "user:bob", 1)), Signature: good.Signature},
		"another cluster":          change(func(s *kubecall.Statement) { s.Cluster = "us" }),
		"another request":          change(func(s *kubecall.Statement) { s.Request = "that" }),
		"another path":             change(func(s *kubecall.Statement) { s.Digest = kubecall.Digest("GET", "/api/v1/secrets", "") }),
		"old":                      change(func(s *kubecall.Statement) { s.At = time.Now().Add(-time.Hour) }),
		"of tomorrow":              change(func(s *kubecall.Statement) { s.At = time.Now().Add(time.Hour) }),
		"an administrator":         raw(`"system:admin"`, `["hawser:everyone"]`),
		"masters":                  raw(`"hawser:user:ann"`, `["system:masters"]`),
		"nobody":                   raw(`""`, `["hawser:everyone"]`),
		"the prefix alone":         raw(`"hawser:"`, `["hawser:everyone"]`),
		"a line in the name":       raw(`"hawser:user:ann\nImpersonate-Group: system:masters"`, `["hawser:everyone"]`),
		"the name with a space":    raw(`" hawser:user:ann"`, `["hawser:everyone"]`),
		"a service account inside": raw(`"system:serviceaccount:kube-system:hawser:x"`, `[]`),
	} {
		q := getPods
		q.Identity = id
		if _, _, _, err := r.answerOf(r.openAs("this", q)); !fault.HasCode(err, "identity_refused") {
			t.Errorf("%s: %v", name, err)
		}
	}
	q := getPods
	q.Identity = good
	if status, _, _, err := r.answerOf(r.openAs("this", q)); status != 200 || err != nil {
		t.Fatal("the good one:", status, err)
	}
	if _, _, _, err := r.answerOf(r.openAs("this", q)); !fault.HasCode(err, "identity_refused") {
		t.Error("the good one again:", err)
	}
	if asked != 1 {
		t.Errorf("the API server was asked %d times", asked)
	}
}

// signText signs a text as an honest hub signs a statement.
func (r *callRig) signText(text []byte) []byte {
	sum := sha256.Sum256(append([]byte("hawser-kube-request-v1\n"), text...))
	out, err := ecdsa.SignASN1(rand.Reader, r.key, sum[:])
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// What a hostile hub asks in another spelling never reaches the API server.
func TestP11TheAgentTakesPathsInTheirOneSpelling(t *testing.T) {
	asked := 0
	r := newCallRig(t, func(http.ResponseWriter, *http.Request) { asked++ }, nil)
	for _, path := range []string{
		"/api/v1/namespaces/a/../kube-system/secrets", "/api/v1/namespaces/a/%2e%2e/kube-system/secrets", "//api/v1/pods", "/api/v1//pods", "/api/v1/pods/", "/api/v1/pods;a=b",
		"/api/v1/namespaces/a/pods/p/proxy/x", "/api/v1/nodes/n/proxy/exec", "/api/v1/proxy/nodes/n", "/logs/", "/metrics", "/debug/pprof", "https://other/api/v1/pods", "api/v1/pods", "",
	} {
		if _, _, _, err := r.do(model.KubeRequest{Method: "GET", Path: path}); !fault.HasCode(err, "path_refused") {
			t.Errorf("%q: %v", path, err)
		}
	}
	if asked != 0 {
		t.Errorf("the API server was asked %d times", asked)
	}
}

// A redirect is followed by nobody, and where it points to is not told.
func TestP12RedirectsAreNotFollowed(t *testing.T) {
	followed := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		r := newCallRig(t, func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, other.URL, status) }, nil)
		for _, q := range []model.KubeRequest{getPods, {Method: "GET", Path: "/api/v1/namespaces/a/pods/p/exec", Query: "command=sh", Upgrade: "websocket"}} {
			got, h, body, err := r.do(q)
			if !fault.HasCode(err, "redirect_refused") || got != 0 || h != nil || body != "" || strings.Contains(err.Error(), other.URL) {
				t.Errorf("%d: %d, %v, %q, %v", status, got, h, body, err)
			}
		}
	}
	if followed {
		t.Error("the redirect was followed")
	}
}

// After an upgrade that the API server refused nothing more is sent to it, and its
// connection is used for nothing else.
func TestP12AFailedUpgradeClosesTheConnection(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	seen := make(chan string, 4)
	sent := make(chan struct{}) // closed once the client has said all
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				req, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				seen <- req.Method + " " + req.URL.Path
				// What follows the answer ends the stream, on which nothing can be said
				// any more: the bytes are on their way before.
				select {
				case <-sent:
				case <-t.Context().Done():
					return
				}
				io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nno")
				rest, _ := io.ReadAll(in) // until the agent closes
				seen <- "rest " + string(rest)
			}()
		}
	}()
	r := newCallRig(t, nil, func(o *Options) { o.Config = &rest.Config{Host: "http://" + ln.Addr().String()} })
	st := r.open(model.KubeRequest{Method: "POST", Path: "/api/v1/namespaces/a/pods/p/exec", Query: "command=sh", Upgrade: "SPDY/3.1"})
	// What a client sends at once, in the hope that it arrives.
	smuggled := wire.AccessInputToProto(model.AccessInput{Stdin: []byte("GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\nImpersonate-User: system:admin\r\n\r\n")})
	if err := st.Send(t.Context(), smuggled); err != nil {
		t.Fatal(err)
	}
	close(sent)
	status, _, body, err := r.answerOf(st)
	if status != 403 || body != "no" || err != nil {
		t.Fatal(status, body, err)
	}
	for _, want := range []string{"POST /api/v1/namespaces/a/pods/p/exec", "rest "} {
		select {
		case got := <-seen:
			if got != want {
				t.Errorf("the API server saw %q, not %q", got, want)
			}
		case <-time.After(patience):
			t.Fatal("the connection stays open")
		}
	}
}

// A server that answers with another protocol than was asked for is not listened to.
func TestP12AnUpgradeThatNobodyAskedFor(t *testing.T) {
	for name, q := range map[string]model.KubeRequest{"plain": getPods, "another": {Method: "GET", Path: "/api/v1/namespaces/a/pods/p/exec", Upgrade: "websocket"}} {
		r := newCallRig(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\nhello")
		}, nil)
		if status, _, body, err := r.do(q); err == nil || status != 0 || body != "" {
			t.Errorf("%s: %d, %q, %v", name, status, body, err)
		}
	}
}

// Both ends of an upgraded connection hear each other, and the end of one is that
// of the other.
func TestAnUpgradedConnectionCarriesBothWays(t *testing.T) {
	r := newCallRig(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Impersonate-User") != "hawser:user:ann" || req.Header.Get("Sec-Websocket-Key") != "k" {
			t.Errorf("asked with %v", req.Header)
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\nSet-Cookie: x=y\r\n\r\n")
		line, _ := rw.ReadString('\n')
		io.WriteString(conn, "you said "+line)
	}, nil)
	st := r.open(model.KubeRequest{Method: "GET", Path: "/api/v1/namespaces/a/pods/p/portforward", Upgrade: "websocket", Headers: []model.KubeHeader{{Name: "Sec-Websocket-Key", Values: []string{"k"}}}})
	if err := st.Send(t.Context(), wire.AccessInputToProto(model.AccessInput{Stdin: []byte("hello\n")})); err != nil {
		t.Fatal(err)
	}
	status, h, body, _ := r.answerOf(st)
	if status != 101 || body != "you said hello\n" || h.Get("Sec-Websocket-Accept") != "a" || h.Get("Set-Cookie") != "" {
		t.Error(status, h, body)
	}
}

// The cluster itself says no, whatever the hub says: the agent's flags, its policy,
// and the policy also of what is open already.
func TestTheClusterRefusesKubectlByItself(t *testing.T) {
	begun := make(chan bool, 1)
	ended := make(chan bool, 1)
	api := func(w http.ResponseWriter, req *http.Request) {
		io.WriteString(w, "{}")
		_ = http.NewResponseController(w).Flush()
		if strings.Contains(req.URL.RawQuery, "watch") {
			begun <- true
			<-req.Context().Done()
			ended <- true
		}
	}
	off := newCallRig(t, api, func(o *Options) { o.AllowKubectl = false })
	if _, _, _, err := off.do(getPods); !fault.HasCode(err, "kubectl_disabled") {
		t.Error("without --allow-kubectl:", err)
	}
	exec := model.KubeRequest{Method: "GET", Path: "/api/v1/namespaces/a/pods/p/exec", Upgrade: "websocket"}
	off = newCallRig(t, api, func(o *Options) { o.AllowExec = false })
	for _, q := range []model.KubeRequest{exec, {Method: "POST", Path: "/api/v1/namespaces/a/pods/p/portforward", Upgrade: "SPDY/3.1"}, {Method: "PATCH", Path: "/api/v1/namespaces/a/pods/p/ephemeralcontainers"}} {
		if _, _, _, err := off.do(q); !fault.HasCode(err, "exec_disabled") {
			t.Errorf("%s without --allow-exec: %v", q.Path, err)
		}
	}
	r := newCallRig(t, api, nil)
	plain := exec
	plain.Upgrade = ""
	if _, _, _, err := r.do(plain); !fault.HasCode(err, "upgrade_refused") {
		t.Error("a command without an upgrade:", err)
	}
	watch := getPods
	watch.Query = "watch=1"
	st := r.open(watch)
	<-begun
	r.policy.mu.Lock()
	r.policy.denied["watch pods"] = "vetoed"
	r.policy.mu.Unlock()
	if _, _, _, err := r.answerOf(st); !fault.HasCode(err, "vetoed") {
		t.Error("an open watch:", err)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the API server still serves the watch")
	}
	if _, _, _, err := r.do(watch); !fault.HasCode(err, "vetoed") {
		t.Error("another watch:", err)
	}
}

func TestBodiesGoToTheClusterAndAreBounded(t *testing.T) {
	var got []byte
	var failed error
	r := newCallRig(t, func(w http.ResponseWriter, req *http.Request) {
		got, failed = io.ReadAll(req.Body)
		io.WriteString(w, `{"kind":"Status"}`)
	}, nil)
	q := model.KubeRequest{Method: "POST", Path: "/api/v1/namespaces/a/configmaps", Body: true, Headers: []model.KubeHeader{{Name: "Content-Type", Values: []string{"application/json"}}}}
	send := func(st *tunnel.Stream, pieces int) {
		piece := []byte(strings.Repeat("x", piece))
		for range pieces {
			if st.Send(t.Context(), wire.AccessInputToProto(model.AccessInput{Stdin: piece})) != nil {
				return
			}
		}
		_ = st.Send(t.Context(), wire.AccessInputToProto(model.AccessInput{StdinEnd: true}))
	}
	st := r.open(q)
	go send(st, 40)
	if status, _, _, err := r.answerOf(st); status != 200 || err != nil || failed != nil || len(got) != 40*piece {
		t.Errorf("%d, %v, %v; %d bytes arrived", status, err, failed, len(got))
	}
	st = r.open(q)
	go send(st, maxCallBody/piece+1)
	if _, _, _, err := r.answerOf(st); !fault.HasCode(err, "body_too_large") {
		t.Errorf("a body above the limit: %v", err)
	}
}

// The kinds that discovery has are told to the policy, and that others have none.
func TestTheKindOfAResourceIsFound(t *testing.T) {
	s := &Server{o: Options{Objects: kinds{{GroupKind: model.GroupKind{Group: "apps", Kind: "Deployment"}, Resource: "deployments", Namespaced: true}}}}
	if i, err := s.judge(model.KubeRequest{Method: "GET", Path: "/apis/apps/v1/deployments"}); err != nil || !i.Known || i.Kind != "Deployment" || !i.Namespaced {
		t.Errorf("%+v, %v", i, err)
	}
	if i, err := s.judge(model.KubeRequest{Method: "GET", Path: "/apis/other/v1/deployments"}); err != nil || i.Known {
		t.Errorf("%+v, %v", i, err)
	}
}

type kinds []live.Kind

func (k kinds) Kinds() []live.Kind { return k }
func (kinds) Get(model.ObjectKey) (live.Record, live.Presence) {
	return live.Record{}, live.Unknown
}
func (kinds) Children(string) []live.Record           { return nil }
func (kinds) Kind(model.GroupKind) (live.Kind, error) { return live.Kind{}, errors.New("none") }
