package helm

import (
	"bytes"
	"io"
	"io/fs"
	"log"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/ignore"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/yaml"
)

// This file is all that knows the Helm library. Errors are the library's own;
// see faults.go.

const (
	// helmVersion is what templates see as .Capabilities.HelmVersion.Version.
	helmVersion = "v3.22.0"
	// DefaultKubeVersion is the Kubernetes version of templates when neither the
	// cluster nor the source tells one. It is that of the helm release above.
	DefaultKubeVersion = "v1.37.0"
	// maxFile is the size of a chart's file that helm still reads.
	maxFile = 5 << 20

	hookAnnotation = "helm.sh/hook"
)

// quiet keeps the library from writing values of charts to the log of the
// worker.
var quiet = sync.OnceFunc(func() { log.SetOutput(io.Discard) })

// file is one file of a chart, by its path in the chart.
type file struct {
	name string
	data []byte
}

var bom = []byte("\xef\xbb\xbf")

// parseChart makes a chart of files, with those of charts/ as subcharts.
func parseChart(files []file) (*chart.Chart, error) {
	buffered := make([]*loader.BufferedFile, len(files))
	for i, f := range files {
		buffered[i] = &loader.BufferedFile{Name: f.name, Data: bytes.TrimPrefix(f.data, bom)}
	}
	c, err := loader.LoadFiles(buffered)
	if err != nil {
		return nil, err
	}
	settle(c)
	return c, nil
}

// settle puts subcharts into an order that does not depend on a map, and lets go
// of what rendering does not need.
func settle(c *chart.Chart) {
	c.Raw = nil
	deps := slices.Clone(c.Dependencies())
	sort.SliceStable(deps, func(i, j int) bool {
		a, b := deps[i].Metadata, deps[j].Metadata
		return a.Name < b.Name || a.Name == b.Name && a.Version < b.Version
	})
	c.SetDependencies(deps...)
	for _, d := range deps {
		settle(d)
	}
}

// cloneChart makes a chart that may be rendered, which changes it; contents are
// shared.
func cloneChart(c *chart.Chart) *chart.Chart {
	out := &chart.Chart{
		Lock: c.Lock, Templates: slices.Clone(c.Templates), Values: cloneMap(c.Values), Schema: c.Schema, Files: slices.Clone(c.Files),
	}
	md := *c.Metadata
	md.Dependencies = nil
	for _, d := range c.Metadata.Dependencies {
		copied := *d
		copied.ImportValues = slices.Clone(d.ImportValues)
		md.Dependencies = append(md.Dependencies, &copied)
	}
	out.Metadata = &md
	for _, d := range c.Dependencies() {
		out.AddDependency(cloneChart(d))
	}
	return out
}

func cloneMap(m map[string]any) map[string]any {
	if m == nil {
		return nil
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = cloneValue(v)
	}
	return out
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneMap(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = cloneValue(item)
		}
		return out
	}
	return v
}

// ignoreRules reads a .helmignore; nil means that there is none.
func ignoreRules(text []byte) (*ignore.Rules, error) {
	rules, err := ignore.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	rules.AddDefaults()
	return rules, nil
}

// ignored reports whether the rules leave out a file or directory.
func ignored(rules *ignore.Rules, name string, dir bool) bool {
	return rules.Ignore(name, entryInfo(dir))
}

// entryInfo is the part of a file's information that the rules look at.
type entryInfo bool

func (e entryInfo) Name() string       { return "" }
func (e entryInfo) Size() int64        { return 0 }
func (e entryInfo) ModTime() time.Time { return time.Time{} }
func (e entryInfo) Sys() any           { return nil }
func (e entryInfo) IsDir() bool        { return bool(e) }
func (e entryInfo) Mode() fs.FileMode {
	if e {
		return fs.ModeDir
	}
	return 0
}

// parseValues reads values as helm does: of several documents the first, of
// repeated keys the last.
func parseValues(text []byte) (map[string]any, error) {
	values := map[string]any{}
	err := yaml.Unmarshal(text, &values)
	return values, err
}

