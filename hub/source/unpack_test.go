package source

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// packedEntry of a tar; without a type it is a file.
type packedEntry struct {
	name, body, link string
	kind             byte
	size             int64 // when it is not that of body
}

func packedDirectory(t *testing.T, entries ...packedEntry) []byte {
	t.Helper()
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	w := tar.NewWriter(gz)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o644, Linkname: e.link, Size: max(e.size, int64(len(e.body)))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.kind == tar.TypeReg {
			if _, err := w.Write(append([]byte(e.body), make([]byte, h.Size-int64(len(e.body)))...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestUnpackTakesADirectory(t *testing.T) {
	dir := t.TempDir()
	data := packedDirectory(t, packedEntry{name: "./", kind: tar.TypeDir}, packedEntry{name: "app/a.yaml", body: "a"}, packedEntry{name: "app/link.yaml", link: "../base/b.yaml", kind: tar.TypeSymlink},
		packedEntry{name: "base/b.yaml", body: "b"}, packedEntry{name: "app/gone", link: "nowhere", kind: tar.TypeSymlink})
	if err := Unpack(bytes.NewReader(data), dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"app/a.yaml": "a", "app/link.yaml": "b"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	many := make([]packedEntry, 0, unpackedEntries+1)
	for i := range unpackedEntries + 1 {
		many = append(many, packedEntry{name: fmt.Sprintf("d%d", i), kind: tar.TypeDir})
	}
	deep := "x"
	for range unpackedDepth {
		deep = "d/" + deep
	}
	for name, c := range map[string]struct {
		data []byte
		code string
	}{
		"no gzip":           {[]byte("apiVersion: v1"), "archive_invalid"},
		"empty":             {nil, "archive_invalid"},
		"half":              {packedDirectory(t, packedEntry{name: "a", body: "aaaaaaaaaaaaaaaaaaaa"})[:20], "archive_invalid"},
		"leaves":            {packedDirectory(t, packedEntry{name: "../a", body: "a"}), "path_escapes_repo"},
		"leaves in between": {packedDirectory(t, packedEntry{name: "b/../../a", body: "a"}), "path_escapes_repo"},
		"absolute":          {packedDirectory(t, packedEntry{name: "/etc/a", body: "a"}), "path_escapes_repo"},
		"backslash":         {packedDirectory(t, packedEntry{name: `a\b`, body: "a"}), "path_escapes_repo"},
		"absolute link":     {packedDirectory(t, packedEntry{name: "a", link: "/etc/passwd", kind: tar.TypeSymlink}), "symlink_out_of_bounds"},
		"link out":          {packedDirectory(t, packedEntry{name: "d/a", link: "../../x", kind: tar.TypeSymlink}), "symlink_out_of_bounds"},
		"link through a link": {packedDirectory(t, packedEntry{name: "d/e", link: "..", kind: tar.TypeSymlink}, packedEntry{name: "f", link: "d/e/../../x", kind: tar.TypeSymlink}),
			"symlink_out_of_bounds"},
		"file through a link": {packedDirectory(t, packedEntry{name: "d", link: ".", kind: tar.TypeSymlink}, packedEntry{name: "d/d", body: "x"}), "archive_invalid"},
		"hard link":           {packedDirectory(t, packedEntry{name: "a", link: "b", kind: tar.TypeLink}), "archive_invalid"},
		"device":              {packedDirectory(t, packedEntry{name: "a", kind: tar.TypeChar}), "archive_invalid"},
		"twice":               {packedDirectory(t, packedEntry{name: "a", body: "a"}, packedEntry{name: "a", body: "b"}), "archive_invalid"},
		"many":                {packedDirectory(t, many...), "too_large"},
		"deep":                {packedDirectory(t, packedEntry{name: deep, body: "a"}), "too_large"},
		"bomb":                {packedDirectory(t, packedEntry{name: "a", size: 40 << 20}, packedEntry{name: "b", size: 40 << 20}), "too_large"},
	} {
		dir := t.TempDir()
		if err := Unpack(bytes.NewReader(c.data), dir); !fault.HasCode(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}
