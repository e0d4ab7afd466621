package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/wire"
)

// clientOf is a client of a hub that answers with h.
func clientOf(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	c, err := New(Hub{URL: srv.URL, CAHash: wire.CAHash(srv.Certificate()), Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLinesComeOneByOne(t *testing.T) {
	seen := make(chan struct{})
	c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "application/x-ndjson" || r.Header.Get("Authorization") != "Bearer t" {
			t.Errorf("asked with %v", r.Header)
		}
		io.WriteString(w, "one\n\n")
		w.(http.Flusher).Flush()
		<-seen // the second is not sent before the first was read
		io.WriteString(w, "two\n")
	})
	var got []string
	err := c.Lines(t.Context(), http.MethodPost, "/x", map[string]string{}, func(line []byte) error {
		if got = append(got, string(line)); len(got) == 1 {
			close(seen)
		}
		return nil
	})
	if err != nil || strings.Join(got, " ") != "one two" {
		t.Errorf("%q %v", got, err)
	}
}

func TestLinesThatEndOtherwise(t *testing.T) {
	c := clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `{"kind":"denied","code":"no","detail":"not you"}`)
	})
	fail := func([]byte) error { t.Error("a line"); return nil }
	if err := c.Lines(t.Context(), http.MethodPost, "/x", nil, fail); !fault.HasCode(err, "no") || !fault.Is(err, fault.Denied) {
		t.Error(err)
	}
	c = clientOf(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "one\n")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	if err := c.Lines(t.Context(), http.MethodPost, "/x", nil, func([]byte) error { return nil }); !fault.HasCode(err, "hub_unreachable") {
		t.Error(err)
	}
	stop := errors.New("enough")
	c = clientOf(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "one\ntwo\n") })
	if err := c.Lines(t.Context(), http.MethodPost, "/x", nil, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}
