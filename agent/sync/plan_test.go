package sync

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

func parse(t testing.TB, yaml string) []manifest.Object {
	t.Helper()
	objs, err := manifest.Parse("t.yaml", []byte(yaml), manifest.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	manifest.SortForApply(objs)
	return objs
}

var clusterScoped = map[string]bool{"Namespace": true, "CustomResourceDefinition": true, "ClusterRole": true}

func scope(gk model.GroupKind) (bool, bool) {
	if strings.HasSuffix(gk.Group, "example.io") || gk.Group == "extensions" || gk.Kind == "PodSecurityPolicy" {
		return false, false
	}
	return !clusterScoped[gk.Kind], true
}

func doc(apiVersion, kind, name string, annotations ...string) string {
	s := fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n", apiVersion, kind, name)
	if len(annotations) > 0 {
		s += "  annotations:\n"
		for _, a := range annotations {
			s += "    argocd.argoproj.io/" + a + "\n"
		}
	}
	return s + "---\n"
}

func TestPrepare(t *testing.T) {
	objs := parse(t, doc("v1", "ConfigMap", "a", "sync-wave: '-3'", "sync-options: Prune=false,Validate=false")+
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: other}\n---\n"+
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: c, namespace: stray}\n---\n"+
		doc("v1", "ConfigMap", "d", "sync-wave: first")+doc("batch/v1", "Job", "e", "hook: PreSync")+
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b2, namespace: app-ns}\n---\n"+doc("v1", "ConfigMap", "b2")+
		"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: boats.x.example.io}\nspec: {group: x.example.io, scope: Cluster, names: {kind: Boat, plural: boats}}\n---\n"+
		doc("x.example.io/v1", "Boat", "f")+doc("y.example.io/v1", "Car", "g"))
	got := map[string]Prepared{}
	twice := 0
	for _, p := range Prepare(Target{App: "app", Namespace: "app-ns", SyncOptions: []string{"Prune=true", "ServerSideApply=true"}}, objs, scope) {
		if p.Err != nil && p.Err.Code == "duplicate_object" {
			twice++
			continue
		}
		got[p.Key.Name] = p
	}
	if twice != 1 {
		t.Errorf("%d duplicates found", twice)
	}
	for name, ns := range map[string]string{"a": "app-ns", "b": "other", "c": "", "f": "", "g": "app-ns"} {
		if got[name].Key.Namespace != ns {
			t.Errorf("%s is in namespace %q, want %q", name, got[name].Key.Namespace, ns)
		}
	}
	if p := got["a"]; p.Wave != -3 || !p.Option("Prune", "False") || !p.Option("ServerSideApply", "true") || p.Err != nil {
		t.Errorf("a: %+v", p)
	}
	if e := got["d"].Err; e == nil || e.Code != "wave_invalid" {
		t.Errorf("d: %v", e)
	}
	if got["e"].Hook != "PreSync" {
		t.Errorf("e: %+v", got["e"])
	}
	if got["boats.x.example.io"].Defines != (model.GroupKind{Group: "x.example.io", Kind: "Boat"}) {
		t.Errorf("CRD: %+v", got["boats.x.example.io"])
	}
	for _, p := range Prepare(Target{App: "app"}, parse(t, doc("v1", "ConfigMap", "a")), scope) {
		if p.Err == nil || p.Err.Code != "namespace_missing" {
			t.Errorf("no namespace anywhere: %v", p.Err)
		}
	}
}

func TestBodyDoesNotTouchTheObject(t *testing.T) {
	o := parse(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: s, annotations: {a: b}}\nstringData: {p: x}\n")[0]
	before := string(o.JSON())
	key := model.ObjectKey{Kind: "Secret", Namespace: "n", Name: "s"}
	body := string(manifest.AppendJSON(nil, Body("app", key, o)))
	if want := `{"apiVersion":"v1","data":{"p":"eA=="},"kind":"Secret","metadata":{"annotations":{"a":"b","argocd.argoproj.io/tracking-id":"app:/Secret:n/s"},"name":"s","namespace":"n"}}`; body != want {
		t.Errorf("body\n got %s\nwant %s", body, want)
	}
	if string(o.JSON()) != before {
		t.Error("the object was modified")
	}
}

