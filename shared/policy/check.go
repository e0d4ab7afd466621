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
	d := project.decision()
	c := compile(project)
	c.sources(&d, app.SourceRepos)
	c.sourceNamespace(&d, app.Namespace)
	c.signatures(&d, app.SourceRepos)
	c.destination(&d, app.Destination)
	d.skip(RuleKinds, "decided after rendering, for each object")
	c.applications(&d, app.Usage)
	d.Allowed = d.Refused == 0
	return d
}

// CheckSource decides whether a project permits a repository that a source
// draws on, such as that of a chart's dependency.
func CheckSource(project Project, repoURL string) Decision {
	d := project.decision()
	compile(project).sources(&d, []string{repoURL})
	d.Allowed = d.Refused == 0
	return d
}

// CheckObjects decides about rendered objects: the kind of each and, for
// namespaced ones, the namespace it goes to. A Namespace that
// CreateNamespace=true makes is an object like any other: the caller lists it.
// The objects count against maxObjectsPerApplication.
func CheckObjects(project Project, dest Destination, objs []ObjectFacts) Decision {
	return CheckRendered(project, dest, objs, nil)
}

// CheckRendered is CheckObjects where it is known how many objects the project's
// other applications have; nil when it is not.
func CheckRendered(project Project, dest Destination, objs []ObjectFacts, usage *Usage) Decision {
	d := project.decision()
	c := compile(project)
	c.objects(&d, dest, objs)
	c.objectLimits(&d, len(objs), usage)
	d.Allowed = d.Refused == 0
	return d
}

func (c compiled) objects(d *Decision, dest Destination, objs []ObjectFacts) {
	kindFailed, destFailed := 0, 0
	// Most objects share few kinds and namespaces.
	namespaces := map[string]*Refusal{}
	for _, o := range objs {
		if r := c.kind(o); r != nil {
			kindFailed++
			r.rule = RuleKinds
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
			refusal.Object, refusal.Origin, refusal.Field, refusal.rule = &key, o.Origin, "", RuleDestination
			refusal.Message = fmt.Sprintf("%s; %s%s goes there", r.Message, describe(o.Key), in(o.Origin))
			d.refuse(refusal)
		}
	}
	summary := func(rule string, failed int, what string) {
		if failed > 0 {
			check := Check{Rule: rule, Result: Failed, Message: fmt.Sprintf("%d of %d objects %s", failed, len(objs), what)}
			for _, r := range d.Refusals {
				if r.rule == rule {
					check.Nearest = r.NearestRule
					break
				}
			}
			d.Checks = append(d.Checks, check)
			return
		}
		d.pass(rule, fmt.Sprintf("all %d objects are permitted", len(objs)))
	}
	summary(RuleKinds, kindFailed, "are of kinds that the project does not allow")
	summary(RuleDestination, destFailed, "go to a namespace that the project does not allow")
}

// signatures says whether commits will be verified: see SignatureRuleFor and
// CheckSignature.
func (c compiled) signatures(d *Decision, repos []string) {
	for _, repo := range repos {
		rule, refusal := SignatureRuleFor(c.Project, repo)
		switch {
		case refusal != nil:
			// Of a chart nothing is demanded, and that this is one is not known here.
			d.skip(RuleSignature, refusal.Message)
			return
		case rule.Demands():
			d.skip(RuleSignature, fmt.Sprintf("%s demands it of %s (%s); decided for each commit, when it is fetched", rule.Name, redactURL(repo), rule.Mode))
			return
		}
	}
	d.pass(RuleSignature, "the project demands none")
}

type destinationRule struct {
	model.ProjectDestination
	server, name, namespace pattern
}

type compiled struct {
	Project
	repos []pattern
	dests []destinationRule
	// What is refused whatever the others allow.
	deniedRepos []pattern
	deniedDests []destinationRule
}

func compile(p Project) compiled {
	c := compiled{Project: p}
	for _, r := range p.Spec.SourceRepos {
		c.repos = append(c.repos, newPattern(r, "/", NormaliseRepo))
	}
	for _, r := range p.Spec.SourceRepoBlacklist {
		c.deniedRepos = append(c.deniedRepos, newPattern(r, "/", NormaliseRepo))
	}
	c.dests = compileDestinations(p.Spec.Destinations)
	c.deniedDests = compileDestinations(p.Spec.DestinationBlacklist)
	return c
}

