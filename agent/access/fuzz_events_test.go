package access

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// saying answers every request with the same bytes.
type saying []byte

func (s saying) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(s)))}, nil
}

// Anybody in a cluster may write an event about anything. What is shown is about the
// objects that were asked for, bounded, the newest first, in texts that can travel;
// and a watch that breaks off has told the beginning of the whole.
func FuzzEvents(f *testing.F) {
	event := func(uid, more string) string {
		return `{"metadata":{"uid":"e","resourceVersion":"5","creationTimestamp":"2026-01-31T12:00:00Z"},"involvedObject":{"kind":"Pod","name":"a","uid":"` + uid + `"},"type":"Warning"` + more + `}`
	}
	f.Add([]byte(`{"metadata":{"resourceVersion":"9"},"items":[`+event("u1", `,"message":"LONG","count":-3`)+","+event("u2", `,"series":{"count":9,"lastObservedTime":"9999-01-31T12:00:00Z"}`)+","+event("other", "")+`]}`), uint16(99))
	f.Add([]byte(`{"type":"ADDED","object":`+event("u1", `,"eventTime":"0001-01-01T00:00:00Z"`)+`}{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"6"}}}{"type":"ERROR","object":{"code":410}}`), uint16(250))
	f.Add([]byte(`{"type":"ERROR","object":{"code":403}}`), uint16(3))
	f.Add([]byte(`{"type":"ADDED"}{"type":"MODIFIED","object":7}{"items":[null,{"eventTime":"x"}]}`), uint16(20))
	who := audience{"u1": {Kind: "Pod", Namespace: "n", Name: "one"}, "u2": {Kind: "Pod", Namespace: "n", Name: "two"}}
	long := []byte(strings.Repeat("é", 3000)) // as a seed it would be made shorter for a minute
	f.Fuzz(func(t *testing.T, body []byte, cut uint16) {
		body = bytes.ReplaceAll(body, []byte("LONG"), long)
		s, err := New(Options{Config: &rest.Config{Host: "https://cluster"}})
		if err != nil {
			t.Fatal(err)
		}
		ctx := as(t.Context(), "")
		const limit = 2
		s.http = &http.Client{Transport: saying(body)}
		list, _, err := s.listEvents(ctx, eventPlace{namespace: "n"}, limit, who.pick)
		if len(list) > limit*eventPages || err != nil && fault.As(err).Code == "" {
			t.Fatalf("%d events, %v", len(list), err)
		}
		list = newestEvents(list, limit)
		for i, e := range list {
			if who[e.ObjectUID] != e.Object || e.Object.Name == "" || e.Count < 1 || len(e.Message) > 4200 || !utf8.ValidString(e.Message) || e.LastSeen.Before(e.FirstSeen) || i > 0 && e.LastSeen.After(list[i-1].LastSeen) {
				t.Fatalf("%q is shown as %+v", body, list)
			}
			if _, err := (model.AccessAnswer{Events: list[i : i+1]}).Events[0].LastSeen.MarshalText(); err != nil {
				t.Fatalf("%+v cannot be told: %v", e, err)
			}
		}
		watch := func(body []byte) (told []string, version string) {
			s.http = &http.Client{Transport: saying(body)}
			found := make(chan kubeEvent, len(body)/8+1)
			version, err := s.watchOnce(ctx, eventPlace{namespace: "n"}, "1", found)
			if err != nil && (version != "" || fault.As(err).Code == "") {
				t.Fatalf("%q goes on from %q after %v", body, version, err)
			}
			close(found)
			for e := range found {
				told = append(told, fmt.Sprintf("%+v", e))
			}
			return told, version
		}
		whole, version := watch(body)
		part, _ := watch(body[:min(int(cut), len(body))])
		if len(part) > len(whole) || len(whole) > strings.Count(string(body), "{") || version == "" && !strings.Contains(string(body), "{") {
			t.Fatalf("%q tells %q from %q, and its beginning %q", body, whole, version, part)
		}
	})
}