// parseValuesObject reads the JSON object that an Application has as values, by
// way of YAML as Argo CD does.
func parseValuesObject(object []byte) (map[string]any, error) {
	text, err := yaml.JSONToYAML(object)
	if err != nil {
		return nil, err
	}
	return parseValues(text)
}

// mergeValues puts b over a: mappings are merged, everything else is replaced.
func mergeValues(a, b map[string]any) map[string]any {
	out := make(map[string]any, len(a)+len(b))
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		if over, ok := v.(map[string]any); ok {
			if under, ok := out[k].(map[string]any); ok {
				out[k] = mergeValues(under, over)
				continue
			}
		}
		out[k] = v
	}
	return out
}

// setValue does what --set or --set-string does with an expression name=value.
func setValue(values map[string]any, expression string, text bool) error {
	if text {
		return strvals.ParseIntoString(expression, values)
	}
	return strvals.ParseInto(expression, values)
}

// setFile sets a value to the content of a file, as --set-file does.
func setFile(values map[string]any, name string, content []byte) error {
	return strvals.ParseIntoFile(name+"=content", values, func([]rune) (any, error) { return string(content), nil })
}

// release is what templates see of the release.
type release struct{ name, namespace string }

type kubeVersion = chartutil.KubeVersion

func parseKubeVersion(s string) (kubeVersion, error) {
	v, err := chartutil.ParseKubeVersion(s)
	if err != nil {
		return kubeVersion{}, err
	}
	return *v, nil
}

// validReleaseName reports whether helm would have a release of this name.
func validReleaseName(name string) bool { return chartutil.ValidateReleaseName(name) == nil }

// compatible reports whether a version satisfies a constraint. An empty
// constraint is satisfied by all.
func compatible(constraint, version string) bool {
	return constraint == "" || chartutil.IsCompatibleRange(constraint, version)
}

// enableDependencies settles which subcharts are enabled under which name, and
// what is imported from them.
func enableDependencies(c *chart.Chart, values map[string]any) error {
	return chartutil.ProcessDependenciesWithMerge(c, values)
}

// renderValues are the top-level names of templates; those of Values are under
// "Values". Capabilities are set by setCapabilities.
func renderValues(c *chart.Chart, values map[string]any, r release) (map[string]any, error) {
	options := chartutil.ReleaseOptions{Name: r.name, Namespace: r.namespace, Revision: 1, IsInstall: true}
	return chartutil.ToRenderValuesWithSchemaValidation(c, values, options, &chartutil.Capabilities{}, true)
}

// setCapabilities sets what templates see of the cluster. Helm always knows the
// APIs of its own client library; those of the cluster come on top.
func setCapabilities(top map[string]any, kube kubeVersion, apis []string) {
	caps := chartutil.DefaultCapabilities.Copy()
	caps.HelmVersion.Version, caps.HelmVersion.GoVersion = helmVersion, ""
	caps.KubeVersion = kube
	caps.APIVersions = append(slices.Clone(caps.APIVersions), apis...)
	top["Capabilities"] = caps
}

// coalesced are the values in what renderValues returned.
func coalesced(top map[string]any) map[string]any {
	v, _ := asMap(top["Values"])
	return v
}

// asMap is a value of a chart as a mapping.
func asMap(v any) (map[string]any, bool) {
	switch v := v.(type) {
	case chartutil.Values:
		return v, true
	case map[string]any:
		return v, true
	}
	return nil, false
}

// execute runs the templates. Outputs are by path, which begins with the name of
// the chart. Templates have no DNS and no cluster.
func execute(c *chart.Chart, top map[string]any) (map[string]string, error) {
	return engine.Engine{}.Render(c, top)
}

// document is one YAML document that a chart puts out.
type document struct {
	source string // "web/templates/deploy.yaml"
	text   string
	line   int // of its first line in the output of the template, from 1
	crd    bool
}