func compileDestinations(rules []model.ProjectDestination) []destinationRule {
	var out []destinationRule
	for _, r := range rules {
		out = append(out, destinationRule{r,
			newPattern(r.Server, "", nil), newPattern(r.Name, "", nil), newPattern(r.Namespace, "", nil)})
	}
	return out
}

// about reports whether a rule that only denies is about a cluster. Whoever does
// not know the labels may not be generous: such a rule is about all that its
// names match.
func (r destinationRule) about(dest Destination) bool {
	if r.ClusterSelector != nil && dest.Labels != nil && !Selects(*r.ClusterSelector, dest.Labels) {
		return false
	}
	byServer := r.Server == "*" || r.Server != "" && r.server.denies(dest.servers()...)
	byName := r.Name == "*" || r.Name != "" && r.name.denies(dest.Name)
	return byServer || byName || r.ClusterSelector != nil && r.Server == "" && r.Name == ""
}

// deniedDestination returns the rule of destinationBlacklist that denies, or -1.
func (c compiled) deniedDestination(dest Destination, namespace string) int {
	for i, r := range c.deniedDests {
		if r.about(dest) && r.namespace.denies(namespace) {
			return i
		}
	}
	return -1
}

// deniedRepo returns the rule of sourceRepoBlacklist that denies, or -1.
func (c compiled) deniedRepo(normal string) int {
	for i, p := range c.deniedRepos {
		if p.denies(normal) {
			return i
		}
	}
	return -1
}

func (c compiled) sources(d *Decision, repos []string) {
	name := quote(c.Name)
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
		allowed := shortList(c.labels(listRepos, c.Spec.SourceRepos))
		r := Refusal{Code: CodeRepository, Field: field, Found: redactURL(repo), Allowed: allowed,
			Fix: "add the repository to sourceRepos of project " + name + ", or use a repository that it allows"}
		rule := ""
		if at := c.deniedRepo(normal); at >= 0 {
			rule = "sourceRepoBlacklist " + c.rule(listRepoDeny, at, c.deniedRepos[at].text)
		} else if denied >= 0 {
			rule = c.rule(listRepos, denied, c.repos[denied].text)
		}
		switch {
		case rule != "":
			r.Message = fmt.Sprintf("project %s denies %s by rule %s", name, redactURL(repo), rule)
			r.NearestRule, r.Denied = rule, true
			r.Fix = "use another repository, or change that rule of project " + name
			d.fail(RuleSource, r)
		case matched < 0:
			r.Message = fmt.Sprintf("project %s allows %s; this is %s", name, orNothing(allowed), redactURL(repo))
			r.NearestRule = c.nearestRepo(normal)
			d.fail(RuleSource, r)
		default:
			rule := c.rule(listRepos, matched, c.repos[matched].text)
			d.passBy(RuleSource, fmt.Sprintf("%s matches rule %s", redactURL(repo), rule), rule)
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
	return c.rule(listRepos, at, c.repos[at].text)
}

func (c compiled) sourceNamespace(d *Decision, namespace string) {
	const rule = RuleSourceNamespace
	if namespace == "" || namespace == controlNamespace {
		d.pass(rule, "the Application is in the usual namespace")
		return
	}
	rules := c.Spec.SourceNamespaces
	for i, text := range rules {
		if newPattern(text, "", nil).matches(namespace) {
			d.passBy(rule, fmt.Sprintf("%s matches rule #%d %s", namespace, i+1, text), fmt.Sprintf("#%d %s", i+1, text))
			return
		}
	}
	name := quote(c.Name)
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
		d.fail(RuleDestination, *r)
		return
	}
	at := c.matchingDestination(dest, dest.Namespace)
	rule := c.rule(listDestinations, at, ruleLabel(c.dests[at].ProjectDestination))
	d.passBy(RuleDestination, fmt.Sprintf("%s matches rule %s", dest.label(dest.Namespace), rule), rule)
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
	// unselected: the rule is about clusters with other labels.
	unselected bool
}

func (f fields) all() bool { return f.cluster && f.namespace }
func (f fields) denies() bool {
	return !f.unselected && !f.all() && (f.clusterDenies || f.namespaceDenies)
}

