package kill

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const (
	auditApply  = `{"stage":"ResponseComplete","verb":"patch","requestURI":"/api/v1/namespaces/shop/configmaps/a?fieldManager=hawser","user":{"username":"agent"},"userAgent":"hawser-agent/1 op/op-7","objectRef":{"resource":"configmaps","namespace":"shop","name":"a","apiVersion":"v1"},"responseStatus":{"code":201},"responseObject":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"shop","uid":"u1","resourceVersion":"7","annotations":{"argocd.argoproj.io/tracking-id":"shop:/ConfigMap:shop/a","hawser.dev/run":"op-7/PreSync"}},"data":{"v":"1"}},"requestReceivedTimestamp":"2026-01-02T03:04:05.000200Z"}` + "\n"
	auditDryRun = `{"stage":"ResponseComplete","verb":"patch","requestURI":"/api/v1/namespaces/shop/configmaps/a?dryRun=All","user":{"username":"agent"},"objectRef":{"resource":"configmaps","namespace":"shop","name":"a"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2026-01-02T03:04:05.000300Z"}` + "\n"
	auditDelete = `{"stage":"ResponseComplete","verb":"delete","requestURI":"/api/v1/namespaces/shop/configmaps/a","user":{"username":"agent"},"userAgent":"hawser-agent/1 op/op-8","objectRef":{"resource":"configmaps","namespace":"shop","name":"a"},"responseStatus":{"code":504},"requestObject":{"preconditions":{"uid":"u1"}},"requestReceivedTimestamp":"2026-01-02T03:04:05.000400Z"}` + "\n"
	auditLost   = `{"stage":"ResponseComplete","verb":"create","requestURI":"/apis/batch/v1/namespaces/shop/jobs","user":{"username":"agent"},"userAgent":"hawser-agent/1 op/op-7","objectRef":{"resource":"jobs","namespace":"shop","apiGroup":"batch"},"responseStatus":{"code":504},"requestObject":{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"m","namespace":"shop"},"spec":{"template":{"spec":{"containers":[{"image":"m:1"}]}}}},"requestReceivedTimestamp":"2026-01-02T03:04:05.000100Z"}` + "\n"
)

func TestReadAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte(auditApply+auditDryRun+auditDelete+auditLost+auditApply[:50]), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := ReadAudit(path)
	if err != nil || len(a.Requests) != 3 {
		t.Fatalf("%d requests, %v", len(a.Requests), err)
	}
	lost, apply, del := a.Requests[0], a.Requests[1], a.Requests[2]
	want := Request{
		At: time.Date(2026, 1, 2, 3, 4, 5, 200_000, time.UTC), User: "agent", Operation: "op-7", Verb: "patch", Key: cm("a"), Code: 201, Created: true,
		RV: 7, UID: "u1", Run: "op-7", TrackedBy: "shop", Content: `{"v":"1"}`, Settled: true,
	}
	if apply != want {
		t.Errorf("got  %+v\nwant %+v", apply, want)
	}
	if del.Operation != "op-8" || del.Precondition != "u1" || del.OK() {
		t.Errorf("%+v", del)
	}
	if lost.Key != job("m") || lost.Content != "m:1" || lost.OK() || lost.Created {
		t.Errorf("%+v", lost)
	}

	// What a watch has seen tells what became of those without an answer.
	first := Version{Live: Live{Key: cm("a"), UID: "u1", Content: `{"v":"1"}`}, RV: 7, Settled: true}
	gone := first
	gone.Gone, gone.RV = true, 9
	made := Version{Live: Live{Key: job("m"), UID: "u2", Content: "m:1", Run: "op-7"}, RV: 8, Generation: 1}
	other := Version{Live: Live{Key: job("m"), UID: "u2", Content: "m:2"}, RV: 6}
	Resolve(a.Requests, []Version{first})
	if a.Requests[0].OK() || a.Requests[2].OK() {
		t.Errorf("without a version they were not carried out: %+v", a.Requests)
	}
	Resolve(a.Requests, []Version{other, first, made, gone})
	if r := a.Requests[0]; !r.OK() || r.Created || r.UID != "u2" || r.RV != 8 || r.Run != "op-7" {
		t.Errorf("%+v", r)
	}
	if r := a.Requests[2]; !r.OK() || r.Precondition != "u1" {
		t.Errorf("%+v", r)
	}
	if a.Requests[1] != want {
		t.Errorf("an answered request has changed: %+v", a.Requests[1])
	}
}

func TestContentOf(t *testing.T) {
	pod := map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"image": "web:1"}}}}
	for want, o := range map[string]struct {
		kind string
		body map[string]any
	}{
		`{"v":"1"}`: {"ConfigMap", map[string]any{"data": map[string]any{"v": "1"}}},
		"null":      {"ConfigMap", map[string]any{}},
		"2 × web:1": {"Deployment", map[string]any{"spec": map[string]any{"replicas": float64(2), "template": pod}}},
		"web:1":     {"Job", map[string]any{"spec": map[string]any{"template": pod}}},
		"0 × ":      {"Deployment", map[string]any{}},
		"":          {"Service", map[string]any{"spec": map[string]any{}}},
	} {
		if got := ContentOf(o.kind, o.body); got != want {
			t.Errorf("%s: %q, want %q", o.kind, got, want)
		}
	}
}

func TestStoredStates(t *testing.T) {
	state := func(secret string, after, rv int64) State {
		return State{Namespace: "agents", Secret: secret, after: after, rv: rv}
	}
	for name, c := range map[string]struct {
		states []State
		want   []int64 // what the stored ones replaced
	}{
		"all answered":                       {[]State{state("a", 0, 1), state("a", 1, 2)}, []int64{0, 1}},
		"lost and stored":                    {[]State{state("a", 0, 1), state("a", 1, 0), state("a", 2, 3)}, []int64{0, 1, 2}},
		"lost and not stored":                {[]State{state("a", 0, 1), state("a", 1, 0), state("a", 1, 3)}, []int64{0, 1}},
		"lost, and the last: nobody knows":   {[]State{state("a", 0, 1), state("a", 1, 0)}, []int64{0}},
		"lost, and only others came":         {[]State{state("a", 0, 1), state("a", 1, 0), state("b", 0, 5)}, []int64{0, 0}},
		"the first was lost and stored":      {[]State{state("a", 0, 0), state("a", 4, 5)}, []int64{0, 4}},
		"the first was lost and not stored":  {[]State{state("a", 0, 0), state("a", 0, 5)}, []int64{0}},
		"lost in another, stored in its own": {[]State{state("a", 0, 1), state("b", 0, 2), state("b", 2, 0), state("a", 1, 3), state("b", 4, 5)}, []int64{0, 0, 2, 1, 4}},
	} {
		var got []int64
		for _, s := range stored(c.states) {
			got = append(got, s.after)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestARequestThatNeverArrivedWholeStoresNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	line := `{"stage":"ResponseComplete","verb":"update","requestURI":"/api/v1/namespaces/agent/secrets/hawser-state-1","user":{"username":"agent"},"objectRef":{"resource":"secrets","namespace":"agent","name":"hawser-state-1"},"responseStatus":{"code":%d}}` + "\n"
	if err := os.WriteFile(path, fmt.Appendf(nil, line, 500), 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err := ReadAudit(path); err != nil || len(a.States) != 0 || len(a.Requests) != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, line, 200), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAudit(path); err == nil {
		t.Error("one that was stored without a body is believed")
	}
}
