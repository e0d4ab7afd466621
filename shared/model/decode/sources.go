package decode

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

var refName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// severalSources checks sources one by one and what they say of each other.
func (p *problems) severalSources(sources []model.Source) {
	var refs []string
	seen := map[string]int{}
	for i, s := range sources {
		if s.Ref == "" {
			continue
		}
		field := at("spec.sources", i) + ".ref"
		switch first, twice := seen[s.Ref]; {
		case twice:
			p.check(fault.New(fault.Invalid, "duplicate_ref", "ref %s is used by two sources", quote(s.Ref)).WithField(field).
				WithFound(quote(s.Ref), "a name that spec.sources["+fmt.Sprint(first)+"] does not have"))
			continue
		case !refName.MatchString(s.Ref):
			p.check(fault.New(fault.Invalid, "ref_invalid", "ref %s: use letters, digits, \"-\" and \"_\"", quote(s.Ref)).WithField(field))
		}
		seen[s.Ref] = i
		refs = append(refs, s.Ref)
	}
	manifests := false
	for i := range sources {
		p.source(at("spec.sources", i), &sources[i], true, refs)
		manifests = manifests || sources[i].HasManifests()
	}
	if len(sources) > 0 && !manifests {
		p.check(fault.New(fault.Invalid, "sources_without_manifests", "every source has only a ref; one with path or chart is needed").
			WithField("spec.sources"))
	}
}

// source checks one source. many says that it is one of spec.sources, refs are
// the names that those have.
func (p *problems) source(field string, s *model.Source, many bool, refs []string) {
	p.check(RepoURL(field+".repoURL", s.RepoURL, s.Chart != "", true))
	registry := strings.HasPrefix(strings.ToLower(s.RepoURL), "oci://")
	switch {
	case s.Ref != "" && s.Chart != "":
		p.check(fault.New(fault.Invalid, "sources_ambiguous", "%s has ref and chart; a chart cannot be referred to", field).WithField(field + ".ref"))
	case s.Ref != "" && registry:
		p.check(fault.New(fault.Invalid, "ref_unsupported", "%s has a ref and is in a registry; only Git repositories can be referred to", field).
			WithField(field + ".ref").WithFix("put the files into a Git repository"))
	case s.Path != "" && s.Chart != "":
		p.check(fault.New(fault.Invalid, "sources_ambiguous", "%s has path and chart; write one", field).WithField(field + ".path").
			WithFix("write chart for a chart of a repository or registry, path for a directory of Git"))
	case s.Path == "" && s.Chart == "" && !(many && s.Ref != "") && !registry:
		p.check(missing(field + ".path").WithFix(`write the directory of the manifests; the root is "."`))
	}
	if s.Chart != "" && s.TargetRevision == "" {
		p.check(missing(field + ".targetRevision").WithFix(`write the version of the chart, or a constraint such as "^1.2" or "*"`))
	}
	p.chart(field+".chart", s.Chart)
	if strings.HasPrefix(s.Path, "/") {
		p.check(fault.New(fault.Invalid, "path_escapes_repo", "path %s starts with \"/\"; write it relative to the root of the repository", quote(s.Path)).
			WithField(field+".path").WithFound(quote(s.Path), "a relative path"))
	} else {
		p.check(Path(field+".path", "", s.Path))
	}
	if strings.HasPrefix(s.TargetRevision, "-") || strings.ContainsAny(s.TargetRevision, "\n\r\x00") {
		p.check(fault.New(fault.Invalid, "revision_invalid", "targetRevision %s is not a branch, tag, commit or version", quote(s.TargetRevision)).
			WithField(field + ".targetRevision"))
	}
	p.oneTool(field, s)
	if h := s.Helm; h != nil {
		p.valueFiles(field+".helm.valueFiles", s.Path, h.ValueFiles, refs)
		for i, v := range h.FileParameters {
			p.repoFile(at(field+".helm.fileParameters", i)+".path", s.Path, v.Path, refs)
		}
	}
	if j := s.Jinja; j != nil {
		p.valueFiles(field+".jinja.valueFiles", s.Path, j.ValueFiles, refs)
	}
	if k := s.Kustomize; k != nil {
		for i, r := range k.Replicas {
			if r.Name == "" {
				p.check(missing(at(field+".kustomize.replicas", i) + ".name"))
			}
			if r.Count.IsInt && r.Count.Int < 0 {
				p.check(outOfRange(at(field+".kustomize.replicas", i)+".count", r.Count.Int, "0 or more"))
			}
		}
		for i, c := range k.Components {
			p.repoFile(at(field+".kustomize.components", i), s.Path, c, refs)
		}
	}
	if g := s.Plugin; g != nil {
		for i, e := range g.Env {
			if e.Name == "" {
				p.check(missing(at(field+".plugin.env", i) + ".name"))
			}
		}
	}
}