func (r destinationRule) match(dest Destination, namespace string) fields {
	servers := dest.servers()
	byServer := r.Server == "*" || r.Server != "" && r.server.matches(servers...)
	byName := r.Name != "" && dest.Name != "" && r.name.matches(dest.Name)
	bySelector := r.ClusterSelector != nil && r.Server == "" && r.Name == ""
	f := fields{cluster: byServer || byName || bySelector, namespace: r.namespace.matches(namespace)}
	f.clusterDenies = r.server.deny && r.server.hits(servers...) || r.name.deny && r.name.hits(dest.Name)
	f.namespaceDenies = r.namespace.deny && !f.namespace
	// A rule such as {name: "!a", server: "*"} must not allow by its server
	// what it denies by name.
	if f.clusterDenies {
		f.cluster = false
	}
	if r.ClusterSelector != nil {
		switch {
		case dest.Labels == nil:
			// Whoever does not know the labels may not be generous: such a rule
			// allows nothing, and denies what it would deny.
			f.cluster = false
		case !Selects(*r.ClusterSelector, dest.Labels):
			f.cluster, f.unselected = false, true
		}
	}
	return f
}

// differs says what keeps a rule that is the nearest from allowing.
func (r destinationRule) differs(f fields, dest Destination, namespace string) string {
	var out []string
	if !f.cluster {
		what := "the cluster is " + dest.clusterLabel()
		if f.unselected {
			what = selectorDiffers(*r.ClusterSelector, dest.Labels) + " at " + dest.clusterLabel()
		}
		out = append(out, what)
	}
	if !f.namespace {
		if namespace == "" {
			namespace = "not given"
		}
		out = append(out, "the namespace is "+namespace)
	}
	return strings.Join(out, ", ")
}

// permits returns nil when the project allows the cluster and namespace.
func (c compiled) permits(dest Destination, namespace string) *Refusal {
	name, here := quote(c.Name), dest.label(namespace)
	labels := make([]string, len(c.dests))
	for i, rule := range c.dests {
		labels[i] = ruleLabel(rule.ProjectDestination)
	}
	r := &Refusal{Code: CodeDestination, Field: "spec.destination", Found: here, Allowed: shortList(c.labels(listDestinations, labels)),
		Fix: "choose a destination that project " + name + " allows, or add this one to its destinations"}
	if c.Spec.PermitOnlyProjectScopedClusters && dest.ClusterProject != nil && *dest.ClusterProject != c.Name {
		r.Message = fmt.Sprintf("project %s may deploy only to clusters that are reserved for it; %s is not", name, quote(dest.Name))
		r.NearestRule = "permitOnlyProjectScopedClusters"
		r.Fix = "choose a cluster of project " + name
		return r
	}
	deny := func(text string) *Refusal {
		r.Message = fmt.Sprintf("project %s denies %s by rule %s", name, here, text)
		r.NearestRule, r.Denied = text, true
		r.Fix = "choose another destination, or change that rule of project " + name
		return r
	}
	if i := c.deniedDestination(dest, namespace); i >= 0 {
		return deny("destinationBlacklist " + c.rule(listDestinationDeny, i, ruleLabel(c.deniedDests[i].ProjectDestination)))
	}
	matched := false
	best, at, how := -1, -1, ""
	for i, rule := range c.dests {
		f := rule.match(dest, namespace)
		if f.denies() {
			return deny(c.rule(listDestinations, i, labels[i]))
		}
		if f.all() {
			matched = true
			continue
		}
		// Nearest is the rule with the most matching fields, then the
		// shortest way to the rest.
		score := 0
		switch {
		case f.cluster:
			score = 2000
		case f.namespace:
			score = 1000
		}
		score -= min(999, nearest.Distance(here, labels[i]))
		if at < 0 || score > best {
			best, at, how = score, i, rule.differs(f, dest, namespace)
		}
	}
	if matched {
		return nil
	}
	r.Message = fmt.Sprintf("project %s may deploy to %s; this is %s", name, orNothing(r.Allowed), here)
	if at >= 0 {
		r.NearestRule, r.Differs = c.rule(listDestinations, at, labels[at]), how
		if c.hidden(listDestinations, at) {
			r.Differs = ""
		}
	}
	return r
}

// kind returns nil when the project allows the object's kind.
// PermitsKind reports whether the lists of kinds allow an object, and nothing
// about its namespace.
func PermitsKind(spec model.AppProjectSpec, key model.ObjectKey, namespaced bool) bool {
	white, black := spec.ClusterResourceWhitelist, spec.ClusterResourceBlacklist
	if namespaced {
		white, black = spec.NamespaceResourceWhitelist, spec.NamespaceResourceBlacklist
	}
	return (namespaced && white == nil || matchKind(white, key) >= 0) && deniedKind(black, key) < 0
}

