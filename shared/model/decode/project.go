package decode

import (
	"errors"
	"path"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// ValidateProject checks an AppProject that did not come from a text, as
// Project does for one that did. It returns nil or a fault.List.
func ValidateProject(p *model.AppProject) error {
	f := filler{}
	f.validateProject(p)
	return f.err()
}

func (p *problems) validateProject(project *model.AppProject) {
	p.validateMeta(&project.Metadata)
	if v, ok := project.Metadata.Annotations[model.AnnotationRemoteBases]; ok && v != "allow" && v != "" {
		// Anything else would silently mean no.
		field := join("metadata.annotations", model.AnnotationRemoteBases)
		p.check(fault.New(fault.Invalid, "annotation_invalid", "annotation %s is %s; it can only be \"allow\"", model.AnnotationRemoteBases, quote(v)).
			WithField(field).WithFound(quote(v), "allow"))
	}
	spec := &project.Spec
	for i, r := range spec.SourceRepos {
		p.pattern(at("spec.sourceRepos", i), r)
	}
	for i, r := range spec.SourceNamespaces {
		p.pattern(at("spec.sourceNamespaces", i), r)
	}
	for i, d := range spec.Destinations {
		field := at("spec.destinations", i)
		if d.Server == "" && d.Name == "" {
			p.check(fault.New(fault.Invalid, "destination_invalid", "%s names no cluster; write name or server", field).WithField(field))
		}
		p.pattern(field+".server", d.Server)
		p.pattern(field+".name", d.Name)
		p.pattern(field+".namespace", d.Namespace)
	}
	for _, list := range []struct {
		field string
		rules []model.KindRule
	}{
		{"spec.clusterResourceWhitelist", spec.ClusterResourceWhitelist},
		{"spec.clusterResourceBlacklist", spec.ClusterResourceBlacklist},
		{"spec.namespaceResourceWhitelist", spec.NamespaceResourceWhitelist},
		{"spec.namespaceResourceBlacklist", spec.NamespaceResourceBlacklist},
	} {
		for i, r := range list.rules {
			if r.Kind == "" {
				p.check(missing(at(list.field, i) + ".kind"))
			}
			for name, text := range map[string]string{"group": r.Group, "kind": r.Kind, "name": r.Name} {
				if _, err := path.Match(text, ""); err != nil {
					p.check(badPattern(at(list.field, i)+"."+name, text, "a set in it is not closed"))
				}
			}
		}
	}
	roles := map[string]bool{}
	for i, r := range spec.Roles {
		field := at("spec.roles", i) + ".name"
		if r.Name == "" {
			p.check(missing(field))
		} else if roles[r.Name] {
			p.check(fault.New(fault.Invalid, "duplicate_role", "role %s is there twice", quote(r.Name)).WithField(field))
		}
		roles[r.Name] = true
	}
	for i, w := range spec.SyncWindows {
		p.syncWindow(at("spec.syncWindows", i), w)
	}
	for i, a := range spec.DestinationServiceAccounts {
		field := at("spec.destinationServiceAccounts", i)
		p.pattern(field+".server", a.Server)
		p.pattern(field+".namespace", a.Namespace)
		if a.DefaultServiceAccount == "" || strings.ContainsAny(a.DefaultServiceAccount, "!*[]{}\\/") {
			p.check(fault.New(fault.Invalid, "service_account_invalid", "%s.defaultServiceAccount %s: write name or namespace:name", field, quote(a.DefaultServiceAccount)).
				WithField(field + ".defaultServiceAccount"))
		}
	}
	if s := spec.SourceIntegrity; s != nil && s.Git != nil {
		for i, pol := range s.Git.Policies {
			if pol.GPG == nil {
				continue
			}
			switch pol.GPG.Mode {
			case "", "none", "head", "strict":
			default:
				field := at("spec.sourceIntegrity.git.policies", i) + ".gpg.mode"
				p.check(fault.New(fault.Invalid, "value_unknown", "%s is %s; allowed: none, head, strict", field, quote(pol.GPG.Mode)).
					WithField(field).WithFound(pol.GPG.Mode, "none, head, strict"))
			}
		}
	}
}

func (p *problems) pattern(field, text string) {
	if err := policy.CheckPattern(text); err != nil {
		p.check(badPattern(field, text, err.Error()))
	}
}

func badPattern(field, text, why string) *fault.Error {
	return fault.New(fault.Invalid, "expression_invalid", "%s %s: %s", field, quote(text), why).WithField(field).
		WithFound(quote(text), `a glob: *, **, ?, [a-z], {a,b}`)
}

func (p *problems) syncWindow(field string, w model.SyncWindow) {
	var list fault.List
	if errors.As(policy.CheckWindow(w), &list) {
		for _, e := range list {
			e = e.WithField(field + "." + e.Field)
			e.Message = field + "." + e.Message
			p.check(e)
		}
	}
}
