package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// pack makes a tar file of headers; the content of a regular file is its Uname,
// which archives hardly need.
func pack(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.Uname
		h.Uname = ""
		if h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		if h.Size == 0 && h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func reg(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Uname: content}
}

func dir(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755} }

func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}

// extract returns the files as "path" → content, links as "path" → "-> target".
func extract(r io.Reader, o Options) (map[string]string, error) {
	out := map[string]string{}
	err := Extract(r, o, func(f File, content io.Reader) error {
		data, err := io.ReadAll(content)
		if err != nil {
			return fmt.Errorf("storing %s: %w", f.Path, err)
		}
		switch {
		case f.Link != "":
			out[f.Path] = "-> " + f.Link
		case f.Executable:
			out[f.Path] = "x " + string(data)
		default:
			out[f.Path] = string(data)
		}
		return nil
	})
	return out, err
}

func TestFilesComeOutAsTheyWentIn(t *testing.T) {
	chart := pack(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "abc"}},
		dir("./redis/"),
		reg("./redis/Chart.yaml", "name: redis"),
		tar.Header{Typeflag: tar.TypeReg, Name: "redis/run.sh", Uname: "#!", Mode: 0o6755},
		reg("redis//templates/./a.yaml", ""),
		link("redis/templates/b.yaml", "../Chart.yaml"),
		link("redis/latest", "templates/"),
		reg("redis/"+strings.Repeat("d/", 40)+strings.Repeat("n", 200), "long"),
	)
	want := map[string]string{
		"Chart.yaml": "name: redis", "run.sh": "x #!", "templates/a.yaml": "", "templates/b.yaml": "-> ../Chart.yaml",
		"latest": "-> templates", strings.Repeat("d/", 40) + strings.Repeat("n", 200): "long",
	}
	for name, data := range map[string][]byte{
		"tar": chart, "gzip": zip(t, chart),
		"gzip in two members": append(zip(t, chart[:700]), zip(t, chart[700:])...),
		"padded":              append(bytes.Clone(chart), make([]byte, 20*512)...),
	} {
		got, err := extract(bytes.NewReader(data), Options{StripTop: true})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := extract(bytes.NewReader(chart), Options{}); err != nil || got["redis/Chart.yaml"] != "name: redis" {
		t.Errorf("unstripped: %v, %v", got, err)
	}
}

