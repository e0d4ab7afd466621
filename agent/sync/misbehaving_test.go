package sync

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// misbehaviour is what a proxy does with one request. afterwards: the API server
// has carried it out, and only the answer suffers.
type misbehaviour struct {
	name string
	do   func(w http.ResponseWriter, r *http.Request, pass func() *http.Response)
	// lost: the API server never saw the request.
	lost bool
}

func answerWith(code int, header map[string]string, body string) func(http.ResponseWriter, *http.Request, func() *http.Response) {
	return func(w http.ResponseWriter, _ *http.Request, _ func() *http.Response) {
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

const tooMany = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Too many requests, please try again later.","reason":"TooManyRequests","details":{"retryAfterSeconds":1},"code":429}`

var misbehaviours = []misbehaviour{
	{"429", answerWith(429, map[string]string{"Retry-After": "1", "Content-Type": "application/json"}, tooMany), true},
	{"429 in plain text", answerWith(429, map[string]string{"Retry-After": "1"}, "Too many requests, please try again later.\n"), true},
	{"429 with a date", func(w http.ResponseWriter, r *http.Request, pass func() *http.Response) {
		now := time.Now().Add(time.Hour) // its clock is wrong
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		w.Header().Set("Retry-After", now.Add(time.Second).UTC().Format(http.TimeFormat))
		w.WriteHeader(429)
	}, true},
	{"429 without a time", answerWith(429, nil, ""), true},
	{"500", answerWith(500, map[string]string{"Content-Type": "application/json"}, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Internal error occurred: etcdserver: leader changed","reason":"InternalError","code":500}`), true},
	{"500 after it", func(w http.ResponseWriter, r *http.Request, pass func() *http.Response) {
		pass()
		answerWith(500, nil, "oops")(w, r, nil)
	}, false},
	{"503", answerWith(503, nil, "<html>no upstream</html>"), true},
	{"503 with a time", answerWith(503, map[string]string{"Retry-After": "1"}, "<html>no upstream</html>"), true},
	{"504 after it", func(w http.ResponseWriter, r *http.Request, pass func() *http.Response) {
		pass()
		answerWith(504, nil, "")(w, r, nil)
	}, false},
	{"half an answer", func(w http.ResponseWriter, r *http.Request, pass func() *http.Response) {
		resp := pass()
		body, _ := io.ReadAll(resp.Body)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(resp.StatusCode)
		w.Write(body[:len(body)/2])
	}, false},
	{"half an answer that looks whole", func(w http.ResponseWriter, r *http.Request, pass func() *http.Response) {
		resp := pass()
		body, _ := io.ReadAll(resp.Body)
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		w.Write(body[:len(body)/2])
	}, false},
	{"no answer after it", func(w http.ResponseWriter, r *http.Request, pass func() *http.Response) {
		pass()
		panic(http.ErrAbortHandler)
	}, false},
	{"no answer", func(http.ResponseWriter, *http.Request, func() *http.Response) { panic(http.ErrAbortHandler) }, true},
	{"a page of its own", answerWith(200, nil, "<html>sign in</html>"), true},
	{"silence after it", func(w http.ResponseWriter, r *http.Request, pass func() *http.Response) {
		pass()
		<-r.Context().Done()
	}, false},
}

// badProxy stands before the API server and misbehaves at each request that the
// function picks.
type badProxy struct {
	*httptest.Server
	mu   gosync.Mutex
	pick func(r *http.Request) *misbehaviour
	// times are when the requests came.
	times []time.Time
}

func startBadProxy(t *testing.T, c *cluster) *badProxy {
	target, err := url.Parse(c.cp.URL())
	if err != nil {
		t.Fatal(err)
	}
	p := &badProxy{}
	forward := &httputil.ReverseProxy{Transport: c.client.Transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.times = append(p.times, time.Now())
		bad := p.pick(r)
		p.mu.Unlock()
		if bad == nil {
			forward.ServeHTTP(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		bad.do(w, r, func() *http.Response {
			out, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, target.String()+r.URL.RequestURI(), strings.NewReader(string(body)))
			if err != nil {
				panic(err)
			}
			out.Header = r.Header.Clone()
			resp, err := c.client.Transport.RoundTrip(out)
			if err != nil {
				panic(err)
			}
			return resp
		})
	}))
	t.Cleanup(p.CloseClientConnections)
	t.Cleanup(p.Close)
	return p
}

func (p *badProxy) kube(t *testing.T) ownKube {
	base, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	k := NewKube(p.Client(), base, "hawser-agent/test")
	k.timeout = 2 * time.Second
	return ownKube{k}
}

// Whatever a proxy or an API server in trouble does with a request, its effect
// comes about exactly once.
func TestEffectsThroughAMisbehavingProxy(t *testing.T) {
	c := startCluster(t)
	var wg gosync.WaitGroup
	defer wg.Wait()
	run := func(name string, f func(t *testing.T)) {
		wg.Go(func() { t.Run(name, f) }) // all at a time: mostly they wait
	}
	for _, bad := range misbehaviours {
		run(bad.name, func(t *testing.T) {
			c := *c
			c.t = t
			p := startBadProxy(t, &c)
			k := p.kube(t)
			name := strings.NewReplacer(" ", "-").Replace(bad.name)
			left := 0
			p.mu.Lock()
			p.pick = func(r *http.Request) *misbehaviour {
				if r.Method == http.MethodGet || left == 0 {
					return nil
				}
				left--
				return &bad
			}
			p.mu.Unlock()
			g := NewGovernor(4, time.Now)
			try := func(times int, f func() error) error {
				p.mu.Lock()
				left = times
				p.times = nil
				p.mu.Unlock()
				return g.Do(t.Context(), f)
			}
			// An apply.
			w := c.write(configMaps, name, `"data":{"v":"1"}`)
			if err := try(2, func() error { _, err := k.Apply(t.Context(), w); return err }); err != nil {
				t.Fatalf("apply: %v", err)
			}
			if len(p.times) != 3 {
				t.Errorf("%d requests, want 3", len(p.times))
			}
			if strings.Contains(bad.name, "429 with") && !strings.Contains(bad.name, "out") {
				if gap := p.times[1].Sub(p.times[0]); gap < time.Second || gap > 10*time.Second {
					t.Errorf("tried again after %s", gap)
				}
			}
			o := c.get(configMaps, name)
			if o == nil || at2(o, "data", "v") != "1" {
				t.Fatalf("%v", o)
			}
			uid := at2(o, "metadata", "uid")
			// A creation: the second of two finds the first.
			h := c.write(configMaps, name+"-hook", `"metadata":{"annotations":{"hawser.dev/run":"r1"}}`)
			err := try(1, func() error { _, err := k.Create(t.Context(), h); return err })
			switch {
			case err == nil && bad.lost:
			case !bad.lost && fault.HasCode(err, "already_exists"):
			default:
				t.Errorf("create: %v", err)
			}
			if o := c.get(configMaps, name+"-hook"); at2(o, "metadata", "annotations", "hawser.dev/run") != "r1" {
				t.Errorf("create: %v", o)
			}
			// A patch.
			err = try(1, func() error {
				_, err := k.Patch(t.Context(), PatchRequest{Kind: configMaps, Key: w.Key, UID: uid, Patch: []byte(`{"data":{"v":"2"}}`), Operation: "op"})
				return err
			})
			if err != nil || at2(c.get(configMaps, name), "data", "v") != "2" {
				t.Errorf("patch: %v", err)
			}
			// A replacement, of what is seen before.
			r := c.seen(c.write(configMaps, name, `"data":{"v":"3"}`))
			r.Mode = ModeReplace
			if err := try(1, func() error { _, err := k.Apply(t.Context(), r); return err }); err != nil || at2(c.get(configMaps, name), "data", "v") != "3" {
				t.Errorf("replace: %v", err)
			}
			if got := at2(c.get(configMaps, name), "metadata", "uid"); got != uid {
				t.Error("it is another object now")
			}
			// A recreation: the object that was there goes, the one that came stays.
			r.Mode = ModeRecreate
			if err := try(3, func() error { _, err := k.Apply(t.Context(), r); return err }); err != nil {
				t.Errorf("recreate: %v", err)
			}
			o = c.get(configMaps, name)
			if o == nil || at2(o, "metadata", "uid") == uid {
				t.Fatalf("not recreated: %v", o)
			}
			// A deletion.
			d := Removal{Kind: configMaps, Key: w.Key, UID: at2(o, "metadata", "uid"), Operation: "op"}
			if err := try(1, func() error { return k.Delete(t.Context(), d) }); err != nil {
				t.Errorf("delete: %v", err)
			}
			eventually(t, 20*time.Second, "it is gone", func() bool { return c.get(configMaps, name) == nil })
		})
	}
}

// A third of all requests fails in one way or another, and all objects are there
// at the end, as they should be.
func TestManyEffectsThroughAMisbehavingProxy(t *testing.T) {
	c := startCluster(t)
	p := startBadProxy(t, c)
	k := p.kube(t)
	k.timeout = 5 * time.Second
	n, seed := 0, uint32(7)
	p.pick = func(r *http.Request) *misbehaviour {
		n++
		seed = seed*1664525 + 1013904223
		if (seed>>16)%10 >= 3 {
			return nil
		}
		// Silence costs this test its time.
		return &misbehaviours[int(seed>>20)%(len(misbehaviours)-1)]
	}
	g := NewGovernor(8, time.Now)
	var wg gosync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			w := c.write(configMaps, fmt.Sprintf("many-%d", i), fmt.Sprintf(`"data":{"v":"%d"}`, i))
			if err := g.Do(t.Context(), func() error { _, err := k.Apply(t.Context(), w); return err }); err != nil {
				t.Errorf("%s: %v", w.Key, err)
			}
		})
	}
	wg.Wait()
	for i := range 40 {
		if o := c.get(configMaps, fmt.Sprintf("many-%d", i)); at2(o, "data", "v") != strconv.Itoa(i) {
			t.Errorf("%d: %v", i, o)
		}
	}
	if n < 45 {
		t.Errorf("%d requests: the proxy did not misbehave", n)
	}
}