func kindOf(gk model.GroupKind) (live.Kind, error) {
	if strings.HasSuffix(gk.Group, "example.io") || gk.Group == "extensions" || gk.Kind == "PodSecurityPolicy" {
		return live.Kind{}, fault.New(fault.Unprocessable, "kind_unknown", "unknown")
	}
	if gk.Group == "broken" {
		return live.Kind{}, fault.New(fault.Unavailable, "kind_undetermined", "broken")
	}
	return live.Kind{GroupKind: gk, Version: "v1", Resource: strings.ToLower(gk.Kind) + "s", Namespaced: !clusterScoped[gk.Kind]}, nil
}

// facts makes plan facts in which objects exist as given: absent, same, differs,
// unknown, or "owner=app" (and differs).
func facts(t *testing.T, yaml string, states map[string]string) PlanFacts {
	t.Helper()
	f := PlanFacts{App: "app", ClusterName: "eu-1", Run: "op-1", Namespace: "ns", NamespacePresence: live.Present}
	for _, p := range Prepare(Target{App: "app", Namespace: "ns"}, parse(t, yaml), scope) {
		if phases := p.SyncPhases(); len(phases) > 0 {
			for _, phase := range phases {
				it := Item{Prepared: p, Phase: phase, Presence: live.Absent}
				it.Key = HookKey(p, f.Run, phase)
				it.Kind, it.KindErr = kindOf(p.Key.GroupKind())
				f.Items = append(f.Items, it)
			}
			continue
		}
		it := Item{Prepared: p, Presence: live.Absent}
		it.Kind, it.KindErr = kindOf(p.Key.GroupKind())
		switch st := states[p.Key.Name]; {
		case st == "", st == "absent":
		case st == "unknown":
			it.Presence = live.Unknown
		default:
			it.Presence, it.UID, it.TrackingID = live.Present, "u", model.TrackingID("app", p.Key)
			it.Same = st == "same"
			if owner, ok := strings.CutPrefix(st, "owner="); ok {
				it.TrackingID = model.TrackingID(owner, p.Key)
			}
			if st == "copied" {
				it.TrackingID = "other:/ConfigMap:elsewhere/" + p.Key.Name
			}
		}
		f.Items = append(f.Items, it)
	}
	return f
}

