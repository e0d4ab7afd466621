package decode

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
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
	p.validateMode(&project.Metadata)
	if v, ok := project.Metadata.Annotations[model.AnnotationRemoteBases]; ok && v != "allow" && v != "" {
		// Anything else would silently mean no.
		field := join("metadata.annotations", model.AnnotationRemoteBases)
		p.check(fault.New(fault.Invalid, "annotation_invalid", "annotation %s is %s; it can only be \"allow\"", model.AnnotationRemoteBases, quote(v)).
			WithField(field).WithFound(quote(v), "allow"))
	}
	spec := &project.Spec
	for i, r := range spec.SourceRepos {
		p.repoPattern(at("spec.sourceRepos", i), r)
	}
	for i, r := range spec.SourceNamespaces {
		p.named(at("spec.sourceNamespaces", i), r)
	}
	for i, d := range spec.Destinations {
		p.projectDestination(at("spec.destinations", i), d)
	}
	for i, r := range spec.SourceRepoBlacklist {
		if field := at("spec.sourceRepoBlacklist", i); p.deniesPlainly(field, r) {
			p.named(field, r)
		}
	}
	for i, d := range spec.DestinationBlacklist {
		p.deniedDestination(at("spec.destinationBlacklist", i), d)
	}
	p.kindRules("spec.clusterResourceWhitelist", spec.ClusterResourceWhitelist)
	p.kindRules("spec.clusterResourceBlacklist", spec.ClusterResourceBlacklist)
	p.kindRules("spec.namespaceResourceWhitelist", spec.NamespaceResourceWhitelist)
	p.kindRules("spec.namespaceResourceBlacklist", spec.NamespaceResourceBlacklist)
	p.roles(project.Metadata.Name, spec.Roles)
	for i, w := range spec.SyncWindows {
		p.syncWindow(at("spec.syncWindows", i), w)
	}
	for i, a := range spec.DestinationServiceAccounts {
		p.serviceAccount(at("spec.destinationServiceAccounts", i), a)
	}
	if o := spec.OrphanedResources; o != nil {
		p.ignoredOrphans(o.Ignore)
	}
	p.signatures(spec)
	if l := spec.Limits; l != nil {
		for _, v := range []struct {
			field string
			n     *int64
		}{{"maxApplications", l.MaxApplications}, {"maxObjects", l.MaxObjects}, {"maxObjectsPerApplication", l.MaxObjectsPerApplication}} {
			if v.n != nil && *v.n < 0 {
				p.check(outOfRange("spec.limits."+v.field, *v.n, "0 or more"))
			}
		}
	}
	p.sensitiveFields(spec.SensitiveFields)
	if spec.InheritedBy != nil {
		p.selector("spec.inheritedBy", *spec.InheritedBy)
	}
}

func (p *problems) repoPattern(field, text string) {
	switch strings.TrimPrefix(text, "!") {
	case "":
		p.check(fault.New(fault.Invalid, "pattern_empty", "%s is %s and matches no repository", field, quote(text)).WithField(field).
			WithFix("write a URL, a glob such as https://git.example.com/team/**, or remove it"))
		return
	case "*":
		if text != "*" {
			p.check(badPattern(field, text, "it denies every repository").WithFix("remove it; what no rule allows is denied"))
			return
		}
	}
	p.pattern(field, text)
}

// named is a pattern that means nothing when it is empty.
func (p *problems) named(field, text string) {
	if strings.TrimPrefix(text, "!") == "" {
		p.check(fault.New(fault.Invalid, "pattern_empty", "%s is %s and matches nothing", field, quote(text)).WithField(field).WithFix("write a name or a glob, or remove it"))
		return
	}
	p.pattern(field, text)
}

