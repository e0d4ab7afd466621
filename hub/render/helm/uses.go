package helm

import (
	"crypto/sha256"
	"path"
	"slices"
	"sort"
	"strings"
	"text/template/parse"

	"helm.sh/helm/v3/pkg/chart"
)

// What a chart's templates use decides what a render asks for, and so what it
// depends on. Whether a template runs is not known before, but which templates
// can be reached is: those that are files, and what they include. Where a name
// is computed, everything counts.

// uses are what templates use.
type uses struct {
	kube, apis bool // of .Capabilities
	files      bool
	// varies: the output may be another the next time.
	varies bool
	// lookups are the files whose templates look into a cluster.
	lookups []string
}

// found is what one template, a file or a definition, uses itself.
type found struct {
	kube, apis, files, varies, lookup bool
	tpl                               bool
	// includes are names of templates; anything means that a name is computed.
	includes []string
	anything bool
}

func (f *found) add(g found) {
	f.kube, f.apis, f.files = f.kube || g.kube, f.apis || g.apis, f.files || g.files
	f.varies, f.lookup, f.tpl = f.varies || g.varies, f.lookup || g.lookup, f.tpl || g.tpl
	f.includes, f.anything = append(f.includes, g.includes...), f.anything || g.anything
}

// templateText is what a file of templates is made of.
type templateFile struct {
	// files: any of its templates may use .Files.
	files bool
	// parts are what its templates use, by name: the file's own and those that
	// it defines.
	parts map[string]found
}

// templates are the files of templates that were looked at, by digest.
type templates struct{ *cache[templateFile] }

var known = templates{newCache[templateFile](16 << 20)}

func (t templates) of(name, text string) templateFile {
	h := sha256.New()
	h.Write([]byte(name))
	h.Write([]byte{0})
	h.Write([]byte(text))
	key := [sha256.Size]byte(h.Sum(nil))
	if f, ok := t.get(key); ok {
		return f
	}
	f := look(name, text)
	t.put(key, f, 2*len(text)+256)
	return f
}

// look parses a file of templates. One that cannot be parsed uses nothing,
// because it cannot run either: the engine says what is wrong with it.
func look(name, text string) templateFile {
	out := templateFile{parts: map[string]found{}}
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	set := map[string]*parse.Tree{}
	if _, err := tree.Parse(text, "", "", set); err != nil {
		return out
	}
	for n, t := range set {
		if t.Root == nil {
			continue
		}
		w := walker{}
		w.node(t.Root, true)
		out.parts[n] = w.found
		out.files = out.files || w.found.files
	}
	return out
}

// walker collects what nodes of a template use.
type walker struct {
	found found
	// roots are variables that hold the template's whole argument.
	roots map[string]bool
}

// node looks at a node. root says that the dot may still be the template's
// argument.
func (w *walker) node(n parse.Node, root bool) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, c := range n.Nodes {
				w.node(c, root)
			}
		}
	case *parse.ActionNode:
		w.pipe(n.Pipe, root)
	case *parse.IfNode:
		w.branch(n.Pipe, n.List, n.ElseList, root, root)
	case *parse.RangeNode:
		if w.bareRoot(n.Pipe, root) {
			w.everything()
		}
		w.branch(n.Pipe, n.List, n.ElseList, root, false)
	case *parse.WithNode:
		w.branch(n.Pipe, n.List, n.ElseList, root, root && w.bareRoot(n.Pipe, root))
	case *parse.TemplateNode:
		w.found.includes = append(w.found.includes, n.Name)
		w.pipe(n.Pipe, root)
	}
}

func (w *walker) branch(p *parse.PipeNode, list, other *parse.ListNode, root, inside bool) {
	w.pipe(p, root)
	w.node(list, inside)
	w.node(other, root)
}

func (w *walker) pipe(p *parse.PipeNode, root bool) {
	if p == nil {
		return
	}
	for i, c := range p.Cmds {
		piped := i > 0 && len(p.Cmds[i-1].Args) == 1 && w.isRoot(p.Cmds[i-1].Args[0], root)
		w.command(c, root, piped)
	}
	if len(p.Decl) == 1 && w.bareRoot(p, root) {
		if w.roots == nil {
			w.roots = map[string]bool{}
		}
		w.roots[p.Decl[0].Ident[0]] = true
	}
}