func TestHostileArchivesAreRefused(t *testing.T) {
	const invalid, outside = "archive_invalid", "symlink_out_of_bounds"
	for name, c := range map[string]struct {
		headers []tar.Header
		code    string
		text    string
	}{
		"parent":               {[]tar.Header{reg("../x", "")}, invalid, "lead out"},
		"parent inside":        {[]tar.Header{reg("a/../../x", "")}, invalid, "lead out"},
		"parent that returns":  {[]tar.Header{reg("a/../x", "")}, invalid, "lead out"},
		"absolute":             {[]tar.Header{reg("/etc/cron.d/x", "")}, invalid, "absolute"},
		"backslash":            {[]tar.Header{reg(`a\..\..\x`, "")}, invalid, "backslash"},
		"drive":                {[]tar.Header{reg("C:/x", "")}, invalid, "lead out"},
		"control character":    {[]tar.Header{reg("a\x1b[2Jb", "")}, invalid, "control"},
		"not UTF-8":            {[]tar.Header{reg("a\xff", "")}, invalid, "UTF-8"},
		"long name":            {[]tar.Header{reg(strings.Repeat("n", 300), "")}, invalid, "255"},
		"long path":            {[]tar.Header{reg(strings.Repeat("n/", 600)+"x", "")}, invalid, "1024"},
		"deep":                 {[]tar.Header{reg(strings.Repeat("n/", 70)+"x", "")}, invalid, "64"},
		"repository in it":     {[]tar.Header{reg("a/.GIT/config", "")}, invalid, "Git"},
		"pax path":             {[]tar.Header{{Typeflag: tar.TypeReg, Name: "../" + strings.Repeat("é", 60), Format: tar.FormatPAX}}, invalid, "lead out"},
		"hard link":            {[]tar.Header{reg("a", ""), {Typeflag: tar.TypeLink, Name: "b", Linkname: "a"}}, invalid, "hard link"},
		"hard link to outside": {[]tar.Header{{Typeflag: tar.TypeLink, Name: "b", Linkname: "/etc/passwd"}}, invalid, "hard link"},
		"device":               {[]tar.Header{{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}}, invalid, "a device"},
		"block device":         {[]tar.Header{{Typeflag: tar.TypeBlock, Name: "sda"}}, invalid, "a device"},
		"pipe":                 {[]tar.Header{{Typeflag: tar.TypeFifo, Name: "p"}}, invalid, "a pipe"},
		"twice":                {[]tar.Header{reg("a", "1"), reg("a", "2")}, invalid, "twice"},
		"twice, spelled anew":  {[]tar.Header{reg("d/a", "1"), reg("d/./a", "2")}, invalid, "twice"},
		"case":                 {[]tar.Header{reg("values.yaml", "1"), reg("Values.yaml", "2")}, invalid, "case"},
		"file as directory":    {[]tar.Header{reg("a", ""), reg("a/b", "")}, invalid, "as a directory"},
		"directory as file":    {[]tar.Header{reg("a/b", ""), reg("a", "")}, invalid, "as a directory"},
		"directory over file":  {[]tar.Header{reg("a", ""), dir("a")}, invalid, "as a directory"},
		"file through link":    {[]tar.Header{link("d", "e"), reg("d/x", "")}, invalid, "as a directory"},
		"link under file":      {[]tar.Header{reg("d/x", ""), link("d", "e")}, invalid, "as a directory"},
		"link absolute":        {[]tar.Header{link("a", "/var/run/secrets/token")}, outside, `"a"`},
		"link up":              {[]tar.Header{link("a", "../x")}, outside, `"a"`},
		"link up from below":   {[]tar.Header{link("d/a", "../../x")}, outside, `"d/a"`},
		"link up by a detour":  {[]tar.Header{link("d/e/a", "../b/../../../x")}, outside, "a"},
		"link down and up":     {[]tar.Header{link("a/b/d", "../.."), link("e", "a/b/d/../x")}, outside, `"e"`},
		"link without target":  {[]tar.Header{link("a", "")}, invalid, "no path"},
		"nothing in it":        {[]tar.Header{dir("a")}, invalid, "no file"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, data := range [][]byte{pack(t, c.headers...), zip(t, pack(t, c.headers...))} {
				_, err := extract(bytes.NewReader(data), Options{Name: `chart "x"`})
				if e := fault.As(err); err == nil || e.Code != c.code || !strings.Contains(e.Message, c.text) || e.Kind != fault.Unprocessable {
					t.Errorf("got %v", err)
				} else if len(e.Message) > 300 || !strings.HasPrefix(e.Message, `chart "x"`) {
					t.Errorf("message %q", e.Message)
				}
			}
		})
	}
}

func TestFoldersOfAChart(t *testing.T) {
	for name, headers := range map[string][]tar.Header{
		"two folders":   {reg("a/x", ""), reg("b/x", "")},
		"beside":        {reg("a/x", ""), reg("x", "")},
		"without":       {reg("Chart.yaml", "")},
		"out by a link": {link("a/x", "../y")},
	} {
		if _, err := extract(bytes.NewReader(pack(t, headers...)), Options{StripTop: true}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// repeated is a file of zeros that exists only while it is read.
type repeated struct{ left int64 }

func (r *repeated) Read(b []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), r.left))
	clear(b[:n])
	r.left -= int64(n)
	return n, nil
}

// bomb writes a tar file, packed with gzip, with one file of size zeros.
func bomb(size int64) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		packed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err == nil {
			plain := tar.NewWriter(packed)
			err = plain.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "zeros", Size: size, Mode: 0o644})
			if err == nil {
				_, err = io.Copy(plain, &repeated{size})
			}
			err = errors.Join(err, plain.Close(), packed.Close())
		}
		_ = w.CloseWithError(err)
	}()
	return r
}

func TestLimitsHoldWhileReading(t *testing.T) {
	const many = 10 << 30
	for name, c := range map[string]struct {
		limits Limits
		text   string
	}{
		"ratio":  {Limits{File: many, Total: many}, "200 times"},
		"total":  {Limits{File: many, Total: 20 << 20, Ratio: 1 << 30}, "more than 20 MiB"},
		"file":   {Limits{}, "one file may have 64 MiB"},
		"packed": {Limits{File: many, Total: many, Ratio: 1 << 30, Packed: 100 << 10}, "larger than 100 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			r := bomb(many)
			var got int64
			err := Extract(r, Options{Limits: c.limits}, func(_ File, content io.Reader) error {
				n, err := io.Copy(io.Discard, content)
				got += n
				return err
			})
			if !fault.HasCode(err, "too_large") || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
			if got > 100<<20 { // zeros are packed a thousand to one
				t.Errorf("%d bytes were unpacked", got)
			}
			_ = r.Close()
		})
	}
	entries := make([]tar.Header, 30)
	for i := range entries {
		entries[i] = dir(fmt.Sprintf("d%d", i))
	}
	if _, err := extract(bytes.NewReader(pack(t, entries...)), Options{Limits: Limits{Files: 29}}); !fault.HasCode(err, "too_large") {
		t.Errorf("entries: %v", err)
	}
}

