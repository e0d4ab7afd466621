package source

import "strings"

// validName reports whether a name may be that of an entry of a tree. Git itself
// refuses the same: what leads elsewhere, and every spelling of .git that some
// file system takes for it, because plugins get trees as files.
func validName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 255 || strings.ContainsAny(name, "/\x00") {
		return false
	}
	return !isDotGit(name)
}

// isDotGit tells what HFS+ (which ignores some characters) and NTFS (which
// ignores dots and blanks at the end, and has short names and streams) take for
// ".git".
func isDotGit(name string) bool {
	if len(name) > 64 {
		return false
	}
	plain := strings.ToLower(strings.Map(func(r rune) rune {
		switch {
		case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
			return -1
		}
		return r
	}, name))
	plain, _, _ = strings.Cut(plain, ":")
	plain, _, _ = strings.Cut(plain, `\`)
	plain = strings.TrimRight(plain, ". ")
	return plain == ".git" || plain == "git~1"
}