func (w *walker) command(c *parse.CommandNode, root, pipedRoot bool) {
	if len(c.Args) == 0 {
		return
	}
	if id, ok := c.Args[0].(*parse.IdentifierNode); ok {
		w.call(id.Ident, c.Args[1:], root, pipedRoot)
	}
	for _, a := range c.Args {
		w.argument(a, root)
	}
}

// call looks at the call of a function.
func (w *walker) call(name string, args []parse.Node, root, pipedRoot bool) {
	switch {
	case name == "include":
		if len(args) > 0 {
			w.include(args[0])
		}
	case name == "tpl":
		w.found.tpl = true
	case name == "lookup":
		w.found.lookup = true
	case varying[name]:
		w.found.varies = true
	}
	// index with a name that is computed may show anything.
	if name == "index" && len(args) > 1 && args[1].Type() != parse.NodeString && w.isRoot(args[0], root) {
		w.everything()
	}
	if shows[name] {
		for _, a := range args {
			pipedRoot = pipedRoot || w.isRoot(a, root)
		}
		if pipedRoot {
			w.everything()
		}
	}
}

func (w *walker) include(name parse.Node) {
	if s, ok := name.(*parse.StringNode); ok {
		w.found.includes = append(w.found.includes, s.Text)
		return
	}
	// print $.Template.BasePath "/x.yaml" is a file, and files count anyway.
	if !strings.Contains(name.String(), ".Template.BasePath") {
		w.found.anything = true
	}
}

func (w *walker) argument(n parse.Node, root bool) {
	switch n := n.(type) {
	case *parse.PipeNode:
		w.pipe(n, root)
	case *parse.ChainNode:
		w.argument(n.Node, root)
		w.names(n.Field)
	case *parse.FieldNode:
		w.names(n.Ident)
	case *parse.VariableNode:
		w.names(n.Ident)
	case *parse.StringNode:
		w.words(n.Text)
	case *parse.IdentifierNode:
		// A function without arguments, such as now.
		w.found.varies = w.found.varies || varying[n.Ident]
	}
}

// names looks at a chain of names such as .Capabilities.APIVersions.Has.
func (w *walker) names(names []string) {
	for i, n := range names {
		switch n {
		case "Files", "Subcharts":
			w.found.files = true
		case "Capabilities":
			next := ""
			if i+1 < len(names) {
				next = names[i+1]
			}
			w.found.kube = w.found.kube || next != "APIVersions" && next != "HelmVersion"
			w.found.apis = w.found.apis || next != "KubeVersion" && next != "HelmVersion"
		}
	}
}

// words looks at a text that may be the name of something.
func (w *walker) words(text string) {
	if strings.Contains(text, "Capabilities") {
		w.found.kube, w.found.apis = true, true
	}
	if strings.Contains(text, "Files") || strings.Contains(text, "Subcharts") {
		w.found.files = true
	}
}

// everything: the template shows all there is.
func (w *walker) everything() { w.found.kube, w.found.apis, w.found.files = true, true, true }

// isRoot reports whether an argument is the template's whole argument.
func (w *walker) isRoot(n parse.Node, root bool) bool {
	switch n := n.(type) {
	case *parse.DotNode:
		return root
	case *parse.VariableNode:
		return len(n.Ident) == 1 && (n.Ident[0] == "$" || w.roots[n.Ident[0]])
	case *parse.PipeNode:
		return w.bareRoot(n, root)
	}
	return false
}

func (w *walker) bareRoot(p *parse.PipeNode, root bool) bool {
	return p != nil && len(p.Cmds) == 1 && len(p.Cmds[0].Args) == 1 && w.isRoot(p.Cmds[0].Args[0], root)
}

// shows are functions whose result has what is inside their arguments, whatever
// it is called.
var shows = set(
	"toYaml", "toYamlPretty", "toJson", "toPrettyJson", "toRawJson", "mustToJson", "mustToPrettyJson", "mustToRawJson", "toToml",
	"toString", "toStrings", "print", "println", "printf", "quote", "squote", "cat", "values", "html", "js", "urlquery",
	"deepCopy", "mustDeepCopy", "mustDeepEqual", "deepEqual", "len", "get", "pick", "omit", "dig", "pluck",
)

