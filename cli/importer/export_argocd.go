package importer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Loss is something that Argo CD has no words for, and what is done about it. Where
// there is a choice, what is written allows less than what was meant, never more; where
// there is none (a list of denials), Why says that Argo CD allows more.
type Loss struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Path string `json:"path"`
	Why  string `json:"why"`
	Fix  string `json:"fix,omitempty"`
}

func (l Loss) String() string {
	s := fmt.Sprintf("%s %s: %s: %s", l.Kind, l.Name, l.Path, l.Why)
	if l.Fix != "" {
		s += "; " + l.Fix
	}
	return s
}

// argoFields are the fields that Hawser added to Argo CD's kinds, by their paths
// without indexes. A test holds it complete.
var argoFields = map[string]map[string]Loss{
	model.KindAppProject: {
		"spec.limits":               {Why: "Argo CD has no quotas", Fix: "a ResourceQuota in the namespaces bounds objects"},
		"spec.sourceRepoBlacklist":  {Why: "what it denies Argo CD allows", Fix: `allow fewer in sourceRepos; "!URL" there allows every other one`},
		"spec.destinationBlacklist": {Why: "what it denies Argo CD allows", Fix: `allow fewer in destinations`},
		"spec.inheritedBy":          {Why: "a project does not say here who inherits from it", Fix: "name it in globalProjects of argocd-cm, with the same selector as labelSelector"},
		"spec.sensitiveFields":      {Why: "Argo CD shows these fields to who may read the application", Fix: "keep such values in Secrets"},
		"spec.destinations[].clusterSelector": {Why: "destinations cannot be selected by labels of clusters; the destination is left out, so less is allowed",
			Fix: "name the clusters"},
		"spec.namespaceResourceWhitelist[].name": {Why: "namespaced kinds have no names; the rule is left out, so less is allowed"},
		"spec.namespaceResourceBlacklist[].name": {Why: "namespaced kinds have no names; the rule denies all objects of the kind"},
	},
	model.KindApplication: {
		"spec.source.jinja": {Why: "Argo CD does not render Jinja templates; it would take the files as they are", Fix: "render them before, or with a plugin"},
	},
}

// argoAnnotations are annotations that mean nothing to Argo CD, by kind.
var argoAnnotations = map[string]map[string]Loss{
	model.KindAppProject: {
		model.AnnotationRemoteBases: {Why: "Argo CD takes remote bases and value files from anywhere"},
		model.AnnotationMode:        {Why: "Argo CD has no observe mode and writes what it is told to"},
	},
	model.KindApplication: {
		model.AnnotationMode: {Why: "Argo CD has no observe mode and writes what it is told to", Fix: "take out syncPolicy.automated before it is applied there"},
	},
}

// argoCD takes the losses of one object down.
type argoCD struct {
	kind, name string
	losses     []Loss
}

// lost notes the loss of a field; path may have indexes.
func (a *argoCD) lost(path string) {
	l := argoFields[a.kind][withoutIndexes(path)]
	l.Kind, l.Name, l.Path = a.kind, a.name, path
	a.losses = append(a.losses, l)
}

