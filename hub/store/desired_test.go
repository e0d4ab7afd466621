package store

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestGenerationRisesOnlyWithContent(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	app := b.app("shop", b.cluster("one"))
	first := b.desire(app, "aaa")
	if first.Generation != 1 {
		t.Fatalf("first generation is %d", first.Generation)
	}
	out, err := b.WriteDesired(ctx, []fleet.DesiredChange{b.change(app, "aaa")})
	must(t, err)
	if len(out) != 0 {
		t.Errorf("the same content made %+v", out)
	}
	if second := b.desire(app, "bbb"); second.Generation != 2 {
		t.Errorf("generation %d", second.Generation)
	}
	desired, withdraws, err := b.DesiredFor(ctx, app.Cluster, nil)
	must(t, err)
	if len(desired) != 1 || len(withdraws) != 0 {
		t.Fatalf("%+v %+v", desired, withdraws)
	}
	got := desired[0]
	want := b.change(app, "bbb").Desired
	want.Generation = 2
	if got.Content() != want.Content() || got.Generation != 2 || got.BundleBytes != want.BundleBytes || got.Revision.Message != "change <b>" {
		t.Errorf("stored\n%+v\nwritten\n%+v", got, want)
	}
	stored, err := b.Application(ctx, "shop")
	must(t, err)
	if s := stored.Source; s.RenderKey != "key-bbb" || s.Bundle != want.Bundle || s.Revision.Commit != "bbb" || s.Error != nil {
		t.Errorf("source %+v", s)
	}
}

func TestLimitsAloneAreANewGeneration(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one := b.cluster("one")
	app, never := b.app("shop", one), b.app("never", one)
	first := b.desire(app, "aaa")
	limits := func(a fleet.App) fleet.DesiredChange {
		return fleet.DesiredChange{Cluster: a.Cluster, AppVersion: a.Version, LimitsOnly: true,
			Source:  fleet.SourceState{App: a.UID, Error: &model.Condition{Type: "InvalidSpecError", Code: "kind_not_permitted", Message: "m"}},
			Desired: model.Desired{App: a.UID, Name: a.Name, Project: "default", ProjectSpec: model.AppProjectSpec{SourceRepos: []string{"https://tight.example/*"}}}}
	}
	out, err := b.WriteDesired(ctx, []fleet.DesiredChange{limits(app), limits(never)})
	must(t, err)
	if len(out) != 1 || out[0].App != app.UID || out[0].Generation != first.Generation+1 {
		t.Fatalf("written %+v", out)
	}
	desired, _, err := b.DesiredFor(ctx, app.Cluster, nil)
	must(t, err)
	if len(desired) != 1 || desired[0].Bundle != first.Bundle || desired[0].Revision.Commit != "aaa" ||
		len(desired[0].ProjectSpec.SourceRepos) != 1 || desired[0].ProjectSpec.SourceRepos[0] != "https://tight.example/*" {
		t.Errorf("stored %+v", desired)
	}
	for _, name := range []string{"shop", "never"} {
		stored, err := b.Application(ctx, name)
		must(t, err)
		if stored.Source.Error == nil || stored.Source.Error.Code != "kind_not_permitted" {
			t.Errorf("%s: the refusal is not stored: %+v", name, stored.Source)
		}
	}
	if out, err = b.WriteDesired(ctx, []fleet.DesiredChange{limits(app)}); err != nil || len(out) != 0 {
		t.Errorf("the same limits again: %+v, %v", out, err)
	}
	// Limits that a command needs say nothing about the sources.
	alone := limits(app)
	alone.KeepSource, alone.Source, alone.Desired.ProjectSpec.SourceRepos = true, fleet.SourceState{}, []string{"https://tighter.example/*"}
	if out, err = b.WriteDesired(ctx, []fleet.DesiredChange{alone}); err != nil || len(out) != 1 || out[0].Generation != first.Generation+2 {
		t.Errorf("limits alone: %+v, %v", out, err)
	}
	if kept, err := b.Application(ctx, "shop"); err != nil || kept.Source.Error == nil || kept.Source.Error.Code != "kind_not_permitted" {
		t.Errorf("the source is forgotten: %+v, %v", kept.Source, err)
	}
}