func (p *problems) projectDestination(field string, d model.ProjectDestination) {
	if d.Server == "" && d.Name == "" && d.ClusterSelector == nil {
		p.check(fault.New(fault.Invalid, "destination_invalid", "%s names no cluster; write name, server or clusterSelector", field).WithField(field))
	}
	for _, v := range []struct{ name, text string }{{"server", d.Server}, {"name", d.Name}, {"namespace", d.Namespace}} {
		if v.text == "!*" && d.ClusterSelector == nil {
			p.check(badPattern(field+"."+v.name, v.text, "it denies everything").WithFix("remove the rule; what no rule allows is denied"))
			continue
		}
		if v.text == "!" {
			p.check(badPattern(field+"."+v.name, v.text, "there is nothing behind \"!\""))
			continue
		}
		p.pattern(field+"."+v.name, v.text)
	}
	if s := d.ClusterSelector; s != nil {
		if len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0 {
			p.check(fault.New(fault.Invalid, "selector_invalid", "%s.clusterSelector says nothing, and would select every cluster", field).
				WithField(field + ".clusterSelector").WithFix("write name: \"*\" for every cluster, or matchLabels"))
		}
		p.selector(field+".clusterSelector", *s)
	}
}

// deniesPlainly reports whether a pattern of a list that only denies has no "!".
func (p *problems) deniesPlainly(field, text string) bool {
	if !strings.HasPrefix(text, "!") {
		return true
	}
	p.check(badPattern(field, text, "\"!\" has no meaning here").WithFix("write what is to be denied"))
	return false
}

// deniedDestination is a rule that denies the clusters and namespaces that it
// matches, and so has to say both.
func (p *problems) deniedDestination(field string, d model.ProjectDestination) {
	for _, v := range []struct{ name, text string }{{"server", d.Server}, {"name", d.Name}, {"namespace", d.Namespace}} {
		if !p.deniesPlainly(field+"."+v.name, v.text) {
			return
		}
	}
	if d.Namespace == "" {
		p.check(missing(field + ".namespace").WithFix("write a namespace, a glob, or \"*\" for the whole cluster"))
	}
	p.projectDestination(field, d)
}

func (p *problems) selector(field string, s model.LabelSelector) {
	for _, e := range policy.CheckSelector(s) {
		e = e.WithField(field + "." + e.Field)
		e.Message = e.Field + ": " + e.Message
		p.check(e)
	}
}

// ignoredOrphans are globs, and an empty kind or name is any.
func (p *problems) ignoredOrphans(rules []model.KindRule) {
	for i, r := range rules {
		field := at("spec.orphanedResources.ignore", i)
		for _, v := range []struct{ name, text string }{{"group", r.Group}, {"kind", r.Kind}, {"name", r.Name}} {
			if strings.HasPrefix(v.text, "!") {
				p.check(badPattern(field+"."+v.name, v.text, "\"!\" has no meaning here").WithFix("write what is to be ignored"))
				continue
			}
			p.pattern(field+"."+v.name, v.text)
		}
		if strings.Contains(r.Group, "/") {
			p.check(badPattern(field+".group", r.Group, "it has a version").WithFix("write the group alone, such as apps"))
		}
	}
}

func (p *problems) kindRules(field string, rules []model.KindRule) {
	for i, r := range rules {
		here := at(field, i)
		if r.Kind == "" {
			p.check(missing(here + ".kind").WithFix("write a kind such as Deployment, or \"*\" for all of the group"))
		}
		for _, v := range []struct{ name, text string }{{"group", r.Group}, {"kind", r.Kind}, {"name", r.Name}} {
			if len(v.text) > 512 {
				p.check(badPattern(here+"."+v.name, v.text[:64]+"…", "it has more than 512 characters"))
				continue
			}
			if _, err := path.Match(v.text, ""); err != nil {
				p.check(badPattern(here+"."+v.name, v.text, "a set in it is not closed"))
			}
			if strings.HasPrefix(v.text, "!") {
				p.check(badPattern(here+"."+v.name, v.text, "\"!\" has no meaning here").WithFix("put what is denied into the blacklist"))
			}
		}
		if strings.Contains(r.Group, "/") {
			p.check(badPattern(here+".group", r.Group, "it has a version").WithFix("write the group alone, such as apps"))
		}
	}
}

