package archive

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	maxPath  = 1024
	maxName  = 255
	maxDepth = 64
)

// path checks a name of the archive and makes it clean. "" is the root.
func (x *extraction) path(raw string) (string, error) {
	bad := func(why string) error { return x.invalid("has an entry %q, and a name may not %s", shown(raw), why) }
	switch {
	case len(raw) > maxPath:
		return "", bad("be longer than 1024 bytes")
	case !utf8.ValidString(raw):
		return "", bad("be other than UTF-8")
	case strings.HasPrefix(raw, "/"):
		return "", bad("be absolute")
	case strings.ContainsRune(raw, '\\'):
		return "", bad("have a backslash in it")
	case strings.ContainsFunc(raw, unicode.IsControl):
		return "", bad("have a control character in it")
	}
	parts := strings.Split(raw, "/")
	kept := parts[:0]
	for i, p := range parts {
		switch {
		case p == ".." || len(p) > 1 && p[1] == ':' && i == 0:
			return "", bad("lead out of the archive")
		case p == "" || p == ".":
			continue
		case len(p) > maxName:
			return "", bad("have a part of more than 255 bytes")
		case strings.EqualFold(p, ".git"):
			// Tools that are run on a copy would take it for a repository,
			// with hooks.
			return "", bad("be in a directory of Git itself")
		}
		kept = append(kept, p)
	}
	if len(kept) > maxDepth {
		return "", bad("be deeper than 64 directories")
	}
	return strings.Join(kept, "/"), nil
}

// reserve takes a name for a file, and the directories above it.
func (x *extraction) reserve(name string) error {
	switch x.seen[name] {
	case file:
		return x.invalid("has %q twice", shown(name))
	case directory:
		return x.invalid("has %q as a file and as a directory", shown(name))
	}
	lower := strings.ToLower(name)
	if other, ok := x.folded[lower]; ok {
		return x.invalid("has %q and %q, which are one file where case does not matter", shown(other), shown(name))
	}
	if err := x.parents(name); err != nil {
		return err
	}
	x.seen[name], x.folded[lower] = file, name
	return nil
}

// parents sees to it that everything above a name is a real directory: a
// symbolic link there would carry the file elsewhere.
func (x *extraction) parents(name string) error {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		switch x.seen[dir] {
		case directory:
			return nil
		case file:
			return x.invalid("has %q as a file and as a directory", shown(dir))
		}
		x.seen[dir] = directory
	}
	return nil
}

func (x *extraction) directory(name, raw string) error {
	if name == "" {
		return nil
	}
	if x.seen[name] == file {
		return x.invalid("has %q as a file and as a directory", shown(raw))
	}
	if err := x.parents(name); err != nil {
		return err
	}
	x.seen[name] = directory
	return nil
}

// link checks where a symbolic link leads. ".." may only come first: then it
// goes up directories that are real (parents saw to that), and a link that is
// followed on the way down is one that was checked itself.
func (x *extraction) link(name, target string) (string, error) {
	out := func() error {
		return fault.New(fault.Unprocessable, "symlink_out_of_bounds", "%s: %q is a symbolic link to outside the archive", x.name(), shown(name))
	}
	switch {
	case target == "" || len(target) > maxPath || !utf8.ValidString(target) ||
		strings.ContainsFunc(target, unicode.IsControl) || strings.ContainsRune(target, '\\'):
		return "", x.invalid("has a symbolic link %q whose target is no path", shown(name))
	case strings.HasPrefix(target, "/"):
		return "", out()
	}
	up, depth, down := 0, strings.Count(name, "/"), false
	for _, p := range strings.Split(target, "/") {
		switch p {
		case "", ".":
		case "..":
			if up++; down || up > depth {
				return "", out()
			}
		default:
			down = true
		}
	}
	return path.Clean(target), nil
}

// shown bounds a name for a message.
func shown(s string) string {
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:97], "") + "…"
	}
	return s
}
