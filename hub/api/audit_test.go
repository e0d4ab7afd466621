package api

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

var auditTestKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// fakeAudit keeps the chain in memory, signed as the real one.
type fakeAudit struct {
	mu     sync.Mutex
	open   map[string]audit.Record
	chain  []audit.Signed
	broken bool
	key    ed25519.PrivateKey // nil: auditTestKey
	began  func(audit.Record) // told of each that is begun; nil: nobody is
}

func (f *fakeAudit) Begin(_ context.Context, r audit.Record) (string, error) {
	if f.began != nil {
		f.began(r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		return "", fault.New(fault.Unavailable, "audit_unavailable", "the audit record could not be stored")
	}
	if f.open == nil {
		f.open = map[string]audit.Record{}
	}
	id := fmt.Sprint(len(f.open))
	f.open[id] = r
	return id, nil
}

func (f *fakeAudit) Add(entries ...fleet.AuditEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range entries {
		delete(f.open, e.Begun)
		r := e.Record
		r.Seq, r.At = int64(len(f.chain)+1), start
		if len(f.chain) > 0 {
			r.Prev = f.chain[len(f.chain)-1].Hash.String()
		}
		s, err := audit.Seal(f.signing(), r)
		if err != nil {
			panic(err)
		}
		f.chain = append(f.chain, s)
	}
}

func (f *fakeAudit) signing() ed25519.PrivateKey {
	if f.key == nil {
		return auditTestKey
	}
	return f.key
}

// rotate hands the chain over to another key.
func (f *fakeAudit) rotate(next ed25519.PrivateKey) {
	public := func(k ed25519.PrivateKey) string { return audit.Hex(k.Public().(ed25519.PublicKey)).String() }
	f.Add(fleet.AuditEntry{Record: audit.Record{Kind: audit.Handover, Key: public(f.signing()), NextKey: public(next)}})
	f.mu.Lock()
	f.key = next
	f.mu.Unlock()
	f.Add(fleet.AuditEntry{Record: audit.Record{Kind: audit.Handover, Key: public(next)}})
}

func (f *fakeAudit) Flush(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		return fault.New(fault.Unavailable, "audit_unavailable", "the audit record could not be stored")
	}
	return nil
}

func (f *fakeAudit) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.chain)
}

func (f *fakeAudit) Records(_ context.Context, q fleet.AuditFilter) ([]audit.Signed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []audit.Signed
	for i, s := range f.chain {
		seq := int64(i + 1)
		if seq > q.After && (q.Before == 0 || seq < q.Before) && (q.Actor == "" || strings.Contains(string(s.Record), `"actor":"`+q.Actor+`"`)) &&
			(q.Kind == "" || strings.Contains(string(s.Record), `"kind":"`+string(q.Kind)+`"`)) {
			out = append(out, s)
		}
	}
	if !q.OldestFirst {
		slices.Reverse(out)
	}
	return out[:min(len(out), q.Limit)], nil
}

func (f *fakeAudit) KeyOf(_ context.Context, s audit.Signed) ([]byte, error) {
	if now := f.signing().Public().(ed25519.PublicKey); s.Record == nil || s.Valid(now) {
		return now, nil
	}
	return auditTestKey.Public().(ed25519.PublicKey), nil
}
func (f *fakeAudit) Digest(b []byte) string { return fmt.Sprint("digest of ", len(b)) }