func TestChangesThatAreDropped(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one := b.cluster("one")
	app := b.app("shop", one)
	other := b.app("other", one)

	outdated := b.change(app, "aaa")
	outdated.AppVersion--
	elsewhere := b.change(app, "aaa")
	elsewhere.Cluster = "elsewhere"
	gone := b.change(app, "aaa")
	gone.Desired.App = "gone"
	deleted := b.change(other, "aaa")
	_, _, err := b.CreateOperation(ctx, fleet.NewOperation{App: other.UID, Kind: model.OperationDelete})
	must(t, err)
	deletedNow, err := b.Application(ctx, "other")
	must(t, err)
	deleted.AppVersion = deletedNow.Version
	for name, c := range map[string]fleet.DesiredChange{"outdated": outdated, "elsewhere": elsewhere, "gone": gone, "deleting": deleted} {
		out, err := b.WriteDesired(ctx, []fleet.DesiredChange{c})
		must(t, err)
		if len(out) != 0 || b.count(`SELECT count(*) FROM desired`) != 0 || b.count(`SELECT count(*) FROM app_sources`) != 0 {
			t.Errorf("%s: was written: %+v", name, out)
		}
	}
	// One that is dropped does not hold up the others.
	out, err := b.WriteDesired(ctx, []fleet.DesiredChange{deleted, b.change(app, "aaa"), gone})
	must(t, err)
	if len(out) != 1 || out[0].App != app.UID {
		t.Errorf("%+v", out)
	}
}

func TestDesiredNeedsItsBundle(t *testing.T) {
	b := setup(t)
	app := b.app("shop", b.cluster("one"))
	c := b.change(app, "aaa")
	c.Desired.Bundle = "sha256:missing"
	_, err := b.WriteDesired(t.Context(), []fleet.DesiredChange{c})
	wantCode(t, err, fault.Unavailable, "bundle_missing")
	if b.count(`SELECT count(*) FROM desired`) != 0 {
		t.Error("it was written")
	}
}

func TestSourceErrorsKeepTheLastGoodState(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	app := b.app("shop", b.cluster("one"))
	c := b.change(app, "aaa")
	must(t, b.RecordSourceStates(ctx, []fleet.SourceState{{App: app.UID, Error: &model.Condition{Type: "ComparisonError", Code: "git_unavailable", Message: "no answer"}, At: b.now()}, {App: "gone", At: b.now()}}))
	got, err := b.Application(ctx, "shop")
	must(t, err)
	if got.Source.Error == nil || got.Source.Error.Code != "git_unavailable" || got.Source.RenderKey != "" {
		t.Errorf("error before anything good: %+v", got.Source)
	}
	b.clock.advance(time.Second)
	c.Source.At = b.now()
	c.Source.Warnings = []model.Condition{{Type: "RenderWarning", Code: "helm_lookup_empty", Message: "m"}}
	_, err = b.WriteDesired(ctx, []fleet.DesiredChange{c})
	must(t, err)
	b.clock.advance(time.Second)
	must(t, b.RecordSourceStates(ctx, []fleet.SourceState{{App: app.UID, Error: &model.Condition{Code: "git_unavailable"}, At: b.now()}}))
	// One that is older comes late and changes nothing.
	must(t, b.RecordSourceStates(ctx, []fleet.SourceState{{App: app.UID, RenderKey: "old", At: b.now().Add(-time.Minute)}}))
	got, err = b.Application(ctx, "shop")
	must(t, err)
	if s := got.Source; s.Error == nil || s.RenderKey != "key-aaa" || s.Revision.Commit != "aaa" || s.Bundle != c.Desired.Bundle || len(s.Warnings) != 1 {
		t.Errorf("after an error: %+v", s)
	}
	if b.count(`SELECT count(*) FROM desired`) != 1 {
		t.Error("an error removed the desired state")
	}
	view, err := b.AppView(ctx, "shop")
	must(t, err)
	if len(view.Conditions) != 2 || view.Conditions[0].Code != "git_unavailable" || view.Conditions[1].Code != "helm_lookup_empty" {
		t.Errorf("conditions %+v", view.Conditions)
	}
	b.clock.advance(time.Second)
	must(t, b.RecordSourceStates(ctx, []fleet.SourceState{{App: app.UID, Revision: model.Revision{Commit: "bbb"}, RenderKey: "key-aaa", Bundle: c.Desired.Bundle, At: b.now()}}))
	got, err = b.Application(ctx, "shop")
	must(t, err)
	if got.Source.Error != nil || got.Source.Revision.Commit != "bbb" || len(got.Source.Warnings) != 0 {
		t.Errorf("after the recovery: %+v", got.Source)
	}
}

