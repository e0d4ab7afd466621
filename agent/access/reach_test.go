package access

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// objects is a cluster in memory.
type objects struct {
	records []live.Record
	unknown map[model.GroupKind]bool
}

func (o *objects) Get(key model.ObjectKey) (live.Record, live.Presence) {
	for _, r := range o.records {
		if r.Key == key {
			return r, live.Present
		}
	}
	return live.Record{}, live.Absent
}

func (*objects) Kinds() []live.Kind { return nil }

func (o *objects) Children(uid string) (out []live.Record) {
	for _, r := range o.records {
		for _, owner := range r.Owners {
			if owner.UID == uid {
				out = append(out, r)
				break
			}
		}
	}
	return out
}

func (o *objects) Kind(gk model.GroupKind) (live.Kind, error) {
	if o.unknown[gk] {
		return live.Kind{}, fault.New(fault.NotFound, "kind_unknown", "none")
	}
	return live.Kind{GroupKind: gk, Version: "v1", Resource: strings.ToLower(gk.Kind) + "s", Namespaced: gk.Kind != "Namespace" && gk.Kind != "ClusterThing"}, nil
}

// object makes a record: "group/Kind namespace/name", with a tracking id of app
// and owners by uid. Its uid is its name.
func object(text, app string, owners ...string) live.Record {
	kind, path, _ := strings.Cut(text, " ")
	var key model.ObjectKey
	if group, k, ok := strings.Cut(kind, "/"); ok {
		key.Group, key.Kind = group, k
	} else {
		key.Kind = kind
	}
	if ns, name, ok := strings.Cut(path, "/"); ok {
		key.Namespace, key.Name = ns, name
	} else {
		key.Name = path
	}
	r := live.Record{Key: key, Version: "v1", UID: "uid of " + text}
	if app != "" {
		r.TrackingID = model.TrackingID(app, key)
	}
	for _, o := range owners {
		r.Owners = append(r.Owners, live.Owner{UID: "uid of " + o})
	}
	return r
}

func keysOf(list []reached) string {
	var out []string
	for _, r := range list {
		out = append(out, r.Key.String())
	}
	return strings.Join(out, ", ")
}

func TestReach(t *testing.T) {
	for name, c := range map[string]struct {
		records []live.Record
		managed []live.Record // in the agent's books
		want    string
	}{
		"what the application manages and what that owns, level by level": {
			records: []live.Record{
				object("apps/Deployment a/web", "shop"),
				object("apps/ReplicaSet a/web-1", "", "apps/Deployment a/web"),
				object("Pod a/web-1-x", "", "apps/ReplicaSet a/web-1"),
				object("ConfigMap a/web", "shop"),
				object("Pod a/stranger", ""),
			},
			managed: []live.Record{object("apps/Deployment a/web", ""), object("ConfigMap a/web", "")},
			want:    "apps/Deployment a/web, ConfigMap a/web, apps/ReplicaSet a/web-1, Pod a/web-1-x",
		},
		"a tracking id alone makes nothing the application's": {
			records: []live.Record{object("Secret kube-system/admin", "shop"), object("ConfigMap a/web", "shop")},
			managed: []live.Record{object("ConfigMap a/web", "")},
			want:    "ConfigMap a/web",
		},
		"the books alone do not either": {
			records: []live.Record{object("Secret a/theirs", "other"), object("Secret a/nobodys", ""), object("ConfigMap a/web", "shop")},
			managed: []live.Record{object("Secret a/theirs", ""), object("Secret a/nobodys", ""), object("ConfigMap a/web", "")},
			want:    "ConfigMap a/web",
		},
		"an owner reference across namespaces is forged": {
			records: []live.Record{
				object("ConfigMap a/web", "shop"),
				object("Secret kube-system/admin", "", "ConfigMap a/web"),
				object("Secret a/mine", "", "ConfigMap a/web"),
			},
			managed: []live.Record{object("ConfigMap a/web", "")},
			want:    "ConfigMap a/web, Secret a/mine",
		},
		"what is cluster-wide may own in every namespace": {
			records: []live.Record{object("x/ClusterThing thing", "shop"), object("Secret b/s", "", "x/ClusterThing thing")},
			managed: []live.Record{object("x/ClusterThing thing", "")},
			want:    "x/ClusterThing thing, Secret b/s",
		},
		"what another application tracks is not reached through an owner": {
			records: []live.Record{
				object("ConfigMap a/web", "shop"),
				object("Secret a/theirs", "other", "ConfigMap a/web"),
				object("Pod a/below", "", "Secret a/theirs"),
			},
			managed: []live.Record{object("ConfigMap a/web", "")},
			want:    "ConfigMap a/web",
		},
		"owners in a circle": {
			records: []live.Record{
				object("ConfigMap a/web", "shop", "Pod a/two"),
				object("Pod a/one", "", "ConfigMap a/web", "Pod a/two"),
				object("Pod a/two", "", "Pod a/one", "Pod a/two"),
			},
			managed: []live.Record{object("ConfigMap a/web", "")},
			want:    "ConfigMap a/web, Pod a/one, Pod a/two",
		},
		"an application with nothing": {},
		"what is desired and not there": {
			records: []live.Record{object("ConfigMap a/other", "shop")},
			managed: []live.Record{object("ConfigMap a/web", "")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var managed []model.ObjectKey
			for _, r := range c.managed {
				managed = append(managed, r.Key)
			}
			if got := keysOf(reachOf("shop", managed, &objects{records: c.records})); got != c.want {
				t.Errorf("reached: %s\nwant:    %s", got, c.want)
			}
		})
	}
}

