package jsonnet

import (
	"fmt"
	"path"
	"slices"
	"strings"

	jsonnet "github.com/google/go-jsonnet"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
)

// importer finds imports in the tree of the source: beside the importing file,
// then in the library directories, then in the directory of the source. The
// names that it gives files begin with "/", the root of the tree, which no
// import can say.
type importer struct {
	w     *workspace.Workspace
	libs  []string // in the order in which they are looked in
	known map[string]*jsonnet.Contents
	// failed is the import that ended the evaluation, if one did.
	failed *fault.Error
}

func newImporter(w *workspace.Workspace) *importer {
	return &importer{w: w, known: map[string]*jsonnet.Contents{}}
}

// Import implements jsonnet.Importer.
func (i *importer) Import(from, what string) (jsonnet.Contents, string, error) {
	contents, at, err := i.find(from, what)
	if err != nil && i.failed == nil {
		i.failed = fault.As(err)
	}
	return contents, at, err
}

func (i *importer) find(from, what string) (jsonnet.Contents, string, error) {
	if from == "" { // the file to evaluate
		contents, err := i.read(strings.TrimPrefix(what, "/"))
		if err == nil && contents == nil {
			err = fault.New(fault.Unprocessable, "file_not_found", "%s does not exist", what[1:])
		}
		if err != nil {
			return jsonnet.Contents{}, "", err
		}
		return *contents, what, nil
	}
	if strings.HasPrefix(what, "/") {
		return jsonnet.Contents{}, "", failed("import %q: files of this machine cannot be imported; write a path relative to the file, or to one of the library directories", what)
	}
	var looked []string
	escaped := false
	for _, dir := range slices.Concat([]string{path.Dir(from)[1:]}, i.libs, []string{i.w.Dir}) {
		p, err := workspace.Confine("", dir, what)
		if err != nil {
			escaped = true
			continue
		}
		if slices.Contains(looked, p) {
			continue
		}
		looked = append(looked, p)
		contents, err := i.read(p)
		if err != nil {
			return jsonnet.Contents{}, "", err
		}
		if contents != nil {
			return *contents, "/" + p, nil
		}
	}
	if escaped && len(looked) == 0 {
		return jsonnet.Contents{}, "", failed("import %q leaves the repository", what)
	}
	return jsonnet.Contents{}, "", failed("import %q was not found; looked for %s", what, strings.Join(looked, ", "))
}

func failed(format, what string, args ...any) error {
	return fault.New(fault.Unprocessable, "jsonnet_error", format, append([]any{workspace.Clip(what, 100)}, args...)...)
}

// read returns a file, nil when there is none. The same file is always the same
// contents, as the evaluator demands.
func (i *importer) read(p string) (*jsonnet.Contents, error) {
	if c, ok := i.known[p]; ok {
		return c, nil
	}
	info, err := i.w.Host.Stat(workspace.Main, p)
	if err != nil {
		return nil, err
	}
	if !info.Exists || info.Dir || info.Broken {
		i.known[p] = nil
		return nil, nil
	}
	if limit := int64(i.w.Limits.Manifest.MaxBytes); limit > 0 && info.Size > limit {
		return nil, fault.New(fault.Unprocessable, "too_large", "%s: the file has %d bytes; the limit is %d", fmt.Sprintf("%.150s", p), info.Size, limit)
	}
	data, err := i.w.Read(workspace.Main, p)
	if err != nil {
		return nil, err
	}
	c := jsonnet.MakeContentsRaw(data)
	i.known[p] = &c
	return &c, nil
}