func TestBundlesAreSealedAndOnlyForTheirCluster(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one, two := b.cluster("one"), b.cluster("two")
	app := b.app("shop", one)
	encoded := []byte("CANARY objects")
	bundles := []fleet.Bundle{{Digest: "sha256:b", Encoded: encoded, Objects: 4}, {Digest: "sha256:a", Encoded: []byte("CANARY other"), Objects: 1}, {Digest: "sha256:b", Encoded: encoded, Objects: 4}}
	must(t, b.PutBundles(ctx, bundles))
	must(t, b.PutBundles(ctx, bundles))
	must(t, b.PutBundles(ctx, nil))
	if n := b.count(`SELECT count(*) FROM bundles`); n != 2 {
		t.Errorf("%d bundles", n)
	}
	if n := b.count(`SELECT count(*) FROM bundles WHERE position('CANARY'::bytea IN sealed) > 0`); n != 0 {
		t.Error("a bundle lies in the database in the clear")
	}
	got, err := b.Bundle(ctx, "sha256:b")
	must(t, err)
	if !bytes.Equal(got, encoded) {
		t.Errorf("%q", got)
	}
	_, err = b.Bundle(ctx, "sha256:none")
	wantCode(t, err, fault.NotFound, "bundle_not_found")

	c := b.change(app, "aaa")
	c.Desired.Bundle = "sha256:b"
	_, err = b.WriteDesired(ctx, []fleet.DesiredChange{c})
	must(t, err)
	if got, err := b.BundleFor(ctx, one, "sha256:b"); err != nil || !bytes.Equal(got, encoded) {
		t.Errorf("%q %v", got, err)
	}
	for _, ask := range []struct {
		cluster model.ClusterID
		digest  model.Digest
	}{{two, "sha256:b"}, {one, "sha256:a"}, {"none", "sha256:b"}, {one, "sha256:none"}, {one, "x\x00"}} {
		_, err := b.BundleFor(ctx, ask.cluster, ask.digest)
		wantCode(t, err, fault.NotFound, "bundle_not_found")
	}
	// A bundle that was put under another digest does not open.
	_, err = b.pool.Exec(ctx, `UPDATE bundles SET sealed = (SELECT sealed FROM bundles WHERE digest = 'sha256:a') WHERE digest = 'sha256:b'`)
	must(t, err)
	_, err = b.BundleFor(ctx, one, "sha256:b")
	wantCode(t, err, fault.Internal, "vault_value_damaged")
}

func TestOnlyUnusedBundlesAreCollected(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	app := b.app("shop", b.cluster("one"))
	b.desire(app, "aaa") // bundle …aaa is desired and source
	must(t, b.PutBundles(ctx, []fleet.Bundle{{Digest: "sha256:old"}, {Digest: "sha256:used-again"}}))
	b.clock.advance(time.Hour)
	must(t, b.PutBundles(ctx, []fleet.Bundle{{Digest: "sha256:used-again"}, {Digest: "sha256:new"}}))
	n, err := b.CollectBundles(ctx, b.now().Add(-time.Minute))
	must(t, err)
	if n != 1 {
		t.Errorf("%d were collected", n)
	}
	if b.count(`SELECT count(*) FROM bundles WHERE digest = 'sha256:old'`) != 0 || b.count(`SELECT count(*) FROM bundles`) != 3 {
		t.Error("the wrong one was collected")
	}
}

