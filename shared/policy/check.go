package policy

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// controlNamespace is where Applications live in most Argo CD installations;
// those need no entry in sourceNamespaces.
const controlNamespace = "argocd"

// CheckApplication decides about an application before anything is rendered:
// every source repository, the namespace of the Application, the destination.
func CheckApplication(project Project, app AppFacts) Decision {
	d := Decision{Project: project.Name}
	c := compile(project)
	c.sources(&d, app.SourceRepos)
	c.sourceNamespace(&d, app.Namespace)
	c.destination(&d, app.Destination)
	d.skip("kinds", "decided after rendering, for each object")
	d.Allowed = d.Refused == 0
	return d
}

// CheckSource decides whether a project permits a repository that a source
// draws on, such as that of a chart's dependency.
func CheckSource(project Project, repoURL string) Decision {
	d := Decision{Project: project.Name}
	compile(project).sources(&d, []string{repoURL})
	d.Allowed = d.Refused == 0
	return d
}

// CheckObjects decides about rendered objects: the kind of each and, for
// namespaced ones, the namespace it goes to. A Namespace that
// CreateNamespace=true makes is an object like any other: the caller lists it.
func CheckObjects(project Project, dest Destination, objs []ObjectFacts) Decision {
	d := Decision{Project: project.Name}
	c := compile(project)
	kindFailed, destFailed := 0, 0
	// Most objects share few kinds and namespaces.
	namespaces := map[string]*Refusal{}
	for _, o := range objs {
		if r := c.kind(o); r != nil {
			kindFailed++
			d.refuse(*r)
			continue
		}
		if !o.Namespaced || o.ScopeUnknown {
			continue
		}
		ns := o.Key.Namespace
		if ns == "" {
			ns = dest.Namespace
		}
		r, known := namespaces[ns]
		if !known {
			r = c.permits(dest, ns)
			namespaces[ns] = r
		}
		if r != nil {
			destFailed++
			refusal := *r
			key := o.Key
			key.Namespace = ns
			refusal.Object, refusal.Origin, refusal.Field = &key, o.Origin, ""
			refusal.Message = fmt.Sprintf("%s; %s%s goes there", r.Message, describe(o.Key), in(o.Origin))
			d.refuse(refusal)
		}
	}
	summary := func(rule string, failed int, what string) {
		if failed > 0 {
			d.Checks = append(d.Checks, Check{Rule: rule, Result: Failed,
				Message: fmt.Sprintf("%d of %d objects %s", failed, len(objs), what)})
			return
		}
		d.pass(rule, fmt.Sprintf("all %d objects are permitted", len(objs)))
	}
	summary("kinds", kindFailed, "are of kinds that the project does not allow")
	summary("destination", destFailed, "go to a namespace that the project does not allow")
	d.Allowed = d.Refused == 0
	return d
}

type destinationRule struct {
	model.ProjectDestination
	server, name, namespace pattern
}

type compiled struct {
	project Project
	repos   []pattern
	dests   []destinationRule
}

func compile(p Project) compiled {
	c := compiled{project: p}
	for _, r := range p.Spec.SourceRepos {
		c.repos = append(c.repos, newPattern(r, "/", NormaliseRepo))
	}
	for _, r := range p.Spec.Destinations {
		c.dests = append(c.dests, destinationRule{r,
			newPattern(r.Server, "", nil), newPattern(r.Name, "", nil), newPattern(r.Namespace, "", nil)})
	}
	return c
}

func (c compiled) sources(d *Decision, repos []string) {
	name := quote(c.project.Name)
	for i, repo := range repos {
		field := "spec.source.repoURL"
		if len(repos) > 1 {
			field = fmt.Sprintf("spec.sources[%d].repoURL", i)
		}
		normal := NormaliseRepo(repo)
		matched, denied := -1, -1
		for j, p := range c.repos {
			switch {
			case p.matches(normal):
				if matched < 0 {
					matched = j
				}
			case p.deny && denied < 0:
				denied = j
			}
		}
		allowed := shortList(c.project.Spec.SourceRepos)
		r := Refusal{Code: CodeRepository, Field: field, Found: redactURL(repo), Allowed: allowed,
			Fix: "add the repository to sourceRepos of project " + name + ", or use a repository that it allows"}
		switch {
		case denied >= 0:
			r.Message = fmt.Sprintf("project %s denies %s by rule #%d %s", name, redactURL(repo), denied+1, quote(c.repos[denied].text))
			r.NearestRule = fmt.Sprintf("#%d %s", denied+1, c.repos[denied].text)
			r.Fix = "use another repository, or change that rule of project " + name
			d.fail("source", r)
		case matched < 0:
			r.Message = fmt.Sprintf("project %s allows %s; this is %s", name, orNothing(allowed), redactURL(repo))
			r.NearestRule = c.nearestRepo(normal)
			d.fail("source", r)
		default:
			d.pass("source", fmt.Sprintf("%s matches rule #%d %s", redactURL(repo), matched+1, quote(c.repos[matched].text)))
		}
	}
}