const (
	notesSuffix    = "NOTES.txt"
	partialsPrefix = "_"
)

// crdDocuments are those of crds/.
func crdDocuments(c *chart.Chart) []document {
	var out []document
	for _, crd := range c.CRDObjects() {
		out = append(out, document{source: crd.Filename, text: string(crd.File.Data), line: 1, crd: true})
	}
	return out
}

// split takes the outputs of templates apart, in order of paths: notes, partials
// and empty documents are left out.
func split(outputs map[string]string) []document {
	names := make([]string, 0, len(outputs))
	for name := range outputs {
		names = append(names, name)
	}
	sort.Strings(names)
	var out []document
	for _, name := range names {
		text := outputs[name]
		if strings.HasSuffix(name, notesSuffix) || strings.HasPrefix(path.Base(name), partialsPrefix) || strings.TrimSpace(text) == "" {
			continue
		}
		trimmed := strings.TrimSpace(text)
		line := 1 + strings.Count(text[:strings.Index(text, trimmed)], "\n")
		for _, p := range parts(trimmed) {
			line += strings.Count(p.before, "\n")
			// Helm prints each with a line's end, which a text at the end keeps.
			out = append(out, document{source: name, text: strings.TrimSpace(p.text) + "\n", line: line})
			line += strings.Count(p.text, "\n")
		}
	}
	return out
}

// part is a document of a text, and what comes before it since the last one.
type part struct{ before, text string }

// parts takes a text apart where helm's releaseutil.SplitManifests does, which is
// at the pattern (?:^|\s*\n)---\s*, for a quarter of the time.
func parts(text string) []part {
	const space = "\t\n\f\r "
	var out []part
	pos, last := 0, 0 // after the separator, after the last document
	for pos <= len(text) {
		start, end := len(text), len(text)+1 // of the next separator
		if pos == 0 && strings.HasPrefix(text, "---") {
			start, end = 0, 3
		} else if i := strings.Index(text[pos:], "\n---"); i >= 0 {
			start, end = pos+len(strings.TrimRight(text[pos:pos+i], space)), pos+i+4
		}
		if start > pos {
			out = append(out, part{text[last:pos], text[pos:start]})
			last = start
		}
		if end > len(text) {
			break
		}
		pos = len(text) - len(strings.TrimLeft(text[end:], space))
	}
	return out
}

// templateText renders outputs into the text that `helm template` prints.
func templateText(crds []document, outputs map[string]string, hooks, tests bool) ([]byte, error) {
	files := make(map[string]string, len(outputs))
	for name, text := range outputs {
		if !strings.HasSuffix(name, notesSuffix) {
			files[name] = text
		}
	}
	hooked, plain, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	write := func(text string) {
		b.WriteString("---\n")
		b.WriteString(text)
		b.WriteString("\n")
	}
	for _, crd := range crds {
		write(crd.text)
	}
	for _, m := range plain {
		write(m.Content)
	}
	for _, h := range hooked {
		test := slices.ContainsFunc(h.Events, func(e releaseHookEvent) bool { return e == testEvent })
		if hooks && (tests || !test) {
			write(h.Manifest)
		}
	}
	return b.Bytes(), nil
}

type releaseHookEvent = helmrelease.HookEvent

const testEvent = helmrelease.HookTest

// hookEvents are the events that helm knows, by the words of the annotation.
var hookEvents = map[string]releaseHookEvent{
	"pre-install": helmrelease.HookPreInstall, "post-install": helmrelease.HookPostInstall,
	"pre-delete": helmrelease.HookPreDelete, "post-delete": helmrelease.HookPostDelete,
	"pre-upgrade": helmrelease.HookPreUpgrade, "post-upgrade": helmrelease.HookPostUpgrade,
	"pre-rollback": helmrelease.HookPreRollback, "post-rollback": helmrelease.HookPostRollback,
	"test": helmrelease.HookTest, "test-success": helmrelease.HookTest,
}
