package kubecall

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestWhatARequestIsAbout(t *testing.T) {
	for line, want := range map[string]Info{
		"GET /api":          {Verb: "get", Discovery: true},
		"GET /api/v1":       {Verb: "get", Discovery: true},
		"GET /apis/apps/v1": {Verb: "get", Discovery: true},
		"GET /openapi/v3/apis/apps/v1?hash=A%2BB":                         {Verb: "get", Discovery: true},
		"GET /version?timeout=32s":                                        {Verb: "get", Discovery: true},
		"GET /api/v1/pods":                                                {Verb: "list", Version: "v1", Resource: "pods"},
		"GET /api/v1/pods?watch=false":                                    {Verb: "list", Version: "v1", Resource: "pods"},
		"GET /api/v1/pods?watch":                                          {Verb: "watch", Version: "v1", Resource: "pods", Follows: true},
		"GET /api/v1/namespaces/a/pods/p?watch=1":                         {Verb: "watch", Version: "v1", Resource: "pods", Namespace: "a", Name: "p", Follows: true},
		"HEAD /api/v1/namespaces/a/pods/p":                                {Verb: "get", Version: "v1", Resource: "pods", Namespace: "a", Name: "p"},
		"GET /api/v1/namespaces":                                          {Verb: "list", Version: "v1", Resource: "namespaces"},
		"GET /api/v1/namespaces/a":                                        {Verb: "get", Version: "v1", Resource: "namespaces", Namespace: "a", Name: "a"},
		"PUT /api/v1/namespaces/a/finalize":                               {Verb: "update", Version: "v1", Resource: "namespaces", Namespace: "a", Name: "a", Subresource: "finalize"},
		"POST /apis/apps/v1/namespaces/a/deployments?fieldManager=k":      {Verb: "create", Group: "apps", Version: "v1", Resource: "deployments", Namespace: "a"},
		"PATCH /apis/apps/v1/namespaces/a/deployments/d/scale":            {Verb: "patch", Group: "apps", Version: "v1", Resource: "deployments", Namespace: "a", Name: "d", Subresource: "scale"},
		"DELETE /api/v1/namespaces/a/pods":                                {Verb: "deletecollection", Version: "v1", Resource: "pods", Namespace: "a"},
		"GET /api/v1/namespaces/a/pods/p/log?follow=true":                 {Verb: "get", Version: "v1", Resource: "pods", Namespace: "a", Name: "p", Subresource: "log", Follows: true},
		"GET /api/v1/namespaces/a/pods/p/log?follow=false":                {Verb: "get", Version: "v1", Resource: "pods", Namespace: "a", Name: "p", Subresource: "log"},
		"POST /api/v1/namespaces/a/pods/p/exec?command=sh":                {Verb: "create", Version: "v1", Resource: "pods", Namespace: "a", Name: "p", Subresource: "exec", Follows: true},
		"GET /apis/rbac.authorization.k8s.io/v1/clusterroles/system:node": {Verb: "get", Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles", Name: "system:node"},
	} {
		method, uri, _ := strings.Cut(line, " ")
		path, query, _ := strings.Cut(uri, "?")
		if got, err := Parse(method, path, query); err != nil || got != want {
			t.Errorf("%s is\n%+v, %v, and should be\n%+v", line, got, err, want)
		}
	}
}

func TestP11PathsInAnotherSpellingAreRefused(t *testing.T) {
	for _, path := range []string{
		"", "/", "api/v1/pods", "//api/v1/pods", "/api//v1/pods", "/api/v1/pods/", "/api/./v1/pods", "/api/v1/namespaces/a/../b/pods", "/api/v1/namespaces/..",
		"/api/v1/namespaces/a/%2e%2e/kube-system/secrets", "/api/v1/pods%2Fexec", "/api/v1/pods%00", "/api/v1/pods;x=y", "/api/v1/pods\\x", "/api/v1/p ods", "/api/v1/pods\x00",
		"/api/v1/pods?x", "/api/v1/pods#x", "/api/v1/pöds", "/api/v1/watch/pods", "/api/v1/proxy/nodes/n", "/api/v1/nodes/n/proxy", "/api/v1/nodes/n/proxy/run", "/api/v1/nodes/n/stats",
		"/api/v1/namespaces/a/pods/p/proxy", "/api/v1/namespaces/a/services/s/proxy/index.html", "/api/v1/namespaces/a/pods/p/exec/x", "/metrics", "/logs/kube-apiserver.log", "/debug/pprof/heap",
		"/healthz/ping", "/.well-known/openid-configuration", "/openid/v1/jwks", "/openapi", "/openapi/v3/a/b/c/d", "/api/v1/" + strings.Repeat("a", maxPath), "/a/b/c/d/e/f/g/h/i/j",
	} {
		if i, err := Parse("GET", path, ""); !fault.HasCode(err, "path_refused") {
			t.Errorf("%q: %+v, %v", path, i, err)
		}
	}
	for _, query := range []string{"a;b", "a=%zz", "a b", "a=\x00", "a=é", "a#b", "watch=1&watch=0", "follow=0&follow=1", strings.Repeat("a", maxQuery+1)} {
		if _, err := Parse("GET", "/api/v1/pods", query); !fault.HasCode(err, "query_refused") {
			t.Errorf("query %.40q: %v", query, err)
		}
	}
	for _, method := range []string{"", "get", "OPTIONS", "CONNECT", "TRACE", "PROPFIND", "GET /x HTTP/1.1\r\nX: "} {
		if _, err := Parse(method, "/api/v1/pods", ""); !fault.HasCode(err, "method_refused") {
			t.Errorf("method %q: %v", method, err)
		}
	}
}

func TestP12WhatMayBecomeAnotherProtocol(t *testing.T) {
	exec, _ := Parse("GET", "/api/v1/namespaces/a/pods/p/exec", "")
	pods, _ := Parse("GET", "/api/v1/pods", "")
	h := func(connection, upgrade string) http.Header {
		out := http.Header{}
		if connection != "" {
			out["Connection"] = []string{connection}
		}
		if upgrade != "" {
			out["Upgrade"] = strings.Split(upgrade, "|")
		}
		return out
	}
	for name, c := range map[string]struct {
		proto  int
		method string
		h      http.Header
		info   Info
		want   string
		code   string
	}{
		"none":                {1, "GET", h("keep-alive", ""), pods, "", ""},
		"WebSocket":           {1, "GET", h("keep-alive, Upgrade", "websocket"), exec, WebSocket, ""},
		"SPDY":                {1, "POST", h("Upgrade", "SPDY/3.1"), exec, SPDY, ""},
		"another":             {1, "GET", h("Upgrade", "h2c"), exec, "", "upgrade_refused"},
		"two":                 {1, "GET", h("Upgrade", "websocket|SPDY/3.1"), exec, "", "upgrade_refused"},
		"a list":              {1, "GET", h("Upgrade", "websocket, h2c"), exec, "", "upgrade_refused"},
		"without Connection":  {1, "GET", h("", "websocket"), exec, "", "upgrade_refused"},
		"without Upgrade":     {1, "GET", h("Upgrade", ""), exec, "", "upgrade_refused"},
		"of a list":           {1, "GET", h("Upgrade", "websocket"), pods, "", "upgrade_refused"},
		"over HTTP/2":         {2, "GET", h("Upgrade", "websocket"), exec, "", "upgrade_refused"},
		"a WebSocket by POST": {1, "POST", h("Upgrade", "websocket"), exec, "", "upgrade_refused"},
	} {
		got, err := UpgradeOf(c.proto, c.method, c.h, c.info)
		if got != c.want || (err != nil) != (c.code != "") || err != nil && !fault.HasCode(err, c.code) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestP10OnlyListedHeadersPass(t *testing.T) {
	in := http.Header{
		"Accept": {"a", "b"}, "Impersonate-User": {"x"}, "Impersonate_user": {"x"}, "X-Remote-User": {"x"}, "Authorization": {"x"}, "Connection": {"Accept"}, "Cookie": {"x"},
		"Sec-Websocket-Key": {"k"}, "Te": {"trailers"}, "Content-Length": {"3"}, "accept": {"not canonical"}, "Forwarded": {"for=1"},
	}
	got, err := RequestHeaders(in, false)
	if want := []model.KubeHeader{{Name: "Accept", Values: []string{"a", "b"}}}; err != nil || len(got) != 1 || got[0].Name != want[0].Name || !slices.Equal(got[0].Values, want[0].Values) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = RequestHeaders(in, true); err != nil || len(got) != 2 {
		t.Errorf("with an upgrade %+v, %v", got, err)
	}
	out := http.Header{"Content-Type": {"text/html"}, "Set-Cookie": {"a=b"}, "Location": {"https://x"}, "Content-Security-Policy": {""}, "Access-Control-Allow-Origin": {"*"}, "Refresh": {"0"}, "Clear-Site-Data": {`"*"`}, "Link": {"x"}}
	if got, err = AnswerHeaders(out, false); err != nil || len(got) != 1 || got[0].Name != "Content-Type" {
		t.Errorf("of an answer %+v, %v", got, err)
	}
}

// Whatever comes, what passes is the same for every reader of URLs, and nothing
// that says who somebody is comes through.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "/api/v1/namespaces/a/pods/p/log", "follow=1", "Accept", "a")
	f.Add("POST", "/api/v1/namespaces/a/../b", "x=%2e", "Impersonate-User", "system:admin\r\nX: y")
	f.Add("GET", "/apis/a/v1/b/%2e%2e", "watch=1;b", "Sec-Websocket-Protocol", "base64url.bearer.authorization.k8s.io.x")
	f.Fuzz(func(t *testing.T, method, path, query, name, value string) {
		if i, err := Parse(method, path, query); err == nil {
			u, err := url.ParseRequestURI("https://host" + path + "?" + query)
			if err != nil || u.Path != path || u.EscapedPath() != path || u.RawQuery != query || u.Host != "host" || u.JoinPath().Path != path {
				t.Fatalf("%q?%q passes, and is read as %v, %v", path, query, u, err)
			}
			if !i.Discovery && (i.Resource == "" || i.Verb == "") || i.Subresource == "proxy" {
				t.Fatalf("%q is %+v", path, i)
			}
		}
		for _, upgrade := range []bool{false, true} {
			for _, pass := range []func(http.Header, bool) ([]model.KubeHeader, error){RequestHeaders, AnswerHeaders} {
				list, err := pass(http.Header{name: {value}}, upgrade)
				if err != nil {
					continue
				}
				for _, h := range list {
					low := strings.ToLower(h.Name + " " + strings.Join(h.Values, " "))
					if h.Name != http.CanonicalHeaderKey(h.Name) || strings.HasPrefix(low, "impersonate") || strings.HasPrefix(low, "authorization") || strings.HasPrefix(low, "set-cookie") ||
						strings.ContainsAny(low, "\r\n\x00") || h.Name == "Sec-Websocket-Protocol" && strings.Contains(low, "bearer") {
						t.Fatalf("%q: %q passes", h.Name, h.Values)
					}
				}
			}
		}
	})
}

// What the hub says of who asks is for one request to one cluster, for a short time,
// under the hub's own key, about nobody but users of the hub.
func TestE08_AStatementOfTheHubIsForOneRequestOfOneCluster(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	another, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{PublicKey: &key.PublicKey}
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	digest := Digest("GET", "/api/v1/pods", "")
	for name, c := range map[string]struct {
		change func(*Statement)
		by     *ecdsa.PrivateKey
		taken  bool
		plain  bool // signed as something that is no statement
	}{
		"an honest one":                {func(*Statement) {}, key, true, false},
		"as old as it may be":          {func(s *Statement) { s.At = now.Add(-statementLife - maxSkew) }, key, true, false},
		"another cluster's":            {func(s *Statement) { s.Cluster = "us" }, key, false, false},
		"another request's":            {func(s *Statement) { s.Request = "r2" }, key, false, false},
		"for another path":             {func(s *Statement) { s.Digest = Digest("GET", "/api/v1/secrets", "") }, key, false, false},
		"for another method":           {func(s *Statement) { s.Digest = Digest("DELETE", "/api/v1/pods", "") }, key, false, false},
		"older":                        {func(s *Statement) { s.At = now.Add(-statementLife - maxSkew - time.Second) }, key, false, false},
		"of the future":                {func(s *Statement) { s.At = now.Add(maxSkew + time.Second) }, key, false, false},
		"another key's":                {func(*Statement) {}, another, false, false},
		"about somebody of Kubernetes": {func(s *Statement) { s.User = "system:admin" }, key, false, false},
		"in a group of Kubernetes":     {func(s *Statement) { s.Groups = []string{"system:masters"} }, key, false, false},
		"signed as something else":     {func(*Statement) {}, key, false, true},
		"in as many groups as may be":  {func(s *Statement) { s.Groups = slices.Repeat(s.Groups, maxGroups) }, key, true, false},
		"in more groups":               {func(s *Statement) { s.Groups = slices.Repeat(s.Groups, maxGroups+1) }, key, false, false},
	} {
		s := Statement{Cluster: "eu", Request: "r1", Digest: digest, User: Prefix + "user:ann", Groups: []string{Prefix + "everyone"}, At: now}
		c.change(&s)
		text, err := json.Marshal(s) // a hub that was taken over does not check what it signs
		if err != nil {
			t.Fatal(err)
		}
		over := signedText(text)
		if c.plain {
			sum := sha256.Sum256(text)
			over = sum[:]
		}
		signature, err := ecdsa.SignASN1(rand.Reader, c.by, over)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Verify(ca, model.KubeIdentity{Statement: text, Signature: signature}, "eu", "r1", digest, now)
		if c.taken && (err != nil || got.User != s.User) || !c.taken && !fault.HasCode(err, "identity_refused") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}

	// A hub that means well signs nothing that no agent would take.
	for _, change := range []func(*Statement){
		func(s *Statement) { s.User = "system:admin" }, func(s *Statement) { s.Groups = []string{"system:masters"} }, func(s *Statement) { s.Cluster = "" }, func(s *Statement) { s.Request = "" },
	} {
		s := Statement{Cluster: "eu", Request: "r1", Digest: digest, User: Prefix + "user:ann", At: now}
		change(&s)
		if _, err := s.Sign(func(digest []byte) ([]byte, error) { return ecdsa.SignASN1(rand.Reader, key, digest) }); !fault.HasCode(err, "identity_refused") {
			t.Errorf("%+v is signed: %v", s, err)
		}
	}
}