func (c compiled) kind(o ObjectFacts) *Refusal {
	if o.ScopeUnknown {
		o.ScopeUnknown, o.Namespaced = false, true
		if c.kind(o) == nil {
			return nil
		}
		o.Namespaced = false
		return c.kind(o)
	}
	spec := c.Spec
	white, black, scope := spec.ClusterResourceWhitelist, spec.ClusterResourceBlacklist, "cluster"
	allowList, denyList := listClusterAllow, listClusterDeny
	if PermitsKind(spec, o.Key, o.Namespaced) {
		return nil
	}
	if o.Namespaced {
		white, black, scope = spec.NamespaceResourceWhitelist, spec.NamespaceResourceBlacklist, "namespace"
		allowList, denyList = listNamespaceAllow, listNamespaceDeny
	}
	denied := deniedKind(black, o.Key)
	name := quote(c.Name)
	key := o.Key
	r := &Refusal{Code: CodeKind, Object: &key, Origin: o.Origin, Found: o.Key.GroupKind().String(), Allowed: shortList(c.labels(allowList, kindLabels(white)))}
	if denied >= 0 {
		rule := c.rule(denyList, denied, kindLabel(black[denied]))
		r.Message = fmt.Sprintf("project %s denies %s by rule %s of %sResourceBlacklist; %s%s",
			name, o.Key.GroupKind(), rule, scope, describe(o.Key), in(o.Origin))
		r.NearestRule, r.Denied = fmt.Sprintf("%sResourceBlacklist %s", scope, rule), true
		r.Fix = fmt.Sprintf("remove the object, or change %sResourceBlacklist of project %s", scope, name)
		return r
	}
	r.Message = fmt.Sprintf("project %s does not allow %s; %s%s", name, o.Key.GroupKind(), describe(o.Key), in(o.Origin))
	r.Fix = fmt.Sprintf("remove the object, or add {group: %q, kind: %q} to %sResourceWhitelist of project %s", o.Key.Group, o.Key.Kind, scope, name)
	if i := nearestKind(white, o.Key); i >= 0 {
		r.NearestRule = fmt.Sprintf("%sResourceWhitelist %s", scope, c.rule(allowList, i, kindLabel(white[i])))
		if !c.hidden(allowList, i) {
			r.Differs = kindDiffers(white[i], o.Key)
		}
	}
	return r
}

// matchKind returns the index of the first rule that matches, or -1.
func matchKind(rules []model.KindRule, k model.ObjectKey) int {
	for i, r := range rules {
		if kindMatches(r, k) {
			return i
		}
	}
	return -1
}

// deniedKind is matchKind for rules that deny. An object that gets its name in
// the cluster may get any, and a rule that cannot be read may mean it.
func deniedKind(rules []model.KindRule, k model.ObjectKey) int {
	for i, r := range rules {
		if deniesText(r.Kind, k.Kind) && deniesText(r.Group, k.Group) && (r.Name == "" || k.Name == "" || deniesText(r.Name, k.Name)) {
			return i
		}
	}
	return -1
}

func deniesText(pattern, s string) bool {
	ok, err := path.Match(pattern, s)
	return ok || err != nil
}

func kindMatches(r model.KindRule, k model.ObjectKey) bool {
	return pathMatch(r.Kind, k.Kind) && pathMatch(r.Group, k.Group) && (r.Name == "" || pathMatch(r.Name, k.Name))
}

// kindDiffers says what keeps a rule from matching.
func kindDiffers(r model.KindRule, k model.ObjectKey) string {
	var out []string
	if !pathMatch(r.Kind, k.Kind) {
		out = append(out, "the kind is "+k.Kind)
	}
	if !pathMatch(r.Group, k.Group) {
		group := k.Group
		if group == "" {
			group = "the core group"
		}
		out = append(out, "the group is "+group)
	}
	if r.Name != "" && !pathMatch(r.Name, k.Name) {
		out = append(out, "the name is "+k.Name)
	}
	return strings.Join(out, ", ")
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
	if r.ClusterSelector != nil {
		cluster = strings.TrimSpace(cluster + " [" + FormatSelector(*r.ClusterSelector) + "]")
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