// Bounds of sensitiveFields: each object that is shown is searched for all of them.
const (
	maxSensitivePointers = 256
	maxSensitivePointer  = 512 // characters
)

func (p *problems) sensitiveFields(rules []model.SensitiveFields) {
	pointers := 0
	for i, r := range rules {
		field := at("spec.sensitiveFields", i)
		if r.Kind == "" {
			p.check(missing(field + ".kind").WithFix("write a kind such as ConfigMap, or \"*\" for all of the group"))
		}
		for _, v := range []struct{ name, text string }{{"group", r.Group}, {"kind", r.Kind}} {
			if len(v.text) > 512 {
				p.check(badPattern(field+"."+v.name, v.text[:64]+"…", "it has more than 512 characters"))
			} else if _, err := path.Match(v.text, ""); err != nil {
				p.check(badPattern(field+"."+v.name, v.text, "a set in it is not closed"))
			} else if strings.HasPrefix(v.text, "!") {
				p.check(badPattern(field+"."+v.name, v.text, "\"!\" has no meaning here").WithFix("write the kinds whose fields are to be hidden"))
			}
		}
		if strings.Contains(r.Group, "/") {
			p.check(badPattern(field+".group", r.Group, "it has a version").WithFix("write the group alone, such as apps"))
		}
		if len(r.JSONPointers) == 0 {
			p.check(missing(field + ".jsonPointers").WithFix("name the fields, such as /data/token"))
		}
		for j, pointer := range r.JSONPointers {
			here := at(field+".jsonPointers", j)
			shown, err := pointer, error(nil)
			if len(pointer) > maxSensitivePointer {
				shown, err = pointer[:64]+"…", fmt.Errorf("it has more than %d characters", maxSensitivePointer)
			} else {
				_, err = manifest.ParseField(pointer)
			}
			if err != nil {
				p.check(fault.New(fault.Invalid, "expression_invalid", "%s %s: %s", here, quote(shown), err).WithField(here).
					WithFound(quote(shown), "a JSON pointer to a field, such as /data/token or /data/*"))
			}
		}
		pointers += len(r.JSONPointers)
	}
	if max(pointers, len(rules)) > maxSensitivePointers {
		p.check(outOfRange("spec.sensitiveFields", int64(max(pointers, len(rules))), fmt.Sprintf("at most %d pointers together", maxSensitivePointers)))
	}
}

var roleName = regexp.MustCompile(`^[A-Za-z0-9]([-_A-Za-z0-9]{0,61}[A-Za-z0-9])?$`)

// roles checks what Argo CD checks of them: "p, proj:PROJECT:ROLE, RESOURCE,
// ACTION, PROJECT/OBJECT, EFFECT".
func (p *problems) roles(project string, roles []model.ProjectRole) {
	seen := map[string]bool{}
	for i, r := range roles {
		field := at("spec.roles", i)
		switch {
		case r.Name == "":
			p.check(missing(field + ".name"))
		case seen[r.Name]:
			p.check(fault.New(fault.Invalid, "duplicate_role", "role %s is there twice", quote(r.Name)).WithField(field + ".name"))
		case !roleName.MatchString(r.Name):
			p.check(fault.New(fault.Invalid, "role_invalid", "%s.name is %s; use letters, digits, \"-\" and \"_\"", field, quote(r.Name)).WithField(field + ".name"))
		}
		seen[r.Name] = true
		for j, text := range r.Policies {
			if err := rolePolicy(project, r.Name, text); err != nil {
				here := at(field+".policies", j)
				p.check(fault.New(fault.Invalid, "role_policy_invalid", "%s %s: %s", here, quote(text), err).WithField(here).
					WithFound(quote(text), "p, proj:PROJECT:ROLE, RESOURCE, ACTION, PROJECT/OBJECT, allow|deny"))
			}
		}
		groups := map[string]bool{}
		for j, g := range r.Groups {
			if strings.TrimSpace(g) == "" || groups[g] {
				here := at(field+".groups", j)
				p.check(fault.New(fault.Invalid, "role_invalid", "%s is %s: it is empty or there twice", here, quote(g)).WithField(here))
			}
			groups[g] = true
		}
	}
}