func TestKindThatIsNotServedIsNotReached(t *testing.T) {
	gone := object("x/Widget a/w", "shop")
	o := &objects{records: []live.Record{gone}, unknown: map[model.GroupKind]bool{gone.Key.GroupKind(): true}}
	if got := reachOf("shop", []model.ObjectKey{gone.Key}, o); len(got) != 0 {
		t.Errorf("reached %s", keysOf(got))
	}
}

func group(s string) *string { return &s }

func TestPick(t *testing.T) {
	o := &objects{records: []live.Record{
		object("apps/Deployment a/web", "shop"), object("Service a/web", "shop"), object("serving.knative.dev/Service a/web", "shop"),
		object("Pod a/web-1", "", "apps/Deployment a/web"), object("Pod b/web-1", ""), object("ConfigMap b/conf", "shop"),
	}}
	var managed []model.ObjectKey
	for _, r := range o.records {
		managed = append(managed, r.Key)
	}
	all := reachOf("shop", managed, o)
	for name, c := range map[string]struct {
		s    model.ObjectSelector
		want string // the one, or a code
	}{
		"by kind and name":         {model.ObjectSelector{Kind: "Deployment", Name: "web"}, "apps/Deployment a/web"},
		"the case does not matter": {model.ObjectSelector{Kind: "deployment", Name: "web"}, "apps/Deployment a/web"},
		"by resource":              {model.ObjectSelector{Kind: "deployments"}, "apps/Deployment a/web"},
		"by short name":            {model.ObjectSelector{Kind: "deploy"}, "apps/Deployment a/web"},
		"by group":                 {model.ObjectSelector{Group: group("serving.knative.dev"), Kind: "svc"}, "serving.knative.dev/Service a/web"},
		"the core group is a group": {
			model.ObjectSelector{Group: group(""), Kind: "svc"}, "Service a/web"},
		"two groups":             {model.ObjectSelector{Kind: "Service"}, "object_ambiguous"},
		"by namespace":           {model.ObjectSelector{Namespace: "b"}, "ConfigMap b/conf"},
		"another's pod":          {model.ObjectSelector{Kind: "Pod", Namespace: "b", Name: "web-1"}, "object_not_found"},
		"names are compared":     {model.ObjectSelector{Kind: "Pod", Name: "web-*"}, "object_not_found"},
		"a path is no name":      {model.ObjectSelector{Kind: "Pod", Name: "../a/web-1"}, "object_not_found"},
		"everything":             {model.ObjectSelector{}, "object_ambiguous"},
		"names keep their case":  {model.ObjectSelector{Kind: "Deployment", Name: "Web"}, "object_not_found"},
		"an unknown kind":        {model.ObjectSelector{Kind: "Nope"}, "object_not_found"},
		"short of nothing known": {model.ObjectSelector{Kind: "d"}, "object_not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pickOne(all, c.s)
			switch {
			case err != nil && fault.As(err).Code == c.want:
			case err == nil && got.Key.String() == c.want:
			default:
				t.Errorf("picked %s, %v; want %s", got.Key, err, c.want)
			}
		})
	}
	if _, err := pickOne(all, model.ObjectSelector{Kind: "Deployment", Name: "wep"}); !strings.Contains(fault.As(err).Fix, `"web"`) {
		t.Errorf("no name is suggested: %v", err)
	}
	if _, err := pickOne(nil, model.ObjectSelector{}); !fault.HasCode(err, "object_not_found") {
		t.Errorf("of nothing: %v", err)
	}
}

