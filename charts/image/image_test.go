package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"debug/elf"
	byteorder "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	spdxjson "github.com/spdx/tools-golang/json"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
)

var (
	release = Release{Version: "v1.2.3", Revision: "0123456789abcdef0123456789abcdef01234567", Created: time.Unix(1_790_000_000, 0)}
	program = Program{Name: "probe", Title: "Probe", Description: "Says what it finds", Args: []string{"serve", "--all"}, Ports: []string{"8443/tcp"}}
)

// probe is the program of the tests, for this machine's architecture.
func probe(t *testing.T) string {
	t.Helper()
	file, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

var built = sync.OnceValues(func() (string, error) { return build(filepath.Join(shared, "probe")) })

// shared is where what all tests need is; TestMain removes it.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "image-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(shared)
	os.Exit(code)
}

func build(file string, env ...string) (string, error) {
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", file, "./testdata/probe")
	build.Env = append(append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0"), env...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return file, nil
}

func write(t *testing.T, dir string, files ...string) Built {
	t.Helper()
	built, err := Write(t.Context(), dir, program, files, release)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func fetch(t *testing.T, store *oci.Store, d ocispec.Descriptor, into any) {
	t.Helper()
	raw, err := content.FetchAll(t.Context(), store, d) // holds size and digest
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

// open reads the index of a layout as a program that pulls the image does.
func open(t *testing.T, dir string) (*oci.Store, ocispec.Index) {
	t.Helper()
	store, err := oci.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	root, err := store.Resolve(t.Context(), release.Version)
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	fetch(t, store, root, &index)
	return store, index
}

func TestTwoBuildsAreTheSameToTheByte(t *testing.T) {
	one, two := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "elsewhere", "b")
	first := write(t, one, probe(t))
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // another second: a clock that gets in shows
	again, err := build(filepath.Join(t.TempDir(), "probe"))
	if err != nil {
		t.Fatal(err)
	}
	second := write(t, two, again)
	if first.Digest != second.Digest {
		t.Errorf("digests %s and %s", first.Digest, second.Digest)
	}
	a, b := tree(t, filepath.Dir(one), "a"), tree(t, filepath.Dir(two), "b")
	if len(a) < 8 {
		t.Fatalf("only %d files", len(a))
	}
	for name, content := range a {
		if !bytes.Equal(content, b[name]) {
			t.Errorf("%s differs", name)
		}
	}
	if len(a) != len(b) {
		t.Errorf("%d and %d files", len(a), len(b))
	}
}

// tree reads a layout and the files beside it, without the layout's own name.
func tree(t *testing.T, dir, name string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, filepath.Join(dir, name))] = raw
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTheProgramRunsWithNothingElseThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "probe")
	write(t, dir, probe(t))
	store, index := open(t, dir)
	var manifest ocispec.Manifest
	fetch(t, store, index.Manifests[0], &manifest)
	var image ocispec.Image
	fetch(t, store, manifest.Config, &image)
	if image.Config.User != "65532:65532" || image.Config.WorkingDir != "/var/lib/hawser" {
		t.Errorf("user %q in %q", image.Config.User, image.Config.WorkingDir)
	}
	if _, ok := image.Config.ExposedPorts["8443/tcp"]; !ok {
		t.Errorf("ports %v", image.Config.ExposedPorts)
	}

	out := run(t, unpack(t, store, manifest.Layers[0]), image.Config, image.Config.Cmd)
	var found struct {
		UID, GID              int
		Args, Files, Writable []string
		Authorities           bool
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	if found.UID != userID || found.GID != userID {
		t.Errorf("runs as %d:%d", found.UID, found.GID)
	}
	if !found.Authorities {
		t.Error("no public authority is known")
	}
	if got := strings.Join(found.Args, " "); got != "serve --all" {
		t.Errorf("arguments %q", got)
	}
	// This is all: no shell, no library, no other program.
	if got, want := strings.Join(found.Files, " "), "/etc/group /etc/passwd /etc/ssl/certs/ca-certificates.crt /probe"; got != want {
		t.Errorf("files %s, want %s", got, want)
	}
	if got, want := strings.Join(found.Writable, " "), "/tmp /var/lib/hawser"; os.Getuid() == 0 && got != want {
		t.Errorf("may write to %s, want %s", got, want)
	}
}

