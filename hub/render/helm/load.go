package helm

import (
	"path"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/ignore"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
)

const codeChart = "chart_invalid"

// unread are files of a chart that only .Files in a template would show.
type unread struct {
	tree, dir string
	chart     *chart.Chart
	names     []string // in the chart
	core      []file   // what has been read of the chart
}

// load reads the chart in a directory and what it depends on.
func (r *renderer) load(tree, dir string) (*chart.Chart, error) {
	quiet()
	return r.chartAt(tree, dir, true, nil)
}

// chartAt reads a chart. above are the charts that this one is a dependency of.
func (r *renderer) chartAt(tree, dir string, ignores bool, above []string) (*chart.Chart, error) {
	names, err := r.list(tree, dir, ignores)
	if err != nil {
		return nil, err
	}
	var wanted, rest []string
	for _, name := range names {
		if core(name) {
			wanted = append(wanted, name)
		} else {
			rest = append(rest, name)
		}
	}
	files, err := r.read(tree, dir, wanted)
	if err != nil {
		return nil, err
	}
	if !hasChartfile(names) {
		place := dir
		if place == "" {
			place = "the root of the repository"
		}
		return nil, fault.New(fault.Unprocessable, codeChart, "%s has no Chart.yaml, so it is no Helm chart", workspace.Clip(place, 200))
	}
	c, err := r.parseChart(dir, files)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		r.rest = append(r.rest, unread{tree: tree, dir: dir, chart: c, names: rest, core: files})
	}
	return c, r.fetchMissing(c, tree, dir, above)
}

func (r *renderer) parseChart(dir string, files []file) (*chart.Chart, error) {
	for _, f := range files {
		if path.Base(f.name) == "values.yaml" || path.Base(f.name) == "Chart.yaml" {
			if err := checkAliases(path.Join(dir, f.name), f.data, r.w.Limits.Manifest.MaxAliasExpansion); err != nil {
				return nil, err
			}
		}
	}
	c, err := parsed.get(files)
	if err != nil {
		for _, f := range files {
			if path.Base(f.name) != "values.yaml" || inFolder(f.name, "templates") {
				continue
			}
			if better := r.syntax(path.Join(dir, f.name), f.data); better != nil {
				return nil, better
			}
		}
		return nil, chartFault(dir, err)
	}
	return c, nil
}

func hasChartfile(names []string) bool {
	for _, n := range names {
		if n == "Chart.yaml" {
			return true
		}
	}
	return false
}

// core reports whether a file matters to a chart whose templates do not use
// .Files.
func core(name string) bool {
	for {
		below, ok := strings.CutPrefix(name, "charts/")
		if !ok {
			break
		}
		_, inner, nested := strings.Cut(below, "/")
		if !nested {
			return true // an archive, or what helm takes for a chart
		}
		name = inner
	}
	switch name {
	case "Chart.yaml", "Chart.lock", "values.yaml", "values.schema.json", "requirements.yaml", "requirements.lock":
		return true
	}
	return strings.HasPrefix(name, "templates/") || strings.HasPrefix(name, "crds/")
}

// maxLinks bounds the symbolic links to directories that are followed inside
// each other.
const maxLinks = 8

// list names the files of a chart, relative to its directory, without those that
// .helmignore leaves out.
func (r *renderer) list(tree, dir string, ignores bool) ([]string, error) {
	entries, err := r.w.Host.List(tree, dir, true)
	if err != nil {
		return nil, err
	}
	var rules *ignore.Rules
	if ignores {
		var text []byte
		for _, e := range entries {
			if e.Path == path.Join(dir, ".helmignore") && !e.Broken {
				if text, err = r.w.Read(tree, e.Path); err != nil {
					return nil, err
				}
			}
		}
		if rules, err = ignoreRules(text); err != nil {
			return nil, fault.New(fault.Unprocessable, codeChart, "%s: %s", path.Join(dir, ".helmignore"), tidy(err.Error()))
		}
	}
	l := lister{r: r, tree: tree, dir: dir, rules: rules, dirs: map[string]bool{}}
	err = l.add(entries, 0)
	return l.names, err
}

// lister chooses the files of a chart.
type lister struct {
	r         *renderer
	tree, dir string
	rules     *ignore.Rules
	names     []string
	dirs      map[string]bool // directories: whether they are left out
}