// varying are functions whose result may be another the next time. The keys of a
// mapping come in no order from keys and values.
var varying = set(
	"now", "ago", "date", "dateInZone", "date_in_zone", "htmlDate", "htmlDateInZone",
	"randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes", "randInt", "uuidv4", "shuffle",
	"genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey",
	"bcrypt", "htpasswd", "encryptAES", "keys", "values",
)

func set(names ...string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[n] = true
	}
	return out
}

// inspect finds out what a chart uses with its values. texts are what else
// templates may be written in.
func inspect(root *chart.Chart, values map[string]any, texts []string) uses {
	in := inspection{parts: map[string]found{}, files: map[string]bool{}, defined: map[string][]string{}}
	in.chart(root, root.ChartFullPath())
	reached := in.reach()
	if reached.tpl {
		// Texts of values are templates too.
		in.strings(values)
		if reached.files || in.valuesUseFiles {
			in.contents(root)
		}
		reached = in.reach()
		for _, t := range texts {
			if strings.Contains(t, "{{") && strings.Contains(t, "Capabilities") {
				reached.kube, reached.apis = true, true
			}
		}
	}
	out := uses{kube: reached.kube, apis: reached.apis, files: reached.files, varies: reached.varies}
	for name := range in.lookups {
		out.lookups = append(out.lookups, name)
	}
	sort.Strings(out.lookups)
	return out
}

type inspection struct {
	parts          map[string]found // by name of the template
	files          map[string]bool  // names that are files
	defined        map[string][]string
	lookups        map[string]bool
	valuesUseFiles bool
}

func (in *inspection) chart(c *chart.Chart, at string) {
	library := strings.EqualFold(c.Metadata.Type, "library")
	for _, t := range c.Templates {
		if t == nil || library && !strings.HasPrefix(path.Base(t.Name), partialsPrefix) {
			continue
		}
		full := path.Join(at, t.Name)
		for name, f := range known.of(t.Name, string(t.Data)).parts {
			if name == t.Name {
				name = full
				in.files[full] = true
			}
			in.part(name, full, f)
		}
	}
	for _, d := range c.Dependencies() {
		in.chart(d, path.Join(at, "charts", d.Name()))
	}
}

// part notes a template. Of several with one name any may be the one that
// counts.
func (in *inspection) part(name, file string, f found) {
	sum := in.parts[name]
	sum.includes = slices.Clone(sum.includes)
	sum.add(f)
	in.parts[name] = sum
	in.defined[name] = append(in.defined[name], file)
}

// strings notes the templates in values.
func (in *inspection) strings(v any) {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "{{") {
			in.text("values", v)
		}
	case map[string]any:
		for k, item := range v {
			in.strings(k)
			in.strings(item)
		}
	case []any:
		for _, item := range v {
			in.strings(item)
		}
	default:
		if m, ok := asMap(v); ok {
			in.strings(m)
		}
	}
}

func (in *inspection) text(where, text string) {
	for name, f := range known.of(where, text).parts {
		in.valuesUseFiles = in.valuesUseFiles || f.files
		if name == where {
			in.files[name] = true
		}
		in.part(name, where, f)
	}
}

// contents notes the templates in other files of a chart.
func (in *inspection) contents(c *chart.Chart) {
	for _, f := range c.Files {
		if text := string(f.Data); strings.Contains(text, "{{") {
			in.text(f.Name, text)
		}
	}
	for _, d := range c.Dependencies() {
		in.contents(d)
	}
}

// reach sums up what can be reached from the files.
func (in *inspection) reach() found {
	var sum found
	in.lookups = map[string]bool{}
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		f, ok := in.parts[name]
		if !ok {
			return
		}
		if f.lookup {
			for _, file := range in.defined[name] {
				in.lookups[file] = true
			}
		}
		sum.kube, sum.apis, sum.files = sum.kube || f.kube, sum.apis || f.apis, sum.files || f.files
		sum.varies, sum.tpl, sum.anything = sum.varies || f.varies, sum.tpl || f.tpl, sum.anything || f.anything
		for _, n := range f.includes {
			visit(n)
		}
	}
	for name := range in.files {
		visit(name)
	}
	if sum.anything {
		for name := range in.parts {
			visit(name)
		}
	}
	return sum
}