func (c compiled) nearestRepo(repo string) string {
	best, at := -1, -1
	for i, p := range c.repos {
		if p.deny {
			continue
		}
		if dist := nearest.Distance(repo, NormaliseRepo(p.text)); best < 0 || dist < best {
			best, at = dist, i
		}
	}
	if at < 0 {
		return ""
	}
	return fmt.Sprintf("#%d %s", at+1, c.repos[at].text)
}

func (c compiled) sourceNamespace(d *Decision, namespace string) {
	const rule = "source namespace"
	if namespace == "" || namespace == controlNamespace {
		d.pass(rule, "the Application is in the usual namespace")
		return
	}
	rules := c.project.Spec.SourceNamespaces
	for i, text := range rules {
		if newPattern(text, "", nil).matches(namespace) {
			d.pass(rule, fmt.Sprintf("%s matches rule #%d %s", namespace, i+1, quote(text)))
			return
		}
	}
	name := quote(c.project.Name)
	r := Refusal{Code: CodeSourceNamespace, Field: "metadata.namespace", Found: namespace, Allowed: shortList(rules),
		Message: fmt.Sprintf("project %s allows Applications in namespaces %s; this one is in %s",
			name, orNothing(shortList(append([]string{controlNamespace}, rules...))), quote(namespace)),
		Fix: "remove metadata.namespace, or add the namespace to sourceNamespaces of project " + name}
	if near := nearest.Any(namespace, rules); near != "" {
		r.NearestRule = near
	}
	d.fail(rule, r)
}

func (c compiled) destination(d *Decision, dest Destination) {
	if r := c.permits(dest, dest.Namespace); r != nil {
		d.fail("destination", *r)
		return
	}
	at := c.matchingDestination(dest, dest.Namespace)
	d.pass("destination", fmt.Sprintf("%s matches rule #%d %s", dest.label(dest.Namespace), at+1, ruleLabel(c.dests[at].ProjectDestination)))
}

func (c compiled) matchingDestination(dest Destination, namespace string) int {
	for i, rule := range c.dests {
		if m := rule.match(dest, namespace); m.all() {
			return i
		}
	}
	return -1
}

// fields says which parts of a destination rule matched, and which refused by
// a leading "!".
type fields struct {
	cluster, namespace             bool
	clusterDenies, namespaceDenies bool
}

func (f fields) all() bool    { return f.cluster && f.namespace }
func (f fields) denies() bool { return !f.all() && (f.clusterDenies || f.namespaceDenies) }

func (r destinationRule) match(dest Destination, namespace string) fields {
	servers := dest.servers()
	byServer := r.Server == "*" || r.Server != "" && r.server.matches(servers...)
	byName := r.Name != "" && dest.Name != "" && r.name.matches(dest.Name)
	f := fields{cluster: byServer || byName, namespace: r.namespace.matches(namespace)}
	f.clusterDenies = r.server.deny && r.server.hits(servers...) || r.name.deny && r.name.hits(dest.Name)
	f.namespaceDenies = r.namespace.deny && !f.namespace
	// A rule such as {name: "!a", server: "*"} must not allow by its server
	// what it denies by name.
	if f.clusterDenies {
		f.cluster = false
	}
	return f
}

// permits returns nil when the project allows the cluster and namespace.
func (c compiled) permits(dest Destination, namespace string) *Refusal {
	name, here := quote(c.project.Name), dest.label(namespace)
	labels := make([]string, len(c.dests))
	for i, rule := range c.dests {
		labels[i] = ruleLabel(rule.ProjectDestination)
	}
	r := &Refusal{Code: CodeDestination, Field: "spec.destination", Found: here, Allowed: shortList(labels),
		Fix: "choose a destination that project " + name + " allows, or add this one to its destinations"}
	if c.project.Spec.PermitOnlyProjectScopedClusters && dest.ClusterProject != nil && *dest.ClusterProject != c.project.Name {
		r.Message = fmt.Sprintf("project %s may deploy only to clusters that are reserved for it; %s is not", name, quote(dest.Name))
		r.Fix = "choose a cluster of project " + name
		return r
	}
	matched := false
	best, at, how := -1, -1, ""
	for i, rule := range c.dests {
		f := rule.match(dest, namespace)
		if f.denies() {
			r.Message = fmt.Sprintf("project %s denies %s by rule #%d %s", name, here, i+1, labels[i])
			r.NearestRule = fmt.Sprintf("#%d %s", i+1, labels[i])
			r.Fix = "choose another destination, or change that rule of project " + name
			return r
		}
		if f.all() {
			matched = true
			continue
		}
		// Nearest is the rule with the most matching fields, then the
		// shortest way to the rest.
		score, differs := 0, "cluster and namespace differ"
		switch {
		case f.cluster:
			score, differs = 2000, "the namespace differs"
		case f.namespace:
			score, differs = 1000, "the cluster differs"
		}
		score -= min(999, nearest.Distance(here, labels[i]))
		if at < 0 || score > best {
			best, at, how = score, i, differs
		}
	}
	if matched {
		return nil
	}
	r.Message = fmt.Sprintf("project %s may deploy to %s; this is %s", name, orNothing(r.Allowed), here)
	if at >= 0 {
		r.NearestRule = fmt.Sprintf("#%d %s: %s", at+1, labels[at], how)
	}
	return r
}

