package workspace

import (
	"fmt"
	"path"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Main names the tree of the source itself.
const Main = ""

// RefTree names the tree of the source with a ref.
func RefTree(ref string) string { return "ref:" + ref }

// Limits of one render; see render.Limits.
type Limits struct {
	Manifest    manifest.Limits // of one file or template
	TotalBytes  int64           // of all files that a source reads
	OutputBytes int64           // of what a tool puts out
}

// DefaultLimits are those of a hub.
func DefaultLimits() Limits {
	return Limits{Manifest: manifest.DefaultLimits(), TotalBytes: 48 << 20, OutputBytes: 32 << 20}
}

// Warning is something that the user should know although the render is good.
type Warning struct{ Code, Message string }

// Output is what a tool makes of a source. Objects keep their Origin; they need
// not be ordered, and duplicates are found by the caller.
type Output struct {
	Objects []manifest.Object
	Tool    string // Directory, Helm, Kustomize, Jinja or Plugin
}

// Workspace is one render of one source.
type Workspace struct {
	Host Host
	// Source as it is to be rendered: overrides of the repository are in it.
	Source model.Source
	// Dir is the directory of the source in the tree Main, clean; "" the root.
	Dir string
	// Refs are the names that "$name/…" may begin with.
	Refs   []string
	Limits Limits

	warnings []Warning
	mayVary  bool // see MayVary
	facts    map[string]string
	read     int64
}

// maxWarnings of one render; more say nothing new.
const maxWarnings = 20

// Warn notes a warning, once.
func (w *Workspace) Warn(code, format string, args ...any) {
	warning := Warning{code, Clip(fmt.Sprintf(format, args...), 500)}
	for _, known := range w.warnings {
		if known == warning {
			return
		}
	}
	if len(w.warnings) < maxWarnings {
		w.warnings = append(w.warnings, warning)
	}
}

// Warnings returns what was noted.
func (w *Workspace) Warnings() []Warning { return w.warnings }

// Fact returns one value of the build environment, "" for an unknown name.
func (w *Workspace) Fact(name string) (string, error) {
	if v, ok := w.facts[name]; ok {
		return v, nil
	}
	values, err := w.Host.Facts([]string{name})
	if err != nil {
		return "", err
	}
	if w.facts == nil {
		w.facts = map[string]string{}
	}
	w.facts[name] = values[name]
	return values[name], nil
}

// Read returns one file. Code file_not_found.
func (w *Workspace) Read(tree, path string) ([]byte, error) {
	contents, err := w.ReadAll(tree, []string{path})
	if err != nil {
		return nil, err
	}
	return contents[0], nil
}

// ReadAll returns files in the order asked for, and counts their size against
// the limit of the source. Code too_large.
func (w *Workspace) ReadAll(tree string, paths []string) ([][]byte, error) {
	contents, err := w.Host.Read(tree, paths)
	if err != nil {
		return nil, err
	}
	for _, c := range contents {
		w.read += int64(len(c))
	}
	if w.Limits.TotalBytes > 0 && w.read > w.Limits.TotalBytes {
		return nil, fault.New(fault.Unprocessable, "too_large", "the files of the source have more than %d MiB together", w.Limits.TotalBytes>>20)
	}
	return contents, nil
}

// Exists reports whether there is a file (not a directory) at a path.
func (w *Workspace) Exists(tree, path string) (bool, error) {
	info, err := w.Host.Stat(tree, path)
	return err == nil && info.Exists && !info.Dir && !info.Broken, err
}

// Confine joins a path that a user wrote onto a directory of a tree. A leading
// "/" means the root of the tree, as in Argo CD. What leaves the tree, or is no
// path of a repository (a backslash, a NUL, a scheme such as "file:"), is
// path_escapes_repo with the field and only the path as the user wrote it.
func Confine(field, dir, p string) (string, error) {
	escapes := func() error {
		return fault.New(fault.Invalid, "path_escapes_repo", "path %q may not leave the repository: write it relative to the directory of the source, or from the root of the repository with a leading \"/\"", Clip(p, 100)).
			WithField(field)
	}
	if strings.ContainsAny(p, "\x00\\") || strings.HasPrefix(p, "//") {
		return "", escapes()
	}
	if scheme, _, ok := strings.Cut(p, ":"); ok && scheme != "" && !strings.ContainsAny(scheme, "/.") {
		return "", escapes()
	}
	joined := path.Join(dir, p)
	if strings.HasPrefix(p, "/") {
		// path.Clean would swallow ".." at the root.
		joined = path.Clean(strings.TrimLeft(p, "/"))
	}
	if joined == ".." || strings.HasPrefix(joined, "../") {
		return "", escapes()
	}
	if joined == "." || joined == "/" {
		joined = ""
	}
	return joined, nil
}

// Clip shortens text for a message.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "…"
}
