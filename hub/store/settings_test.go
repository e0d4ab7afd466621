package store

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestCustomizationsHaveVersions(t *testing.T) {
	b := setup(t)
	c, err := b.Customizations(b.ctx())
	must(t, err)
	if c.Version != 0 || c.Customizations == nil || len(c.Customizations) != 0 {
		t.Errorf("before anybody set them: %+v", c)
	}
	one := model.Customizations{"resource.customizations.health.A": "return <1> \u00e9\n", "resource.compareoptions": ""}
	stored, changed, err := b.PutCustomizations(b.ctx(), one, "ann", 0)
	must(t, err)
	if !changed || stored.Version != 1 || stored.ChangedBy != "ann" || !stored.ChangedAt.Equal(b.now()) {
		t.Errorf("%v %+v", changed, stored)
	}
	b.clock.advance(time.Minute)
	again, changed, err := b.PutCustomizations(b.ctx(), maps.Clone(one), "bob", 1)
	must(t, err)
	if changed || again.Version != 1 || again.ChangedBy != "ann" {
		t.Errorf("the same again: %v %+v", changed, again)
	}
	stored, changed, err = b.PutCustomizations(b.ctx(), nil, "bob", 1)
	must(t, err)
	if !changed || stored.Version != 2 || stored.Customizations.Digest() != (model.Customizations{}).Digest() {
		t.Errorf("none: %v %+v", changed, stored)
	}
	_, _, err = b.PutCustomizations(b.ctx(), one, "cid", 1)
	wantCode(t, err, fault.Conflict, "version_conflict")

	c, err = b.Customizations(b.ctx())
	must(t, err)
	if c.Version != 2 || c.ChangedBy != "bob" || len(c.Customizations) != 0 {
		t.Errorf("%+v", c)
	}
	c, err = b.CustomizationsAt(b.ctx(), 1)
	must(t, err)
	if c.Customizations.Digest() != one.Digest() || !maps.Equal(c.Customizations, one) {
		t.Errorf("version 1 is %+v", c)
	}
	for _, v := range []int64{-1, 0, 3} {
		_, err = b.CustomizationsAt(b.ctx(), v)
		wantCode(t, err, fault.NotFound, "settings_version_unknown")
	}
}

func TestOldVersionsOfCustomizationsAreForgotten(t *testing.T) {
	b := setup(t)
	for i := range 30 {
		_, _, err := b.PutCustomizations(b.ctx(), model.Customizations{"resource.customizations.health.A": fmt.Sprint(i)}, "ann", int64(i))
		must(t, err)
	}
	versions, err := b.CustomizationsVersions(b.ctx())
	must(t, err)
	if len(versions) != fleet.KeptSettings || versions[0].Version != 30 || versions[19].Version != 11 || versions[0].ChangedBy != "ann" {
		t.Errorf("%d versions: %+v", len(versions), versions)
	}
}

func TestWhoeverChangesCustomizationsAtOnceLosesNothing(t *testing.T) {
	b := setup(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	conflicts := 0
	for i := range 8 {
		wg.Go(func() {
			_, _, err := b.PutCustomizations(b.ctx(), model.Customizations{"k": strings.Repeat("x", i+1)}, "ann", 0)
			if fault.HasCode(err, "version_conflict") {
				mu.Lock()
				conflicts++
				mu.Unlock()
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	versions, err := b.CustomizationsVersions(b.ctx())
	must(t, err)
	if len(versions)+conflicts != 8 {
		t.Errorf("%d versions and %d conflicts of 8 writes", len(versions), conflicts)
	}
}

func TestWhoHasTheCustomizations(t *testing.T) {
	b := setup(t)
	digest := model.Customizations{"a": "1"}.Digest()
	h, err := b.SettingsHolders(b.ctx(), digest)
	must(t, err)
	if h.Current != 0 || h.Behind != 0 || len(h.BehindNames) != 0 {
		t.Errorf("no clusters: %+v", h)
	}
	ids := map[string]model.ClusterID{}
	for _, name := range []string{"has", "old", "none", "gone"} {
		ids[name] = b.cluster(name)
	}
	report := func(name string, version int64, d model.Digest) {
		o := b.session(ids[name])
		must(t, b.SaveClusterReport(b.ctx(), fleet.ClusterReport{Cluster: ids[name], Epoch: o.Epoch,
			ClusterReport: model.ClusterReport{ObservedAt: b.now(), SettingsVersion: version, SettingsDigest: d}}))
	}
	report("has", 3, digest)
	report("old", 2, model.Customizations{}.Digest())
	report("gone", 1, "")
	must(t, b.RevokeCluster(b.ctx(), ids["gone"]))
	h, err = b.SettingsHolders(b.ctx(), digest)
	must(t, err)
	if h.Current != 1 || h.Behind != 2 || fmt.Sprint(h.BehindNames) != "[none old]" {
		t.Errorf("%+v", h)
	}
	c, err := b.Cluster(b.ctx(), "has")
	must(t, err)
	if c.SettingsVersion != 3 {
		t.Errorf("%+v", c)
	}
}

func TestAnRBACPolicyHasVersionsOfItsOwn(t *testing.T) {
	b := setup(t)
	_, _, err := b.PutCustomizations(b.ctx(), model.Customizations{"resource.compareoptions": ""}, "ann", 0)
	must(t, err)
	r, err := b.RBAC(b.ctx())
	must(t, err)
	if r.Version != 0 || r.Keys == nil || len(r.Keys) != 0 {
		t.Errorf("before anybody set it: %+v", r)
	}
	one := map[string]string{"policy.csv": "p, a, *, *, *, allow\n", "policy.default": "role:readonly"}
	r, changed, err := b.PutRBAC(b.ctx(), one, "bob", 0)
	must(t, err)
	if !changed || r.Version != 1 || r.ChangedBy != "bob" || !maps.Equal(r.Keys, one) {
		t.Errorf("%v %+v", changed, r)
	}
	_, changed, err = b.PutRBAC(b.ctx(), maps.Clone(one), "cid", 1)
	must(t, err)
	if changed {
		t.Error("the same again is a change")
	}
	_, _, err = b.PutRBAC(b.ctx(), nil, "cid", 7)
	wantCode(t, err, fault.Conflict, "version_conflict")
	_, _, err = b.PutRBAC(b.ctx(), nil, "cid", 1)
	must(t, err)
	r, err = b.RBACAt(b.ctx(), 1)
	must(t, err)
	if !maps.Equal(r.Keys, one) {
		t.Errorf("version 1 is %+v", r)
	}
	versions, err := b.RBACVersions(b.ctx())
	must(t, err)
	c, err := b.Customizations(b.ctx())
	must(t, err)
	if len(versions) != 2 || c.Version != 1 || len(c.Customizations) != 1 {
		t.Errorf("%+v, customizations %+v", versions, c)
	}
	_, err = b.RBACAt(b.ctx(), 3)
	wantCode(t, err, fault.NotFound, "settings_version_unknown")
}
