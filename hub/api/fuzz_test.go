package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// What strangers send as a cursor is one that this hub made for this list, or none.
func FuzzCursor(f *testing.F) {
	o := Options{CursorKey: []byte("a key of this hub's, of 32 bytes")}
	good := o.cursor([]string{"a", "b"}, "applications")
	f.Add(good)
	f.Add(o.cursor([]string{"a", "b"}, "clusters"))
	f.Add(good + "A")
	f.Add(good[:9] + "\n" + good[9:])
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if after, err := o.openCursor(s, "applications"); (err == nil) != (s == good) {
			t.Errorf("%q is read as %q, %v", s, after, err)
		}
	})
}

// A selector means the same with spaces around it, and one that is read can be
// asked of any labels.
func FuzzSelector(f *testing.F) {
	for _, s := range []string{"a=b,c!=d", "a in (b, c),!d", "a notin ()", "((,", "a==b", ",", "a in (b))"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		match, err := parseSelector(s)
		spaced, again := parseSelector(" " + s + " ")
		if (err == nil) != (again == nil) || (match == nil) != (spaced == nil) {
			t.Fatalf("%q: %v, and with spaces %v", s, err, again)
		}
		for _, labels := range []map[string]string{nil, {"a": "b"}, {"a": "", "c": "d"}} {
			if match != nil && match(labels) != spaced(labels) {
				t.Fatalf("%q of %v", s, labels)
			}
		}
	})
}

// Whatever comes as a request of kubectl, no part of the hub breaks, and what goes
// to the agent is in its one spelling, without a header that says who it is.
func FuzzKubectl(f *testing.F) {
	auth := "Authorization: Bearer TOKEN\r\n"
	for _, s := range []string{
		"GET " + podsOfEU + "?limit=5 HTTP/1.1\r\nHost: hub\r\n" + auth + "\r\n",
		"GET /k8s/clusters/eu/api/v1/../secrets HTTP/1.1\r\nHost: hub\r\n" + auth + "Impersonate-User: system:admin\r\n\r\n",
		"POST " + podsOfEU + " HTTP/1.1\r\nHost: hub\r\n" + auth + "Content-Length: 2\r\n\r\n{}",
		"POST " + podsOfEU + "/p/exec?command=sh HTTP/1.1\r\nHost: hub\r\n" + auth + "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
		"GET /k8s/clusters/eu HTTP/1.0\r\n\r\n",
		"GET /k8s/clusters/%65u/version HTTP/1.1\r\nHost: hub\r\n" + auth + "\r\n",
		"GET " + podsOfEU + "?watch=1;a HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer hwk_A.A\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	k := &cluster{answer: listOfPods}
	w := newWorld(f, func(o *Options) {
		o.Access, o.AccessLimits, o.AllowExec, o.Audit = k, quick, true, &fakeAudit{}
		o.Vouch = func(s kubecall.Statement) (model.KubeIdentity, error) {
			return s.Sign(func([]byte) ([]byte, error) { return []byte("signed"), nil })
		}
	})
	w.store.clusters[0].Kubectl = true
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.ReplaceAll(raw, []byte("TOKEN"), []byte(w.token)))))
		if err != nil || !strings.HasPrefix(r.RequestURI, kubePrefix) {
			return
		}
		r.RemoteAddr = "10.0.0.1:1"
		k.mu.Lock()
		k.asked = nil
		k.mu.Unlock()
		func() {
			defer func() {
				if p := recover(); p != nil && p != http.ErrAbortHandler {
					panic(p)
				}
			}()
			w.handler.ServeHTTP(httptest.NewRecorder(), r)
		}()
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, q := range k.asked {
			u, err := url.ParseRequestURI(q.Kube.Path)
			if err != nil || u.Path != q.Kube.Path || u.JoinPath().Path != q.Kube.Path || !strings.HasPrefix(r.RequestURI, kubePrefix+"eu"+q.Kube.Path) {
				t.Errorf("%q asks the agent for %+v", raw, q.Kube)
			}
			for _, h := range q.Kube.Headers {
				if low := strings.ToLower(h.Name); strings.HasPrefix(low, "impersonate") || strings.HasPrefix(low, "x-remote") || low == "authorization" || low == "cookie" {
					t.Errorf("%q passes %+v on", raw, h)
				}
			}
		}
	})
}