func (l *lister) add(entries []workspace.Info, links int) error {
	for _, e := range entries {
		name := e.Path
		if l.dir != "" {
			name = strings.TrimPrefix(e.Path, l.dir+"/")
		}
		if l.rules != nil && (l.dirIgnored(path.Dir(name)) || ignored(l.rules, name, e.Dir)) {
			continue
		}
		if e.Broken {
			if err := l.link(e.Path, links); err != nil {
				return err
			}
			continue
		}
		if e.Size > maxFile {
			// Sizes in a listing are no part of what a render depends on; asking
			// for this one makes it so.
			if _, err := l.r.w.Host.Stat(l.tree, e.Path); err != nil {
				return err
			}
			return fault.New(fault.Unprocessable, "too_large", "%s: the file has %d bytes; a chart's file may have %d", workspace.Clip(e.Path, 200), e.Size, maxFile).
				WithFix("leave it out with a .helmignore")
		}
		l.names = append(l.names, name)
	}
	return nil
}

// link follows a symbolic link to a directory, as helm does.
func (l *lister) link(p string, links int) error {
	info, err := l.r.w.Host.Stat(l.tree, p)
	if err != nil {
		return err
	}
	if !info.Exists || !info.Dir || links >= maxLinks {
		return fault.New(fault.Unprocessable, "symlink_out_of_bounds", "%s is a symbolic link that leads to no file", workspace.Clip(p, 200))
	}
	entries, err := l.r.w.Host.List(l.tree, p, true)
	if err != nil {
		return err
	}
	return l.add(entries, links+1)
}

func (l *lister) dirIgnored(dir string) bool {
	if dir == "." {
		return false
	}
	out, known := l.dirs[dir]
	if !known {
		out = l.dirIgnored(path.Dir(dir)) || ignored(l.rules, dir, true)
		l.dirs[dir] = out
	}
	return out
}

// read reads files of a chart.
func (r *renderer) read(tree, dir string, names []string) ([]file, error) {
	if len(names) == 0 {
		return nil, nil
	}
	paths := make([]string, len(names))
	for i, n := range names {
		paths[i] = path.Join(dir, n)
	}
	contents, err := r.w.ReadAll(tree, paths)
	if err != nil {
		return nil, err
	}
	files := make([]file, len(names))
	for i, n := range names {
		files[i] = file{n, contents[i]}
	}
	return files, nil
}

// readRest adds the files that have not been read to their charts, when
// something may use .Files.
func (r *renderer) readRest(root *chart.Chart) error {
	if len(r.rest) == 0 || !r.mentionsFiles(root) {
		return nil
	}
	for _, u := range r.rest {
		files, err := r.read(u.tree, u.dir, u.names)
		if err != nil {
			return err
		}
		// Files of subcharts in directories are in the right place after
		// parsing all again, for which values and templates do not matter.
		full, err := r.parseChart(u.dir, append(bare(u.core), files...))
		if err != nil {
			return err
		}
		giveFiles(u.chart, full)
	}
	return nil
}

// bare leaves out of a chart what makes no difference to its files: templates,
// values and schemas. CRDs and what version 1 of charts keeps in files of its own
// are files too.
func bare(core []file) []file {
	var out []file
	for _, f := range core {
		switch path.Base(f.name) {
		case "values.yaml", "values.schema.json":
			if !inFolder(f.name, "crds") {
				continue
			}
		}
		if !inFolder(f.name, "templates") {
			out = append(out, f)
		}
	}
	return out
}

// inFolder reports whether a file is in a folder of the chart that it belongs to.
func inFolder(name, folder string) bool {
	for {
		below, ok := strings.CutPrefix(name, "charts/")
		if !ok {
			return strings.HasPrefix(name, folder+"/")
		}
		_, inner, nested := strings.Cut(below, "/")
		if !nested {
			return false
		}
		name = inner
	}
}

// giveFiles takes over the files of a chart that was parsed with all of them.
func giveFiles(to, from *chart.Chart) {
	to.Files = from.Files
	for _, f := range from.Dependencies() {
		for _, t := range to.Dependencies() {
			if t.Metadata.Name == f.Metadata.Name && t.Metadata.Version == f.Metadata.Version {
				giveFiles(t, f)
			}
		}
	}
}

// mentionsFiles reports whether a text from which a template may come has the
// word, or shows all there is.
func (r *renderer) mentionsFiles(root *chart.Chart) bool {
	for _, t := range r.texts {
		if strings.Contains(t, "Files") {
			return true
		}
	}
	return chartMentionsFiles(root)
}

func chartMentionsFiles(c *chart.Chart) bool {
	for _, t := range c.Templates {
		if known.of(t.Name, string(t.Data)).files {
			return true
		}
	}
	if valuesMention(c.Values, "Files") {
		return true
	}
	for _, d := range c.Dependencies() {
		if chartMentionsFiles(d) {
			return true
		}
	}
	return false
}

func valuesMention(v any, word string) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, word) && strings.Contains(v, "{{")
	case map[string]any:
		for _, item := range v {
			if valuesMention(item, word) {
				return true
			}
		}
	case []any:
		for _, item := range v {
			if valuesMention(item, word) {
				return true
			}
		}
	}
	return false
}
