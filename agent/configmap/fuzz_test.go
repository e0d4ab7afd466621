package configmap

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// said answers every request the same.
type said struct {
	status int
	after  string
	body   []byte
}

func (s said) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.status, Header: http.Header{"Retry-After": {s.after}}, Body: io.NopCloser(strings.NewReader(string(s.body)))}, nil
}

// told reads one answer and returns what was made of it: a line for each thing seen.
func told(t *testing.T, s said, read func(*Watch) error) (w *Watch, seen []string, err error) {
	w = &Watch{
		Client: &http.Client{Transport: s}, Base: &url.URL{Scheme: "https", Host: "cluster"}, Namespace: "hawser", Name: "policy", version: "1",
		Seen:   func(data map[string]string, exists bool) { seen = append(seen, fmt.Sprintln(exists, data)) },
		Failed: func(err error) { t.Errorf("a read that is asked for says itself that it failed: %v", err) },
	}
	err = read(w)
	return w, seen, err
}

// Whatever an API server answers to a list: what is concluded from it is in it, and
// nothing is concluded from a part, from another kind of thing, or from an error.
func FuzzList(f *testing.F) {
	for _, s := range []string{
		`{"kind":"ConfigMapList","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"policy"},"data":{"a":"b"}}]}`,
		`{"kind":"ConfigMapList","metadata":{"resourceVersion":"7"},"items":[]}`, `{"kind":"List","metadata":{"resourceVersion":"7","continue":"x"}}`,
		`{"kind":"ConfigMapList","metadata":{},"items":null}`, `{"kind":"Status","code":410}`, `{"kind":"PodList","metadata":{"resourceVersion":"7"}}`, `{}`, `null`, `<html>`, ``,
	} {
		f.Add(uint16(200), "", []byte(s))
	}
	f.Add(uint16(429), "99999999999", []byte(`{"kind":"Status","details":{"retryAfterSeconds":-1}}`))
	f.Add(uint16(403), "", []byte(`{"kind":"Status","code":200,"message":"`+strings.Repeat("é", 99)+`"}`))
	f.Fuzz(func(t *testing.T, status uint16, after string, body []byte) {
		list := func(w *Watch) error { return w.list(t.Context()) }
		w, seen, err := told(t, said{int(status), after, body}, list)
		if (err == nil) != (len(seen) == 1) || len(seen) > 1 || err != nil && (w.version != "1" || fault.As(err).Code == "") {
			t.Fatalf("%d %q: %v, and seen is %q at %q", status, body, err, seen, w.version)
		}
		if err != nil {
			return
		}
		var whole struct {
			Kind     string
			Metadata struct{ ResourceVersion, Continue string }
			Items    []struct{ Metadata struct{ Name string } }
		}
		if status != 200 || json.NewDecoder(strings.NewReader(string(body))).Decode(&whole) != nil || !strings.HasSuffix(whole.Kind, "List") || whole.Metadata.ResourceVersion == "" {
			t.Fatalf("%d %q is taken for a list", status, body)
		}
		there := false
		for _, o := range whole.Items {
			there = there || o.Metadata.Name == "policy"
		}
		if !there && whole.Metadata.Continue != "" || strings.HasPrefix(seen[0], "true") != there {
			t.Fatalf("%q says %q", body, seen)
		}
		end := len(body)
		for end > 0 && body[end-1] != '}' {
			end--
		}
		if json.Valid(body[:end]) {
			if _, seen, err = told(t, said{int(status), after, body[:end-1]}, list); err == nil {
				t.Fatalf("%q, whose end is missing, says %q", body[:end-1], seen)
			}
		}
	})
}

// Whatever a watch brings: that a ConfigMap is gone is said by an event that says so,
// and a watch that breaks off has told the beginning of what the whole would have.
func FuzzWatch(f *testing.F) {
	event := func(kind, name, version string) string {
		return fmt.Sprintf(`{"type":%q,"object":{"metadata":{"name":%q,"resourceVersion":%q},"data":{"v":%q}}}`+"\n", kind, name, version, version)
	}
	f.Add([]byte(event("ADDED", "policy", "2")+event("BOOKMARK", "", "3")+event("DELETED", "policy", "4")+event("MODIFIED", "other", "5")), uint16(120))
	f.Add([]byte(event("ADDED", "policy", "2")+`{"type":"ERROR","object":{"kind":"Status","code":410}}`), uint16(90))
	f.Add([]byte(`{"type":"DELETED","object":null}{"type":"DELETED"}[]`), uint16(30))
	f.Add([]byte(`{"type":"ADDED","object":{"metadata":{"name":"policy"},"data":{"v":1}}}`), uint16(9))
	f.Add([]byte(`{"object":"","object":{"metadata":{"resourceVersion":"0"}}}`), uint16(9))
	f.Fuzz(func(t *testing.T, body []byte, cut uint16) {
		watch := func(w *Watch) error { return w.watch(t.Context()) }
		w, seen, _ := told(t, said{200, "", body}, watch)
		_, part, _ := told(t, said{200, "", body[:min(int(cut), len(body))]}, watch)
		if len(part) > len(seen) || !slices.Equal(part, seen[:len(part)]) {
			t.Fatalf("%q says %q, and its beginning %q", body, seen, part)
		}
		var states []bool
		named := map[string]bool{"": true, "1": true}
		for in := json.NewDecoder(strings.NewReader(string(body))); ; {
			var e struct {
				Type   string
				Object json.RawMessage
			}
			var o struct {
				Metadata struct{ Name, ResourceVersion string }
			}
			if in.Decode(&e) != nil || json.Unmarshal(e.Object, &o) != nil {
				break
			}
			named[o.Metadata.ResourceVersion] = true
			if o.Metadata.Name == "policy" && slices.Contains([]string{"ADDED", "MODIFIED", "DELETED"}, e.Type) {
				states = append(states, e.Type != "DELETED")
			}
		}
		if len(seen) > len(states) || !named[w.version] {
			t.Fatalf("%q says %q at %q", body, seen, w.version)
		}
		for i, s := range seen {
			if strings.HasPrefix(s, "true") != states[i] {
				t.Fatalf("%q says %q", body, seen)
			}
		}
	})
}
