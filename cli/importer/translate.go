package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

type translator struct {
	options Options
	plan    Plan
	// seen are the objects by kind and name, with where they were.
	seen map[string]string
	// projects that exist at the hub or will.
	projects map[string]bool
	// imported are the projects among the objects.
	imported map[string]bool
	// globals are the global projects of argocd-cm.
	globals []globalProject
	// clusters of Argo CD, by name.
	clusters map[string]argoCluster
	// knownHosts and certificates are what Argo CD trusts.
	knownHosts   string
	certificates map[string]string // PEM by host
	// hosts counts the repositories and templates of each host that are spoken to
	// with TLS; sshHosts are the hosts of the others, with their ports.
	hosts    map[string]int
	sshHosts map[string]bool
	// usedBy counts the applications of a cluster that is not enrolled, by the
	// server or the name that they say.
	usedBy map[string]int
	enrol  map[string]ClusterToEnrol
}

type argoCluster struct{ name, server string }

// secretType is the label that says what a Secret of Argo CD is.
const secretType = "argocd.argoproj.io/secret-type"

// look notes what other objects are judged by.
func (t *translator) look(o Object) {
	switch {
	case o.Kind == "Secret" && o.label(secretType) == "cluster":
		data, err := o.data()
		if err != nil {
			return
		}
		if t.clusters == nil {
			t.clusters = map[string]argoCluster{}
		}
		name := data["name"]
		if name == "" {
			name = data["server"]
		}
		t.clusters[name] = argoCluster{name: name, server: strings.TrimSuffix(data["server"], "/")}
	case o.Kind == "Secret" && (o.label(secretType) == "repository" || o.label(secretType) == "repo-creds"):
		data, err := o.data()
		if err != nil {
			return
		}
		if host, ssh := repositoryHost(strings.TrimSpace(data["url"])); ssh {
			t.sshHosts[host] = true
		} else if name, _, _ := strings.Cut(host, ":"); name != "" {
			t.hosts[name]++
		}
	case o.Kind == "ConfigMap" && o.Name == "argocd-ssh-known-hosts-cm":
		if data, err := o.data(); err == nil {
			t.knownHosts = data["ssh_known_hosts"]
		}
	case o.Kind == "ConfigMap" && o.Name == "argocd-tls-certs-cm":
		if data, err := o.data(); err == nil {
			t.certificates = data
		}
	case o.Kind == "ConfigMap" && o.Name == "argocd-cm":
		if data, err := o.data(); err == nil {
			t.globals, _ = parseGlobalProjects(data[keyGlobalProjects]) // what is wrong is told with the entry
		}
	case o.Kind == model.KindAppProject && ofArgoCD(o):
		t.projects[o.Name], t.imported[o.Name] = true, true
	}
}

func ofArgoCD(o Object) bool {
	return o.APIVersion == model.APIVersionArgo || o.APIVersion == model.APIVersionHawser
}

func (t *translator) object(o Object) {
	item := Item{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, Origin: o.Origin, Fields: []Field{}}
	key := o.Kind + "/" + o.Name
	if o.Kind == "Secret" || o.Kind == "ConfigMap" {
		key = o.Kind + "/" + o.Namespace + "/" + o.Name
	}
	where := o.Origin + ", namespace " + o.Namespace
	first, twice := t.seen[key]
	t.seen[key] = where
	switch {
	case twice:
		// Names are of the whole hub here: which one is meant cannot be known.
		t.accountAll(&item, o, "the same kind and name as in "+first)
		item.block("metadata.name", "there is another "+o.Kind+" of this name ("+first+")", "rename one of them; names of the hub are unique")
	case o.Kind == model.KindAppProject && ofArgoCD(o):
		t.project(&item, o)
	case o.Kind == model.KindApplication && ofArgoCD(o):
		t.application(&item, o)
	case o.Kind == model.KindApplicationSet && ofArgoCD(o):
		t.applicationSet(&item, o)
	case o.Kind == "Secret":
		t.secret(&item, o)
	case o.Kind == "ConfigMap":
		t.configMap(&item, o)
	default:
		t.accountAll(&item, o, "it is not of Argo CD's configuration")
	}
	t.plan.Items = append(t.plan.Items, item)
}

// accountAll ignores a whole object.
func (t *translator) accountAll(item *Item, o Object, why string) {
	for i := 0; i+1 < len(o.root.Content); i += 2 {
		item.ignored(join("", o.root.Content[i].Value), why)
	}
}

