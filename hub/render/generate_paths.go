package render

import (
	"context"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
)

// generated identifies what is at the request's GeneratePaths; the zero identity
// means that there are none, or none that can be identified. Paths of which none
// is there are those of another source of the application, and so are all paths
// for a chart of a repository: then everything counts. The identity covers the
// application too, because what stands for a revision in the render of one
// application says nothing about another's.
func (a *answers) generated(ctx context.Context) (identity, error) {
	if a.paths != nil {
		return *a.paths, nil
	}
	var id identity
	if len(a.req.GeneratePaths) > 0 && a.req.App != "" && a.req.Source.Chart == "" {
		var n summer
		n.text(string(a.req.App))
		sure, any := true, false
		for _, p := range a.req.GeneratePaths {
			there, ok, err := a.generatedPath(ctx, &n, p)
			if err != nil {
				return id, err
			}
			sure, any = sure && ok, any || there
		}
		if sure && any {
			id = n.sum()
		}
	}
	a.paths = &id
	return id, nil
}

const globCharacters = "*?[{"

// generatedPath adds what is at one path, relative to the directory of the
// source or from the root with a leading "/", to n. there tells whether anything
// is; ok is false when that cannot be told.
func (a *answers) generatedPath(ctx context.Context, n *summer, p string) (there, ok bool, err error) {
	full, err := workspace.Confine("", a.dir, p)
	if err != nil {
		return false, false, nil
	}
	n.text(full)
	main := a.trees[workspace.Main]
	if !strings.ContainsAny(p, globCharacters) {
		e, err := main.entry(ctx, full)
		if err != nil {
			return false, false, passes(err)
		}
		n.text(e.hash)
		n.flags(e.mode != 0, isDir(e.mode), e.mode == modeExecutable)
		return e.mode != 0, e.mode == 0 || e.hash != "", nil
	}
	if !doublestar.ValidatePattern(full) || strings.ContainsAny(a.dir, globCharacters) {
		return false, false, nil
	}
	base, _ := doublestar.SplitPattern(full)
	if base == "." {
		base = ""
	}
	err = main.snapshot.List(ctx, base, true, func(file, hash string, _ int64, mode uint32, broken bool) {
		if matchesAbove(full, file) {
			n.text(file)
			n.text(hash)
			n.flags(mode == modeExecutable, broken)
			there = true
		}
	})
	if fault.HasCode(err, "path_not_found") {
		return false, true, nil
	}
	return there, err == nil, passes(err)
}

// passes keeps trouble that is not the content's.
func passes(err error) error {
	if err == nil || fixed(err) {
		return nil
	}
	return err
}

// matchesAbove reports whether a pattern matches a file or a directory that it
// is in.
func matchesAbove(pattern, file string) bool {
	for ; file != "." && file != ""; file = path.Dir(file) {
		if ok, _ := doublestar.Match(pattern, file); ok {
			return true
		}
	}
	return false
}