// A message of a terminal is input, its end, or a size, and is one of them whole.
func FuzzTerminal(f *testing.F) {
	for _, s := range []string{"\x00ls\n", "\x00", "\x04{\"columns\":80,\"rows\":24}", "\x04{\"columns\":0,\"rows\":70000}", "\x04null", "\x05", "\xff", ""} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Add([]byte{channelStdEnd}, true)
	f.Add([]byte(string(rune(channelSize))+`{"columns":80,"rows":24}`), true)
	f.Fuzz(func(t *testing.T, b []byte, binary bool) {
		kind := websocket.MessageText
		if binary {
			kind = websocket.MessageBinary
		}
		in, err := readInput(kind, b)
		if err != nil {
			if in.Stdin != nil || in.StdinEnd || in.Size != nil || !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q is refused with %v, and is %+v", b, err, in)
			}
			return
		}
		switch {
		case !binary || len(b) == 0:
			t.Fatalf("%q is taken", b)
		case b[0] == channelStdin && bytes.Equal(in.Stdin, b[1:]) && !in.StdinEnd && in.Size == nil:
		case b[0] == channelStdEnd && in.StdinEnd && in.Stdin == nil && in.Size == nil:
		case b[0] == channelSize && in.Size != nil && in.Size.Columns > 0 && in.Size.Rows > 0 && in.Stdin == nil && !in.StdinEnd:
		default:
			t.Fatalf("%q is taken as %+v", b, in)
		}
	})
}

// Whatever an agent sends as an object: no value of a Secret and no last applied
// configuration is left in it, wherever in it they are, and a second look finds
// nothing more to do.
func FuzzGuardObject(f *testing.F) {
	for _, s := range []string{
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"a":"Y2FuYXJ5","b":"redacted:00"},"stringData":null}`,
		`{"apiVersion":"v1","kind":"List","items":[{"kind":"Secret","data":{"a":"canary"}},{"kind":"SECRET","stringData":["canary"]}]}`,
		`{"kind":"Secret","kind":"Pod","data":{"a":"canary"}}`, `{"kind":"\u0053ecret","data":7}`, `{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"canary"}}}`,
		`{"kind":"ſecret","data":{"a":"canary"}}`, `{"kind":"Pod","n":1e400}`, `[]`, `"Secret"`, `{`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		out, _, err := guardObject(body, nil)
		if err != nil {
			if out != nil {
				t.Fatalf("%q is refused, and passed on", body)
			}
			return
		}
		var got any
		if err := json.Unmarshal(out, &got); err != nil {
			if _, big := err.(*json.UnmarshalTypeError); big { // a number that no float holds
				return
			}
			t.Fatalf("%q becomes %q: %v", body, out, err)
		}
		var look func(v any)
		look = func(v any) {
			switch v := v.(type) {
			case []any:
				for _, x := range v {
					look(x)
				}
			case map[string]any:
				kind, _ := v["kind"].(string)
				for name, x := range v {
					if notes, ok := x.(map[string]any); ok && name == "annotations" && notes[manifest.LastAppliedAnnotation] != nil {
						t.Fatalf("%q becomes %q", body, out)
					}
					if values, ok := x.(map[string]any); ok && strings.EqualFold(kind, "Secret") && slices.Contains(manifest.DataFields, name) {
						for _, value := range values {
							if s, ok := value.(string); value != nil && (!ok || !strings.HasPrefix(s, "redacted:")) {
								t.Fatalf("%q becomes %q", body, out)
							}
						}
					}
					look(x)
				}
			}
		}
		look(got)
		if again, _, err := guardObject(out, nil); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%q becomes %q, and that %q: %v", body, out, again, err)
		}
	})
}