// typed accounts for every field of an object of the three kinds and reads what
// is left of it as strictly as the hub will. ok is false when it cannot be read.
func (t *translator) typed(item *Item, o Object, note map[string]string) (decode.Document, bool) {
	root, err := resolve(o.root, ptr(maxNodes), 0, false)
	if err != nil {
		item.block("spec", err.Error(), "make the object smaller")
		return decode.Document{}, false
	}
	a := accountant{kind: o.Kind, item: item, note: note}
	a.object(root)
	body, err := yaml.Marshal(root)
	if err != nil {
		item.block("spec", err.Error(), "correct the object")
		return decode.Document{}, false
	}
	docs, err := decode.Documents(body)
	if err == nil && len(docs) != 1 {
		err = fault.New(fault.Invalid, "body_missing", "it is empty")
	}
	if err == nil {
		err = docs[0].Err
	}
	if err == nil {
		return docs[0], true
	}
	var list fault.List
	if !errors.As(err, &list) {
		list = fault.List{fault.As(err)}
	}
	for _, e := range list {
		field := e.Field
		if field == "" {
			field = "spec"
		}
		fix := e.Fix
		if fix == "" {
			fix = "correct it in Argo CD, then import again"
		}
		item.block(field, e.Message, fix)
	}
	return decode.Document{}, false
}

func ptr[T any](v T) *T { return &v }

func (t *translator) project(item *Item, o Object) {
	item.Becomes = "project/" + o.Name
	d, ok := t.typed(item, o, nil)
	if !ok {
		return
	}
	p := *d.Project
	t.origin(item, &p.Metadata, o)
	p.Metadata.Finalizers = t.finalizers(item, p.Metadata.Finalizers)
	if p.Spec.InheritedBy == nil {
		p.Spec.InheritedBy = t.inheritedBy(o.Name)
	}
	for i, role := range p.Spec.Roles {
		if len(role.JWTTokens) > 0 {
			item.attention(fmt.Sprintf("spec.roles[%d].jwtTokens", i), fmt.Sprintf("%d tokens that Argo CD issued are refused here", len(role.JWTTokens)),
				fmt.Sprintf("issue them anew: hawser project role create-token %s %s", o.Name, role.Name))
		}
	}
	if !item.Blocked {
		t.plan.Projects = append(t.plan.Projects, p)
	}
}

// finalizers drops those that mean nothing here. A project's is one of them.
func (t *translator) finalizers(item *Item, list []string) []string {
	var out []string
	for i, f := range list {
		switch f {
		case model.FinalizerCascade, model.FinalizerCascadeForeground, model.FinalizerCascadeBackground:
			if item.Kind == model.KindApplication {
				out = append(out, f)
				continue
			}
			item.ignored(fmt.Sprintf("metadata.finalizers[%d]", i), "a project that is used cannot be deleted here")
		default:
			item.ignored(fmt.Sprintf("metadata.finalizers[%d]", i), "a finalizer of another controller, which the hub does not run")
		}
	}
	return out
}

// origin records where an object came from. The namespace of Argo CD itself has
// no meaning here, another one has: projects say which may hold applications.
func (t *translator) origin(item *Item, m *model.ObjectMeta, o Object) {
	namespace := o.Namespace
	if namespace == "" {
		namespace = t.options.ControlNamespace
	}
	if m.Namespace == t.options.ControlNamespace {
		m.Namespace = ""
		for i := range item.Fields {
			if item.Fields[i].Path == "metadata.namespace" {
				item.Fields[i] = Field{Path: "metadata.namespace", Outcome: Translated, To: "annotation " + AnnotationImportedFrom}
			}
		}
	}
	if m.Annotations == nil {
		m.Annotations = map[string]string{}
	}
	m.Annotations[AnnotationImportedFrom] = "argocd/" + namespace + "/" + o.Name
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	m.Labels[LabelImported] = "argocd"
}

func (t *translator) applicationSet(item *Item, o Object) {
	item.Becomes = "applicationset/" + o.Name
	d, ok := t.typed(item, o, nil)
	if !ok {
		return
	}
	set := *d.Set
	if was, ok := pausedSetOf(o); ok {
		set.Spec.SyncPolicy = was.SyncPolicy
		item.translated("spec.syncPolicy", "as it was before a handover paused it", "")
	}
	t.origin(item, &set.Metadata, o)
	if project, ok := set.Project(); ok && !t.projects[project] {
		item.block("spec.template.spec.project", fmt.Sprintf("there is no project %q, here or at the hub", project), "import the AppProject with it, or create it first")
	}
	if !item.Blocked {
		t.plan.ApplicationSets = append(t.plan.ApplicationSets, set)
	}
}

