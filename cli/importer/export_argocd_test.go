package importer

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// pathsOf are the paths of the fields of a type, with [] for entries of lists and .*
// for those of maps.
func pathsOf(t reflect.Type, at string, out *[]string) {
	switch t.Kind() {
	case reflect.Pointer:
		pathsOf(t.Elem(), at, out)
		return
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 {
			pathsOf(t.Elem(), at+"[]", out)
			return
		}
	case reflect.Map:
		pathsOf(t.Elem(), at+".*", out)
		return
	case reflect.Struct:
		if t != reflect.TypeFor[model.IntOrString]() {
			for i := range t.NumField() {
				name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
				pathsOf(t.Field(i).Type, at+"."+name, out)
			}
			return
		}
	}
	*out = append(*out, at)
}

// Every field that Argo CD does not have is left out of what is written for it, and
// the report says so.
func TestEveryFieldThatArgoCDDoesNotHaveIsKnown(t *testing.T) {
	b, err := os.ReadFile("testdata/argocd-fields.txt")
	if err != nil {
		t.Fatal(err)
	}
	argo := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		kind, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		argo[kind] = append(argo[kind], path)
	}
	under := func(path, field string) bool {
		rest, ok := strings.CutPrefix(path, field)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	}
	for kind, spec := range map[string]reflect.Type{model.KindAppProject: reflect.TypeFor[model.AppProjectSpec](), model.KindApplication: reflect.TypeFor[model.ApplicationSpec]()} {
		var ours []string
		pathsOf(spec, "spec", &ours)
		if len(ours) < 30 {
			t.Fatalf("%s has only %v", kind, ours)
		}
		for _, path := range ours {
			known := strings.Replace(path, "spec.sources[]", "spec.source", 1)
			if slices.ContainsFunc(argo[kind], func(f string) bool { return under(known, f) || under(f, known) }) {
				continue
			}
			listed := false
			for f := range argoFields[kind] {
				listed = listed || under(known, f)
			}
			if !listed {
				t.Errorf("%s %s is no field of Argo CD's, and its export says nothing of it", kind, path)
			}
		}
	}
}

func TestAnExportForArgoCDAllowsNoMoreWithoutSayingSo(t *testing.T) {
	five := int64(5)
	p := model.AppProject{Metadata: model.ObjectMeta{Name: "shop", Annotations: map[string]string{model.AnnotationRemoteBases: "allow", model.AnnotationMode: model.ModeObserve}}, Spec: model.AppProjectSpec{
		SourceRepos: []string{"https://git/*"}, SourceRepoBlacklist: []string{"https://git/secret"},
		Destinations:         []model.ProjectDestination{{Name: "eu", Namespace: "a"}, {Namespace: "b", ClusterSelector: &model.LabelSelector{MatchLabels: map[string]string{"env": "dev"}}}},
		DestinationBlacklist: []model.ProjectDestination{{Name: "*", Namespace: "kube-system"}},
		Limits:               &model.ProjectLimits{MaxApplications: &five}, InheritedBy: &model.LabelSelector{},
		SensitiveFields:            []model.SensitiveFields{{Kind: "ConfigMap", JSONPointers: []string{"/data/token"}}},
		NamespaceResourceWhitelist: []model.KindRule{{Kind: "Secret", Name: "a-*"}},
		NamespaceResourceBlacklist: []model.KindRule{{Kind: "ConfigMap", Name: "b-*"}, {Kind: "Pod"}},
	}}
	before, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	jinja := &model.JinjaSource{}
	apps := []model.Application{
		{Metadata: model.ObjectMeta{Name: "one", Annotations: map[string]string{model.AnnotationMode: model.ModeObserve, model.AnnotationGeneratePathsAlias: "."}}, Spec: model.ApplicationSpec{Source: &model.Source{RepoURL: "https://git/a", Jinja: jinja}}},
		{Metadata: model.ObjectMeta{Name: "two", Annotations: map[string]string{model.AnnotationMode: model.ModeManage}}, Spec: model.ApplicationSpec{Sources: []model.Source{{RepoURL: "https://git/a"}, {RepoURL: "https://git/b", Jinja: jinja}}}},
	}
	e := Exported{Projects: []model.AppProject{p}, Applications: apps, Repositories: []model.Repository{{URL: "https://git/a", Holds: model.CredentialInfo{Kinds: []string{model.HoldsCABundle}}}}}
	manifests, losses := Export(e, FormatArgoCD)
	var said []string
	for _, l := range losses {
		said = append(said, l.Kind+" "+l.Name+" "+l.Path)
		if l.Why == "" {
			t.Errorf("%+v says no reason", l)
		}
	}
	want := []string{
		"AppProject shop metadata.annotations[hawser.dev/mode]", "AppProject shop metadata.annotations[hawser.dev/remote-bases]", "AppProject shop spec.destinationBlacklist",
		"AppProject shop spec.destinations[1].clusterSelector", "AppProject shop spec.inheritedBy", "AppProject shop spec.limits", "AppProject shop spec.namespaceResourceBlacklist[0].name",
		"AppProject shop spec.namespaceResourceWhitelist[0].name", "AppProject shop spec.sensitiveFields", "AppProject shop spec.sourceRepoBlacklist", "Repository https://git/a caBundle",
		"Application one metadata.annotations[hawser.dev/mode]", "Application one spec.source.jinja", "Application two spec.sources[1].jinja",
	}
	if !slices.Equal(said, want) {
		t.Errorf("said\n%s", strings.Join(said, "\n"))
	}
	var text strings.Builder
	for _, m := range manifests {
		b, err := m.JSON()
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	for _, gone := range []string{"clusterSelector", "Blacklist\":[{\"name", "sourceRepoBlacklist", "limits", "inheritedBy", "sensitiveFields", "jinja", `"namespace":"b"`, "a-*", "hawser.dev/manifest-generate-paths"} {
		if strings.Contains(text.String(), gone) {
			t.Errorf("%s is written: %s", gone, text.String())
		}
	}
	for _, there := range []string{`"namespaceResourceWhitelist":[]`, `"namespaceResourceBlacklist":[{"group":"","kind":"ConfigMap"},{"group":"","kind":"Pod"}]`, `"argocd.argoproj.io/manifest-generate-paths":"."`} {
		if !strings.Contains(text.String(), there) {
			t.Errorf("%s is missing: %s", there, text.String())
		}
	}
	if after, _ := json.Marshal(p); string(after) != string(before) || apps[0].Spec.Source.Jinja == nil || apps[1].Spec.Sources[1].Jinja == nil {
		t.Error("what was read is changed")
	}

	// A denial can be said where all is allowed: it allows all others.
	p.Spec.SourceRepos = []string{"*"}
	if got := projectForArgoCD(&p); slices.ContainsFunc(got, func(l Loss) bool { return l.Path == "spec.sourceRepoBlacklist" }) || !slices.Equal(p.Spec.SourceRepos, []string{"*", "!https://git/secret"}) {
		t.Errorf("%v, %v", p.Spec.SourceRepos, got)
	}

	// Our own format loses nothing of all this.
	if _, losses = Export(Exported{Projects: e.Projects, Applications: apps}, FormatHawser); len(losses) != 0 {
		t.Errorf("lost %v", losses)
	}
}
