package kustomize

//lint:file-ignore SA1019 repositories have the deprecated fields of kustomizations, so they are supported

import (
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/hub/render/kustomize/remote"
	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Limits of one build. No manifest that a cluster accepts needs more.
const (
	maxDepth  = 100  // kustomizations below one another
	maxVisits = 5000 // kustomizations, each as often as it is built
	maxAffix  = 253  // characters that all prefixes, or all suffixes, add to a name
	maxEdits  = 5000 // patches, replacements and variables, each as often as it is built
)

// plan visits the kustomizations of a build before the build does, and replaces
// in them what the library would fetch or run.
type plan struct {
	w     *workspace.Workspace
	t     *tree
	parse *resmap.Factory
	// inflate renders a Helm chart; see charts.go.
	inflate Inflate

	visited map[string]*node
	stack   []string
	// schema is set when a kustomization brings its own OpenAPI schema.
	schema bool
	// resources are the files with resources, for finding the broken one and
	// for telling where an object was written.
	resources []string
	// declared tells where objects come from that no file has; see origins.go.
	declared []declaration
	// added are the files that the plan put next to kustomizations.
	added map[string]addition
	// metadata are the build options that leave a trace of origins.
	metadata []string
	// sorted is set when the kustomization wants an order.
	sorted bool
}

// node is a kustomization whose visit is over.
type node struct {
	component bool
	file      string
	// inherited is the namespace of the overlays, which charts without one get.
	inherited      string
	needsInherited bool
	visits         int
	edits          int
	prefix, suffix int
}

// kustomization is one that is being visited.
type kustomization struct {
	types.Kustomization
	dir  string // absolute
	file string // absolute
	name string // of the file, for messages
	// changed: the library must see this and not the file.
	changed bool
}

func newPlan(w *workspace.Workspace, inflate Inflate) *plan {
	return &plan{
		w: w, t: newTree(w), inflate: inflate, visited: map[string]*node{}, added: map[string]addition{},
		parse: resmap.NewFactory(provider.NewDefaultDepProvider().GetResourceFactory()),
	}
}

// errNamespace is for a directory that was planned for another namespace.
var errNamespace = errors.New("planned for another namespace")

// root plans the kustomization that is built. It may be a component, as any
// other.
func (p *plan) root(dir string, edit func(*kustomization) error) error {
	k, err := p.load(dir)
	if err != nil {
		return err
	}
	if err := edit(k); err != nil {
		return err
	}
	p.metadata, p.sorted = k.BuildMetadata, k.SortOptions != nil
	_, err = p.enter(k, k.Kind == types.ComponentKind, "")
	return err
}

// visit plans the kustomization in a directory and all that it builds on. The
// error is errNamespace when it is planned already and must be planned apart.
func (p *plan) visit(dir string, component bool, inherited string) (*node, error) {
	for i, above := range p.stack {
		if above == dir || strings.HasPrefix(above, dir+"/") {
			return nil, p.cycle(p.stack[i:], dir)
		}
	}
	if len(p.stack) >= maxDepth {
		return nil, failure("%s: kustomizations are nested more than %d deep", p.t.name(dir), maxDepth)
	}
	if known := p.visited[dir]; known != nil {
		if err := checkKind(known.file, known.component, component); err != nil {
			return nil, err
		}
		if known.needsInherited && known.inherited != inherited {
			return nil, errNamespace
		}
		return known, nil
	}
	k, err := p.load(dir)
	if err != nil {
		return nil, err
	}
	if err := checkKind(k.name, k.Kind == types.ComponentKind, component); err != nil {
		return nil, err
	}
	return p.enter(k, component, inherited)
}

// enter plans a kustomization that is loaded.
func (p *plan) enter(k *kustomization, component bool, inherited string) (*node, error) {
	p.stack = append(p.stack, k.dir)
	defer func() { p.stack = p.stack[:len(p.stack)-1] }()
	n := &node{
		component: component, file: k.name, inherited: inherited, visits: 1, edits: edits(k),
		prefix: len(k.NamePrefix), suffix: len(k.NameSuffix),
	}
	p.declare(k)
	if err := p.references(k, n); err != nil {
		return nil, err
	}
	if n.visits > maxVisits {
		return nil, failure("%s: it builds more than %d kustomizations, each counted as often as it is built", k.name, maxVisits)
	}
	if n.edits > maxEdits {
		return nil, failure("%s: it makes more than %d patches, replacements and variables, each counted as often as it is built", k.name, maxEdits)
	}
	if n.prefix > maxAffix || n.suffix > maxAffix {
		return nil, failure("%s: namePrefix and nameSuffix add more than %d characters", k.name, maxAffix)
	}
	if k.changed {
		text, err := yaml.Marshal(k.Kustomization)
		if err != nil {
			return nil, failure("%s cannot be written: %v", k.name, err)
		}
		p.t.write(k.file, text)
	}
	p.visited[k.dir] = n
	return n, nil
}

func edits(k *kustomization) int {
	n := len(k.Patches) + len(k.PatchesJson6902) + len(k.PatchesStrategicMerge) + len(k.Vars) + len(k.Transformers)
	for _, r := range k.Replacements {
		n += max(1, len(r.Targets))
	}
	return n
}

// checkKind tells components and kustomizations apart, as the library does.
func checkKind(name string, is, want bool) error {
	switch {
	case is && !want:
		return failure("%s is a Component: list its directory under \"components\", not under \"resources\"", name)
	case !is && want:
		return failure("%s is listed under \"components\" and is no Component: write kind: Component and apiVersion: %s in it", name, types.ComponentVersion)
	}
	return nil
}

func (p *plan) cycle(from []string, to string) error {
	names := make([]string, 0, len(from)+1)
	for _, dir := range append(slices.Clone(from), to) {
		names = append(names, p.t.name(dir))
	}
	if len(names) > 6 {
		names = append(append(names[:3:3], "…"), names[len(names)-2:]...)
	}
	if from[0] != to {
		return failure("%s/kustomization.yaml: a base may not be above its overlay: %s contains it", p.t.name(from[len(from)-1]), p.t.name(to))
	}
	return failure("kustomizations form a cycle: %s", strings.Join(names, " → "))
}

// load reads the kustomization of a directory.
func (p *plan) load(dir string) (*kustomization, error) {
	var found []string
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		info, err := p.t.stat(path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if info.Exists && !info.Dir {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return nil, failure("%s has none of %s", p.t.name(dir), strings.Join(konfig.RecognizedKustomizationFileNames(), ", ")).
			WithFix("add a kustomization.yaml to the directory, or list its files one by one")
	case 1:
	default:
		return nil, failure("%s has %s: only one of them may be there", p.t.name(dir), strings.Join(found, " and "))
	}
	k := &kustomization{dir: dir, file: path.Join(dir, found[0])}
	k.name = p.t.name(k.file)
	content, err := p.t.read(k.file)
	if err != nil {
		return nil, err
	}
	if err := k.Unmarshal(content); err != nil {
		return nil, unreadable(k.name, content, err)
	}
	k.FixKustomization()
	if wrong := k.EnforceFields(); len(wrong) > 0 {
		return nil, failure("%s: %s", k.name, strings.Join(wrong, "; "))
	}
	return k, nil
}

// references visits and replaces everything that a kustomization names.
func (p *plan) references(k *kustomization, n *node) error {
	inherited := n.inherited
	if k.Namespace != "" {
		inherited = k.Namespace
	}
	operands := func(field string, entries []string, component bool) error {
		for i, entry := range entries {
			at := k.at(field, i)
			local, child, err := p.operand(at, entry, component, inherited)
			if err != nil {
				return err
			}
			k.replace(&entries[i], local)
			if child == nil {
				continue
			}
			n.visits = min(n.visits+child.visits, maxVisits+1)
			n.edits = min(n.edits+child.edits, maxEdits+1)
			n.prefix = max(n.prefix, len(k.NamePrefix)+child.prefix)
			n.suffix = max(n.suffix, len(k.NameSuffix)+child.suffix)
			n.needsInherited = n.needsInherited || child.needsInherited && k.Namespace == ""
		}
		return nil
	}
	if err := operands("resources", k.Resources, false); err != nil {
		return err
	}
	if err := operands("components", k.Components, true); err != nil {
		return err
	}
	if err := p.files(k); err != nil {
		return err
	}
	for _, list := range []struct {
		field   string
		entries *[]string
	}{{"generators", &k.Generators}, {"transformers", &k.Transformers}, {"validators", &k.Validators}} {
		if err := p.plugins(k, list.field, list.entries); err != nil {
			return err
		}
	}
	return p.charts(k, n)
}

// at is a place in a kustomization, for messages.
type at struct {
	k     *kustomization
	field string
}

func (k *kustomization) at(field string, i int) at {
	return at{k, field + "[" + strconv.Itoa(i) + "]"}
}

func (a at) wrong(format string, args ...any) *fault.Error {
	return failure("%s: "+a.field+": "+format, append([]any{a.k.name}, args...)...)
}

// explain adds the place to an error of the host.
func (a at) explain(err error) error {
	f := fault.As(err)
	if f.Kind == fault.Internal {
		return err
	}
	c := *f
	c.Message = workspace.Clip(a.k.name+": "+a.field+": "+f.Message, maxMessage)
	return &c
}

func (k *kustomization) replace(entry *string, with string) {
	if *entry != with {
		*entry, k.changed = with, true
	}
}

// operand resolves an entry of resources or components: a file, a directory, or
// something remote. It returns what the library is to see in its place.
func (p *plan) operand(a at, entry string, component bool, inherited string) (string, *node, error) {
	if entry == "" {
		return "", nil, a.wrong("the entry is empty")
	}
	if remote.IsURL(entry) && (component || !remote.IsFile(entry)) {
		return p.base(a, entry, component, inherited)
	}
	if remote.IsURL(entry) {
		local, err := p.download(a, entry)
		return local, nil, err
	}
	// A file is read as one even where its name reads as a repository.
	var info workspace.Info
	abs, confined := p.t.join(a.k.dir, entry)
	if confined && !strings.Contains(entry, "://") {
		var err error
		if info, err = p.t.stat(abs); err != nil {
			return "", nil, a.explain(err)
		}
	}
	if info.Exists && !info.Dir && !component {
		if err := a.below(abs, entry); err != nil {
			return "", nil, err
		}
		p.resources = append(p.resources, abs)
		return localName(entry), nil, nil
	}
	if _, _, _, _, ok, _ := remote.ParseRemote(entry); ok {
		return p.base(a, entry, component, inherited)
	}
	switch {
	case !confined:
		return "", nil, a.escapes(entry)
	case !info.Exists:
		return "", nil, a.wrong("%q does not exist", entry)
	case !info.Dir:
		return "", nil, a.wrong("%q is a file; a component is a directory", entry)
	}
	abs = p.t.real(abs, info)
	child, err := p.visit(abs, component, inherited)
	if errors.Is(err, errNamespace) {
		return p.apart(a, abs, component, inherited)
	}
	return localName(entry), child, err
}

// apart plans a directory once more, for another namespace: its Helm charts put
// out something else there. The library sees it as a directory of another tree.
func (p *plan) apart(a at, abs string, component bool, inherited string) (string, *node, error) {
	abs = p.t.again(abs, inherited)
	child, err := p.visit(abs, component, inherited)
	if err != nil {
		return "", nil, err
	}
	return relativePath(a.k.dir, abs), child, nil
}

// base fetches a remote kustomization through the host and visits it.
func (p *plan) base(a at, spec string, component bool, inherited string) (string, *node, error) {
	repoURL, _, revision, _, ok, err := remote.ParseRemote(spec)
	if err != nil {
		return "", nil, a.explain(err)
	}
	if !ok {
		return "", nil, a.wrong("%q names no repository", spec)
	}
	fetched, err := p.w.Host.Base(spec)
	if err != nil {
		return "", nil, a.explain(err)
	}
	dir, confined := p.t.join(p.t.mount(mount{tree: fetched.Tree, label: repoURL, revision: revision}), fetched.Path)
	if !confined {
		return "", nil, a.escapes(spec)
	}
	info, err := p.t.stat(dir)
	if err != nil {
		return "", nil, a.explain(err)
	}
	if !info.Exists || !info.Dir {
		return "", nil, a.wrong("%q: the repository has no directory %q", spec, fetched.Path)
	}
	dir = p.t.real(dir, info)
	child, err := p.visit(dir, component, inherited)
	if errors.Is(err, errNamespace) {
		return p.apart(a, dir, component, inherited)
	}
	if err != nil {
		return "", nil, err
	}
	return relativePath(a.k.dir, dir), child, nil
}

// download fetches one file and puts it below the kustomization, where the
// library may read it.
func (p *plan) download(a at, url string) (string, error) {
	content, err := p.w.Host.Download(url)
	if err != nil {
		return "", a.explain(err)
	}
	return p.add(a.k, content, addition{url: url}), nil
}

// addition is what a file is that the plan put next to a kustomization: a
// download, or what a chart put out.
type addition struct {
	url  string
	from string // file of the kustomization with the chart, absolute
}

// addedName begins the names of added files.
const addedName = ".hawser-"

// add puts a file next to a kustomization and returns its name.
func (p *plan) add(k *kustomization, content []byte, what addition) string {
	name := "./" + addedName + strconv.Itoa(len(p.added)+1) + ".yaml"
	abs := path.Join(k.dir, name)
	p.added[abs] = what
	p.t.write(abs, content)
	return name
}

// join resolves a path that a kustomization in dir names. ok is false when it
// leads out of the tree of dir, or is absolute.
func (t *tree) join(dir, p string) (abs string, ok bool) {
	_, root, _, known := t.split(dir)
	if !known || path.IsAbs(p) || strings.ContainsRune(p, 0) {
		return "", false
	}
	abs = path.Join(dir, p)
	return abs, abs == root || strings.HasPrefix(abs, root+"/")
}

func (a at) escapes(entry string) error {
	return fault.New(fault.Unprocessable, "path_escapes_repo", "%s: %s: %q may not leave the repository", a.k.name, a.field, workspace.Clip(entry, 100)).
		WithFix("write it relative to the directory of the kustomization")
}

// below is the library's own rule, said so that it can be followed.
func (a at) below(abs, entry string) error {
	if strings.HasPrefix(abs, a.k.dir+"/") {
		return nil
	}
	return a.wrong("file %q is not in or below the directory of the kustomization", entry).
		WithFix("move the file, or give its directory a kustomization.yaml and list the directory under resources")
}

// localName spells a path so that the library cannot take it for a repository.
func localName(entry string) string {
	if remote.Suspicious(entry) && !strings.HasPrefix(entry, ".") {
		return "./" + entry
	}
	return entry
}