func (t *translator) application(item *Item, o Object) {
	item.Becomes = "application/" + o.Name
	d, ok := t.typed(item, o, nil)
	if !ok {
		return
	}
	app := *d.Application
	spec := &app.Spec
	if was, ok := pausedOf(o); ok {
		// What a handover took is what the user wrote.
		if was.Automated != nil {
			if spec.SyncPolicy == nil {
				spec.SyncPolicy = &model.SyncPolicy{}
			}
			spec.SyncPolicy.Automated = was.Automated
			item.translated("spec.syncPolicy.automated", "as it was before a handover paused it", "")
		}
		app.Metadata.Finalizers = append(app.Metadata.Finalizers, was.Finalizers...)
	}
	app.Metadata.Finalizers = t.finalizers(item, app.Metadata.Finalizers)
	t.origin(item, &app.Metadata, o)
	if at(o.root, "spec", "project") == nil {
		item.translated("spec.project", "default", "none was named")
	}
	if !t.projects[spec.Project] {
		item.block("spec.project", fmt.Sprintf("there is no project %q, here or at the hub", spec.Project), "import the AppProject with it, or create it first")
	}
	if ofApplications(o) {
		item.attention("status.resources", "it applies Applications of Argo CD: an app of apps", "leave it to Argo CD; its applications are imported by themselves")
	}
	t.destination(item, spec)
	t.plugins(item, spec)
	t.mode(item, &app)
	if !item.Blocked {
		t.plan.Applications = append(t.plan.Applications, app)
	}
}

// ofApplications reports whether an application applies Applications.
func ofApplications(o Object) bool {
	n := at(o.root, "status", "resources")
	if n == nil {
		return false
	}
	return slices.ContainsFunc(n.Content, func(r *yaml.Node) bool {
		return makesAppOfApps(text(child(r, "group")), text(child(r, "kind")))
	})
}

// mode keeps what a handover has decided: importing again is not a rollback.
func (t *translator) mode(item *Item, app *model.Application) {
	old, exists := t.options.Applications[app.Metadata.Name]
	from := app.Metadata.Annotations[AnnotationImportedFrom]
	mode := ""
	if t.options.Mode == Observe {
		mode = modeObserve
	}
	switch {
	case exists && old.ImportedFrom == "":
		item.block("metadata.name", fmt.Sprintf("the hub has an application %q that was not imported", app.Metadata.Name), "rename one of them, or delete the hub's without its objects: hawser app delete "+app.Metadata.Name+" --cascade=false")
		return
	case exists && old.ImportedFrom != from:
		item.block("metadata.name", fmt.Sprintf("the hub has an application %q that came from %s", app.Metadata.Name, old.ImportedFrom), "rename one of them")
		return
	case exists:
		mode = old.Mode
	}
	if mode != "" {
		app.Metadata.Annotations[annotationMode] = mode
	} else {
		delete(app.Metadata.Annotations, annotationMode)
	}
}

// destination finds the cluster that is meant, and never guesses one.
func (t *translator) destination(item *Item, spec *model.ApplicationSpec) {
	d := &spec.Destination
	server := strings.TrimSuffix(d.Server, "/")
	if d.Name != "" {
		of, known := t.clusters[d.Name]
		if d.Name == "in-cluster" && !known {
			of, known = argoCluster{d.Name, model.InClusterServer}, true
		}
		if known {
			if c, ok := t.byServer(of.server); ok {
				if c.Name != d.Name {
					item.translated("spec.destination.name", c.Name, "the cluster of the hub with the alias "+of.server)
					d.Name = c.Name
				}
				return
			}
			server = of.server
		} else if slices.ContainsFunc(t.options.Clusters, func(c Cluster) bool { return c.Name == d.Name }) {
			return
		}
		t.unmapped(item, "spec.destination.name", d.Name, server)
		return
	}
	if _, ok := t.byServer(server); ok {
		return
	}
	name := ""
	for _, c := range t.clusters {
		if c.server == server && (name == "" || c.name < name) {
			name = c.name
		}
	}
	t.unmapped(item, "spec.destination.server", name, server)
}

func (t *translator) byServer(server string) (Cluster, bool) {
	for _, c := range t.options.Clusters {
		for _, alias := range c.Aliases {
			if strings.TrimSuffix(alias, "/") == server {
				return c, true
			}
		}
	}
	return Cluster{}, false
}