// withoutIndexes writes [] for [3].
func withoutIndexes(path string) string {
	var b strings.Builder
	inside := false
	for _, r := range path {
		switch {
		case r == '[':
			inside = true
			b.WriteString("[]")
		case r == ']':
			inside = false
		case !inside:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (a *argoCD) annotations(in map[string]string) {
	for name, l := range argoAnnotations[a.kind] {
		if v, there := in[name]; there && v != model.ModeManage {
			l.Kind, l.Name, l.Path = a.kind, a.name, "metadata.annotations["+name+"]"
			a.losses = append(a.losses, l)
		}
	}
	slices.SortStableFunc(a.losses, func(x, y Loss) int { return strings.Compare(x.Path, y.Path) })
}

// projectForArgoCD takes out of a project what Argo CD has no field for, whose API
// server refuses it.
func projectForArgoCD(p *model.AppProject) []Loss {
	a := argoCD{kind: model.KindAppProject, name: p.Metadata.Name}
	s := &p.Spec
	if s.Limits != nil {
		a.lost("spec.limits")
		s.Limits = nil
	}
	if len(s.SourceRepoBlacklist) > 0 {
		if slices.Contains(s.SourceRepos, "*") { // a denial allows nothing that is not allowed already
			s.SourceRepos = slices.Clone(s.SourceRepos)
			for _, url := range s.SourceRepoBlacklist {
				s.SourceRepos = append(s.SourceRepos, "!"+url)
			}
		} else {
			a.lost("spec.sourceRepoBlacklist")
		}
		s.SourceRepoBlacklist = nil
	}
	if len(s.DestinationBlacklist) > 0 {
		a.lost("spec.destinationBlacklist")
		s.DestinationBlacklist = nil
	}
	if s.InheritedBy != nil {
		a.lost("spec.inheritedBy")
		s.InheritedBy = nil
	}
	if len(s.SensitiveFields) > 0 {
		a.lost("spec.sensitiveFields")
		s.SensitiveFields = nil
	}
	var destinations []model.ProjectDestination
	for i, d := range s.Destinations {
		if d.ClusterSelector != nil {
			a.lost(fmt.Sprintf("spec.destinations[%d].clusterSelector", i))
			continue
		}
		destinations = append(destinations, d)
	}
	s.Destinations = destinations
	if s.NamespaceResourceWhitelist != nil {
		kinds := []model.KindRule{} // an empty list allows nothing, and none allows all
		for i, k := range s.NamespaceResourceWhitelist {
			if k.Name != "" {
				a.lost(fmt.Sprintf("spec.namespaceResourceWhitelist[%d].name", i))
				continue
			}
			kinds = append(kinds, k)
		}
		s.NamespaceResourceWhitelist = kinds
	}
	var denied []model.KindRule
	for i, k := range s.NamespaceResourceBlacklist {
		if k.Name != "" {
			a.lost(fmt.Sprintf("spec.namespaceResourceBlacklist[%d].name", i))
			k.Name = ""
		}
		denied = append(denied, k)
	}
	s.NamespaceResourceBlacklist = denied
	a.annotations(p.Metadata.Annotations)
	return a.losses
}

// applicationForArgoCD is projectForArgoCD for an application.
func applicationForArgoCD(app *model.Application) []Loss {
	a := argoCD{kind: model.KindApplication, name: app.Metadata.Name}
	if s := app.Spec.Source; s != nil && s.Jinja != nil {
		plain := *s
		plain.Jinja, app.Spec.Source = nil, &plain
		a.lost("spec.source.jinja")
	}
	app.Spec.Sources = slices.Clone(app.Spec.Sources)
	for i := range app.Spec.Sources {
		if app.Spec.Sources[i].Jinja != nil {
			app.Spec.Sources[i].Jinja = nil
			l := argoFields[a.kind]["spec.source.jinja"]
			l.Kind, l.Name, l.Path = a.kind, a.name, fmt.Sprintf("spec.sources[%d].jinja", i)
			a.losses = append(a.losses, l)
		}
	}
	a.annotations(app.Metadata.Annotations)
	if paths, there := app.Metadata.Annotations[model.AnnotationGeneratePathsAlias]; there {
		app.Metadata.Annotations = renamed(app.Metadata.Annotations, model.AnnotationGeneratePathsAlias, model.AnnotationGeneratePaths, paths)
	}
	return a.losses
}

// renamed writes an annotation under Argo CD's name, where that is not there.
func renamed(in map[string]string, from, to, value string) map[string]string {
	out := map[string]string{to: value}
	for k, v := range in {
		if k != from {
			out[k] = v
		}
	}
	return out
}

// credentialForArgoCD says what a Secret of Argo CD for a repository has no key for.
func credentialForArgoCD(url string, holds model.CredentialInfo) (out []Loss) {
	for _, x := range []struct{ held, why, fix string }{
		{model.HoldsKnownHosts, "Argo CD keeps host keys for all repositories", "put them into argocd-ssh-known-hosts-cm"},
		{model.HoldsCABundle, "Argo CD keeps certificate authorities by host", "put them into argocd-tls-certs-cm"},
	} {
		if slices.Contains(holds.Kinds, x.held) {
			out = append(out, Loss{Kind: "Repository", Name: url, Path: x.held, Why: x.why, Fix: x.fix})
		}
	}
	return out
}
