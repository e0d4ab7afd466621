package orphan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

func key(text string) model.ObjectKey { // "group/Kind namespace/name"
	kind, name, _ := strings.Cut(text, " ")
	k := model.ObjectKey{Kind: kind}
	if g, rest, ok := strings.Cut(kind, "/"); ok {
		k.Group, k.Kind = g, rest
	}
	k.Namespace, k.Name, _ = strings.Cut(name, "/")
	return k
}

func asking(ignore ...model.KindRule) model.AppProjectSpec {
	return model.AppProjectSpec{OrphanedResources: &model.OrphanedResources{Ignore: ignore}}
}

func TestOrphan(t *testing.T) {
	type rules = []model.KindRule
	neighbours := Neighbours{
		ServiceAccounts: map[string]bool{"default": true, "my-bot": true}, StatefulSets: map[string]bool{"db": true, "my-db": true},
		Owned: func(k model.ObjectKey, app string) bool { return k.Name == "desired" || app == "held" },
	}
	tracked := func(app string) func(*live.Record) {
		return func(r *live.Record) { r.TrackingID = model.TrackingID(app, r.Key) }
	}
	owned := func(r *live.Record) { r.Owners = []live.Owner{{UID: "u", Kind: "Thing", Name: "t"}} }
	white := func(spec model.AppProjectSpec, white, black rules) model.AppProjectSpec {
		spec.NamespaceResourceWhitelist, spec.NamespaceResourceBlacklist = white, black
		return spec
	}
	for _, c := range []struct {
		name string
		spec model.AppProjectSpec
		key  string
		as   func(*live.Record)
		want bool
	}{
		{"nobody's", asking(), "ConfigMap n/left", nil, true},
		{"a custom resource", asking(), "example.org/Thing n/left", nil, true},
		{"a bare pod", asking(), "Pod n/debug", nil, true},
		{"desired and not tracked yet", asking(), "ConfigMap n/desired", nil, false},
		{"of an application that is held", asking(), "ConfigMap n/left", tracked("held"), false},
		{"of an application that is not", asking(), "ConfigMap n/left", tracked("argo"), true},
		{"with an owner", asking(), "ConfigMap n/left", owned, false},
		{"cluster-scoped", asking(), "Namespace /left", nil, false},
		{"Helm's Secret of a release", asking(), "Secret n/sh.helm.release.v1.web.v1", nil, true},

		{"the default ServiceAccount", asking(), "ServiceAccount n/default", nil, false},
		{"another ServiceAccount", asking(), "ServiceAccount n/bot", nil, true},
		{"the cluster's certificates", asking(), "ConfigMap n/kube-root-ca.crt", nil, false},
		{"the Service kubernetes", asking(), "Service default/kubernetes", nil, false},
		{"a Service of that name elsewhere", asking(), "Service n/kubernetes", nil, true},
		{"Endpoints", asking(), "Endpoints n/x", nil, false},
		{"an EndpointSlice", asking(), "discovery.k8s.io/EndpointSlice default/kubernetes", nil, false},
		{"an event", asking(), "Event n/x", nil, false},
		{"a new event", asking(), "events.k8s.io/Event n/x", nil, false},
		{"a lease", asking(), "coordination.k8s.io/Lease n/x", nil, false},

		{"a token of an account", asking(), "Secret n/default-token-x7k2p", nil, false},
		{"a token of an account with a dash", asking(), "Secret n/my-bot-token-x7k2p", nil, false},
		{"a token of no account", asking(), "Secret n/gone-token-x7k2p", nil, true},
		{"not quite a token", asking(), "Secret n/default-token-x7k2", nil, true},
		{"a claim of a StatefulSet", asking(), "PersistentVolumeClaim n/data-db-0", nil, false},
		{"a claim of a StatefulSet with a dash", asking(), "PersistentVolumeClaim n/my-data-my-db-12", nil, false},
		{"a claim of no StatefulSet", asking(), "PersistentVolumeClaim n/data-cache-0", nil, true},
		{"a claim without a template", asking(), "PersistentVolumeClaim n/db-0", nil, true},
		{"a claim without a number", asking(), "PersistentVolumeClaim n/data-db-", nil, true},
		{"a claim with a plain name", asking(), "PersistentVolumeClaim n/db", nil, true},

		{"ignored by kind", asking(model.KindRule{Kind: "ConfigMap"}), "ConfigMap n/left", nil, false},
		{"ignored by name", asking(model.KindRule{Kind: "Secret", Name: "*.example.com"}), "Secret n/tls.example.com", nil, false},
		{"another name", asking(model.KindRule{Kind: "Secret", Name: "*.example.com"}), "Secret n/tls.example.org", nil, true},
		{"alternatives", asking(model.KindRule{Kind: "{Secret,ConfigMap}", Name: "a?"}), "ConfigMap n/ab", nil, false},
		{"an empty group is the core group", asking(model.KindRule{Kind: "*"}), "apps/Deployment n/x", nil, true},
		{"any group", asking(model.KindRule{Group: "*", Kind: "Deployment"}), "apps/Deployment n/x", nil, false},
		{"an empty kind is any", asking(model.KindRule{Group: "apps", Name: "x"}), "apps/Deployment n/x", nil, false},
		{"what cannot be read ignores nothing", asking(model.KindRule{Kind: "[C"}), "ConfigMap n/left", nil, true},

		{"a kind that is denied", white(asking(), nil, rules{{Group: "", Kind: "Secret"}}), "Secret n/x", nil, false},
		{"a name that is denied", white(asking(), nil, rules{{Group: "", Kind: "Secret", Name: "x"}}), "Secret n/x", nil, false},
		{"another name of its kind", white(asking(), nil, rules{{Group: "", Kind: "Secret", Name: "x"}}), "Secret n/y", nil, true},
		{"a kind that is not allowed", white(asking(), rules{{Group: "apps", Kind: "*"}}, nil), "ConfigMap n/x", nil, false},
		{"a kind that is allowed", white(asking(), rules{{Group: "apps", Kind: "*"}}, nil), "apps/Deployment n/x", nil, true},
		{"no kind is allowed", white(asking(), rules{}, nil), "ConfigMap n/x", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := live.Record{Key: key(c.key)}
			if c.as != nil {
				c.as(&rec)
			}
			r := RulesOf(c.spec)
			if got := r.Orphan(rec, neighbours); got != c.want {
				t.Errorf("%s: got %v", c.key, got)
			}
			if c.want && !r.Looks(rec.Key.GroupKind()) {
				t.Errorf("%s can be an orphan and is not looked at", c.key)
			}
		})
	}
	if RulesOf(model.AppProjectSpec{}) != nil {
		t.Error("a project that does not ask has rules")
	}
}