// kind returns nil when the project allows the object's kind.
func (c compiled) kind(o ObjectFacts) *Refusal {
	if o.ScopeUnknown {
		o.ScopeUnknown, o.Namespaced = false, true
		if c.kind(o) == nil {
			return nil
		}
		o.Namespaced = false
		return c.kind(o)
	}
	spec := c.project.Spec
	white, black, scope := spec.ClusterResourceWhitelist, spec.ClusterResourceBlacklist, "cluster"
	allowed := false
	if o.Namespaced {
		white, black, scope = spec.NamespaceResourceWhitelist, spec.NamespaceResourceBlacklist, "namespace"
		allowed = white == nil
	}
	allowed = allowed || matchKind(white, o.Key, !o.Namespaced) >= 0
	denied := matchKind(black, o.Key, !o.Namespaced)
	if allowed && denied < 0 {
		return nil
	}
	name := quote(c.project.Name)
	key := o.Key
	r := &Refusal{Code: CodeKind, Object: &key, Origin: o.Origin, Found: o.Key.GroupKind().String(), Allowed: shortList(kindLabels(white))}
	if denied >= 0 {
		rule := kindLabel(black[denied])
		r.Message = fmt.Sprintf("project %s denies %s by rule #%d %s of %sResourceBlacklist; %s%s",
			name, o.Key.GroupKind(), denied+1, rule, scope, describe(o.Key), in(o.Origin))
		r.NearestRule = fmt.Sprintf("%sResourceBlacklist #%d %s", scope, denied+1, rule)
		r.Fix = fmt.Sprintf("remove the object, or change %sResourceBlacklist of project %s", scope, name)
		return r
	}
	r.Message = fmt.Sprintf("project %s does not allow %s; %s%s", name, o.Key.GroupKind(), describe(o.Key), in(o.Origin))
	r.Fix = fmt.Sprintf("remove the object, or add {group: %q, kind: %q} to %sResourceWhitelist of project %s", o.Key.Group, o.Key.Kind, scope, name)
	if i := nearestKind(white, o.Key); i >= 0 {
		r.NearestRule = fmt.Sprintf("%sResourceWhitelist #%d %s", scope, i+1, kindLabel(white[i]))
	}
	return r
}

// matchKind returns the index of the first rule that matches, or -1. Names
// count only in rules for cluster-scoped kinds.
func matchKind(rules []model.KindRule, k model.ObjectKey, byName bool) int {
	for i, r := range rules {
		if !pathMatch(r.Kind, k.Kind) || !pathMatch(r.Group, k.Group) {
			continue
		}
		if byName && r.Name != "" && !pathMatch(r.Name, k.Name) {
			continue
		}
		return i
	}
	return -1
}

func pathMatch(pattern, s string) bool {
	ok, err := path.Match(pattern, s)
	return ok && err == nil
}

func nearestKind(rules []model.KindRule, k model.ObjectKey) int {
	best, at := -1, -1
	for i, r := range rules {
		d := nearest.Distance(k.GroupKind().String(), model.GroupKind{Group: r.Group, Kind: r.Kind}.String())
		if at < 0 || d < best {
			best, at = d, i
		}
	}
	return at
}

func ruleLabel(r model.ProjectDestination) string {
	cluster := r.Name
	if cluster == "" {
		cluster = r.Server
	} else if r.Server != "" && r.Server != r.Name {
		cluster += "|" + r.Server
	}
	return cluster + "/" + r.Namespace
}

func kindLabel(r model.KindRule) string {
	s := model.GroupKind{Group: r.Group, Kind: r.Kind}.String()
	if r.Name != "" {
		s += " " + r.Name
	}
	return s
}

func kindLabels(rules []model.KindRule) []string {
	out := make([]string, len(rules))
	for i, r := range rules {
		out[i] = kindLabel(r)
	}
	return out
}

func describe(k model.ObjectKey) string { return "object " + quote(k.Name) }

func in(origin string) string {
	if origin == "" {
		return ""
	}
	return " in " + origin
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func shortList(items []string) string {
	const most = 4
	if len(items) > most {
		return strings.Join(items[:most], ", ") + fmt.Sprintf(" and %d more", len(items)-most)
	}
	return strings.Join(items, ", ")
}

func quote(s string) string { return strconv.Quote(s) }

// redactURL hides what stands before "@" in a URL with a scheme, except a bare
// SSH user.
func redactURL(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	authority, tail, _ := strings.Cut(rest, "/")
	at := strings.LastIndex(authority, "@")
	if at < 0 || scheme == "ssh" && !strings.Contains(authority[:at], ":") {
		return s
	}
	out := scheme + "://***@" + authority[at+1:]
	if tail != "" {
		out += "/" + tail
	}
	return out
}