// run starts the program of an image, in its file system and as its user.
func run(t *testing.T, root string, config ocispec.ImageConfig, args []string) []byte {
	t.Helper()
	program := exec.Command(config.Entrypoint[0], args...)
	program.Err = nil // the path is of the new root, where exec.Command cannot look
	program.Dir, program.Env = config.WorkingDir, config.Env
	program.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if os.Getuid() == 0 {
		program.SysProcAttr.Credential = &syscall.Credential{Uid: userID, Gid: userID}
	} else {
		program.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		program.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: userID, HostID: os.Getuid(), Size: 1}}
		program.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: userID, HostID: os.Getgid(), Size: 1}}
	}
	out, err := program.Output()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("this machine gives its users no namespaces of their own, and the test does not run as root")
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// unpack makes the file system of a layer.
func unpack(t *testing.T, store *oci.Store, layer ocispec.Descriptor) string {
	t.Helper()
	raw, err := content.FetchAll(t.Context(), store, layer)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	// The user of the image has to pass through the directories of the test.
	for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err == io.EOF {
			return root
		}
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(root, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.Mkdir(at, 0o700)
		} else {
			var f *os.File
			if f, err = os.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil {
				_, err = io.Copy(f, files)
				err = errors.Join(err, f.Close())
			}
		}
		if os.Getuid() == 0 {
			err = errors.Join(err, os.Chown(at, h.Uid, h.Gid))
		}
		if err = errors.Join(err, syscall.Chmod(at, uint32(h.Mode))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHubAndAgentStartFromTheirImages(t *testing.T) {
	bin := os.Getenv("HAWSER_BIN")
	if bin == "" {
		t.Skip("HAWSER_BIN names no directory with the programs; make test does")
	}
	for name, p := range Programs {
		t.Run(name, func(t *testing.T) {
			if p.Lockfile != "" {
				p.Lockfile = filepath.Join("..", "..", p.Lockfile)
			}
			dir := filepath.Join(t.TempDir(), name)
			made, err := Write(t.Context(), dir, p, []string{filepath.Join(bin, name)}, release)
			if err != nil {
				t.Fatal(err)
			}
			if most := int64(60_000_000); made.Compressed > most {
				t.Errorf("%d bytes, at most %d", made.Compressed, most)
			}
			store, index := open(t, dir)
			var manifest ocispec.Manifest
			fetch(t, store, index.Manifests[0], &manifest)
			var image ocispec.Image
			fetch(t, store, manifest.Config, &image)
			root := unpack(t, store, manifest.Layers[0])
			if out := run(t, root, image.Config, []string{"version"}); len(bytes.TrimSpace(out)) == 0 {
				t.Error("it does not say its version")
			}
			if out := run(t, root, image.Config, append(image.Config.Cmd, "--help")); !bytes.Contains(out, []byte("Usage:")) {
				t.Errorf("%v --help says %q", image.Config.Cmd, out)
			}
		})
	}
}

func TestDockerfilesMakeTheSameImage(t *testing.T) {
	for name, p := range Programs {
		raw, err := os.ReadFile("Dockerfile." + strings.TrimPrefix(name, "hawser-"))
		if err != nil {
			t.Fatal(err)
		}
		args, err := json.Marshal(p.Args)
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{
			"FROM scratch", "USER 65532:65532", "WORKDIR " + home, "ENV HOME=" + home, "/" + authorities[:len("etc/ssl/certs/")],
			`ENTRYPOINT ["/` + name + `"]`, "CMD " + string(args), strings.ReplaceAll(passwd, "\n", `\n`), strings.ReplaceAll(groups, "\n", `\n`),
		}
		for _, port := range p.Ports {
			lines = append(lines, "EXPOSE "+port)
		}
		for _, line := range lines {
			if !strings.Contains(string(raw), line) {
				t.Errorf("the Dockerfile of %s does not say %s", name, line)
			}
		}
	}
}

func TestAnImageSaysWhatItIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "probe")
	write(t, dir, probe(t))
	store, index := open(t, dir)
	var manifest ocispec.Manifest
	fetch(t, store, index.Manifests[0], &manifest)
	var image ocispec.Image
	fetch(t, store, manifest.Config, &image)
	for where, labels := range map[string]map[string]string{"index": index.Annotations, "manifest": manifest.Annotations, "configuration": image.Config.Labels} {
		for key, want := range map[string]string{
			"title": "Probe", "version": "v1.2.3", "revision": release.Revision, "created": "2026-09-21T14:13:20Z",
			"licenses": "Apache-2.0", "source": "https://github.com/hawser-dev/hawser",
		} {
			if got := labels["org.opencontainers.image."+key]; got != want {
				t.Errorf("%s: %s is %q, want %q", where, key, got, want)
			}
		}
	}
}

