package source

import (
	"bufio"
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Submodules are shown as part of the snapshot where the repository's credential
// asks for it, and are empty directories otherwise. Nothing is checked out and
// nothing in .gitmodules but path and url means anything.

const (
	modulesFile = ".gitmodules"
	// maxModuleDepth bounds submodules of submodules.
	maxModuleDepth = 8
	maxModulesFile = 256 << 10
	maxModules     = 1000
)

func errModule(at, format string, args ...any) error {
	e := fault.New(fault.Unprocessable, "submodule_invalid", format, args...)
	e.Message = clip("submodule "+clip(at, 100)+" "+e.Message, 300)
	return e
}

// enter is the directory that a submodule's entry stands for.
func (s *Snapshot) enter(ctx context.Context, n node) (node, error) {
	dir := node{module: n.module, path: n.path, mode: ModeDir, hash: emptyTree}
	if !n.module.submodules {
		return dir, nil
	}
	sub, err := s.submodule(ctx, n)
	if err != nil {
		return node{}, err
	}
	dir.module, dir.hash = sub, sub.tree
	return dir, nil
}

func (s *Snapshot) submodule(ctx context.Context, n node) (*module, error) {
	s.modules.mu.Lock()
	sub := s.modules.byPath[n.path]
	s.modules.mu.Unlock()
	if sub != nil {
		return sub, nil
	}
	parent := n.module
	if parent.depth >= maxModuleDepth {
		return nil, errModule(n.path, "is nested deeper than %d", maxModuleDepth)
	}
	u, err := s.moduleURL(ctx, n)
	if err != nil {
		return nil, err
	}
	if s.permit != nil {
		if err := s.permit(u.String()); err != nil {
			return nil, inModule(n.path, err)
		}
	}
	sub, _, err = s.sources.module(ctx, u.String(), n.hash)
	if err != nil {
		return nil, inModule(n.path, err)
	}
	sub.path, sub.depth = n.path, parent.depth+1
	sub.submodules, sub.large = true, sub.large || parent.large
	s.modules.mu.Lock()
	defer s.modules.mu.Unlock()
	if other := s.modules.byPath[n.path]; other != nil {
		return other, nil
	}
	s.modules.byPath[n.path] = sub
	return sub, nil
}

// inModule says which submodule an error is about.
func inModule(at string, err error) error {
	e := *fault.As(err)
	e.Message = clip("submodule "+clip(at, 100)+": "+e.Message, 300)
	return &e
}

// moduleURL is where a submodule comes from. It passes the same checks as the
// URL of any repository.
func (s *Snapshot) moduleURL(ctx context.Context, n node) (URL, error) {
	parent := n.module
	in := strings.TrimPrefix(strings.TrimPrefix(n.path, parent.path), "/")
	e, ok, err := s.child(ctx, parent, parent.tree, modulesFile)
	if err != nil {
		return URL{}, err
	}
	if m := Mode(e.GetMode()); !ok || m != ModeRegular && m != ModeExecutable {
		return URL{}, errModule(n.path, "has no entry in %s, which is missing", modulesFile)
	}
	if e.GetSize() > maxModulesFile {
		return URL{}, errModule(n.path, "has an entry in a %s of %d bytes; the limit is %d", modulesFile, e.GetSize(), maxModulesFile)
	}
	content, err := s.blob(ctx, parent, e.GetHash())
	if err != nil {
		return URL{}, err
	}
	raw, ok := parseModules(content)[in]
	if !ok {
		return URL{}, errModule(n.path, "has no url in %s", modulesFile)
	}
	if strings.HasPrefix(raw, "./") || strings.HasPrefix(raw, "../") {
		u, ok := relativeURL(parent.url, raw)
		if !ok {
			return URL{}, errModule(n.path, "has the url %q, which leads out of its server", clip(raw, 100))
		}
		raw = u.String()
	}
	u, err := s.sources.checkURL(raw)
	if err != nil {
		return URL{}, inModule(n.path, err)
	}
	return u, nil
}

// relativeURL is raw, which begins with ./ or ../, seen from a repository.
func relativeURL(base URL, raw string) (URL, bool) {
	rooted := strings.HasPrefix(base.Path, "/")
	parts := strings.Split(strings.Trim(base.Path, "/"), "/")
	for step := range strings.SplitSeq(raw, "/") {
		switch step {
		case "", ".":
		case "..":
			if len(parts) == 0 || parts[len(parts)-1] == ".." {
				return URL{}, false
			}
			parts = parts[:len(parts)-1]
		default:
			parts = append(parts, step)
		}
	}
	base.Path = strings.Join(parts, "/")
	if rooted {
		base.Path = "/" + base.Path
	}
	return base, true
}

// parseModules reads the urls of a .gitmodules file, by path. What it does not
// understand it leaves out.
func parseModules(content []byte) map[string]string {
	out := map[string]string{}
	var at, url string
	inside := false
	flush := func() {
		if inside && at != "" && url != "" && len(out) < maxModules {
			if _, ok := out[at]; !ok {
				out[at] = url
			}
		}
		at, url = "", ""
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 16<<10)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			flush()
			inside = strings.HasPrefix(strings.ToLower(line), "[submodule ")
		case inside:
			key, value, _ := strings.Cut(line, "=")
			switch strings.ToLower(strings.TrimSpace(key)) {
			case "path":
				at = strings.Trim(path.Clean("/"+configValue(value)), "/")
			case "url":
				url = configValue(value)
			}
		}
	}
	flush()
	return out
}

// configValue reads a value as Git's configuration has it: quotes are not part
// of it, and a comment ends it.
func configValue(s string) string {
	var out strings.Builder
	quoted, escaped := false, false
	for _, r := range strings.TrimSpace(s) {
		switch {
		case escaped:
			escaped = false
			out.WriteRune(r)
		case r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case !quoted && (r == '#' || r == ';'):
			return strings.TrimSpace(out.String())
		default:
			out.WriteRune(r)
		}
	}
	return strings.TrimSpace(out.String())
}
