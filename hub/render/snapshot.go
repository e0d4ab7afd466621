package render

import (
	"context"
	"encoding/json"

	"github.com/hawser-dev/hawser/shared/model"
)

// Snapshot is one immutable tree of files: a commit, a chart or an artifact. A
// Renderer calls its methods from one goroutine at a time; they may block on a
// process that reads. Paths are relative to the root, clean and without "..";
// "" is the root.
type Snapshot interface {
	// Revision is what people call the tree.
	Revision() model.Revision
	// Root identifies the whole content: trees with equal roots are equal. ""
	// means that nobody knows.
	Root() string
	// Stat tells what is at a path: what identifies its content, its size, and
	// its mode as Git has it, 0 when nothing is there. A symbolic link is what
	// it leads to. Code symlink_out_of_bounds.
	Stat(ctx context.Context, path string) (hash string, size int64, mode uint32, err error)
	// List visits what is in a directory, in order of paths: files and
	// directories, or with recurse all files below it and no directories. A
	// link is what it leads to; a broken one has no content. Codes
	// path_not_found, symlink_out_of_bounds, too_large.
	List(ctx context.Context, dir string, recurse bool, visit func(path, hash string, size int64, mode uint32, broken bool)) error
	// Contents returns the contents that hashes of Stat and List identify. They
	// are shared and not changed.
	Contents(ctx context.Context, hashes []string) ([][]byte, error)
}

// linked is a Snapshot with symbolic links that knows where they lead. Those of
// directories matter: ".." in a file below one is meant from its real place.
type linked interface {
	// Real is where a path is after following links, the path itself when it
	// is none or nothing is there. Code symlink_out_of_bounds.
	Real(ctx context.Context, path string) (string, error)
}

// Fetcher gets what a render needs beside its own sources. It is made for one
// request and asks the project before it asks the network. Errors are for the
// user.
type Fetcher interface {
	// Chart returns a chart of a repository and the version that a constraint
	// resolved to.
	Chart(ctx context.Context, repository, name, version string) (s Snapshot, resolvedVersion string, err error)
	// Base returns a remote Kustomize base and the directory in it.
	Base(ctx context.Context, url string) (s Snapshot, dir string, err error)
	// Download returns one file.
	Download(ctx context.Context, url string) ([]byte, error)
}

// Plugins runs config management plugins. It is safe for concurrent use.
type Plugins interface {
	// Identity changes when plugins or their configuration change.
	Identity() string
	// Discover names the plugin that is there for a source, "" when none is.
	Discover(ctx context.Context, run PluginRun) (name string, err error)
	// Generate returns what a plugin puts out for a source, and its name.
	Generate(ctx context.Context, run PluginRun) (name string, manifests []byte, err error)
}

// PluginRun is one call of a plugin.
type PluginRun struct {
	// Name of the plugin; "" means the one that discovers the source.
	Name string
	// Dir is the directory of the source in the snapshot.
	Dir      string
	Snapshot Snapshot
	// Env is the build environment.
	Env map[string]string
	// Options are a model.PluginSource as JSON, nil when there are none.
	Options json.RawMessage
}

// The kinds of a mode, as Git has them.
const (
	modeKind       = 0o170000
	modeDir        = 0o040000
	modeSubmodule  = 0o160000
	modeExecutable = 0o100755
)

func isDir(mode uint32) bool {
	return mode&modeKind == modeDir || mode&modeKind == modeSubmodule
}

func isFile(mode uint32) bool { return mode != 0 && !isDir(mode) }