func TestBothArchitecturesAreOneImage(t *testing.T) {
	mine := probe(t)
	raw, err := os.ReadFile(mine)
	if err != nil {
		t.Fatal(err)
	}
	// The header of an ELF file names its machine at byte 18. Nothing runs this one.
	other := map[elf.Machine]elf.Machine{elf.EM_X86_64: elf.EM_AARCH64, elf.EM_AARCH64: elf.EM_X86_64}[elf.Machine(byteorder.LittleEndian.Uint16(raw[18:]))]
	byteorder.LittleEndian.PutUint16(raw[18:], uint16(other))
	theirs := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(theirs, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	a := write(t, filepath.Join(t.TempDir(), "a"), mine, theirs)
	b := write(t, filepath.Join(t.TempDir(), "b"), theirs, mine)
	if got := strings.Join(a.Platforms, " "); got != "linux/amd64 linux/arm64" {
		t.Errorf("platforms %s", got)
	}
	if a.Digest != b.Digest {
		t.Error("the order in which they are given makes another image")
	}
	if _, err := Write(t.Context(), filepath.Join(t.TempDir(), "c"), program, []string{mine, mine}, release); err == nil || !strings.Contains(err.Error(), "two programs for") {
		t.Errorf("one architecture twice: %v", err)
	}
}

func TestABillOfMaterialsRefersToItsImage(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "package-lock.json")
	if err := os.WriteFile(lock, []byte(`{"packages": {
		"": {"name": "console"},
		"node_modules/react": {"version": "19.1.0", "license": "MIT"},
		"node_modules/@scope/one": {"version": "1.0.0"},
		"node_modules/@scope/one/node_modules/react": {"version": "18.0.0", "license": "MIT"},
		"node_modules/vitest": {"version": "4.1.0", "dev": true}}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	p := program
	p.Lockfile = lock
	dir := filepath.Join(t.TempDir(), "probe")
	if _, err := Write(t.Context(), dir, p, []string{probe(t)}, release); err != nil {
		t.Fatal(err)
	}
	store, index := open(t, dir)
	referrers, err := store.Predecessors(t.Context(), index.Manifests[0])
	if err != nil {
		t.Fatal(err)
	}
	var parts []byte
	for _, r := range referrers {
		if r.MediaType != ocispec.MediaTypeImageManifest {
			continue // the index
		}
		var m ocispec.Manifest
		fetch(t, store, r, &m)
		if m.ArtifactType != bomType || m.Subject == nil || m.Subject.Digest != index.Manifests[0].Digest {
			t.Errorf("%q about %v", m.ArtifactType, m.Subject)
		}
		if parts, err = content.FetchAll(t.Context(), store, m.Layers[0]); err != nil {
			t.Fatal(err)
		}
	}
	doc, err := spdxjson.Read(bytes.NewReader(parts))
	if err != nil {
		t.Fatalf("%v in %d bytes", err, len(parts))
	}
	urls := map[string]string{}
	for _, p := range doc.Packages {
		for _, r := range p.PackageExternalReferences {
			urls[r.Locator] = p.PackageLicenseDeclared
		}
	}
	for url, license := range map[string]string{"pkg:npm/react@19.1.0": "MIT", "pkg:npm/react@18.0.0": "MIT", "pkg:npm/%40scope/one@1.0.0": "NOASSERTION"} {
		if got, ok := urls[url]; !ok || got != license {
			t.Errorf("%s: %q, want %q", url, got, license)
		}
	}
	if len(urls) != 4 { // the three and Go's library
		t.Errorf("parts %v", urls)
	}
	beside, err := filepath.Glob(dir + ".*.spdx.json")
	if err != nil || len(beside) != 1 {
		t.Errorf("beside the layout: %v, %v", beside, err)
	}
}

func TestWhatIsNoProgramForAnImageIsRefused(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		files   []string
		version string
		want    string
	}{
		"a script":          {[]string{script}, "v1", "no program for Linux"},
		"nothing":           {nil, "v1", "no program was given"},
		"a version no tag":  {[]string{script}, "feature/x", "cannot be the tag"},
		"a file not there":  {[]string{script + "x"}, "v1", "no such file"},
		"a dynamic program": {[]string{"/proc/self/exe"}, "v1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a dynamic program" {
				dynamic, err := dynamicProgram()
				if err != nil {
					t.Skip(err)
				}
				c.files, c.want = []string{dynamic}, "not static"
			}
			dir := filepath.Join(t.TempDir(), "image")
			r := release
			r.Version = c.version
			if _, err := Write(context.Background(), dir, program, c.files, r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			left, err := os.ReadDir(filepath.Dir(dir))
			if err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// dynamicProgram finds one on this machine.
func dynamicProgram() (string, error) {
	for _, name := range []string{"ls", "sh", "git"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if f, err := elf.Open(path); err == nil {
			defer f.Close()
			for _, p := range f.Progs {
				if p.Type == elf.PT_INTERP {
					return path, nil
				}
			}
		}
	}
	return "", errors.New("this machine has no dynamic program to try with")
}