func TestPodsAreThoseBelowTheSelected(t *testing.T) {
	o := &objects{records: []live.Record{
		object("apps/Deployment a/web", "shop"),
		object("apps/ReplicaSet a/web-1", "", "apps/Deployment a/web"),
		object("Pod a/web-1-x", "", "apps/ReplicaSet a/web-1"),
		object("Pod a/web-1-y", "", "apps/ReplicaSet a/web-1"),
		object("batch/Job a/seed", "shop"),
		object("Pod a/seed-z", "", "batch/Job a/seed"),
		object("Pod a/alone", "shop"),
	}}
	managed := []model.ObjectKey{o.records[0].Key, o.records[4].Key, o.records[6].Key}
	all := reachOf("shop", managed, o)
	for want, s := range map[string]model.ObjectSelector{
		"Pod a/alone, Pod a/web-1-x, Pod a/web-1-y, Pod a/seed-z": {},
		"Pod a/web-1-x, Pod a/web-1-y":                            {Kind: "Deployment", Name: "web"},
		"Pod a/seed-z":                                            {Kind: "Job"},
		"Pod a/web-1-y":                                           {Kind: "Pod", Name: "web-1-y"},
	} {
		got, err := podsOf(all, s)
		if err != nil || len(got) != len(strings.Split(want, ", ")) {
			t.Errorf("%+v: %s, %v", s, keysOf(got), err)
		}
		for _, r := range got {
			if !strings.Contains(want, r.Key.String()) {
				t.Errorf("%+v: %s is among %s", s, r.Key, keysOf(got))
			}
		}
	}
	if got, err := podsOf(all, model.ObjectSelector{Kind: "Service"}); !fault.HasCode(err, "object_not_found") {
		t.Errorf("pods of a Service that there is not: %s, %v", keysOf(got), err)
	}
}

func TestPathsOfObjects(t *testing.T) {
	for want, r := range map[string]reached{
		"/api/v1/namespaces/a/pods/x/log": {live.Record{Key: model.ObjectKey{Kind: "Pod", Namespace: "a", Name: "x"}, Version: "v1"}, live.Kind{GroupKind: model.GroupKind{Kind: "Pod"}, Resource: "pods", Namespaced: true}},
		"/apis/rbac.authorization.k8s.io/v1/clusterroles/system:a%3Fb%23c%20d": {
			live.Record{Key: model.ObjectKey{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:a?b#c d"}, Version: "v1"},
			live.Kind{GroupKind: model.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}, Resource: "clusterroles"}},
	} {
		below := []string{}
		if isPod(r) {
			below = append(below, "log")
		}
		if got := pathOf(r.kind, versionOf(r), r.Key, below...); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
