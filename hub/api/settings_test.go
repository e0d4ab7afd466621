package api

import (
	"context"
	"maps"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// fakeSettings keeps every version.
type fakeSettings struct {
	versions []fleet.Customizations
	rbac     []fleet.RBAC
	down     bool
	told     int
}

func (f *fakeSettings) Customizations(context.Context) (fleet.Customizations, error) {
	if f.down {
		return fleet.Customizations{}, errDown
	}
	if len(f.versions) == 0 {
		return fleet.Customizations{}, nil
	}
	return f.versions[len(f.versions)-1], nil
}

func (f *fakeSettings) CustomizationsAt(_ context.Context, v int64) (fleet.Customizations, error) {
	if v > int64(len(f.versions)) {
		return fleet.Customizations{}, unknown("settings_version_unknown", "there is no version %d", v)
	}
	return f.versions[v-1], nil
}

func (f *fakeSettings) CustomizationsVersions(context.Context) (out []fleet.SettingsVersion, err error) {
	for _, v := range f.versions {
		out = append(out, fleet.SettingsVersion{Version: v.Version, ChangedBy: v.ChangedBy, ChangedAt: v.ChangedAt})
	}
	return out, nil
}

func (f *fakeSettings) PutCustomizations(ctx context.Context, c model.Customizations, by string, expected int64) (fleet.Customizations, bool, error) {
	old, err := f.Customizations(ctx)
	switch {
	case err != nil:
		return old, false, err
	case expected != 0 && expected != old.Version:
		return old, false, fault.New(fault.Conflict, "version_conflict", "another version")
	case old.Version > 0 && old.Customizations.Digest() == c.Digest():
		return old, false, nil
	}
	next := fleet.Customizations{Settings: model.Settings{Version: old.Version + 1, Customizations: c}, ChangedBy: by, ChangedAt: start}
	f.versions = append(f.versions, next)
	return next, true, nil
}

func (f *fakeSettings) SettingsHolders(_ context.Context, d model.Digest) (fleet.SettingsHolders, error) {
	return fleet.SettingsHolders{Current: 2, Behind: 1, BehindNames: []string{"us"}}, nil
}

func (f *fakeSettings) RBAC(context.Context) (fleet.RBAC, error) {
	if f.down {
		return fleet.RBAC{}, errDown
	}
	if len(f.rbac) == 0 {
		return fleet.RBAC{Keys: map[string]string{}}, nil
	}
	return f.rbac[len(f.rbac)-1], nil
}

func (f *fakeSettings) RBACAt(_ context.Context, v int64) (fleet.RBAC, error) {
	if v > int64(len(f.rbac)) {
		return fleet.RBAC{}, unknown("settings_version_unknown", "there is no version %d", v)
	}
	return f.rbac[v-1], nil
}

func (f *fakeSettings) RBACVersions(context.Context) (out []fleet.SettingsVersion, err error) {
	for _, v := range f.rbac {
		out = append(out, fleet.SettingsVersion{Version: v.Version, ChangedBy: v.ChangedBy, ChangedAt: v.ChangedAt})
	}
	return out, nil
}

func (f *fakeSettings) PutRBAC(ctx context.Context, keys map[string]string, by string, expected int64) (fleet.RBAC, bool, error) {
	old, err := f.RBAC(ctx)
	switch {
	case err != nil:
		return old, false, err
	case expected != 0 && expected != old.Version:
		return old, false, fault.New(fault.Conflict, "version_conflict", "another version")
	case old.Version > 0 && maps.Equal(old.Keys, keys):
		return old, false, nil
	}
	f.rbac = append(f.rbac, fleet.RBAC{Version: old.Version + 1, Keys: keys, ChangedBy: by, ChangedAt: start})
	return f.rbac[len(f.rbac)-1], true, nil
}

func TestAnRBACPolicyIsKept(t *testing.T) {
	w, f := settingsWorld(t)
	const path = "/api/v1/settings/rbac"
	var got rbacDocument
	w.call("GET", path, "").ok(200).into(&got)
	if got.Version != 0 || got.ChangedAt != nil || got.RBAC == nil || got.Enforced {
		t.Errorf("before anybody set it: %+v", got)
	}
	// One that denies everything takes nothing from an administrator by a token.
	const cm = `{kind: ConfigMap, apiVersion: v1, metadata: {name: argocd-rbac-cm}, data: {policy.csv: "p, ana, *, *, *, deny", policy.default: "", scopes: "[groups]", policy.matchMode: glob, policy.team.csv: "g, x, role:admin"}}`
	a := w.call("PUT", path, cm, "Content-Type: application/yaml").ok(200)
	var change changedRBAC
	a.into(&change)
	if change.Version != 1 || change.Result != resultConfigured || change.Enforced || a.header.Get("ETag") != `"1"` {
		t.Errorf("%+v %v", change, a.header)
	}
	a = w.call("GET", path, "").ok(200)
	a.into(&got)
	if got.Version != 1 || got.ChangedBy != "ana" || len(got.RBAC) != 5 || got.RBAC["policy.csv"] != "p, ana, *, *, *, deny" || len(got.Versions) != 1 || a.header.Get("ETag") != `"1"` || !strings.Contains(a.body, `"enforced":false`) {
		t.Errorf("%s", a.body)
	}
	// What was read can be sent back.
	w.call("PUT", path, a.body, `If-Match: "1"`).ok(200).into(&change)
	if change.Result != resultUnchanged || len(f.rbac) != 1 {
		t.Errorf("%+v", change)
	}
	w.call("PUT", path, `{"rbac": {}}`, `If-Match: "7"`).problem(412, "version_conflict")
	w.call("PUT", path, `{"rbac": {}}`, `If-Match: "1"`).ok(200)
	w.call("GET", path+"?version=1", "").ok(200).into(&got)
	if got.Version != 1 || len(got.RBAC) != 5 {
		t.Errorf("%+v", got)
	}
	w.call("GET", path+"?version=9", "").problem(404, "settings_version_unknown")
	w.call("GET", path+"?version=0", "").problem(400, "parameter_invalid")
	for body, code := range map[string]string{
		``: "body_missing", `{}`: "field_missing", `{"rbac": null}`: "field_missing", `{"rbac": {"policy": "x"}}`: "rbac_invalid",
		`{"rbac": {"policy.matchMode": "fuzzy"}}`: "rbac_invalid", `{"rbac": {}, "versoin": 1}`: "unknown_field", `{"kind": "Secret", "data": {}}`: "kind_unexpected",
		`{"kind": "ConfigMap"}`: "field_missing", `{"rbac": {"scopes": ["groups"]}}`: "type_mismatch", `{"rbac": {"policy..csv": ""}}`: "rbac_invalid",
	} {
		a := w.call("PUT", path, body)
		if a.status != 400 || !strings.Contains(a.body, `"`+code+`"`) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	w.call("PUT", path, `{"rbac": {"policy.csv": "`+strings.Repeat("x", fleet.MaxRBACBytes)+`"}}`).problem(413, "rbac_too_large")
	w.call("GET", path, "", "Authorization:").problem(401, "token_missing")
	f.down = true
	w.call("GET", path, "").problem(503, "db_unavailable")
	w.call("PUT", path, `{"rbac": {}}`).problem(503, "db_unavailable")
	if len(f.rbac) != 2 || f.told != 0 {
		t.Errorf("%d versions, told %d times", len(f.rbac), f.told)
	}
}

const argoCM = `apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd, labels: {a: b}}
data:
  url: https://argo.example.com
  resource.exclusions: "- kinds: [X]"
  resource.customizations.health.argoproj.io_Rollout: |
    hs = {}
    hs.status = "Healthy"
    return hs
  resource.customizations.ignoreDifferences.all: |
    jsonPointers: [/spec/replicas]
`

func settingsWorld(t *testing.T) (*world, *fakeSettings) {
	f := &fakeSettings{}
	return newWorld(t, func(o *Options) {
		o.Settings = f
		o.SettingsChanged = func() { f.told++ }
	}), f
}

func TestCustomizationsOfTheFleet(t *testing.T) {
	w, f := settingsWorld(t)
	const path = "/api/v1/settings/customizations"
	var got customizations
	w.call("GET", path, "").ok(200).into(&got)
	if got.Version != 0 || got.ChangedAt != nil || got.Clusters != nil {
		t.Errorf("before anybody set them: %+v", got)
	}

	// A dry run tells what would change, and how.
	var change changedCustomizations
	w.call("PUT", path+"?dryRun=true", argoCM, "Content-Type: application/yaml").ok(200).into(&change)
	if !change.DryRun || change.Result != resultConfigured || change.Version != 0 || len(change.Changes) != 2 || !strings.Contains(change.Changes[0].After, "hs.status") {
		t.Errorf("%+v", change)
	}
	if len(f.versions) != 0 || f.told != 0 {
		t.Errorf("a dry run stored %+v", f.versions)
	}

	a := w.call("PUT", path, argoCM, "Content-Type: application/yaml").ok(200)
	change = changedCustomizations{}
	a.into(&change)
	if change.Result != resultConfigured || change.Version != 1 || len(change.Changes) != 2 || change.Changes[0].After != "" || a.header.Get("ETag") != `"1"` {
		t.Errorf("%+v %v", change, a.header)
	}
	if len(change.Unused) != 2 || change.Unused[0].Key != "resource.exclusions" || !change.Unused[0].Resource || change.Unused[1].Resource {
		t.Errorf("left out: %+v", change.Unused)
	}
	if f.told != 1 || f.versions[0].ChangedBy != "ana" {
		t.Errorf("told %d times, %+v", f.told, f.versions)
	}

	a = w.call("GET", path, "").ok(200)
	a.into(&got)
	if got.Version != 1 || got.ChangedBy != "ana" || !got.ChangedAt.Equal(start) || len(got.Customizations) != 2 || got.Clusters.Behind != 1 || len(got.Versions) != 1 || a.header.Get("ETag") != `"1"` {
		t.Errorf("%+v", got)
	}
	// What was read can be sent back.
	w.call("PUT", path, a.body).ok(200).into(&change)
	if change.Result != resultUnchanged || change.Version != 1 || len(change.Changes) != 0 || f.told != 1 {
		t.Errorf("%+v, told %d times", change, f.told)
	}
	w.call("PUT", path, `{"resource.customizations.useOpenLibs.X": "true"}`, `If-Match: "7"`).problem(412, "version_conflict")
	w.call("PUT", path, `{"resource.customizations.useOpenLibs.X": "true"}`, `If-Match: "1"`).ok(200).into(&change)
	if change.Version != 2 || len(change.Changes) != 3 || change.Changes[0].Change != fleet.KeyRemoved {
		t.Errorf("%+v", change)
	}
	w.call("PUT", path, `{"customizations": {}}`).ok(200)
	if len(f.versions[2].Customizations) != 0 {
		t.Errorf("%+v", f.versions[2])
	}
	got = customizations{}
	w.call("GET", path+"?version=2", "").ok(200).into(&got)
	if got.Version != 2 || len(got.Customizations) != 1 || got.Versions != nil {
		t.Errorf("%+v", got)
	}
	w.call("GET", path+"?version=9", "").problem(404, "settings_version_unknown")
	w.call("GET", path+"?version=x", "").problem(400, "parameter_invalid")
	f.down = true
	w.call("GET", path, "").problem(503, "db_unavailable")
	w.call("PUT", path, argoCM, "Content-Type: application/yaml").problem(503, "db_unavailable")
}

func TestCustomizationsThatAreRefused(t *testing.T) {
	w, f := settingsWorld(t)
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
		says   string
	}{
		"nothing":             {"", 400, "body_missing", ""},
		"no keys":             {"{}", 400, "body_missing", `{"customizations": {}}`},
		"another kind":        {"kind: Secret\ndata: {}", 400, "kind_unexpected", "ConfigMap"},
		"no data":             {"kind: ConfigMap\nmetadata: {name: x}", 400, "field_missing", "no data"},
		"another ConfigMap":   {"kind: ConfigMap\ndata: {url: x, a: b}", 400, "customizations_none", "none of the 2 keys"},
		"a typing mistake":    {`{"resource.customization.health.apps_X": "y"}`, 400, "customizations_none", "did you mean resource.customizations.health.apps_X?"},
		"a number":            {`{"resource.customizations.useOpenLibs.X": 1}`, 400, "type_mismatch", "must be a string"},
		"a list":              {"[]", 400, "type_mismatch", "must be an object"},
		"a broken script":     {`{"resource.customizations.health.apps_X": "return ("}`, 400, "customization_invalid", "resource.customizations.health.apps_X: syntax error at the end of the script"},
		"a wrong shape":       {`{"resource.customizations.actions.apps_X": "a: b"}`, 400, "customization_invalid", "resource.customizations.actions.apps_X"},
		"too large":           {`{"resource.customizations.health.X": "` + strings.Repeat("x", 600<<10) + `"}`, 413, "customizations_too_large", "at most 524288"},
		"a field of our own":  {`{"customizations": {}, "versoin": 1}`, 400, "unknown_field", `did you mean "version"?`},
		"twice the same key":  {`{"resource.compareoptions": "", "resource.compareoptions": ""}`, 400, "", ""},
		"customizations null": {`{"customizations": null, "kind": "ConfigMap"}`, 400, "unknown_field", ""},
	} {
		a := w.call("PUT", "/api/v1/settings/customizations", c.body, "Content-Type: application/yaml")
		if a.status != c.status || !strings.Contains(a.body, `"`+c.code) || !strings.Contains(a.body, strings.ReplaceAll(c.says, `"`, `\"`)) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	w.call("PUT", "/api/v1/settings/customizations?dryRun=yes", argoCM, "Content-Type: application/yaml").problem(400, "parameter_invalid")
	if len(f.versions) != 0 || f.told != 0 {
		t.Errorf("stored: %+v", f.versions)
	}
	w.call("GET", "/api/v1/settings/customizations", "", "Authorization:").problem(401, "token_missing")
	none := newWorld(t)
	none.call("GET", "/api/v1/settings/customizations", "").problem(404, "route_unknown")
}
