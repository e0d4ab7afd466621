package plugin

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	pluginv1 "github.com/hawser-dev/hawser/proto/gen/hawser/plugin/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestALinkOutOfTheSourceReachesNothing(t *testing.T) {
	dir := sockets(t)
	startHost(t, dir, onePlugin("cat", `cat passwd`))
	p := connect(t, Options{Sockets: dir})
	_, out, err := p.Generate(t.Context(), Run{Name: "cat", Files: files("passwd", "->/etc/passwd", "a", "b")})
	if !fault.HasCode(err, "symlink_out_of_bounds") || len(out) != 0 {
		t.Errorf("%q %v", out, err)
	}
}

// What a source's command could look for: the hub's environment, the hub's files,
// the host's environment, the copies of others.
func TestNothingOfTheHubIsVisible(t *testing.T) {
	const canary = "canary-9f3b"
	for _, user := range []string{"", "61777"} {
		t.Run("user "+user, func(t *testing.T) {
			if os.Geteuid() != 0 && user != "" {
				t.Skip("only root can be another user")
			}
			t.Setenv("HAWSER_CANARY", canary+"-environment")
			dir := sockets(t)
			data := filepath.Join(dir, "data")
			if err := os.Mkdir(data, 0o755); err != nil {
				t.Fatal(err)
			}
			// Everybody may read it, as the plugin's user in the simplest installation.
			if err := os.WriteFile(filepath.Join(data, "vault.key"), []byte(canary+"-file"), 0o644); err != nil {
				t.Fatal(err)
			}
			flags := []string{"--hide", data}
			if user != "" {
				flags = append(flags, "--user="+user)
			}
			script := `
env | grep ` + canary + `
cat ` + data + `/vault.key ` + data + `/../data/vault.key /proc/self/root` + data + `/vault.key
ln -s ` + data + ` link; cat link/vault.key; ls ` + data + `
for p in /proc/[0-9]*; do tr '\0' '\n' < $p/environ | grep ` + canary + `; cat $p/root` + data + `/vault.key $p/cwd/data/vault.key; ls $p/fd; done
cat ` + os.TempDir() + `/hawser-plugin-*/*/src/*
cp ` + data + `/vault.key stolen; mount --bind ` + data + ` "$TMPDIR"; cat "$TMPDIR/vault.key" stolen
echo x > ` + dir + `/written; kill -9 $PPID
echo "end: of it"`
			startHost(t, dir, onePlugin("spy", `{ `+script+`
} 2>errors | tee out; grep -h `+canary+` errors; true`), flags...)
			if landlockVersion() == 0 {
				t.Skip("the kernel has no Landlock")
			}
			p := connect(t, Options{Sockets: dir})
			_, out, err := p.Generate(t.Context(), Run{Name: "spy", Files: files("a", "b")})
			if err != nil || !strings.HasSuffix(string(out), "end: of it\n") {
				t.Errorf("%q %v", out, err)
			}
			if strings.Contains(string(out), canary) {
				t.Errorf("seen: %s", out)
			}
			if _, err := os.Stat(filepath.Join(dir, "written")); !errors.Is(err, os.ErrNotExist) {
				t.Error("a command wrote outside of its copy")
			}
		})
	}
}

func TestA46_TheSocketIsForItsUser(t *testing.T) {
	for flag, want := range map[string]os.FileMode{"--group=false": 0o600, "--group": 0o660} {
		dir := sockets(t)
		h := startHost(t, dir, onePlugin("cue", `true`), flag)
		info, err := os.Stat(h.socket)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%v %v", info.Mode(), err)
		}
		if name, err := Check(t.Context(), h.socket); err != nil || name != "cue" {
			t.Errorf("%s %v", name, err)
		}
		h.end(t)
		if _, err := os.Lstat(h.socket); !errors.Is(err, os.ErrNotExist) {
			t.Error("the socket is left")
		}
		if left, err := filepath.Glob(filepath.Join(os.TempDir(), workPrefix(h.socket)+"*")); err != nil || len(left) != 0 {
			t.Errorf("left: %v %v", left, err)
		}
		if _, err := Check(t.Context(), h.socket); !fault.HasCode(err, "plugin_unavailable") {
			t.Errorf("%v", err)
		}
	}
}

func TestASocketThatCannotBeTaken(t *testing.T) {
	dir := sockets(t)
	h := startHost(t, dir, onePlugin("cue", `true`))
	config := filepath.Join(dir, "plugin.yaml")
	opts := HostOptions{Config: config, Socket: h.socket, Runner: []string{"/proc/self/exe", "plugin-host", "--runner"}}
	if err := Serve(t.Context(), opts); !fault.HasCode(err, "socket_in_use") {
		t.Errorf("%v", err)
	}
	if _, err := Check(t.Context(), h.socket); err != nil {
		t.Errorf("the one that was first: %v", err)
	}
	if _, err := listen(config, false); !fault.HasCode(err, "config_invalid") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(config); err != nil {
		t.Errorf("a file is not removed for a socket: %v", err)
	}
}

// member is an entry of a tar.
type member struct {
	kind       byte
	name, body string // body is the target of links
}

