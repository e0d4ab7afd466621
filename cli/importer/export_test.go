package importer

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func text1(t *testing.T, e Exported, format string) []byte {
	t.Helper()
	var out bytes.Buffer
	manifests, _ := Export(e, format)
	for _, m := range manifests {
		b, err := m.JSON()
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(b)
		out.WriteString("\n")
	}
	return out.Bytes()
}

// What is exported, imported and exported again is the same.
func TestExportImportExport(t *testing.T) {
	o := hub
	o.Projects = []string{"team-a", "shop", "demo"}
	var all []Object
	for _, f := range []string{"02", "03", "05", "06", "07", "10", "11", "13", "14", "15", "30", "34", "40", "41"} {
		all = append(all, parseFiles(t, "../../shared/model/decode/testdata/corpus/"+f+"-*")...)
	}
	first := Translate(all, allowEverything(o, all))
	if len(first.Applications) < 8 || len(first.Projects) < 2 || len(first.ApplicationSets) < 1 {
		t.Fatalf("%d applications, %d projects, %d sets", len(first.Applications), len(first.Projects), len(first.ApplicationSets))
	}
	id, armored := publicKey(t)
	for _, format := range []string{FormatArgoCD, FormatHawser} {
		e := Exported{
			Projects: first.Projects, Applications: first.Applications, ApplicationSets: first.ApplicationSets,
			Customizations: model.Customizations{"resource.customizations.health.X": "return {}\n"},
			RBAC:           map[string]string{"policy.default": "role:readonly", "policy.csv": "g, ann, role:dev\n"},
			GPGKeys:        []GPGKey{{ID: id, Armored: armored + "\n"}}, // as the hub writes it
			Repositories:   []model.Repository{{URL: "https://git.example.com/a.git", Type: "git", Project: "shop", Holds: model.CredentialInfo{Options: []string{"enableLFS"}}}, {URL: "oci://r.example.com/c", Type: "oci", Name: "c"}},
		}
		one := text1(t, e, format)
		objects, err := Parse("export", one)
		if err != nil {
			t.Fatal(err)
		}
		plan := Translate(objects, allowEverything(o, objects))
		again := Exported{Projects: plan.Projects, Applications: plan.Applications, ApplicationSets: plan.ApplicationSets, Customizations: plan.Customizations, RBAC: plan.RBAC, GPGKeys: plan.GPGKeys}
		for _, r := range plan.Repositories {
			x := model.Repository{URL: r.URL, Type: r.Type, Name: r.Name, Project: r.Project}
			if r.EnableLFS {
				x.Holds.Options = []string{"enableLFS"}
			}
			again.Repositories = append(again.Repositories, x)
		}
		// The order of a plan is its own.
		if a, b := sortedLines(one), sortedLines(text1(t, again, format)); a != b {
			t.Errorf("%s: the second export is another\n%s\n\n%s", format, a, b)
		}
	}
}

func sortedLines(b []byte) string {
	lines := strings.Split(string(b), "\n")
	out := map[string]bool{}
	for _, l := range lines {
		out[l] = true
	}
	var s []string
	for l := range out {
		s = append(s, l)
	}
	slices.Sort(s)
	return strings.Join(s, "\n")
}

// allowEverything makes the hub have what the objects need.
func allowEverything(o Options, objects []Object) Options {
	o.Plugins = map[string]string{}
	for _, obj := range objects {
		if p := text(at(obj.root, "spec", "project")); p != "" {
			o.Projects = append(o.Projects, p)
		}
		d := at(obj.root, "spec", "destination")
		c := Cluster{Name: text(child(d, "name"))}
		if s := text(child(d, "server")); s != "" {
			c.Aliases = []string{s}
		}
		o.Clusters = append(o.Clusters, c)
	}
	return o
}

func TestExportHasNoSecretsAndIsNotWrittenOverThem(t *testing.T) {
	e := Exported{Repositories: []model.Repository{{URL: "https://git.example.com/a.git", Type: "git", Holds: model.CredentialInfo{Kinds: []string{model.HoldsPassword}, Username: "bot"}}}}
	b := text1(t, e, FormatArgoCD)
	if !strings.Contains(string(b), "fill in: secrets are not exported") {
		t.Errorf("got %s", b)
	}
	objects, err := Parse("export", b)
	if err != nil {
		t.Fatal(err)
	}
	plan := Translate(objects, hub)
	if len(plan.Repositories) != 0 || !plan.Items[0].Blocked {
		t.Errorf("a placeholder would be written: %v", plan.Items[0].Problems())
	}
}

// Applied again, what is only observed stays so, and with our own format it is
// still known where it came from.
func TestExportKeepsObserveModeAndItsOwnMarks(t *testing.T) {
	var a model.Application
	a.Metadata = model.ObjectMeta{Name: "web", Labels: map[string]string{LabelImported: "argocd"},
		Annotations: map[string]string{annotationMode: modeObserve, AnnotationImportedFrom: "argocd/argocd/web"}}
	for format, marks := range map[string]bool{FormatArgoCD: false, FormatHawser: true} {
		b := string(text1(t, Exported{Applications: []model.Application{a}}, format))
		if !strings.Contains(b, `"hawser.dev/mode":"observe"`) {
			t.Errorf("%s: the mode is lost: %s", format, b)
		}
		if strings.Contains(b, AnnotationImportedFrom) != marks || strings.Contains(b, LabelImported+`":"argocd"`) != marks {
			t.Errorf("%s: %s", format, b)
		}
	}
}
