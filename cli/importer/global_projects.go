package importer

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// keyGlobalProjects is the list in argocd-cm that says which projects inherit from
// which. Here the project that others inherit from says that itself.
const keyGlobalProjects = "globalProjects"

// globalProject is one entry; without a selector it is about every project.
type globalProject struct {
	ProjectName   string              `json:"projectName"`
	LabelSelector model.LabelSelector `json:"labelSelector"`
}

func parseGlobalProjects(text string) (out []globalProject, err error) {
	if err := yaml.UnmarshalStrict([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("it cannot be read: %s", strings.TrimPrefix(err.Error(), "error unmarshaling JSON: "))
	}
	for i, g := range out {
		if g.ProjectName == "" {
			return nil, fmt.Errorf("entry %d names no project", i+1)
		}
	}
	return out, nil
}

// inheritedBy is the selector of those that inherit from a project, nil when
// argocd-cm names none or it cannot be said here; that is told where it stands.
func (t *translator) inheritedBy(project string) *model.LabelSelector {
	if at := slices.IndexFunc(t.globals, func(g globalProject) bool { return g.ProjectName == project }); at >= 0 && t.globalTrouble(at) == "" {
		selector := t.globals[at].LabelSelector
		return &selector
	}
	return nil
}

// globalTrouble is why an entry cannot be said here, "" when it can.
func (t *translator) globalTrouble(at int) string {
	g := t.globals[at]
	if slices.ContainsFunc(t.globals, func(x globalProject) bool { return x.ProjectName == g.ProjectName && !sameSelector(x, g) }) {
		return fmt.Sprintf("project %q has several selectors, and a project has one here", g.ProjectName)
	}
	if !t.imported[g.ProjectName] {
		return fmt.Sprintf("project %q is not among what is imported", g.ProjectName)
	}
	p := model.AppProject{APIVersion: model.APIVersionArgo, Kind: model.KindAppProject, Metadata: model.ObjectMeta{Name: g.ProjectName}}
	p.Spec.InheritedBy = &g.LabelSelector
	if err := decode.ValidateProject(&p); err != nil {
		return fault.As(err).Message
	}
	return ""
}

func sameSelector(x, y globalProject) bool {
	a, errA := yaml.Marshal(x.LabelSelector)
	b, errB := yaml.Marshal(y.LabelSelector)
	return errA == nil && errB == nil && string(a) == string(b)
}

// globalProjects accounts for the entry of argocd-cm. Without what they inherit
// projects allow something else than in Argo CD: whatever cannot be said is for
// somebody to look at.
func (t *translator) globalProjects(s *secretEntry) {
	list, err := parseGlobalProjects(s.data[keyGlobalProjects])
	if err != nil {
		s.attention(keyGlobalProjects, err.Error(), "correct it; else set spec.inheritedBy of the projects that others inherit from (docs/projects.md)")
		return
	}
	var to, trouble []string
	for i, g := range list {
		if why := t.globalTrouble(i); why != "" {
			trouble = append(trouble, why)
		} else {
			to = append(to, g.ProjectName)
		}
	}
	slices.Sort(to)
	switch to = slices.Compact(to); {
	case len(trouble) > 0:
		slices.Sort(trouble)
		s.attention(keyGlobalProjects, strings.Join(slices.Compact(trouble), "; "), "set spec.inheritedBy of these projects: hawser project edit NAME (docs/projects.md)")
	case len(to) == 0:
		s.ignored(keyGlobalProjects, "it is empty")
	default:
		s.translated(keyGlobalProjects, "spec.inheritedBy of "+strings.Join(to, ", "))
	}
}