func (t *translator) unmapped(item *Item, field, name, server string) {
	c := ClusterToEnrol{Name: clusterName(name, server), Server: server}
	key := c.Server
	if key == "" {
		key = c.Name
	}
	t.usedBy[key]++
	if _, there := t.enrol[key]; !there {
		t.addEnrol(key, c)
	}
	what := server
	if what == "" {
		what = name
	}
	item.block(field, "destination "+what+" is not enrolled", t.enrol[key].Command)
}

func (t *translator) addEnrol(key string, c ClusterToEnrol) {
	if t.enrol == nil {
		t.enrol = map[string]ClusterToEnrol{}
	}
	known := slices.ContainsFunc(t.options.Clusters, func(x Cluster) bool { return x.Name == c.Name })
	switch {
	case known && c.Server != "":
		// It may be the same cluster: who enrolled it knows.
		c.Command = "hawser cluster alias " + c.Name + " " + c.Server
	default:
		c.Command = "hawser cluster enroll " + c.Name
		if c.Server != "" {
			c.Command += " --alias " + c.Server
		}
		if c.Project != "" {
			c.Command += " --project " + c.Project
		}
		for _, k := range slices.Sorted(maps.Keys(c.Labels)) {
			c.Command += " --label " + k + "=" + c.Labels[k]
		}
	}
	t.enrol[key] = c
}

// clusterName is the name that is proposed for a cluster.
func clusterName(name, server string) string {
	if name == "" {
		if server == model.InClusterServer {
			return "in-cluster"
		}
		name = strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://")
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
	if len(name) > 63 {
		name = name[len(name)-63:]
	}
	return strings.Trim(name, "-")
}

func (t *translator) plugins(item *Item, spec *model.ApplicationSpec) {
	one := func(field string, s *model.Source) {
		if s == nil || s.Plugin == nil {
			return
		}
		name, mapped := t.options.Plugins[s.Plugin.Name]
		switch {
		case mapped && name != s.Plugin.Name:
			item.translated(field+".plugin.name", name, "as --plugin says")
			s.Plugin.Name = name
		case mapped:
		case s.Plugin.Name == "":
			item.attention(field+".plugin", "the application finds its plugin by itself; here a source names it", "name it in Argo CD, then import again (docs/plugins.md)")
		default:
			item.attention(field+".plugin.name", fmt.Sprintf("the source uses the plugin %q", s.Plugin.Name),
				"run it beside the hub (docs/plugins.md), then say so with --plugin "+s.Plugin.Name+"=NAME")
		}
	}
	one("spec.source", spec.Source)
	for i := range spec.Sources {
		one(fmt.Sprintf("spec.sources[%d]", i), &spec.Sources[i])
	}
}

// finish lists the clusters and counts.
func (t *translator) finish() {
	p := &t.plan
	for _, key := range slices.Sorted(maps.Keys(t.enrol)) {
		c := t.enrol[key]
		c.Applications = t.usedBy[key]
		p.Enrol = append(p.Enrol, c)
	}
	p.Counts.Fields = map[Outcome]int{}
	for i := range p.Items {
		item := &p.Items[i]
		kind, _, _ := strings.Cut(item.Becomes, "/")
		switch kind {
		case "application":
			p.Counts.Applications++
		case "project":
			p.Counts.Projects++
		case "applicationset":
			p.Counts.ApplicationSets++
		case "repository", "template":
			p.Counts.Repositories++
		case "cluster":
			p.Counts.Clusters++
		}
		for _, f := range item.Fields {
			p.Counts.Fields[f.Outcome]++
		}
		if item.NeedsAttention() {
			p.Counts.Attention++
		} else {
			p.Counts.Ready++
		}
	}
}

// Paused is what a handover took from an Application of Argo CD.
type Paused struct {
	Automated  *model.AutomatedSync `json:"automated,omitempty"`
	Finalizers []string             `json:"finalizers,omitempty"`
}

// PausedSet is what a handover took from an ApplicationSet: its sync policy.
type PausedSet struct {
	SyncPolicy *model.SetSyncPolicy `json:"syncPolicy,omitempty"`
}

func pausedOf(o Object) (p Paused, ok bool) {
	raw := o.annotation(AnnotationPaused)
	return p, raw != "" && json.Unmarshal([]byte(raw), &p) == nil
}

func pausedSetOf(o Object) (p PausedSet, ok bool) {
	raw := o.annotation(AnnotationPausedSet)
	return p, raw != "" && json.Unmarshal([]byte(raw), &p) == nil
}
