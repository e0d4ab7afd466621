package policy

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

func named(name string, labels map[string]string, spec model.AppProjectSpec) model.AppProject {
	return model.AppProject{Metadata: model.ObjectMeta{Name: name, Labels: labels}, Spec: spec}
}

func TestWhatIsInherited(t *testing.T) {
	everything := &model.LabelSelector{}
	global := model.AppProjectSpec{
		InheritedBy: everything, SourceRepos: []string{"g"}, Destinations: []model.ProjectDestination{{Name: "g", Namespace: "g"}},
		ClusterResourceWhitelist: []model.KindRule{{Kind: "GA"}}, ClusterResourceBlacklist: []model.KindRule{{Kind: "GB"}},
		NamespaceResourceWhitelist: []model.KindRule{{Kind: "GC"}}, NamespaceResourceBlacklist: []model.KindRule{{Kind: "GD"}},
		SyncWindows: []model.SyncWindow{{Kind: "deny"}}, DestinationServiceAccounts: []model.DestinationServiceAccount{{Server: "g"}},
		SensitiveFields:  []model.SensitiveFields{{Kind: "ConfigMap", JSONPointers: []string{"/data/*"}}},
		SourceNamespaces: []string{"not"}, Limits: &model.ProjectLimits{}, SignatureKeys: []model.SignatureKey{{KeyID: "not"}}, PermitOnlyProjectScopedClusters: true,
	}
	own := named("own", nil, model.AppProjectSpec{SourceRepos: []string{"o"}, Description: "mine"})
	all := []model.AppProject{own, named("z", nil, model.AppProjectSpec{InheritedBy: everything, SourceRepos: []string{"z"}}), named("g", nil, global)}
	got := Effective(own, all)
	want := model.AppProjectSpec{
		Description: "mine", SourceRepos: []string{"o", "g", "z"}, Destinations: global.Destinations,
		ClusterResourceWhitelist: global.ClusterResourceWhitelist, ClusterResourceBlacklist: global.ClusterResourceBlacklist,
		NamespaceResourceWhitelist: global.NamespaceResourceWhitelist, NamespaceResourceBlacklist: global.NamespaceResourceBlacklist,
		SyncWindows: global.SyncWindows, DestinationServiceAccounts: global.DestinationServiceAccounts,
		SensitiveFields: global.SensitiveFields,
	}
	if !reflect.DeepEqual(got.Spec, want) {
		t.Errorf("got  %+v\nwant %+v", got.Spec, want)
	}
	if !reflect.DeepEqual(got.Globals(), []string{"g", "z"}) {
		t.Errorf("from %v", got.Globals())
	}
	if len(own.Spec.SourceRepos) != 1 || len(global.SourceRepos) != 1 {
		t.Error("a project was changed")
	}
	if g := Effective(all[2], all); len(g.Spec.SourceRepos) != 2 {
		t.Errorf("a global project inherits from others, and not from itself: %v", g.Spec.SourceRepos)
	}
}