func TestBuildPlan(t *testing.T) {
	const crdBoat = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: boats.x.example.io, annotations: {argocd.argoproj.io/sync-wave: '5'}}\nspec: {group: x.example.io, scope: Namespaced, names: {kind: Boat, plural: boats}}\n---\n"
	cases := []struct {
		name   string
		yaml   string
		states map[string]string
		change func(*PlanFacts)
		want   string
	}{
		{"order and actions", doc("apps/v1", "Deployment", "d") + doc("v1", "ConfigMap", "c") + doc("v1", "Service", "s") + doc("v1", "Namespace", "space") + doc("v1", "ServiceAccount", "a"),
			map[string]string{"c": "same", "s": "differs", "a": "unknown"}, nil,
			"0.0 Create Namespace space (it does not exist)\n0.2 Configure ServiceAccount ns/a (its live state is not known)\n0.2 Unchanged ConfigMap ns/c\n0.3 Configure Service ns/s (it differs)\n0.3 Create apps/Deployment ns/d (it does not exist)\n"},
		{"waves", doc("v1", "ConfigMap", "late", "sync-wave: '2'") + doc("v1", "ConfigMap", "early", "sync-wave: '-1'") + doc("v1", "ConfigMap", "mid"), nil, nil,
			"-1.2 Create ConfigMap ns/early (it does not exist)\n0.2 Create ConfigMap ns/mid (it does not exist)\n2.2 Create ConfigMap ns/late (it does not exist)\n"},
		{"a CRD goes before its resources whatever its wave", crdBoat + doc("x.example.io/v1", "Boat", "b", "sync-wave: '1'"), nil, nil,
			"1.1 Create apiextensions.k8s.io/CustomResourceDefinition boats.x.example.io (it does not exist)\n1.4 Create x.example.io/Boat ns/b (its kind comes with this sync)\n"},
		{"a namespace goes before what lives in it", doc("v1", "Namespace", "ns", "sync-wave: '9'") + doc("v1", "ConfigMap", "c"), nil, nil,
			"0.0 Create Namespace ns (it does not exist)\n0.2 Create ConfigMap ns/c (it does not exist)\n"},
		{"unknown kind", doc("y.example.io/v1", "Car", "g") + doc("v1", "ConfigMap", "c"), nil, nil,
			"0.2 Create ConfigMap ns/c (it does not exist)\n0.4 Refuse y.example.io/Car ns/g (cluster \"eu-1\" has no kind Car (y.example.io/v1); install its CRD first or put it in an earlier wave)\n"},
		{"an API that Kubernetes has removed", doc("extensions/v1beta1", "Ingress", "i") + doc("policy/v1beta1", "PodSecurityPolicy", "p"), nil, nil,
			"0.2 Refuse policy/PodSecurityPolicy ns/p (policy/PodSecurityPolicy ns/p: PodSecurityPolicy policy/v1beta1 was removed in Kubernetes 1.25 and has no successor)\n" +
				"0.4 Refuse extensions/Ingress ns/i (extensions/Ingress ns/i: Ingress extensions/v1beta1 was removed in Kubernetes 1.22; use networking.k8s.io/v1)\n"},
		{"undetermined kind", doc("broken/v1", "Car", "g"), nil, nil, "0.4 Refuse broken/Car ns/g (broken/Car ns/g: what kinds the cluster serves is not known now)\n"},
		{"owned by another", doc("v1", "ConfigMap", "c"), map[string]string{"c": "owner=base"}, nil,
			"0.2 Refuse ConfigMap ns/c (ConfigMap ns/c belongs to application \"base\"; remove it there first)\n"},
		{"a copied tracking id owns nothing", doc("v1", "ConfigMap", "c"), map[string]string{"c": "copied"}, nil, "0.2 Configure ConfigMap ns/c (it differs)\n"},
		{"phases come in their order, whatever the waves", doc("batch/v1", "Job", "after", "hook: PostSync", "sync-wave: '-5'") + doc("v1", "ConfigMap", "c", "sync-wave: '2'") +
			doc("batch/v1", "Job", "before", "hook: PreSync", "sync-wave: '3'") + doc("v1", "ServiceAccount", "before", "hook: PreSync", "sync-wave: '3'") +
			doc("batch/v1", "Job", "first", "hook: PreSync") + doc("batch/v1", "Job", "between", "hook: Sync", "sync-wave: '1'") + doc("batch/v1", "Job", "alarm", "hook: SyncFail"), nil, func(f *PlanFacts) {
			f.Prune = []PruneItem{{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "ns", Name: "old"}, UID: "1"}}
		}, "PreSync 0.3 Hook batch/Job ns/first (it is a hook)\nPreSync 3.2 Hook ServiceAccount ns/before (it is a hook)\nPreSync 3.3 Hook batch/Job ns/before (it is a hook)\n" +
			"1.3 Hook batch/Job ns/between (it is a hook)\n2.2 Create ConfigMap ns/c (it does not exist)\n0.2 Prune ConfigMap ns/old (it is no longer desired)\n" +
			"PostSync -5.3 Hook batch/Job ns/after (it is a hook)\non failure 0.3 Hook batch/Job ns/alarm (it is a hook)\n"},
		{"a hook of two phases is two steps", doc("batch/v1", "Job", "j", "hook: 'PreSync, PostSync'"), nil, nil,
			"PreSync 0.3 Hook batch/Job ns/j (it is a hook)\nPostSync 0.3 Hook batch/Job ns/j (it is a hook)\n"},
		{"a hook that has ended in this run", doc("batch/v1", "Job", "j", "hook: PreSync"), nil, func(f *PlanFacts) {
			f.Ended = []HookEnd{{HookID: HookID{Phase: PhasePreSync, Key: f.Items[0].Key}, Succeeded: true}}
		}, "PreSync 0.3 Hook batch/Job ns/j (it has ended already in this run)\n"},
		{"no sync runs the hooks of a deletion, or a skipped object", doc("batch/v1", "Job", "j", "hook: PostDelete") + doc("batch/v1", "Job", "k", "hook: Skip"), nil, nil,
			"0.3 Skip batch/Job ns/j (it is marked PostDelete, which no sync runs)\n0.3 Skip batch/Job ns/k (it is marked Skip, which no sync runs)\n"},
		{"hooks that are left out", doc("batch/v1", "Job", "j", "hook: PreSync") + doc("v1", "ConfigMap", "c"), nil, func(f *PlanFacts) { f.SkipHooks = true },
			"PreSync 0.3 Skip batch/Job ns/j (this sync runs no hooks)\n0.2 Create ConfigMap ns/c (it does not exist)\n"},
		{"a hook that cannot be", doc("batch/v1", "Job", "j", "hook: PreSnc") + doc("batch/v1", "Job", "k", "hook: PreSync", "hook-delete-policy: Never"), nil, nil,
			"PreSync 0.3 Refuse batch/Job ns/k (batch/Job k: the hook delete policy \"Never\" is not known; use HookSucceeded, HookFailed or BeforeHookCreation)\n" +
				"0.3 Refuse batch/Job ns/j (batch/Job j: the hook \"PreSnc\" is not known; use PreSync, Sync, PostSync, SyncFail, PreDelete, PostDelete or Skip)\n"},
		{"a namespace is made before the hooks that need it", doc("batch/v1", "Job", "j", "hook: PreSync", "sync-wave: '-1'") + doc("v1", "ConfigMap", "c"), nil,
			func(f *PlanFacts) { f.CreateNamespace, f.NamespacePresence = true, live.Absent },
			"PreSync -1.0 Create Namespace ns (CreateNamespace=true)\nPreSync -1.3 Hook batch/Job ns/j (it is a hook)\n0.2 Create ConfigMap ns/c (it does not exist)\n"},
		{"a hook does not lift what lives beside it", doc("v1", "Namespace", "ns", "sync-wave: '2'") + doc("batch/v1", "Job", "j", "hook: PostSync", "sync-wave: '-9'"), nil, nil,
			"2.0 Create Namespace ns (it does not exist)\nPostSync -9.3 Hook batch/Job ns/j (it is a hook)\n"},
		{"what is to be applied always", doc("v1", "ConfigMap", "c", "sync-options: ApplyOutOfSyncOnly=false"), map[string]string{"c": "same"}, nil,
			"0.2 Configure ConfigMap ns/c (ApplyOutOfSyncOnly=false)\n"},
		{"a kind that is expected", doc("y.example.io/v1", "Car", "g", "sync-options: SkipDryRunOnMissingResource=true"), nil, nil,
			"0.4 Create y.example.io/Car ns/g (its kind is expected to come while this sync runs)\n"},
		{"a shared object holds everything back when asked to", doc("v1", "ConfigMap", "c", "sync-options: FailOnSharedResource=true") + doc("v1", "ConfigMap", "d"), map[string]string{"c": "owner=base"}, func(f *PlanFacts) {
			f.Prune = []PruneItem{{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "ns", Name: "old"}, UID: "1"}}
		}, "0.2 Refuse ConfigMap ns/c (ConfigMap ns/c belongs to application \"base\"; remove it there first)\n" +
			"0.2 Skip ConfigMap ns/d (not tried, because another object belongs to another application and FailOnSharedResource=true)\n" +
			"0.2 PruneSkip ConfigMap ns/old (not tried, because another object belongs to another application and FailOnSharedResource=true)\n"},
		{"a migration is not run for what cannot be applied", doc("batch/v1", "Job", "j", "hook: PreSync") + doc("y.example.io/v1", "Car", "g", "sync-wave: '2'") + doc("v1", "ConfigMap", "c") + doc("batch/v1", "Job", "alarm", "hook: SyncFail"), nil, nil,
			"PreSync 0.3 Skip batch/Job ns/j (not tried, because y.example.io/Car ns/g cannot be applied, and hooks of PreSync run only for what can)\n" +
				"0.2 Skip ConfigMap ns/c (not tried, because y.example.io/Car ns/g cannot be applied, and hooks of PreSync run only for what can)\n" +
				"2.4 Refuse y.example.io/Car ns/g (cluster \"eu-1\" has no kind Car (y.example.io/v1); install its CRD first or put it in an earlier wave)\n"},
		{"a migration is run beside what another application owns", doc("batch/v1", "Job", "j", "hook: PreSync") + doc("v1", "ConfigMap", "c"), map[string]string{"c": "owner=base"}, nil,
			"PreSync 0.3 Hook batch/Job ns/j (it is a hook)\n0.2 Refuse ConfigMap ns/c (ConfigMap ns/c belongs to application \"base\"; remove it there first)\n"},
		{"a migration that has run does not keep the rest", doc("batch/v1", "Job", "j", "hook: PreSync") + doc("y.example.io/v1", "Car", "g") + doc("v1", "ConfigMap", "c"), nil, func(f *PlanFacts) {
			f.Ended = []HookEnd{{HookID: HookID{Phase: PhasePreSync, Key: model.ObjectKey{Group: "batch", Kind: "Job", Namespace: "ns", Name: "j"}}, Succeeded: true}}
		}, "PreSync 0.3 Hook batch/Job ns/j (it has ended already in this run)\n0.2 Create ConfigMap ns/c (it does not exist)\n" +
			"0.4 Refuse y.example.io/Car ns/g (cluster \"eu-1\" has no kind Car (y.example.io/v1); install its CRD first or put it in an earlier wave)\n"},
		{"a hook whose CRD comes too late", doc("x.example.io/v1", "Boat", "b", "hook: PreSync") + crdBoat, nil, nil,
			"PreSync 0.4 Refuse x.example.io/Boat ns/b (cluster \"eu-1\" has no kind Boat (x.example.io/v1); install its CRD first or put it in an earlier wave)\n" +
				"5.1 Create apiextensions.k8s.io/CustomResourceDefinition boats.x.example.io (it does not exist)\n"},
		{"a hook whose CRD has come", doc("x.example.io/v1", "Boat", "b", "hook: PostSync") + crdBoat, nil, nil,
			"5.1 Create apiextensions.k8s.io/CustomResourceDefinition boats.x.example.io (it does not exist)\nPostSync 0.4 Hook x.example.io/Boat ns/b (it is a hook)\n"},
		{"a CRD that is a hook", doc("x.example.io/v1", "Boat", "b") + strings.Replace(crdBoat, "sync-wave: '5'", "hook: PreSync", 1), nil, nil,
			"PreSync 0.1 Hook apiextensions.k8s.io/CustomResourceDefinition boats.x.example.io (it is a hook)\n0.4 Create x.example.io/Boat ns/b (its kind comes with this sync)\n"},
		{"PruneLast comes after the other prunes", "", nil, func(f *PlanFacts) {
			f.Prune = []PruneItem{
				{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "ns", Name: "last"}, UID: "1", Wave: 9, Last: true},
				{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "ns", Name: "other"}, UID: "2"},
			}
		}, "0.2 Prune ConfigMap ns/other (it is no longer desired)\n9.2 Prune ConfigMap ns/last (it is no longer desired)\n"},
		{"create namespace", doc("v1", "ConfigMap", "c", "sync-wave: '-2'"), nil, func(f *PlanFacts) { f.CreateNamespace, f.NamespacePresence = true, live.Absent },
			"-2.0 Create Namespace ns (CreateNamespace=true)\n-2.2 Create ConfigMap ns/c (it does not exist)\n"},
		{"create namespace that exists", doc("v1", "ConfigMap", "c"), nil, func(f *PlanFacts) { f.CreateNamespace = true }, "0.2 Create ConfigMap ns/c (it does not exist)\n"},
		{"namespace metadata", doc("v1", "ConfigMap", "c"), nil, func(f *PlanFacts) {
			f.CreateNamespace, f.NamespaceMetadata = true, &model.NamespaceMetadata{Labels: map[string]string{"a": "b"}}
		}, "0.0 Configure Namespace ns (managedNamespaceMetadata)\n0.2 Create ConfigMap ns/c (it does not exist)\n"},
		{"desired namespace is not made twice", doc("v1", "Namespace", "ns") + doc("v1", "ConfigMap", "c"), nil, func(f *PlanFacts) { f.CreateNamespace, f.NamespacePresence = true, live.Absent },
			"0.0 Create Namespace ns (it does not exist)\n0.2 Create ConfigMap ns/c (it does not exist)\n"},
		{"replace", doc("v1", "ConfigMap", "c", "sync-options: Replace=true") + doc("v1", "ConfigMap", "d", "sync-options: 'Replace=true,Force=true'") + doc("v1", "ConfigMap", "e", "sync-options: Replace=true"),
			map[string]string{"c": "differs", "d": "differs"}, nil,
			"0.2 Configure ConfigMap ns/c [Replace] (it differs)\n0.2 Configure ConfigMap ns/d [Recreate] (it differs)\n0.2 Create ConfigMap ns/e (it does not exist)\n"},
		{"selected", doc("v1", "ConfigMap", "c") + doc("v1", "ConfigMap", "d"), nil, func(f *PlanFacts) {
			f.Selected = map[model.ObjectKey]bool{{Kind: "ConfigMap", Namespace: "ns", Name: "d"}: true}
		}, "0.2 Create ConfigMap ns/d (it does not exist)\n"},
		{"prune last, in reverse", doc("v1", "ConfigMap", "c"), map[string]string{"c": "same"}, func(f *PlanFacts) {
			f.Prune = []PruneItem{
				{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "ns", Name: "old"}, UID: "1"},
				{Key: model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "ns", Name: "old"}, UID: "2"},
				{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "ns", Name: "later"}, UID: "3", Wave: 4},
				{Key: model.ObjectKey{Kind: "Secret", Namespace: "ns", Name: "kept"}, UID: "4", Skip: "it asks not to be pruned"},
			}
		}, "0.2 Unchanged ConfigMap ns/c\n4.2 Prune ConfigMap ns/later (it is no longer desired)\n0.3 Prune apps/Deployment ns/old (it is no longer desired)\n0.2 Prune ConfigMap ns/old (it is no longer desired)\n0.2 PruneSkip Secret ns/kept (it asks not to be pruned)\n"},
		{"empty", "", nil, nil, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := facts(t, c.yaml, c.states)
			if c.change != nil {
				c.change(&f)
			}
			if got := BuildPlan(f).String(); got != c.want {
				t.Errorf("plan\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestASecretThatIsNotBase64IsNamedWithoutItsValue(t *testing.T) {
	for text, want := range map[string]string{
		"data: {a: eA==, b: 'canary!'}": "data.b must be a base64 string",
		"data: {a: 12}":                 "data.a must be a base64 string",
		"data: {a: eA==, b: null}":      "",
		"stringData: {a: 'canary!'}":    "",
	} {
		objects := parse(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"+text+"\n")
		got := Prepare(Target{App: "web", Namespace: "ns"}, objects, func(model.GroupKind) (bool, bool) { return true, true })[0].Err
		switch {
		case want == "" && got != nil:
			t.Errorf("%s: %v", text, got)
		case want != "" && (got == nil || got.Code != "schema_invalid" || !strings.Contains(got.Message, want) || strings.Contains(got.Error(), "canary")):
			t.Errorf("%s: %v", text, got)
		}
	}
}