func TestKindsThatNeedNotBeWatched(t *testing.T) {
	secret, deployment := model.GroupKind{Kind: "Secret"}, model.GroupKind{Group: "apps", Kind: "Deployment"}
	spec := func(white, black []model.KindRule, ignore ...model.KindRule) model.AppProjectSpec {
		s := asking(ignore...)
		s.NamespaceResourceWhitelist, s.NamespaceResourceBlacklist = white, black
		return s
	}
	for _, c := range []struct {
		name string
		spec model.AppProjectSpec
		gk   model.GroupKind
		want bool
	}{
		{"everything is asked for", spec(nil, nil), secret, true},
		{"exempt", spec(nil, nil), model.GroupKind{Group: "coordination.k8s.io", Kind: "Lease"}, false},
		{"denied", spec(nil, []model.KindRule{{Kind: "Secret"}}), secret, false},
		{"some names are denied", spec(nil, []model.KindRule{{Kind: "Secret", Name: "x*"}}), secret, true},
		{"some names are allowed", spec([]model.KindRule{{Kind: "Secret", Name: "y*"}}, nil), secret, true},
		{"not allowed", spec([]model.KindRule{{Kind: "Secret"}}, nil), deployment, false},
		{"ignored", spec(nil, nil, model.KindRule{Kind: "Sec*"}), secret, false},
		{"some names are ignored", spec(nil, nil, model.KindRule{Kind: "Secret", Name: "*-tls"}), secret, true},
	} {
		if got := RulesOf(c.spec).Looks(c.gk); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

func TestAllAreCountedAndSomeListed(t *testing.T) {
	var f Found
	none := Neighbours{Owned: func(model.ObjectKey, string) bool { return false }}
	for _, kind := range []string{"ConfigMap", "Secret"} {
		var recs []live.Record
		for i := range 150 {
			recs = append(recs, live.Record{Key: key(fmt.Sprintf("%s n/x%03d", kind, 149-i)), UID: fmt.Sprint(i), Version: "v1", CreatedAt: time.Unix(1, 0)})
		}
		f.add(RulesOf(asking()), recs, none)
	}
	if f.Total != 300 || len(f.Listed) != MaxListed || f.Listed[0].Name != "x000" || f.Listed[0].CreatedAt == nil || f.Listed[150].Kind != "Secret" || f.Listed[150].Name != "x000" {
		t.Errorf("%d, %d listed, %+v", f.Total, len(f.Listed), f.Listed[0])
	}
	c, ok := f.Condition(true, "n", []model.GroupKind{{Kind: "Pod"}})
	want := "300 objects in namespace n belong to no application: ConfigMap x000, ConfigMap x001, ConfigMap x002, ConfigMap x003, ConfigMap x004 and 295 more; not all is seen, as kind Pod cannot be observed now"
	if !ok || c.Message != want || c.Type != "OrphanedResourceWarning" {
		t.Errorf("got %q", c.Message)
	}
	if _, ok := f.Condition(false, "n", nil); ok {
		t.Error("a warning that is not asked for")
	}
	one := Found{Total: 1, Listed: f.Listed[:1]}
	if c, _ := one.Condition(true, "n", nil); c.Message != "1 object in namespace n belongs to no application: ConfigMap x000" {
		t.Errorf("got %q", c.Message)
	}
	if _, ok := (Found{}).Condition(true, "n", nil); ok {
		t.Error("a warning about nothing")
	}
}

func TestWhoTracksAnOrphanIsSaid(t *testing.T) {
	var f Found
	k := key("ConfigMap n/x")
	f.add(RulesOf(asking()), []live.Record{{Key: k, TrackingID: model.TrackingID("argo", k)}}, Neighbours{Owned: func(model.ObjectKey, string) bool { return false }})
	if len(f.Listed) != 1 || len(f.Listed[0].Info) != 1 || !strings.Contains(f.Listed[0].Info[0].Value, "argo") {
		t.Errorf("got %+v", f.Listed)
	}
}