func TestOtherContentIsNamed(t *testing.T) {
	whole := zip(t, pack(t, reg("a", strings.Repeat("content ", 500)), reg("b", "x")))
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-6] ^= 0xff // in the checksum
	for name, c := range map[string]struct {
		data []byte
		text string
	}{
		"empty":        {nil, "is empty"},
		"web page":     {[]byte("<!DOCTYPE html><title>Log in</title>"), "web page"},
		"zip":          {[]byte("PK\x03\x04aaaaaaaa"), "zip file"},
		"zstd":         {[]byte("\x28\xb5\x2f\xfdaaaaaa"), "zstd"},
		"text":         {[]byte(strings.Repeat("kind: ConfigMap\n", 100)), "not a tar file"},
		"cut gzip":     {whole[:len(whole)/2], "ends in the middle"},
		"cut tar":      {pack(t, reg("a", strings.Repeat("x", 2000)))[:1500], "ends in the middle"},
		"bad checksum": {flipped, "not a tar file"},
		"long tail":    {append(pack(t, reg("a", "b")), bytes.Repeat([]byte{1}, 2<<20)...), "goes on"},
	} {
		_, err := extract(bytes.NewReader(c.data), Options{})
		if !fault.HasCode(err, "archive_invalid") || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsOfReaderAndWriterPass(t *testing.T) {
	lost := fault.New(fault.Upstream, "source_unavailable", "the server went away")
	whole := zip(t, pack(t, reg("a", strings.Repeat("content ", 500))))
	_, err := extract(io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), failing{lost}), Options{})
	if !errors.Is(err, lost) || !fault.HasCode(err, "source_unavailable") {
		t.Errorf("reader: %v", err)
	}
	full := errors.New("disk full")
	err = Extract(bytes.NewReader(whole), Options{}, func(File, io.Reader) error { return full })
	if !errors.Is(err, full) || fault.HasCode(err, "archive_invalid") {
		t.Errorf("writer: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func FuzzExtract(f *testing.F) {
	f.Add(pack(f, dir("a/"), reg("a/b", "c"), link("a/l", "b")))
	f.Add(zip(f, pack(f, reg("a", "b"))))
	f.Add(pack(f, reg("../a", "b")))
	f.Add(pack(f, link("a", "../../b"), reg("a/b", "c")))
	f.Add(pack(f, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("é", 80), Format: tar.FormatPAX}))
	f.Add(pack(f, tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"}))
	limits := Limits{Packed: 1 << 20, Total: 1 << 20, File: 64 << 10, Files: 100}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, strip := range []bool{false, true} {
			seen := map[string]bool{}
			var total int64
			err := Extract(bytes.NewReader(data), Options{Limits: limits, StripTop: strip}, func(f File, content io.Reader) error {
				n, err := io.Copy(io.Discard, content)
				total += n
				if f.Path == "" || f.Path != path.Clean(f.Path) || strings.HasPrefix(f.Path, "/") || f.Path == ".." || strings.HasPrefix(f.Path, "../") {
					t.Errorf("path %q", f.Path)
				}
				if seen[f.Path] {
					t.Errorf("%q twice", f.Path)
				}
				seen[f.Path] = true
				if f.Link != "" {
					if to := path.Join(path.Dir(f.Path), f.Link); strings.HasPrefix(f.Link, "/") || to == ".." || strings.HasPrefix(to, "../") {
						t.Errorf("link %q to %q", f.Path, f.Link)
					}
				}
				for d := path.Dir(f.Path); d != "."; d = path.Dir(d) {
					if seen[d] {
						t.Errorf("%q is below the file %q", f.Path, d)
					}
				}
				if err == nil && f.Link == "" && n != f.Size {
					t.Errorf("%q has %d bytes of %d", f.Path, n, f.Size)
				}
				return err
			})
			if total > limits.Total {
				t.Errorf("%d bytes came out", total)
			}
			if err != nil && fault.As(err).Kind != fault.Unprocessable {
				t.Errorf("%v", err)
			}
			if err == nil && len(seen) == 0 {
				t.Error("nothing came out of a good archive")
			}
		}
	})
}