// take returns the records since the last call.
func (f *fakeAudit) take(t testing.TB) (out []audit.Record) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.chain {
		var r audit.Record
		if err := json.Unmarshal(s.Record, &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	f.chain = nil
	return out
}

func newAuditWorld(t *testing.T) (*world, *fakeAudit) {
	t.Helper()
	f := &fakeAudit{}
	w := newWorld(t, func(o *Options) {
		o.Audit, o.Settings, o.Heartbeat, o.GPGKeys = f, &fakeSettings{}, 30*time.Millisecond, &fakeGPGKeys{}
		o.Jobs = &fakeJobs{jobs: []fleet.StoredJob{{Job: model.Job{ID: "j1", InitiatedBy: "somebody"}}}}
	})
	w.store.repos = []fleet.Repository{{Repository: model.Repository{ID: "r1", URL: "https://github.com/shop/web", Project: "shop"}}}
	w.call("POST", "/api/v1/applications", application("web", "project: default", "project: shop")).ok(201)
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
	f.take(t)
	return w, f
}

// TestEveryCommandHasOneRecord asks every route of the table as an administrator, as
// a viewer and as nobody. Who is let in with a command has one record of it, who is
// refused has one of that, and other reads have none.
func TestEveryCommandHasOneRecord(t *testing.T) {
	for _, r := range Routes() {
		if r.Public {
			continue
		}
		key := r.Method + " " + r.Path
		for _, who := range []string{"admin", "viewer", "nobody"} {
			w, f := newAuditWorld(t)
			header, actor := "Authorization:", ""
			switch who {
			case "admin":
				header, actor = "Authorization: Bearer "+w.as(true), "who"
			case "viewer":
				header, actor = "Authorization: Bearer "+w.as(false, fleet.Grant{Project: "shop", Role: "viewer"}), "who"
			}
			first := strings.Split(r.Path, "/")[1]
			name := map[string]string{"applications": "web", "clusters": "eu", "projects": "shop"}[first]
			id := map[string]string{"operations": "op-1", "repositories": "r1", "jobs": "j1"}[first]
			path := "/api/v1" + strings.NewReplacer(":name", cmpOr(name, "x"), ":id", cmpOr(id, "x")).Replace(r.Path)
			a := w.short(r.Method, path, bodies[key], header)
			got := f.take(t)
			kinds := make([]string, len(got))
			for i, g := range got {
				kinds[i] = string(g.Kind)
				if g.Action != r.ID || g.Actor != actor || g.From != "192.0.2.1" || g.Request == "" || g.Resource != string(r.Resource) {
					t.Errorf("%s as %s: %+v", key, who, g)
				}
			}
			denied := a.status == 401 || a.status == 403
			switch {
			case r.Verb == VerbExec && who == "admin":
				if len(got) == 0 || got[0].Kind != audit.Begun {
					t.Errorf("%s as %s: %v", key, who, kinds)
				}
			case who == "nobody" || denied && who == "viewer":
				if len(got) != 1 || got[0].Outcome != audit.Denied || got[0].Status != a.status || got[0].Code == "" {
					t.Errorf("%s as %s, answered %d: %+v", key, who, a.status, got)
				}
			case r.Command() && who == "admin":
				if len(got) != 1 || got[0].Kind != audit.Command || got[0].Status != a.status && a.status != http.StatusMultiStatus {
					t.Errorf("%s as %s, answered %d: %+v", key, who, a.status, got)
				}
			case !r.Command() && a.status < 400:
				if len(got) != 0 {
					t.Errorf("%s as %s, answered %d: %+v", key, who, a.status, got)
				}
			}
			if len(f.open) != 0 {
				t.Errorf("%s as %s: %v is left open", key, who, f.open)
			}
		}
	}
}

func TestRecordsSayWhatWasDone(t *testing.T) {
	w, f := newAuditWorld(t)
	one := func() audit.Record {
		t.Helper()
		got := f.take(t)
		if len(got) != 1 {
			t.Fatalf("%d records: %+v", len(got), got)
		}
		return got[0]
	}
	w.call("POST", "/api/v1/applications/web/sync", `{"prune": true, "reason": "release 7"}`).ok(202)
	if r := one(); r.Project != "shop" || r.Name != "web" || r.Cluster != "eu" || r.Outcome != audit.Done || r.Operation == "" || r.Reason != "release 7" || !slices.Equal(r.Fields, []string{"prune", "reason"}) {
		t.Errorf("%+v", r)
	}
	w.call("PUT", "/api/v1/applications/web", application("web", "project: default", "project: shop")).ok(200)
	if r := one(); r.Project != "shop" || r.Name != "web" || r.Digest == "" {
		t.Errorf("%+v", r)
	}
	w.call("PUT", "/api/v1/projects/team", `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"team"},"spec":{}}`).ok(201)
	if r := one(); r.Project != "team" || r.Name != "team" {
		t.Errorf("%+v", r)
	}
	w.call("PUT", "/api/v1/projects/team?dryRun=true", `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"team"},"spec":{}}`).ok(200)
	if r := one(); !r.DryRun {
		t.Errorf("%+v", r)
	}
	w.call("DELETE", "/api/v1/applications/none", "").problem(404, "application_not_found")
	if r := one(); r.Outcome != audit.Rejected || r.Code != "application_not_found" || r.Name != "none" {
		t.Errorf("%+v", r)
	}
	w.call("POST", "/api/v1/applications", application("far", "name: eu", "name: us", "project: default", "project: shop")).problem(403, "destination_not_permitted")
	if r := one(); r.Kind != audit.Command || r.Outcome != audit.Denied || r.Name != "far" {
		t.Errorf("%+v", r)
	}
	// Of a text each object has a record.
	w.call("POST", "/api/v1/apply", application("one", "project: default", "project: shop")+"\n---\n"+application("two", "name: eu", "name: nowhere")).ok(207)
	if got := f.take(t); len(got) != 2 || got[0].Name != "one" || got[0].Outcome != audit.Done || got[1].Name != "two" || got[1].Code != "destination_unknown" || got[1].Project != "default" {
		t.Errorf("%+v", got)
	}
	w.call("POST", "/api/v1/applications", application("web2"), "Origin: https://evil.example", "Sec-Fetch-Site: cross-site").problem(403, "cross_origin_blocked")
	if r := one(); r.Kind != audit.Refusal || !strings.Contains(r.Reason, "evil.example") {
		t.Errorf("%+v", r)
	}
}

// TestS13_RecordsHoldNoSecrets sends secrets wherever a request can have some, and
// looks for them in the records.
func TestS13_RecordsHoldNoSecrets(t *testing.T) {
	const canary = "CANARY-s3cr3t"
	w, f := newAuditWorld(t)
	w.call("POST", "/api/v1/repositories", `{"url":"https://bob:`+canary+`@github.com/shop/web","username":"bob","password":"`+canary+`"}`)
	w.call("POST", "/api/v1/repository-templates", `{"url":"https://github.com/shop","username":"bob","password":"`+canary+`"}`)
	w.call("POST", "/api/v1/login", `{"code":"`+canary+`"}`)
	w.call("GET", "/api/v1/applications", "", "Authorization: Bearer hwt_"+canary)
	w.call("POST", "/api/v1/applications/web/sync", `{"`+canary+`": 1}`)
	w.call("POST", "/api/v1/tokens", `{"name":"ci","admin":true}`).ok(201)
	w.call("GET", "/api/v1/applications/web/exec?pod=web-1&command=psql&command=--password="+canary, "")
	w.call("POST", "/api/v1/applications/web/sync", `{"reason":"see https://bob:`+canary+`@example.org"}`)
	var text strings.Builder
	records := f.take(t)
	for _, r := range records {
		b, _ := json.Marshal(r)
		text.Write(b)
	}
	if len(records) < 8 || strings.Contains(text.String(), canary) || strings.Contains(text.String(), "hwt_") {
		t.Errorf("%d records: %s", len(records), &text)
	}
}

// TestNothingIsDoneThatCannotBeRecorded: without its record a command is not
// carried out.
func TestNothingIsDoneThatCannotBeRecorded(t *testing.T) {
	w, f := newAuditWorld(t)
	before := w.store.fingerprint()
	f.broken = true
	w.call("POST", "/api/v1/applications/web/sync", "").problem(503, "audit_unavailable")
	w.call("GET", "/api/v1/applications/web", "").ok(200)
	if w.store.fingerprint() != before {
		t.Error("the command was carried out")
	}
}

func TestAuditIsListedAndExported(t *testing.T) {
	w, f := newAuditWorld(t)
	for range 5 {
		w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
	}
	var seen []int64
	path := "/api/v1/audit?limit=2"
	for cursor := ""; ; {
		var page struct {
			Items      []audit.Record
			NextCursor string
		}
		w.call("GET", path+cursor, "").ok(200).into(&page)
		for _, r := range page.Items {
			seen = append(seen, r.Seq)
		}
		if page.NextCursor == "" {
			break
		}
		cursor = "&cursor=" + page.NextCursor
	}
	if !slices.Equal(seen, []int64{5, 4, 3, 2, 1}) {
		t.Errorf("got %v", seen)
	}
	for _, bad := range []string{"?outcome=maybe", "?kind=x", "?since=yesterday", "?colour=red", "?limit=0", "?cursor=!", "?name=a%00b"} {
		if a := w.call("GET", "/api/v1/audit"+bad, ""); a.status != 400 {
			t.Errorf("%s: %d %s", bad, a.status, a.body)
		}
	}
	verify := func(query string) (audit.Summary, error) {
		v := &audit.Verifier{Key: auditTestKey.Public().(ed25519.PublicKey)}
		for line := range strings.Lines(w.call("GET", "/api/v1/audit/export"+query, "").ok(200).body) {
			if err := v.Line([]byte(line)); err != nil {
				return audit.Summary{}, err
			}
		}
		return v.Done()
	}
	if sum, err := verify(""); err != nil || sum.Records != 5 || sum.Filtered {
		t.Errorf("%+v, %v", sum, err)
	}
	if sum, err := verify("?actor=ana"); err != nil || sum.Records != 5 || !sum.Filtered {
		t.Errorf("%+v, %v", sum, err)
	}
	// Whoever verifies follows a rotation, also among some of the records.
	f.rotate(ed25519.NewKeyFromSeed([]byte(strings.Repeat("n", ed25519.SeedSize))))
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
	if sum, err := verify(""); err != nil || sum.Records != 8 || len(sum.Handovers) != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	if sum, err := verify("?actor=ana"); err != nil || sum.Records != 8 || !sum.Filtered || len(sum.Handovers) != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	if sum, err := verify("?kind=handover"); err != nil || sum.Records != 2 {
		t.Errorf("%+v, %v", sum, err)
	}
	viewer := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "*", Role: "editor"})
	w.call("GET", "/api/v1/audit", "", viewer).problem(403, "permission_denied")
	w.call("GET", "/api/v1/audit/export", "", viewer).problem(403, "permission_denied")
}