func TestWhoInherits(t *testing.T) {
	global := named("g", map[string]string{"a": "b"}, model.AppProjectSpec{InheritedBy: &model.LabelSelector{MatchLabels: map[string]string{"a": "b"}}})
	for name, c := range map[string]struct {
		project, global model.AppProject
		want            bool
	}{
		"selected":     {named("p", map[string]string{"a": "b"}, model.AppProjectSpec{}), global, true},
		"not selected": {named("p", nil, model.AppProjectSpec{}), global, false},
		"itself":       {global, global, false},
		"no global":    {named("p", nil, model.AppProjectSpec{}), named("q", nil, model.AppProjectSpec{}), false},
	} {
		if got := Inherits(c.project, c.global); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestInheritedWhitelists(t *testing.T) {
	kinds := func(k ...string) []model.KindRule {
		out := []model.KindRule{}
		for _, x := range k {
			out = append(out, model.KindRule{Kind: x})
		}
		return out
	}
	for name, c := range map[string]struct{ own, global, want []model.KindRule }{
		"none and none allow all":           {nil, nil, nil},
		"none and a list":                   {nil, kinds("A"), kinds("A")},
		"a list and none":                   {kinds("A"), nil, kinds("A")},
		"an empty list allows nothing":      {kinds(), nil, kinds()},
		"nor does an empty list of another": {nil, kinds(), kinds()},
		"both":                              {kinds("A"), kinds("B"), kinds("A", "B")},
	} {
		own := named("o", nil, model.AppProjectSpec{NamespaceResourceWhitelist: c.own})
		g := named("g", nil, model.AppProjectSpec{InheritedBy: &model.LabelSelector{}, NamespaceResourceWhitelist: c.global})
		if got := Effective(own, []model.AppProject{own, g}).Spec.NamespaceResourceWhitelist; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v", name, got)
		}
	}
}

func inheriting(hidden func(string) bool) Project {
	own := named("shop", nil, model.AppProjectSpec{SourceRepos: []string{"https://h/shop"}, Destinations: []model.ProjectDestination{{Name: "eu", Namespace: "shop"}}})
	own.Metadata.Generation = 7
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	own.Status, _ = json.Marshal(model.ProjectStatus{ChangedAt: &at, ChangedBy: "m.ruiz"})
	base := named("baseline", nil, model.AppProjectSpec{InheritedBy: &model.LabelSelector{}, SourceRepos: []string{"https://h/secret-base"},
		Destinations: []model.ProjectDestination{{Name: "*", Namespace: "!kube-secret"}}, ClusterResourceWhitelist: []model.KindRule{{Kind: "SecretKind"}}})
	p := Effective(own, []model.AppProject{own, base})
	p.Hidden = hidden
	return p
}

func TestRulesOfOthersAreNamedOrHidden(t *testing.T) {
	ask := func(p Project, repo, namespace string) (Decision, string) {
		d := CheckApplication(p, AppFacts{SourceRepos: []string{repo}, Destination: Destination{Name: "eu", Namespace: namespace}})
		return d, d.Text(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	}
	_, text := ask(inheriting(nil), "https://h/secret-base", "kube-secret")
	for _, want := range []string{"matches rule #1 https://h/secret-base of project baseline", "denies eu/kube-secret by rule #1 */!kube-secret of project baseline",
		"Decided by project shop (version 7, changed 2 d ago by m.ruiz)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	hidden := inheriting(func(p string) bool { return p == "baseline" })
	d, text := ask(hidden, "https://h/secret-base", "kube-secret")
	if d.Allowed || !strings.Contains(text, "by rule a rule in project baseline") {
		t.Errorf("%s", text)
	}
	objects := CheckObjects(hidden, Destination{Name: "eu", Namespace: "shop"}, []ObjectFacts{{Key: model.ObjectKey{Kind: "Other", Name: "x"}}})
	refused, _ := ask(hidden, "https://h/other", "other")
	for _, x := range []Decision{refused, objects} {
		b, err := json.Marshal(x)
		if err != nil || strings.Contains(strings.ToLower(string(b)), "secret") {
			t.Errorf("%v: it tells of rules that may not be read: %s", err, b)
		}
	}
	for _, x := range []Decision{d} {
		b, _ := json.Marshal(x)
		if strings.Contains(string(b), "!kube") {
			t.Errorf("it tells the rule: %s", b)
		}
	}
}

func TestLimits(t *testing.T) {
	n := func(i int64) *int64 { return &i }
	for name, c := range map[string]struct {
		limits  model.ProjectLimits
		usage   *Usage
		objects int // -1: an application is written
		want    bool
	}{
		"one below":                          {model.ProjectLimits{MaxApplications: n(2)}, &Usage{Applications: 1}, -1, true},
		"at the limit":                       {model.ProjectLimits{MaxApplications: n(2)}, &Usage{Applications: 2}, -1, false},
		"none allowed":                       {model.ProjectLimits{MaxApplications: n(0)}, &Usage{}, -1, false},
		"a member stays":                     {model.ProjectLimits{MaxApplications: n(2)}, &Usage{Applications: 7, Member: true}, -1, true},
		"not counted":                        {model.ProjectLimits{MaxApplications: n(0)}, nil, -1, true},
		"objects are not counted yet":        {model.ProjectLimits{MaxObjects: n(0)}, &Usage{}, -1, true},
		"objects of one":                     {model.ProjectLimits{MaxObjectsPerApplication: n(3)}, nil, 3, true},
		"too many of one":                    {model.ProjectLimits{MaxObjectsPerApplication: n(3)}, nil, 4, false},
		"objects of all":                     {model.ProjectLimits{MaxObjects: n(10)}, &Usage{Objects: 7}, 3, true},
		"too many of all":                    {model.ProjectLimits{MaxObjects: n(10)}, &Usage{Objects: 7}, 4, false},
		"too many already, and it does grow": {model.ProjectLimits{MaxObjects: n(10)}, &Usage{Objects: 20, Present: 3}, 4, false},
		"too many already, and it shrinks":   {model.ProjectLimits{MaxObjects: n(10)}, &Usage{Objects: 20, Present: 4}, 3, true},
		"others are not known":               {model.ProjectLimits{MaxObjects: n(1)}, nil, 3, true},
		"applications do not matter then":    {model.ProjectLimits{MaxApplications: n(0)}, &Usage{}, 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := Project{Name: "p", Spec: model.AppProjectSpec{SourceRepos: []string{"*"}, Destinations: anywhere, Limits: &c.limits}}
			var d Decision
			if c.objects < 0 {
				d = CheckApplication(p, AppFacts{SourceRepos: []string{"r"}, Destination: Destination{Name: "c", Namespace: "n"}, Usage: c.usage})
			} else {
				d = CheckRendered(p, Destination{Name: "c", Namespace: "n"}, slices.Repeat([]ObjectFacts{{Key: model.ObjectKey{Kind: "ConfigMap", Name: "x"}, Namespaced: true}}, c.objects), c.usage)
			}
			if d.Allowed != c.want {
				t.Fatalf("%+v", d)
			}
			if !c.want {
				if r := onlyRefusal(t, d, CodeQuota); r.NearestRule == "" || r.Fix == "" {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

func TestTextOfARefusal(t *testing.T) {
	p := Project{Name: "team-pay", Version: 41, ChangedBy: "m.ruiz\x1b[31m\n", ChangedAt: time.Date(2026, 11, 26, 11, 0, 0, 0, time.UTC), Spec: model.AppProjectSpec{
		SourceRepos:  []string{"https://git.example/shop/*", "https://git.example/pay/*"},
		Destinations: []model.ProjectDestination{{Namespace: "payments-*", ClusterSelector: &model.LabelSelector{MatchLabels: map[string]string{"env": "staging"}}}},
	}}
	d := CheckApplication(p, AppFacts{SourceRepos: []string{"https://git.example/pay/api"},
		Destination: Destination{Name: "eu-prod-014", Namespace: "payments", Labels: map[string]string{"env": "prod"}}})
	d.ID, d.Question, d.CanChange = "HW-4103", "deploy api to cluster eu-prod-014, namespace payments", "administrators of the hub"
	want := `✕ Not allowed: deploy api to cluster eu-prod-014, namespace payments     HW-4103 (destination_not_permitted)
  Checked in order
   1 ✓ source            https://git.example/pay/api matches rule #2 https://git.example/pay/*
   2 ✓ source namespace  the Application is in the usual namespace
   3 ✓ signature         the project demands none
   4 ✕ destination       project "team-pay" may deploy to [env=staging]/payments-*; this is eu-prod-014/payments
         nearest rule: #1 [env=staging]/payments-*     differs: env is prod at eu-prod-014, the namespace is payments
   5 – kinds             decided after rendering, for each object
   6 ✓ limits            the project has no limits
  Decided by project team-pay (version 41, changed 2 d ago by m.ruiz` + "\uFFFD[31m\uFFFD" + `)
  Who can change it: administrators of the hub
  Fix: choose a destination that project "team-pay" allows, or add this one to its destinations
`
	if got := d.Text(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := d.Because(); got != "nearest rule: #1 [env=staging]/payments-*     differs: env is prod at eu-prod-014, the namespace is payments\n"+
		"Decided by project team-pay (version 41, changed 2026-11-26 11:00 UTC by m.ruiz\uFFFD[31m\uFFFD)" {
		t.Errorf("got %q", got)
	}
	// What went over the wire says the same.
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var again Decision
	if err := json.Unmarshal(b, &again); err != nil || again.Text(time.Time{}) != d.Text(time.Time{}) {
		t.Errorf("%v\n%s", err, again.Text(time.Time{}))
	}
}

func TestTextNamesObjects(t *testing.T) {
	var objs []ObjectFacts
	for _, n := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		objs = append(objs, ObjectFacts{Key: model.ObjectKey{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: n}, Origin: "app/rbac.yaml"})
	}
	d := CheckObjects(Project{Name: "p", Spec: model.AppProjectSpec{Destinations: anywhere}}, Destination{Name: "c", Namespace: "n"}, objs)
	text := d.Explanation(time.Time{})
	for _, want := range []string{" 1 ✕ kinds        7 of 7 objects are of kinds", "rbac.authorization.k8s.io/ClusterRole e in app/rbac.yaml", "and 2 more", "2 ✓ destination"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
