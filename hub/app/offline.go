package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/hub/delivery"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/plugin"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/hub/source/versions"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// Offline renders an Application as the hub would, from directories of this
// machine and without any network.
type Offline struct {
	// App is the file of the Application, "-" for standard input.
	App string
	// Repos are directories in place of repositories: "DIR", "DIR@REVISION",
	// "URL=DIR" or "URL=DIR@REVISION". Without a URL it stands for every
	// repository that is not named.
	Repos []string
	// KubeVersion and APIVersions of the cluster that is rendered for.
	KubeVersion string
	APIVersions []string
	// Plugins are files of config management plugins.
	Plugins []string
}

// Flags registers the options.
func (o *Offline) Flags(f *pflag.FlagSet) {
	f.StringVar(&o.App, "app", "", "file with the Application, - for standard input")
	f.StringArrayVar(&o.Repos, "repo", nil, "DIR[@REVISION] in place of the repository, or URL=DIR[@REVISION] for one of several; may be repeated")
	f.StringVar(&o.KubeVersion, "kube-version", "", "Kubernetes version to render for, such as v1.37.2")
	f.StringSliceVar(&o.APIVersions, "api-versions", nil, "APIs that the cluster serves, such as apps/v1/Deployment")
	f.StringArrayVar(&o.Plugins, "plugin", nil, "file of a ConfigManagementPlugin to run; may be repeated")
}

// Run writes the objects to out as YAML, in the order in which they are applied,
// and warnings to warn.
func (o *Offline) Run(ctx context.Context, in io.Reader, out, warn io.Writer) (err error) {
	application, err := o.application(in)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "hawser-render-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	shelf, err := o.openRepos(ctx, self, scratch)
	if err != nil {
		return err
	}
	defer shelf.close()

	options := render.Options{WorkerCommand: []string{self, RenderWorkerCommand}, Workers: 1}
	if len(o.Plugins) > 0 {
		hosts, err := plugin.Connect(Config{Plugins: o.Plugins, Data: scratch}.pluginOptions(self, nil))
		if err != nil {
			return err
		}
		defer hosts.Close()
		options.Plugins = plugins{hosts}
	}
	r, err := render.New(options)
	if err != nil {
		return err
	}
	defer r.Close()

	rendered, _, err := delivery.RenderSources(ctx, offlineRenderer{shelf, r}, application.Spec,
		func(model.Source) (delivery.Head, bool) { return delivery.Head{Commit: "offline"}, true },
		delivery.RenderRequest{
			App: "offline", AppName: application.Metadata.Name, Project: application.Spec.Project,
			Namespace: application.Spec.Destination.Namespace, KubeVersion: o.KubeVersion, APIs: o.APIVersions,
		})
	if err != nil {
		return err
	}
	if err := delivery.CheckEmpty(application.Spec, rendered, true); err != nil {
		return err
	}
	for _, w := range rendered.Warnings {
		fmt.Fprintf(warn, "warning: %s (%s)\n", w.Message, w.Code)
	}
	for _, name := range shelf.unused(application.Spec) {
		fmt.Fprintf(warn, "warning: --repo %s=… is not used: the render asked for no such repository, chart or base (repository_unused)\n", source.Mask(name))
	}
	var text bytes.Buffer
	for i, object := range rendered.Objects {
		body, err := yaml.Marshal(object.Body)
		if err != nil {
			return err
		}
		if i > 0 {
			text.WriteString("---\n")
		}
		text.Write(body)
	}
	_, err = out.Write(text.Bytes())
	return err
}

// maxApplicationFile bounds what is read.
const maxApplicationFile = 4 << 20

func (o *Offline) application(in io.Reader) (app model.Application, err error) {
	switch o.App {
	case "":
		return app, fault.New(fault.Invalid, "argument_missing", "--app names the file with the Application").WithFix("hawser-hub render --app app.yaml --repo .")
	case "-":
	default:
		f, err := os.Open(o.App)
		if err != nil {
			return app, fault.New(fault.Invalid, "file_unreadable", "%s", err)
		}
		defer func() { _ = f.Close() }() // only read
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxApplicationFile+1))
	if err != nil {
		return app, fault.Wrap(err, fault.Invalid, "file_unreadable", "the Application cannot be read")
	}
	if len(data) > maxApplicationFile {
		return app, fault.New(fault.Invalid, "too_large", "%s has more than %d MiB", o.App, maxApplicationFile>>20)
	}
	docs, err := decode.Documents(data)
	if err != nil {
		return app, err
	}
	found := 0
	for _, d := range docs {
		if d.Err != nil {
			return app, d.Err
		}
		if d.Application != nil {
			app, found = *d.Application, found+1
		}
	}
	if found != 1 {
		return app, fault.New(fault.Invalid, "application_missing", "%s holds %d Applications; one is rendered at a time", o.App, found)
	}
	return app, nil
}

// shelf are the directories that stand for repositories.
type shelf struct {
	byURL   map[string]*stand
	any     *stand
	sources *source.Sources
	opened  []*source.Directory
}

