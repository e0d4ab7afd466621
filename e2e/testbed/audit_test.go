package testbed

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

const (
	auditPatch = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/n/deployments/d/status?x=1","verb":"patch","user":{"username":"u","groups":["g"]},"impersonatedUser":{"username":"other"},"userAgent":"agent/1","objectRef":{"resource":"deployments","namespace":"n","name":"d","apiGroup":"apps","apiVersion":"v1","subresource":"status"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-01-02T03:04:05.000100Z","stageTimestamp":"2026-01-02T03:04:05.000350Z"}` + "\n"
	auditWatch = `{"auditID":"2","stage":"ResponseStarted","verb":"watch","requestURI":"/api/v1/pods?watch=1","user":{"username":"u"}}` + "\n"
	watchEnds  = `{"auditID":"2","stage":"ResponseComplete","verb":"watch","requestURI":"/api/v1/pods?watch=1","user":{"username":"u"}}` + "\n"
	received   = `{"auditID":"3","stage":"RequestReceived","verb":"get","requestURI":"/version","user":{"username":"u"}}` + "\n"
	panicked   = `{"auditID":"3","stage":"Panic","verb":"get","requestURI":"/version","user":{"username":"u"},"responseStatus":{"code":500}}` + "\n"
)

func TestAuditReaderReportsEachRequestOnce(t *testing.T) {
	r := &AuditReader{path: filepath.Join(t.TempDir(), "audit.log"), begun: map[string]bool{}}
	if events, err := r.Next(); events != nil || err != nil {
		t.Fatalf("before there is a log: %v, %v", events, err)
	}
	log, err := os.Create(r.path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for _, step := range []struct {
		written string
		ids     []string
	}{
		{auditPatch, []string{"1"}},
		{"", nil},
		{auditWatch + received, []string{"2"}},
		{panicked[:40], nil}, // a line that is still being written
		{panicked[40:], []string{"3"}},
		{watchEnds, nil},
		{"\n" + watchEnds, []string{"2"}}, // its beginning was not seen: reported at its end
	} {
		if _, err := log.WriteString(step.written); err != nil {
			t.Fatal(err)
		}
		events, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, e := range events {
			ids = append(ids, e.AuditID)
		}
		if !reflect.DeepEqual(ids, step.ids) {
			t.Errorf("after %.60q: requests %v, want %v", step.written, ids, step.ids)
		}
	}
	if _, err := log.WriteString("not json\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err == nil {
		t.Error("a broken line is no error")
	}
}

func TestAuditEventFields(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte(auditPatch), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func() *AuditReader { return &AuditReader{path: path, begun: map[string]bool{}} }
	got, err := read().Await(t.Context(), AuditEvent.Write)
	if err != nil {
		t.Fatal(err)
	}
	want := AuditEvent{
		AuditID: "1", Verb: "patch", User: "u", ImpersonatedUser: "other", UserAgent: "agent/1",
		Group: "apps", Resource: "deployments", Subresource: "status", Namespace: "n", Name: "d",
		Code: 200, RequestURI: "/apis/apps/v1/namespaces/n/deployments/d/status?x=1",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 100_000, time.UTC), Duration: 250 * time.Microsecond,
	}
	if got != want {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := read().Await(ctx, func(AuditEvent) bool { return false }); !errors.Is(err, context.Canceled) {
		t.Fatalf("nothing matches: %v", err)
	}
	for verb, write := range map[string]bool{"get": false, "list": false, "watch": false, "create": true, "update": true, "patch": true, "delete": true, "deletecollection": true, "post": true, "put": true} {
		if (AuditEvent{Verb: verb}).Write() != write {
			t.Errorf("%s is a write: %v, want %v", verb, !write, write)
		}
	}
}

func TestParseUsage(t *testing.T) {
	stat := []byte("42 (a ) odd (name) S 1 42 42 0 -1 4194560 1 2 3 4 250 50 7 8 20 0 9 0 100 200 300")
	status := []byte("Name:\todd\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t9\n")
	got, err := parseUsage(stat, status)
	if want := (Usage{CPUSeconds: 3, RSS: 1 << 20, PeakRSS: 2 << 20}); err != nil || got != want {
		t.Fatalf("%+v, %v; want %+v", got, err, want)
	}
	for _, bad := range [][2]string{{"", string(status)}, {"1 (x) S 1", string(status)}, {string(stat), "VmRSS: lots\n"}} {
		if u, err := parseUsage([]byte(bad[0]), []byte(bad[1])); err == nil {
			t.Errorf("%q gives %+v", bad, u)
		}
	}
	if u, err := ProcessUsage(os.Getpid()); err != nil || u.RSS == 0 {
		t.Errorf("usage of this process: %+v, %v", u, err)
	}
}