// extracted feeds a tar to extract, as the hub would send it.
func extracted(t *testing.T, limits Limits, files, size int64, members ...member) (dir string, err error) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		head := &tar.Header{Typeflag: m.kind, Name: m.name, Mode: 0o4777}
		if m.kind == tar.TypeReg {
			head.Size = int64(len(m.body))
		} else {
			head.Linkname = m.body
		}
		if err := w.WriteHeader(head); err != nil {
			t.Fatal(err)
		}
		if m.kind == tar.TypeReg {
			if _, err := w.Write([]byte(m.body)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	messages := []*pluginv1.Input{
		{Input: &pluginv1.Input_Tar{Tar: b.Bytes()}},
		{Input: &pluginv1.Input_End{End: &pluginv1.End{Files: files, Bytes: size}}},
	}
	in := &input{recv: func() (*pluginv1.Input, error) {
		if len(messages) == 0 {
			return nil, io.EOF
		}
		m := messages[0]
		messages = messages[1:]
		return m, nil
	}}
	dir = t.TempDir()
	if err := extract(in, dir, limits.complete(), true); err != nil {
		return dir, err
	}
	return dir, in.finish()
}

func TestArchivesAreConfined(t *testing.T) {
	reg, link := byte(tar.TypeReg), byte(tar.TypeSymlink)
	for name, c := range map[string]struct {
		members []member
		code    string
	}{
		"parent":               {[]member{{reg, "../x", "x"}}, "plugin_unavailable"},
		"parent inside":        {[]member{{reg, "a/../../x", "x"}}, "plugin_unavailable"},
		"absolute":             {[]member{{reg, "/tmp/x", "x"}}, "plugin_unavailable"},
		"absolute link":        {[]member{{link, "a", "/etc/passwd"}}, "symlink_out_of_bounds"},
		"relative link":        {[]member{{link, "d/a", "../../etc/passwd"}}, "symlink_out_of_bounds"},
		"link over link":       {[]member{{link, "d", "."}, {link, "e", "d/.."}, {link, "f", "e/../x"}}, "symlink_out_of_bounds"},
		"through a link":       {[]member{{link, "d/e", ".."}, {link, "d/f", "e/.."}, {reg, "d/f/x", "x"}}, "plugin_unavailable"},
		"hard link":            {[]member{{reg, "a", "x"}, {tar.TypeLink, "b", "a"}}, "plugin_unavailable"},
		"device":               {[]member{{tar.TypeChar, "null", ""}}, "plugin_unavailable"},
		"pipe":                 {[]member{{tar.TypeFifo, "pipe", ""}}, "plugin_unavailable"},
		"twice":                {[]member{{reg, "a", "x"}, {reg, "a", "y"}}, "plugin_unavailable"},
		"file over a link":     {[]member{{link, "a", "b"}, {reg, "a", "y"}}, "plugin_unavailable"},
		"file as a directory":  {[]member{{reg, "a", "x"}, {reg, "a/b", "y"}}, "plugin_unavailable"},
		"backslash":            {[]member{{reg, `a\b`, "x"}}, "plugin_unavailable"},
		"more than it may":     {[]member{{reg, "a", strings.Repeat("x", 2000)}}, "too_large"},
		"more files than fit":  {[]member{{reg, "1", ""}, {reg, "2", ""}, {reg, "3", ""}, {reg, "4", ""}}, "too_large"},
		"directories, no end?": {[]member{{tar.TypeDir, "1", ""}, {tar.TypeDir, "2", ""}, {tar.TypeDir, "3", ""}, {tar.TypeDir, "4", ""}, {tar.TypeDir, "5", ""}, {tar.TypeDir, "6", ""}, {tar.TypeDir, "7", ""}}, "too_large"},
	} {
		var files, size int64
		for _, m := range c.members {
			if m.kind == tar.TypeReg {
				files, size = files+1, size+int64(len(m.body))
			}
		}
		dir, err := extracted(t, Limits{InputBytes: 1000, InputFiles: 3}, files, size, c.members...)
		if !fault.HasCode(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
		if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) > 17 {
			t.Errorf("%s: %v %v", name, entries, err)
		}
	}
}

func TestArchivesAreExtracted(t *testing.T) {
	members := []member{{tar.TypeReg, "d/a", "text"}, {tar.TypeSymlink, "d/b", "a"}, {tar.TypeSymlink, "c", "d"}, {tar.TypeSymlink, "gone", "d/none"}, {tar.TypeDir, "e/f/", ""}}
	dir, err := extracted(t, Limits{}, 1, 4, members...)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "c", "b")); err != nil || string(text) != "text" {
		t.Errorf("%q %v", text, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "d/a")); err != nil || info.Mode() != 0o755 {
		t.Errorf("no file keeps bits that are not for files: %v %v", info.Mode(), err)
	}
	for i, end := range [][2]int64{{2, 4}, {1, 5}, {0, 0}} {
		if _, err := extracted(t, Limits{}, end[0], end[1], members...); !fault.HasCode(err, "plugin_unavailable") {
			t.Errorf("%s: an input of which a part is missing: %v", strconv.Itoa(i), err)
		}
	}
}

func FuzzExtract(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, head := range []tar.Header{{Typeflag: tar.TypeReg, Name: "a/b", Mode: 0o644}, {Typeflag: tar.TypeSymlink, Name: "c", Linkname: "a/b"}} {
		if err := w.WriteHeader(&head); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "copy")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		messages := []*pluginv1.Input{{Input: &pluginv1.Input_Tar{Tar: data}}, {Input: &pluginv1.Input_End{End: &pluginv1.End{}}}}
		in := &input{recv: func() (*pluginv1.Input, error) {
			if len(messages) == 0 {
				return nil, io.EOF
			}
			m := messages[0]
			messages = messages[1:]
			return m, nil
		}}
		_ = extract(in, dir, Limits{InputBytes: 1 << 20, InputFiles: 100}.complete(), true) // most are refused
		if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
			t.Fatalf("written outside: %v %v", entries, err)
		}
		err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
			if err != nil || e.Type()&os.ModeSymlink == 0 {
				return err
			}
			if target, err := filepath.EvalSymlinks(p); err == nil && !strings.HasPrefix(target, parent) {
				t.Fatalf("%s leads to %s", p, target)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