// chart checks the name of a chart, which becomes part of URLs and paths. In a
// registry it may have several segments.
func (p *problems) chart(field, name string) {
	if name == "" {
		return
	}
	r, pos := invisible(name)
	bad := pos > 0 || strings.ContainsAny(name, `\:?#%@ `)
	for segment := range strings.SplitSeq(name, "/") {
		bad = bad || segment == "" || segment == "." || segment == ".."
	}
	if !bad {
		return
	}
	e := fault.New(fault.Invalid, "chart_invalid", "chart %s is not the name of a chart", quote(name)).WithField(field)
	if pos > 0 {
		e.Message = fmt.Sprintf("chart contains the invisible character U+%04X at position %d", r, pos)
	}
	p.check(e.WithFix("write the name alone; the repository goes into repoURL, the version into targetRevision"))
}

// oneTool refuses options of two tools. The options of a directory also choose
// the templates of Jinja2.
func (p *problems) oneTool(field string, s *model.Source) {
	found, foundTool := "", ""
	for _, section := range []struct {
		there      bool
		name, tool string
	}{
		{s.Chart != "", "chart", "helm"}, {s.Helm != nil, "helm", "helm"}, {s.Kustomize != nil, "kustomize", "kustomize"},
		{s.Directory != nil && s.Jinja == nil, "directory", "directory"}, {s.Jinja != nil, "jinja", "jinja"}, {s.Plugin != nil, "plugin", "plugin"},
	} {
		switch {
		case !section.there:
		case found == "":
			found, foundTool = section.name, section.tool
		case section.tool != foundTool:
			p.check(fault.New(fault.Invalid, "source_type_ambiguous", "%s has options for two tools, %s and %s: keep one of them", field, found, section.name).
				WithField(field + "." + section.name))
			return
		}
	}
}

func (p *problems) valueFiles(field, base string, files, refs []string) {
	for i, f := range files {
		p.repoFile(at(field, i), base, f, refs)
	}
}

// refKnown checks the NAME of "$NAME/…". Build environment variables look the
// same.
func (p *problems) refKnown(field, name string, refs []string) {
	if contains(refs, name) || strings.HasPrefix(name, "ARGOCD_") || strings.HasPrefix(name, "KUBE_") || strings.HasPrefix(name, "{") {
		return
	}
	e := fault.New(fault.Invalid, "ref_unknown", "no source has the ref %s", quote(name)).WithField(field).
		WithFound("$"+name, strings.Join(refs, ", "))
	near := nearest.Word(name, refs)
	switch {
	case near != "":
		e.Message += fmt.Sprintf("; did you mean %q?", near)
		e.Fix = "write $" + near + "/…"
	case len(refs) == 0:
		e.Message += "; the application has none"
		e.Fix = "add the repository to spec.sources with ref: " + name
	default:
		e.Fix = "add the repository to spec.sources with ref: " + name + ", or use one of " + strings.Join(refs, ", ")
	}
	p.check(e)
}

// fileSchemes are those that Argo CD's default configuration allows for values
// files; whether one is fetched is decided by the renderer.
var fileSchemes = map[string]bool{"https": true, "http": true, "git": true, "ssh": true, "s3": true, "secrets": true, "oci": true}

// repoFile checks a file that a source names: a path, a URL, or one that
// starts with $ref of another source; refs are the names that there are.
func (p *problems) repoFile(field, base, file string, refs []string) {
	name, _, isURL := strings.Cut(strings.ToLower(file), "://")
	switch {
	case isURL && fileSchemes[name]:
		return
	case isURL, strings.HasPrefix(name, "file:"):
		p.check(fault.New(fault.Invalid, "path_escapes_repo", "%s is not a path inside the repository", quote(file)).
			WithField(field).WithFound(quote(file), "a path inside the repository, or a URL of https"))
		return
	}
	if rest, ok := strings.CutPrefix(file, "$"); ok && strings.Contains(rest, "/") {
		ref, inside, _ := strings.Cut(rest, "/")
		if e := Path(field, "", inside); e != nil {
			p.check(e)
			return
		}
		p.refKnown(field, ref, refs)
		return
	}
	p.check(Path(field, base, file))
}