// stand is one directory that stands for a repository, a chart or a base.
type stand struct {
	dir      string // as --repo names it
	snapshot render.Snapshot
	used     bool
}

func (s *stand) open() render.Snapshot {
	s.used = true
	return s.snapshot
}

// unused are the URLs of --repo that neither the Application nor a render has
// asked for, in order.
func (s *shelf) unused(spec model.ApplicationSpec) []string {
	for _, src := range spec.AllSources() {
		if at := s.byURL[src.RepoURL]; at != nil {
			at.used = true // also that of a ref which no file was read from
		}
	}
	var out []string
	for name, at := range s.byURL {
		if !at.used {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (s *shelf) close() {
	for _, d := range s.opened {
		_ = d.Close() // only read
	}
	if s.sources != nil {
		s.sources.Close()
	}
}

func (o *Offline) openRepos(ctx context.Context, self, scratch string) (*shelf, error) {
	s := &shelf{byURL: map[string]*stand{}}
	if len(o.Repos) == 0 {
		return s, fault.New(fault.Invalid, "argument_missing", "--repo names the directory that the Application's files are in").
			WithFix("hawser-hub render --app %s --repo .", o.App)
	}
	for _, spec := range o.Repos {
		url, dir := splitRepo(spec)
		snapshot, err := s.open(ctx, self, scratch, dir)
		if err != nil {
			s.close()
			return nil, err
		}
		at := &stand{dir: dir, snapshot: snapshot}
		if url == "" {
			s.any = at
		} else {
			s.byURL[url] = at
		}
	}
	return s, nil
}

// splitRepo takes "URL=DIR[@REVISION]" apart; url is "" when there is none. URLs,
// directories and revisions may have "=" in them, so the first that a directory
// follows counts.
func splitRepo(spec string) (url, dir string) {
	if isDirectory(spec) {
		return "", spec
	}
	for i := range len(spec) {
		if spec[i] != '=' {
			continue
		}
		if before, _ := splitRevision(spec[i+1:]); isDirectory(before) {
			return spec[:i], spec[i+1:]
		}
	}
	if before, _ := splitRevision(spec); isDirectory(before) {
		return "", spec
	}
	if url, dir, named := strings.Cut(spec, "="); named {
		return url, dir
	}
	return "", spec
}

// splitRevision takes "DIR@REVISION" apart. Both may have "@" in them, so the
// longest directory counts.
func splitRevision(spec string) (dir, revision string) {
	if isDirectory(spec) {
		return spec, ""
	}
	for i := len(spec) - 1; i > 0; i-- {
		if spec[i] == '@' && isDirectory(spec[:i]) {
			return spec[:i], spec[i+1:]
		}
	}
	if i := strings.LastIndexByte(spec, '@'); i > 0 {
		return spec[:i], spec[i+1:]
	}
	return spec, ""
}

func isDirectory(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// open prepares one directory at a revision, or as it is without one.
func (s *shelf) open(ctx context.Context, self, scratch, spec string) (render.Snapshot, error) {
	dir, revision := splitRevision(spec)
	if revision == "" {
		d, err := source.OpenDirectory(dir)
		if err != nil {
			return nil, err
		}
		s.opened = append(s.opened, d)
		return d, nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if s.sources == nil {
		if s.sources, err = source.New(source.Options{
			Dir: filepath.Join(scratch, "git"), WorkerCommand: []string{self, GitWorkerCommand}, AllowFile: true,
		}); err != nil {
			return nil, err
		}
	}
	local := url.URL{Scheme: "file", Path: filepath.ToSlash(abs)} // which may have a space
	t := fleet.Target{RepoURL: local.String(), Revision: revision}
	resolved, err := s.sources.Resolve(ctx, t.RepoURL, []fleet.Target{t})
	if err != nil {
		return nil, err
	}
	if err := resolved[t].Err; err != nil {
		return nil, err
	}
	snapshot, err := s.sources.At(ctx, t, resolved[t].Commit)
	if err != nil {
		return nil, err // and no snapshot that is a nil pointer
	}
	return snapshot, nil
}

// take finds the directory of a source. Codes repository_unknown, and those of
// chartIn.
func (s *shelf) take(ctx context.Context, t fleet.Target) (render.Snapshot, error) {
	if t.Chart == "" {
		if at := s.byURL[t.RepoURL]; at != nil {
			return at.open(), nil
		}
		if s.any != nil {
			return s.any.open(), nil
		}
		return nil, fault.New(fault.Invalid, "repository_unknown", "no directory stands for %s", source.Mask(t.RepoURL)).
			WithFix("add --repo %s=DIR", source.Mask(t.RepoURL))
	}
	url := source.Mask(chartURL(t.RepoURL, t.Chart))
	unknown := func(why string) error {
		return fault.New(fault.Invalid, "repository_unknown", "no directory stands for the chart %s%s", url, why).WithFix("add --repo %s=DIR", url)
	}
	at := s.chart(t.RepoURL, t.Chart)
	if at == nil {
		at = s.any
	}
	if at == nil {
		return nil, unknown("")
	}
	// What stands for more than this chart has to be it.
	named := at == s.byURL[chartURL(t.RepoURL, t.Chart)]
	have, found, err := chartIn(ctx, at)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, unknown(": " + at.dir + " has no Chart.yaml")
	case !named && have.Name != t.Chart:
		return nil, unknown(fmt.Sprintf(": %s holds the chart %q", at.dir, have.Name))
	}
	if err := have.satisfies(t.Chart, at.dir, t.Revision); err != nil {
		return nil, err.WithField("spec.source.targetRevision")
	}
	return at.open(), nil
}

// chartfile is what matters of a Chart.yaml here.
type chartfile struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// chartIn reads the Chart.yaml of a directory; found is false without one. What
// is wrong with the file is said by the render that needs it. Codes of the
// snapshot.
func chartIn(ctx context.Context, at *stand) (c chartfile, found bool, err error) {
	hash, _, mode, err := at.snapshot.Stat(ctx, "Chart.yaml")
	if err != nil || mode == 0 || source.Mode(mode) == source.ModeDir {
		return c, false, err
	}
	contents, err := at.snapshot.Contents(ctx, []string{hash})
	if err != nil {
		return c, false, err
	}
	if err := yaml.Unmarshal(contents[0], &c); err != nil {
		return c, true, fault.Wrap(err, fault.Unprocessable, "chart_invalid", "%s/Chart.yaml is no file that names a chart and its version", at.dir)
	}
	return c, true, nil
}

// satisfies holds the version against the one that is asked for. Only what is a
// version or a constraint can be compared: not a digest, and not a tag such as
// latest.
func (c chartfile) satisfies(name, dir, want string) *fault.Error {
	if strings.TrimSpace(want) == "" || want == "*" || !versions.IsConstraint(want) {
		return nil
	}
	if _, ok := versions.Pick([]string{c.Version}, want); ok {
		return nil
	}
	return fault.New(fault.Unprocessable, "chart_not_found", "chart %q in %s is %s, which does not satisfy %s", name, dir, c.Version, want).
		WithFix("give the directory of a version that does")
}

// chart is the directory of one chart of a repository or, with a name "" or no
// such directory, that of the repository; nil when there is none.
func (s *shelf) chart(repository, name string) *stand {
	if at, ok := s.byURL[chartURL(repository, name)]; ok && name != "" {
		return at
	}
	return s.byURL[repository]
}

func chartURL(repository, name string) string {
	return strings.TrimSuffix(repository, "/") + "/" + name
}

// offlineRenderer renders from the shelf, and fetches nothing.
type offlineRenderer struct {
	shelf  *shelf
	render *render.Renderer
}

func (r offlineRenderer) Render(ctx context.Context, req delivery.RenderRequest) (delivery.Rendered, error) {
	snapshot, err := r.shelf.take(ctx, fleet.TargetOf(req.Source))
	if err != nil {
		return delivery.Rendered{}, err
	}
	refs := make(map[string]func(context.Context) (render.Snapshot, error), len(req.Refs))
	for name, at := range req.Refs {
		refs[name] = func(ctx context.Context) (render.Snapshot, error) {
			return r.shelf.take(ctx, fleet.TargetOf(at.Source))
		}
	}
	return renderWith(ctx, r.render, snapshot, req, refs, offlineFetcher{r.shelf})
}

// offlineFetcher finds what was put on the shelf by its URL.
type offlineFetcher struct{ shelf *shelf }

func (f offlineFetcher) Chart(ctx context.Context, repository, name, version string) (render.Snapshot, string, error) {
	if at := f.shelf.chart(repository, name); at != nil {
		have, found, err := chartIn(ctx, at)
		if err != nil {
			return nil, "", err
		}
		if !found {
			return nil, "", fault.New(fault.Unprocessable, "chart_not_found", "%s has no Chart.yaml, so it is not the chart %q", at.dir, name).
				WithFix("add --repo %s=DIR", source.Mask(chartURL(repository, name)))
		}
		if err := have.satisfies(name, at.dir, version); err != nil {
			return nil, "", err
		}
		return at.open(), have.Version, nil
	}
	return nil, "", fault.New(fault.Unprocessable, "chart_not_found", "chart %q %s of %s is not in charts/, and nothing is fetched offline", name, version, source.Mask(repository)).
		WithFix("run helm dependency build, or add --repo %s=DIR", source.Mask(chartURL(repository, name)))
}

func (f offlineFetcher) Base(_ context.Context, url string) (render.Snapshot, string, error) {
	if at, ok := f.shelf.byURL[url]; ok {
		return at.open(), "", nil
	}
	return nil, "", fault.New(fault.Unprocessable, "remote_base_forbidden", "%s is remote, and nothing is fetched offline", source.Mask(url)).
		WithFix("add --repo '%s=DIR'", fleet.MaskURLs(url)) // with its query, which --repo has to name
}

func (f offlineFetcher) Download(_ context.Context, url string) ([]byte, error) {
	return nil, fault.New(fault.Unprocessable, "remote_base_forbidden", "%s is remote, and nothing is fetched offline", source.Mask(url))
}
