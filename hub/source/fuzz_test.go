package source

import (
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func FuzzParseURL(f *testing.F) {
	for _, raw := range []string{
		"https://github.com/x/y", "git@github.com:x/y.git", "ssh://git@host:2222/x", "ssh://-oProxyCommand=id/x", "ext::sh -c id", "file:///etc", "FILE:///etc",
		"https://u:p@host/x", "https://[fe80::1%25eth0]:80/x", "git@host:-x", "https://host/%2e%2e/x", "http://0x7f.1/x", "https://host/a%0ab", "//host/x", "host:x", "C:\\x", "ssh://host/~x",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := ParseURL(raw, false)
		if err != nil {
			if e := fault.As(err); e.Kind != fault.Invalid || len(e.Message) > 2000 {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		switch {
		case u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "ssh":
			t.Errorf("%q has the scheme %q", raw, u.Scheme)
		case u.Host == "" || strings.HasPrefix(u.Host, "-") || strings.HasPrefix(u.User, "-") || strings.HasPrefix(strings.TrimLeft(u.Path, "/"), "-"):
			t.Errorf("%q can be taken for an option: %+v", raw, u)
		case strings.ContainsAny(u.Host+u.Path+u.User, "\x00\r\n"):
			t.Errorf("%q has control characters: %+v", raw, u)
		}
		again, err := ParseURL(u.String(), false)
		if err != nil || again != u {
			t.Errorf("%q: %+v is written %q and read %+v, %v", raw, u, u.String(), again, err)
		}
	})
}

// FuzzConfinePath compares the confiner with the operating system's, which
// os.Root is: they agree on what is there, and on what leads out.
func FuzzConfinePath(f *testing.F) {
	f.Add("a/b", "../x", "a/b/c", "", "", "")
	f.Add("d/l", "../../etc/passwd", "d/l", "", "", "")
	f.Add("d/l", "/etc/passwd", "d/l", "x", "d", "x/l")
	f.Add("x/y/l", "../..", "x/y/l/x", "k", "x/y/../y/l", "k")
	f.Add("l", "l", "l", "m", "n/../l", "m")
	f.Add("a/l", "../d", "a/l/..", "d/f", "../a", "a/l/f/l/f")
	f.Fuzz(func(t *testing.T, link1, target1, p, link2, target2, q string) {
		compareConfined(t, [][2]string{{link1, target1}, {link2, target2}}, []string{p, q})
	})
}

func TestConfinedPathsAreThoseOfTheSystem(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	word := func(words string) string {
		all := strings.Fields(words)
		return all[random.IntN(len(all))]
	}
	long := func(words string) string {
		out := word(words)
		for range random.IntN(4) {
			out += "/" + word(words)
		}
		return out
	}
	for range 300 {
		var links [][2]string
		var paths []string
		for range 6 {
			links = append(links, [2]string{long("a b c"), long("a b c .. . .. a")})
			paths = append(paths, long("a b c a b c"))
		}
		compareConfined(t, links, paths)
	}
}

// compareConfined makes a directory of links on disk and in memory, and asks
// both about paths.
func compareConfined(t *testing.T, links [][2]string, paths []string) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	tree := &memoryTree{dirs: map[string]*memoryTree{}, links: map[string]string{}}
	for _, l := range links {
		at, target := l[0], l[1]
		if target == "" || len(target) > 200 || strings.ContainsAny(target, "\x00\\") || !plainPath(at) || !tree.add(at, target) {
			continue
		}
		if err := os.MkdirAll(filepath.Join(dir, path.Dir(at)), 0o700); err != nil {
			t.Skipf("a name that this file system does not take: %v", err)
		}
		if err := os.Symlink(target, filepath.Join(dir, at)); err != nil {
			t.Skipf("a name that this file system does not take: %v", err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, p := range paths {
		p = strings.Trim(path.Clean("/"+p), "/")
		if p == "" || !plainPath(p) {
			continue
		}
		n, ok, err := confine([]*memoryTree{tree}, p, p, memorySteps())
		if ok && (n == nil || err != nil) {
			t.Fatalf("%q: %v %v", p, n, err)
		}
		_, statErr := root.Stat(p)
		switch escapes := statErr != nil && strings.Contains(statErr.Error(), "escapes"); {
		case ok && statErr != nil:
			t.Errorf("%q with %q is found, the system says %v", p, links, statErr)
		case escapes && !fault.HasCode(err, "symlink_out_of_bounds"):
			t.Errorf("%q with %q leads out, and the answer is %v %v", p, links, ok, err)
		case statErr == nil && !ok:
			t.Errorf("%q with %q is there, and the answer is %v", p, links, err)
		}
	}
}

// plainPath reports whether a path can be made in a directory of a test.
func plainPath(p string) bool {
	if p == "" || len(p) > 60 || strings.ContainsAny(p, "\x00\\") {
		return false
	}
	for name := range strings.SplitSeq(p, "/") {
		if name == "" || name == "." || name == ".." {
			return false
		}
	}
	return true
}

// memoryTree is a directory, or a link when target is set.
type memoryTree struct {
	dirs   map[string]*memoryTree
	links  map[string]string
	target string
}

func (m *memoryTree) add(at, target string) bool {
	names := strings.Split(at, "/")
	for _, name := range names[:len(names)-1] {
		if _, ok := m.links[name]; ok {
			return false
		}
		sub, ok := m.dirs[name]
		if !ok {
			sub = &memoryTree{dirs: map[string]*memoryTree{}, links: map[string]string{}}
			m.dirs[name] = sub
		}
		m = sub
	}
	last := names[len(names)-1]
	if m.dirs[last] != nil || m.links[last] != "" {
		return false
	}
	m.links[last] = target
	return true
}

func memorySteps() steps[*memoryTree] {
	return steps[*memoryTree]{
		child: func(n *memoryTree, name string) (*memoryTree, bool, error) {
			if target, ok := n.links[name]; ok {
				return &memoryTree{target: target}, true, nil
			}
			d, ok := n.dirs[name]
			return d, ok, nil
		},
		link: func(n *memoryTree) (string, bool, error) { return n.target, n.target != "", nil },
	}
}

// A file of a repository that says where a large one is: it names a digest and a
// size, or is no pointer.
func FuzzPointer(f *testing.F) {
	id := strings.Repeat("a", 64)
	for _, s := range []string{
		"version https://git-lfs.github.com/spec/v1\noid sha256:" + id + "\nsize 12\n", "version https://git-lfs.github.com/spec/v1\noid sha256:../../x\nsize 1\n",
		"version https://git-lfs.github.com/spec/v1\noid sha256:" + id + "\nsize -1", "version https://git-lfs.github.com/spec/v1\nsize 9223372036854775808\n", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		p := parsePointer(content)
		if p == nil {
			return
		}
		if at := largePath("/large", p.Id); p.Size < 0 || len(p.Id) != 64 || !strings.HasPrefix(at, "/large/") || strings.Contains(at, "..") {
			t.Errorf("%q is taken as %+v", content, p)
		}
	})
}