func TestAcks(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one := b.cluster("one")
	app := b.app("shop", one)
	foreign := b.app("foreign", b.cluster("two"))
	b.desire(app, "aaa")
	b.desire(foreign, "aaa")
	o := b.session(one)
	ack := func(g model.Generation, code string) error {
		return b.AckDesired(ctx, one, o.Epoch, []fleet.Ack{{App: app.UID, Generation: g, ErrorCode: code, Error: "no \x00 way"}, {App: foreign.UID, Generation: 1, ErrorCode: "x"}, {App: "gone", Generation: 1}})
	}
	conditions := func(name string) []model.Condition {
		v, err := b.AppView(ctx, name)
		must(t, err)
		return v.Conditions
	}
	must(t, ack(1, "kind_not_permitted"))
	if c := conditions("shop"); len(c) != 1 || c[0].Code != "kind_not_permitted" || c[0].Message != "no  way" || c[0].Since == nil {
		t.Errorf("after a refusal: %+v", c)
	}
	if c := conditions("foreign"); len(c) != 0 {
		t.Errorf("an agent wrote to another cluster's application: %+v", c)
	}
	b.desire(app, "bbb")
	if c := conditions("shop"); len(c) != 0 {
		t.Errorf("the refusal outlives its generation: %+v", c)
	}
	must(t, ack(1, "late")) // of the old generation
	if c := conditions("shop"); len(c) != 0 {
		t.Errorf("a late refusal is shown: %+v", c)
	}
	must(t, ack(2, "no"))
	must(t, ack(2, ""))
	if c := conditions("shop"); len(c) != 0 {
		t.Errorf("after it was taken: %+v", c)
	}
	if n := b.count(`SELECT acked_generation FROM desired WHERE app_uid = $1`, app.UID); n != 2 {
		t.Errorf("acknowledged generation %d", n)
	}
	newer := b.session(one)
	wantCode(t, ack(2, ""), fault.Conflict, "epoch_stale")
	must(t, b.CloseSession(ctx, one, o.Epoch, fleet.SessionEnd{})) // of no effect: not the newest
	if c, err := b.Cluster(ctx, "one"); err != nil || !c.Connected {
		t.Errorf("an older session closed the newer: %+v %v", c, err)
	}
	must(t, b.CloseSession(ctx, one, newer.Epoch, fleet.SessionEnd{Code: "hub_stopping", Message: "m"}))
	if c, err := b.Cluster(ctx, "one"); err != nil || c.Connected || c.Freshness != model.FreshStale {
		t.Errorf("closed: %+v %v", c, err)
	}
}

// TestWriteDesiredInAHandfulOfRoundTrips writes 500 desired states at once.
func TestWriteDesiredInAHandfulOfRoundTrips(t *testing.T) {
	b, wire := setupProxied(t)
	ctx := t.Context()
	one := b.cluster("one")
	var changes []fleet.DesiredChange
	var bundles []fleet.Bundle
	for i := range 500 {
		app := b.app(fmt.Sprintf("app-%03d", i), one)
		digest := model.Digest(fmt.Sprintf("sha256:%064d", i))
		bundles = append(bundles, fleet.Bundle{Digest: digest, Encoded: bytes.Repeat([]byte{'x'}, 4096), Objects: 4})
		changes = append(changes, fleet.DesiredChange{Cluster: one, AppVersion: app.Version,
			Desired: model.Desired{App: app.UID, Name: app.Name, Project: "default", Bundle: digest, Revision: model.Revision{Commit: "aaa"},
				ProjectSpec: model.AppProjectSpec{SourceRepos: []string{strings.Repeat("r", 500)}}},
			Source: fleet.SourceState{RenderKey: "k", Bundle: digest, At: b.now()}})
	}
	start := time.Now()
	must(t, b.PutBundles(ctx, bundles))
	put := time.Since(start)

	trips := wire.trips()
	start = time.Now()
	out, err := b.WriteDesired(ctx, changes)
	must(t, err)
	if len(out) != 500 {
		t.Errorf("%d new generations", len(out))
	}
	t.Logf("500 bundles stored in %s, 500 desired states in %s, %d round trips", put, time.Since(start), wire.trips()-trips)
	if n := b.writers("desired", "generation = 1"); n > 2 {
		t.Errorf("%d transactions wrote 500 desired states", n)
	}
	start = time.Now()
	desired, _, err := b.DesiredFor(ctx, one, nil)
	must(t, err)
	t.Logf("500 desired states read in %s", time.Since(start))
	if len(desired) != 500 {
		t.Errorf("%d are read", len(desired))
	}
	start = time.Now()
	if o := b.session(one); len(o.Desired) != 500 {
		t.Errorf("a session with nothing is sent %d", len(o.Desired))
	}
	t.Logf("a session with 500 applications opened in %s", time.Since(start))
	for i := range changes {
		changes[i].Desired.Revision.Commit = "bbb"
	}
	trips = wire.trips()
	start = time.Now()
	out, err = b.WriteDesired(ctx, changes)
	must(t, err)
	trips = wire.trips() - trips
	t.Logf("500 changed desired states in %s, %d round trips", time.Since(start), trips)
	if trips > 8 {
		t.Errorf("%d round trips", trips)
	}
	if len(out) != 500 || out[0].Generation != 2 {
		t.Errorf("%d new generations", len(out))
	}
}

// writers is the number of transactions that wrote the rows of a table that stand
// there now. Each row names its own (xmin), so what others do in the same Postgres,
// its autovacuum too, is not counted.
func (b *bench) writers(table, where string) int {
	return b.count(`SELECT count(DISTINCT xmin::text) FROM ` + table + ` WHERE ` + where)
}
