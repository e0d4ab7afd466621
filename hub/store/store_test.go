package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/vault"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestMain(m *testing.M) {
	if order := os.Getenv(rotating); order != "" {
		if err := rotateInChild(strings.Fields(order)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(dbtest.Run(m))
}

// clock is a clock that tests move.
type clock struct{ t atomic.Pointer[time.Time] }

func (c *clock) now() time.Time { return *c.t.Load() }

func (c *clock) advance(d time.Duration) {
	t := c.now().Add(d)
	c.t.Store(&t)
}

// bench is a store on a database of its own, with a clock that tests move.
type bench struct {
	*Store
	t     testing.TB
	dsn   string
	clock *clock
	box   *vault.Box
}

func setup(t testing.TB) *bench {
	t.Helper()
	return setupOn(t, dbtest.Postgres(t), Options{})
}

func setupOn(t testing.TB, dsn string, opts Options) *bench {
	t.Helper()
	key := make([]byte, vault.KeySize)
	rand.Read(key)
	box, err := vault.New(key)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{}
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	c.t.Store(&start)
	opts.Now = c.now
	s, err := Open(t.Context(), dsn, box, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.InitHub(t.Context(), signature); err != nil {
		t.Fatal(err)
	}
	return &bench{Store: s, t: t, dsn: dsn, clock: c, box: box}
}

func signature(hubID string, incarnation int64) ([]byte, error) {
	return fmt.Appendf(nil, "signed %d", incarnation), nil
}

func (b *bench) ctx() context.Context { return b.t.Context() }

// cluster enrols a cluster and returns its id.
func (b *bench) cluster(name string) model.ClusterID {
	b.t.Helper()
	hash := []byte("token of " + name)
	must(b.t, b.CreateEnrolmentToken(b.ctx(), fleet.EnrolmentToken{
		ID: "t-" + name, Hash: hash, Cluster: name, CreatedAt: b.now(), ExpiresAt: b.now().Add(time.Hour),
	}))
	c, err := b.Enrol(b.ctx(), hash, name, "192.0.2.1", b.certificate("serial-"+name))
	must(b.t, err)
	return c.ID
}

func (b *bench) certificate(serial string) func(model.ClusterID) (fleet.Certificate, error) {
	return func(model.ClusterID) (fleet.Certificate, error) {
		return fleet.Certificate{Serial: serial, NotBefore: b.now(), NotAfter: b.now().Add(30 * 24 * time.Hour)}, nil
	}
}

// app creates an application in the default project.
func (b *bench) app(name string, cluster model.ClusterID) fleet.App {
	b.t.Helper()
	app, created, err := b.UpsertApplication(b.ctx(), fleet.App{Name: name, Cluster: cluster, Application: application(name)})
	must(b.t, err)
	if !created {
		b.t.Fatalf("application %s was there", name)
	}
	return app
}

func application(name string) model.Application {
	return model.Application{
		APIVersion: model.APIVersionArgo, Kind: model.KindApplication,
		Metadata: model.ObjectMeta{Name: name, Labels: map[string]string{"team": "a"}},
		Spec: model.ApplicationSpec{
			Project:     "default",
			Source:      &model.Source{RepoURL: "https://git.example.com/org/repo.git", Path: "apps/" + name, TargetRevision: "main"},
			Destination: model.Destination{Name: "one", Namespace: "shop"},
			SyncPolicy:  &model.SyncPolicy{Automated: &model.AutomatedSync{Prune: true}},
		},
	}
}

// session opens a session whose agent holds what is given.
func (b *bench) session(cluster model.ClusterID, known ...model.KnownApp) fleet.Opening {
	b.t.Helper()
	o, err := b.OpenSession(b.ctx(), cluster, model.Hello{Cluster: cluster, AgentVersion: "v1", KubeVersion: "v1.37.2", Known: known, Instance: "pod-1"}, signature)
	must(b.t, err)
	return o
}

func (b *bench) change(app fleet.App, commit string) fleet.DesiredChange {
	b.t.Helper()
	digest := model.Digest("sha256:" + strings.Repeat("0", 64-len(commit)) + commit)
	must(b.t, b.PutBundles(b.ctx(), []fleet.Bundle{{Digest: digest, Encoded: []byte("objects of " + commit), Objects: 4}}))
	rev := model.Revision{Commit: commit, Message: "change <b>", Author: "ann", CommittedAt: b.now().Add(-time.Minute)}
	return fleet.DesiredChange{
		Cluster: app.Cluster, AppVersion: app.Version,
		Desired: model.Desired{App: app.UID, Name: app.Name, Project: app.Project, Bundle: digest, BundleBytes: 11, Revision: rev,
			Spec: model.DesiredSpec{Namespace: "shop", Destination: model.Destination{Name: "one"}, ClusterName: "one"}},
		Source: fleet.SourceState{Revision: rev, RenderKey: "key-" + commit, Bundle: digest, At: b.now()},
	}
}

// desire writes a desired state and returns it.
func (b *bench) desire(app fleet.App, commit string) model.Desired {
	b.t.Helper()
	out, err := b.WriteDesired(b.ctx(), []fleet.DesiredChange{b.change(app, commit)})
	must(b.t, err)
	if len(out) != 1 {
		b.t.Fatalf("%d new generations, want 1", len(out))
	}
	return out[0]
}

func (b *bench) sync(app fleet.App) model.OperationInfo {
	b.t.Helper()
	op, existed, err := b.CreateOperation(b.ctx(), fleet.NewOperation{App: app.UID, Kind: model.OperationSync, InitiatedBy: "ann", Deadline: b.now().Add(time.Hour)})
	must(b.t, err)
	if existed {
		b.t.Fatal("the operation existed")
	}
	return op
}

func (b *bench) count(sql string, args ...any) int {
	b.t.Helper()
	var n int
	must(b.t, b.pool.QueryRow(b.ctx(), sql, args...).Scan(&n))
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, kind fault.Kind, code string) {
	t.Helper()
	if !fault.HasCode(err, code) || !fault.Is(err, kind) {
		t.Errorf("error is %v, want %s %s", err, kind, code)
	}
}

// TestEveryStatementPrepares has Postgres check every statement against the
// schema.
func TestEveryStatementPrepares(t *testing.T) {
	b := setup(t)
	conn, err := pgx.Connect(t.Context(), b.dsn)
	must(t, err)
	defer conn.Close(t.Context())
	for name, sql := range statements {
		if _, err := conn.Prepare(t.Context(), name, sql); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStatementsAreUsed finds statements that nobody uses and names that do not
// exist.
func TestStatementsAreUsed(t *testing.T) {
	files, err := os.ReadDir(".")
	must(t, err)
	var source strings.Builder
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".go") && !strings.HasSuffix(f.Name(), "_test.go") {
			b, err := os.ReadFile(f.Name())
			must(t, err)
			source.Write(b)
		}
	}
	sealed := map[string]bool{} // the columns that keys.go goes over with a statement of each
	for _, c := range sealedColumns {
		sealed[c.name] = true
	}
	for name := range statements {
		used := strings.Contains(source.String(), `"`+name+`"`)
		if action, column, ok := strings.Cut(name, " "); ok {
			used = sealed[column] && strings.Contains(source.String(), `q("`+action+` "+c.name)`)
		}
		if !used {
			t.Errorf("nobody uses the statement %s", name)
		}
	}
	used := regexp.MustCompile(`\bq\("(\w+)"\)`).FindAllStringSubmatch(source.String(), -1)
	if len(used) < 40 {
		t.Fatalf("found only %d uses", len(used))
	}
	for _, m := range used {
		if _, ok := statements[m[1]]; !ok {
			t.Errorf("there is no statement %s", m[1])
		}
	}
}

func TestHubIsInitialisedOnce(t *testing.T) {
	b := setup(t)
	first, err := b.HubState(t.Context())
	must(t, err)
	if first.Incarnation != 1 || first.HubID == "" || string(first.IncarnationSignature) != "signed 1" || first.HoldDeletes {
		t.Errorf("%+v", first)
	}
	again, err := b.InitHub(t.Context(), func(string, int64) ([]byte, error) {
		t.Error("signed again")
		return nil, nil
	})
	must(t, err)
	if again.HubID != first.HubID {
		t.Error("the hub has a new id")
	}
}

func TestSecretsAreSealedAndPutOnce(t *testing.T) {
	b := setup(t)
	_, err := b.Secret(t.Context(), "ca")
	wantCode(t, err, fault.NotFound, "secret_not_found")
	got, err := b.PutSecretOnce(t.Context(), "ca", []byte("CANARY-1"))
	must(t, err)
	if string(got) != "CANARY-1" {
		t.Errorf("%q", got)
	}
	got, err = b.PutSecretOnce(t.Context(), "ca", []byte("CANARY-2"))
	must(t, err)
	if string(got) != "CANARY-1" {
		t.Errorf("the second put gave %q", got)
	}
	if n := b.count(`SELECT count(*) FROM secrets WHERE position('CANARY'::bytea IN sealed) > 0`); n != 0 {
		t.Error("a key lies in the database in the clear")
	}
	_, err = b.pool.Exec(t.Context(), `INSERT INTO secrets (name, sealed) SELECT 'moved', sealed FROM secrets WHERE name = 'ca'`)
	must(t, err)
	_, err = b.Secret(t.Context(), "moved")
	wantCode(t, err, fault.Internal, "vault_value_damaged")
}

func TestAPreflightIsKeptBesideItsTokenAndNoOther(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	for _, id := range []string{"1", "2"} {
		must(t, b.CreateEnrolmentToken(ctx, fleet.EnrolmentToken{ID: id, Hash: []byte("hash of " + id), Cluster: "c" + id, CreatedBy: "ann", CreatedAt: b.now(), ExpiresAt: b.now().Add(time.Hour)}))
	}
	kept := func(id string) *fleet.EnrolmentPreflight {
		t.Helper()
		all, err := b.EnrolmentTokens(ctx)
		must(t, err)
		for _, x := range all {
			if x.ID == id {
				return x.Preflight
			}
		}
		return nil
	}
	note := func(hash, cluster, message string) error {
		return b.NotePreflight(ctx, []byte(hash), cluster, fleet.EnrolmentPreflight{From: "192.0.2.7", AgentVersion: "v1", Checks: []model.PreflightCheck{
			{Check: "dns", Outcome: model.PreflightFailed, Code: "name_unresolved", Message: message, Fix: "look"}}})
	}
	wantCode(t, note("guess", "", "x"), fault.Unauthorized, "enrolment_token_unknown")
	wantCode(t, note("hash of 1", "c2", "x"), fault.Unauthorized, "enrolment_token_other_cluster")
	if kept("1") != nil || kept("2") != nil {
		t.Error("a refused preflight is kept")
	}
	must(t, note("hash of 1", "c1", "first\x00\xff"))
	p := kept("1")
	if p == nil || !p.At.Equal(b.now()) || p.From != "192.0.2.7" || p.AgentVersion != "v1" || len(p.Checks) != 1 || p.Checks[0].Message != "first\ufffd" || p.Checks[0].Fix != "look" {
		t.Errorf("kept: %+v", p)
	}
	if kept("2") != nil {
		t.Error("another token has it too")
	}
	// At once again is not written; later is.
	must(t, note("hash of 1", "", "second"))
	if got := kept("1").Checks[0].Message; got != "first\ufffd" {
		t.Errorf("written again at once: %q", got)
	}
	b.clock.advance(2 * time.Second)
	must(t, note("hash of 1", "", "third"))
	if got := kept("1").Checks[0].Message; got != "third" {
		t.Errorf("not written later: %q", got)
	}
	// It spends nothing, and ends with the token.
	_, err := b.Enrol(ctx, []byte("hash of 1"), "c1", "", b.certificate("s"))
	must(t, err)
	wantCode(t, note("hash of 1", "", "late"), fault.Unauthorized, "enrolment_token_used")
	b.clock.advance(2 * time.Hour)
	wantCode(t, note("hash of 2", "", "late"), fault.Unauthorized, "enrolment_token_expired")
	if kept("1").Checks[0].Message != "third" || kept("2") != nil {
		t.Error("a token that is over was written to")
	}
}

func TestEnrolmentTokens(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	mint := func(id, cluster string) []byte {
		hash := []byte("hash of " + id)
		must(t, b.CreateEnrolmentToken(ctx, fleet.EnrolmentToken{
			ID: id, Hash: hash, Cluster: cluster, Labels: map[string]string{"env": "prod"}, Project: "shop",
			Aliases: []string{"https://shared.example", "https://" + cluster + ".example"}, CreatedBy: "ann", CreatedAt: b.now(), ExpiresAt: b.now().Add(time.Hour),
		}))
		return hash
	}
	h1 := mint("1", "one")
	err := b.CreateEnrolmentToken(ctx, fleet.EnrolmentToken{ID: "1", Hash: []byte("x"), CreatedAt: b.now(), ExpiresAt: b.now()})
	wantCode(t, err, fault.Conflict, "enrolment_token_exists")

	_, err = b.Enrol(ctx, []byte("guess"), "one", "", b.certificate("s"))
	wantCode(t, err, fault.Unauthorized, "enrolment_token_unknown")
	_, err = b.Enrol(ctx, h1, "two", "", b.certificate("s"))
	wantCode(t, err, fault.Unauthorized, "enrolment_token_other_cluster")
	if strings.Contains(err.Error(), `"one"`) {
		t.Error("the error tells the name that the token is for")
	}
	// Whoever minted the token sees why attempts with it fail, and strangers' leave nothing.
	refused := func(id string) *fleet.EnrolmentRefusal {
		t.Helper()
		all, err := b.EnrolmentTokens(ctx)
		must(t, err)
		for _, x := range all {
			if x.ID == id {
				return x.Refused
			}
		}
		t.Fatalf("no token %s", id)
		return nil
	}
	if r := refused("1"); r == nil || r.Code != "enrolment_token_other_cluster" || r.Message == "" || !r.At.Equal(b.now()) {
		t.Errorf("refused: %+v", r)
	}
	// A failure to issue leaves the token unused.
	_, err = b.Enrol(ctx, h1, "one", "", func(model.ClusterID) (fleet.Certificate, error) {
		return fleet.Certificate{}, fault.New(fault.Invalid, "csr_invalid", "no")
	})
	wantCode(t, err, fault.Invalid, "csr_invalid")

	if r := refused("1"); r == nil || r.Code != "csr_invalid" {
		t.Errorf("the newer one is not told: %+v", r)
	}
	one, err := b.Enrol(ctx, h1, "", "192.0.2.7", b.certificate("s1"))
	must(t, err)
	if one.Name != "one" || one.Labels["env"] != "prod" || one.Project != "shop" || one.EnrolledAt == nil || one.CertNotAfter == nil {
		t.Errorf("%+v", one)
	}
	_, err = b.Enrol(ctx, h1, "one", "198.51.100.9", b.certificate("s2"))
	wantCode(t, err, fault.Unauthorized, "enrolment_token_used")
	if r := refused("1"); r == nil || r.Code != "enrolment_token_used" || r.From != "198.51.100.9" {
		t.Errorf("refused after use: %+v", r)
	}

	if want := []string{"https://shared.example", "https://one.example"}; !slices.Equal(one.Aliases, want) {
		t.Errorf("aliases %q", one.Aliases)
	}
	// What means one cluster already does not come to mean two.
	h4 := mint("4", "four")
	four, err := b.Enrol(ctx, h4, "", "", b.certificate("s4"))
	must(t, err)
	if want := []string{"https://four.example"}; !slices.Equal(four.Aliases, want) {
		t.Errorf("aliases %q", four.Aliases)
	}

	h2 := mint("2", "two")
	b.clock.advance(time.Hour)
	_, err = b.Enrol(ctx, h2, "two", "", b.certificate("s2"))
	wantCode(t, err, fault.Unauthorized, "enrolment_token_expired")

	// Enrolled again, the cluster keeps its id and the old certificate is void.
	h3 := mint("3", "one")
	again, err := b.Enrol(ctx, h3, "one", "", b.certificate("s3"))
	must(t, err)
	if again.ID != one.ID {
		t.Error("the cluster has a new id")
	}
	for serial, revoked := range map[string]bool{"s1": true, "s3": false} {
		c, err := b.CertificateState(ctx, serial)
		must(t, err)
		if c.Revoked != revoked || c.Cluster != one.ID {
			t.Errorf("%s: %+v", serial, c)
		}
	}
	_, err = b.CertificateState(ctx, "none")
	wantCode(t, err, fault.NotFound, "certificate_unknown")

	tokens, err := b.EnrolmentTokens(ctx)
	must(t, err)
	if len(tokens) != 4 {
		t.Fatalf("%d tokens", len(tokens))
	}
	i := slices.IndexFunc(tokens, func(t fleet.EnrolmentToken) bool { return t.ID == "1" })
	if used := tokens[i]; used.UsedAt == nil || used.UsedFrom != "192.0.2.7" || used.CreatedBy != "ann" {
		t.Errorf("%+v", used)
	}
	must(t, b.DeleteEnrolmentToken(ctx, "2"))
	wantCode(t, b.DeleteEnrolmentToken(ctx, "2"), fault.NotFound, "enrolment_token_unknown")
}

func TestOneTokenEnrolsOneAgent(t *testing.T) {
	b := setup(t)
	must(t, b.CreateEnrolmentToken(t.Context(), fleet.EnrolmentToken{ID: "1", Hash: []byte("h"), Cluster: "one", CreatedAt: b.now(), ExpiresAt: b.now().Add(time.Hour)}))
	results := make(chan error, 8)
	for i := range cap(results) {
		go func() {
			_, err := b.Enrol(t.Context(), []byte("h"), "one", "", b.certificate(fmt.Sprint(i)))
			results <- err
		}()
	}
	good := 0
	for range cap(results) {
		if err := <-results; err == nil {
			good++
		} else {
			wantCode(t, err, fault.Unauthorized, "enrolment_token_used")
		}
	}
	if good != 1 {
		t.Errorf("%d agents enrolled with one token", good)
	}
}

func TestAPITokens(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	tok := fleet.APIToken{ID: "1", Name: "ann", Hash: []byte("h"), Admin: true, CreatedAt: b.now(), ExpiresAt: b.now().Add(time.Hour)}
	must(t, b.CreateAPIToken(ctx, tok))
	wantCode(t, b.CreateAPIToken(ctx, tok), fault.Conflict, "api_token_exists")
	_, err := b.APITokenByHash(ctx, []byte("x"))
	wantCode(t, err, fault.NotFound, "api_token_unknown")
	for _, step := range []struct {
		after time.Duration
		want  int // writes of last_used so far, told by its value
	}{{0, 0}, {30 * time.Second, 0}, {60 * time.Second, 90}} {
		b.clock.advance(step.after)
		got, err := b.APITokenByHash(ctx, []byte("h"))
		must(t, err)
		if got.Name != "ann" || !got.Admin || !got.ExpiresAt.Equal(tok.ExpiresAt) {
			t.Errorf("%+v", got)
		}
		all, err := b.APITokens(ctx)
		must(t, err)
		if len(all) != 1 || all[0].LastUsed == nil || !all[0].LastUsed.Equal(tok.CreatedAt.Add(time.Duration(step.want)*time.Second)) {
			t.Errorf("after %s: %+v", step.after, all)
		}
	}
	must(t, b.DeleteAPIToken(ctx, "1"))
	wantCode(t, b.DeleteAPIToken(ctx, "1"), fault.NotFound, "api_token_unknown")
	wantCode(t, b.DeleteAPIToken(ctx, "\x00"), fault.Invalid, "text_invalid")
}