func rolePolicy(project, role, text string) error {
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	subject := "proj:" + project + ":" + role
	switch {
	case len(parts) != 6 || parts[0] != "p":
		return fmt.Errorf("it is not \"p\" and five values")
	case parts[1] != subject:
		return fmt.Errorf("the subject is %s; it has to be %s", parts[1], subject)
	case parts[2] == "" || parts[3] == "":
		return fmt.Errorf("the resource or the action is empty")
	case parts[4] != project && !strings.HasPrefix(parts[4], project+"/"):
		return fmt.Errorf("the object is %s; it has to begin with %s/", parts[4], project)
	case parts[5] != "allow" && parts[5] != "deny":
		return fmt.Errorf("the effect is %s; it has to be allow or deny", parts[5])
	}
	return nil
}

func (p *problems) serviceAccount(field string, a model.DestinationServiceAccount) {
	if a.Server == "" {
		p.check(missing(field + ".server").WithFix("write \"*\" for every cluster"))
	}
	for _, v := range []struct{ name, text string }{{"server", a.Server}, {"namespace", a.Namespace}} {
		if strings.HasPrefix(v.text, "!") {
			p.check(badPattern(field+"."+v.name, v.text, "\"!\" has no meaning here").WithFix("order the rules: the first that matches wins"))
			continue
		}
		p.pattern(field+"."+v.name, v.text)
	}
	// The globs are checked above.
	if err := policy.CheckServiceAccount(model.DestinationServiceAccount{Server: "*", Namespace: "*", DefaultServiceAccount: a.DefaultServiceAccount}); err != nil {
		p.check(fault.New(fault.Invalid, "service_account_invalid", "%s.defaultServiceAccount %s; write name or namespace:name", field, err).
			WithField(field + ".defaultServiceAccount"))
	}
}

func (p *problems) signatures(spec *model.AppProjectSpec) {
	seen := map[string]bool{}
	key := func(field, id string, in map[string]bool) {
		if !policy.ValidKeyID(id) {
			p.check(fault.New(fault.Invalid, "key_id_invalid", "%s %s is no key; write its long ID (16 hexadecimal digits) or its fingerprint (40)", field, quote(id)).WithField(field))
		} else if in[strings.ToUpper(id)] {
			p.check(fault.New(fault.Invalid, "duplicate_key", "%s: the key %s is there twice", field, quote(id)).WithField(field))
		}
		in[strings.ToUpper(id)] = true
	}
	for i, k := range spec.SignatureKeys {
		key(at("spec.signatureKeys", i)+".keyID", k.KeyID, seen)
	}
	s := spec.SourceIntegrity
	if s == nil || s.Git == nil {
		return
	}
	for i, pol := range s.Git.Policies {
		field := at("spec.sourceIntegrity.git.policies", i)
		if pol.Repos == nil {
			p.check(missing(field + ".repos").WithFix("write {url: \"*\"} for every repository"))
		}
		for j, r := range pol.Repos {
			p.named(at(field+".repos", j)+".url", r.URL)
		}
		if pol.GPG == nil {
			p.check(missing(field + ".gpg").WithFix("write gpg: {mode: head, keys: […]}"))
			continue
		}
		switch pol.GPG.Mode {
		case "none", "head", "strict":
		case "":
			p.check(missing(field+".gpg.mode").WithFound("", "none, head, strict"))
		default:
			p.check(fault.New(fault.Invalid, "value_unknown", "%s.gpg.mode is %s; allowed: none, head, strict", field, quote(pol.GPG.Mode)).
				WithField(field+".gpg.mode").WithFound(pol.GPG.Mode, "none, head, strict"))
		}
		if pol.GPG.Keys == nil && pol.GPG.Mode != "none" {
			p.check(missing(field + ".gpg.keys").WithFix("name the keys that are trusted; with [] nothing can be deployed"))
		}
		in := map[string]bool{}
		for j, k := range pol.GPG.Keys {
			key(at(field+".gpg.keys", j), k, in)
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
