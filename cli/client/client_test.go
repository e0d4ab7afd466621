package client

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/wire"
)

// connect makes a client of a hub that answers with h.
func connect(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	c, err := New(Hub{URL: srv.URL, CAHash: wire.CAHash(srv.Certificate())})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProblem(t *testing.T) {
	for _, c := range []struct {
		name, body string
		status     int
		want       []fault.Error
		explained  bool
	}{
		{name: "one", status: 403, body: `{"kind":"denied","code":"repository_not_allowed","detail":"no","field":"spec.source","found":"x","allowed":"y","fix":"z","explain":{"checks":[]}}`,
			want: []fault.Error{{Kind: fault.Denied, Code: "repository_not_allowed", Message: "no", Field: "spec.source", Found: "x", Allowed: "y", Fix: "z"}}, explained: true},
		{name: "without a kind", status: 404, body: `{"code":"gone","detail":"no"}`, want: []fault.Error{{Kind: fault.NotFound, Code: "gone", Message: "no"}}},
		{name: "many", status: 400, body: `{"kind":"invalid","code":"a","detail":"first","explain":{},"errors":[{"code":"a","detail":"first","field":"f"},{"code":"b","detail":"second"}]}`,
			want: []fault.Error{{Kind: fault.Invalid, Code: "a", Message: "first", Field: "f"}, {Kind: fault.Invalid, Code: "b", Message: "second"}}, explained: true},
		{name: "a list of one is one", status: 400, body: `{"kind":"invalid","code":"a","detail":"first","errors":[{"code":"a","detail":"first"}]}`,
			want: []fault.Error{{Kind: fault.Invalid, Code: "a", Message: "first"}}},
		{name: "not a problem", status: 502, body: "<html>", want: []fault.Error{{Kind: fault.Unavailable, Code: "answer_invalid", Message: "the hub answered 502 (Bad Gateway) without an explanation"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			api := connect(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			err := api.Get(t.Context(), "/x", nil)
			var list fault.List
			if !errors.As(err, &list) {
				list = fault.List{fault.As(err)}
			}
			if explained := list[0].Explain != nil; explained != c.explained {
				t.Errorf("explained: %v", explained)
			}
			var got []fault.Error
			for _, e := range list {
				x := *e
				x.Explain = nil
				got = append(got, x)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			// The same from the stream of events.
			if err := api.Events(t.Context(), "", func(Event) bool { return true }); fault.As(err).Code != c.want[0].Code {
				t.Errorf("events: %v", err)
			}
		})
	}
}

func TestKindOfEveryStatus(t *testing.T) {
	for status, want := range map[int]fault.Kind{
		400: fault.Invalid, 401: fault.Unauthorized, 403: fault.Denied, 404: fault.NotFound, 409: fault.Precondition, 412: fault.Precondition,
		413: fault.TooLarge, 429: fault.RateLimited, 500: fault.Internal, 502: fault.Unavailable, 503: fault.Unavailable, 504: fault.Unavailable,
	} {
		if got := kindOf(status); got != want {
			t.Errorf("%d: %s", status, got)
		}
	}
}

func TestBodies(t *testing.T) {
	api := connect(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		json.NewEncoder(w).Encode([]string{r.Method, r.URL.Path, r.Header.Get("Content-Type"), string(b), r.Header.Get("X-Test")})
	})
	for _, c := range []struct {
		in   any
		want []string
	}{
		{nil, []string{"PUT", "/api/v1/x", "", "", "1"}},
		{[]byte("a: b"), []string{"PUT", "/api/v1/x", "application/yaml", "a: b", "1"}},
		{map[string]int{"n": 1}, []string{"PUT", "/api/v1/x", "application/json", `{"n":1}`, "1"}},
	} {
		var got []string
		if err := api.DoWith(t.Context(), "PUT", "/x", http.Header{"X-Test": {"1"}}, c.in, &got); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v, %v", got, err)
		}
	}
	var number int
	if err := api.Get(t.Context(), "/x", &number); !fault.HasCode(err, "answer_invalid") {
		t.Errorf("an answer of another shape: %v", err)
	}
}
