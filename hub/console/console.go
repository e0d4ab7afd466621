package console

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// What the build of the sources leaves is in dist/app, which is in no repository;
// the page for programs without it is.
//
//go:embed all:dist
var dist embed.FS

const (
	indexFile = "index.html"
	// noncePlace is where the index page wants the nonce of each answer.
	noncePlace = "__CSP_NONCE__"
	// hashed is the directory of files whose names change with their content.
	hashed = "/assets/"
	// leastZipped is the size below which a file is sent as it is.
	leastZipped = 1024
)

// notPages begin the paths that are never pages of the console, whether there is
// something or not: who asks for them hears the API's own answer.
var notPages = []string{"api", "assets", "auth", "first-login", "k8s", "livez", "readyz", "healthz", "metrics", "openapi"}

// Console serves the pages and their files. It may be used by any number of
// goroutines.
type Console struct {
	index []byte
	built bool
	files map[string]*file // by path of the request
}

// New returns the console that this program was built with.
func New() (*Console, error) {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, err
	}
	return newConsole(sub)
}

// newConsole reads a directory of the form of dist.
func newConsole(dist fs.FS) (*Console, error) {
	c := &Console{files: map[string]*file{}}
	index, err := fs.ReadFile(dist, "app/"+indexFile)
	if errors.Is(err, fs.ErrNotExist) {
		c.index, err = fs.ReadFile(dist, "not-built.html")
		return c, err
	}
	if err != nil {
		return nil, err
	}
	c.index, c.built = index, true
	err = fs.WalkDir(dist, "app", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || name == "app/"+indexFile {
			return err
		}
		content, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		at := strings.TrimPrefix(name, "app")
		c.files[at] = newFile(at, content)
		return nil
	})
	return c, err
}

// Built reports whether the console is in this program.
func (c *Console) Built() bool { return c.built }

// Serves reports whether a request is for a page or a file of the console. Pages
// are what browsers open: a program that does not say that it takes HTML gets none
// but the first.
func (c *Console) Serves(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if c.files[r.URL.Path] != nil {
		return true
	}
	if r.URL.Path == "/" {
		return true
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	word, _, _ := strings.Cut(first, ".")
	return !slices.Contains(notPages, word) && takesPages(r)
}

func takesPages(r *http.Request) bool {
	for _, header := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			if media, _, _ := strings.Cut(part, ";"); strings.EqualFold(strings.TrimSpace(media), "text/html") {
				return true
			}
		}
	}
	return false
}

// ServeHTTP answers what Serves says yes to.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := c.files[r.URL.Path]; f != nil {
		f.serve(w, r)
		return
	}
	nonce := newNonce()
	h := w.Header()
	h.Set("Content-Security-Policy", policy(nonce))
	h.Set("Cache-Control", "no-store") // each answer has a nonce of its own
	h.Set("Content-Type", "text/html; charset=utf-8")
	page := bytes.ReplaceAll(c.index, []byte(noncePlace), []byte(nonce))
	if r.Method == http.MethodHead {
		h.Set("Content-Length", strconv.Itoa(len(page)))
		w.WriteHeader(http.StatusOK)
		return
	}
	_, _ = w.Write(page) // a browser that is gone hears of nothing
}

// policy is what the pages may do: load what the hub serves, and speak to it. Style
// sheets that scripts make need the nonce; scripts are files of the hub, always. A text
// never becomes markup or a script by a script's hand (Trusted Types): the one policy
// that there may be is of src/ui/trusted.ts, for the addresses of workers.
func policy(nonce string) string {
	style := "'self'"
	if nonce != "" {
		style += " 'nonce-" + nonce + "'"
	}
	return "default-src 'none'; script-src 'self'; style-src " + style + "; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types hawser-worker"
}

func newNonce() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}

// file is one file of the build.
type file struct {
	content   []byte
	media     string
	tag       string
	immutable bool
	zipped    func() []byte // nil: as it is
}

// medias are the types of what builds leave; the system's own table differs from
// machine to machine.
var medias = map[string]string{
	".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json", ".txt": "text/plain; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".webp": "image/webp",
	".woff": "font/woff", ".woff2": "font/woff2", ".wasm": "application/wasm",
}

func newFile(at string, content []byte) *file {
	sum := sha256.Sum256(content)
	f := &file{content: content, media: medias[path.Ext(at)], tag: hex.EncodeToString(sum[:12]), immutable: strings.HasPrefix(at, hashed)}
	if f.media == "" {
		f.media = "application/octet-stream"
	}
	if len(content) >= leastZipped && squeezable(f.media) {
		f.zipped = sync.OnceValue(func() []byte { return squeeze(content) })
	}
	return f
}

// squeezable says of which types files get smaller.
func squeezable(media string) bool {
	media, _, err := mime.ParseMediaType(media)
	return err == nil && (strings.HasPrefix(media, "text/") || slices.Contains([]string{"application/json", "application/manifest+json", "image/svg+xml", "application/wasm"}, media))
}

// squeeze does its best: it is done once for each file.
func squeeze(content []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(fmt.Sprintf("console: %v", err)) // the level is one
	}
	_, _ = z.Write(content) // a buffer takes everything
	_ = z.Close()
	return out.Bytes()
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy(""))
	h.Set("Content-Type", f.media)
	h.Set("Cache-Control", "no-cache")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	content, tag := f.content, f.tag
	if f.zipped != nil {
		h.Add("Vary", "Accept-Encoding")
		if takesGzip(r.Header.Get("Accept-Encoding")) {
			content, tag = f.zipped(), tag+"-gzip" // two forms are two things to a cache
			h.Set("Content-Encoding", "gzip")
		}
	}
	tag = `"` + tag + `"`
	h.Set("ETag", tag)
	if sameTag(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Type")
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, bytes.NewReader(content)) // a browser that is gone hears of nothing
	}
}

// sameTag reads If-None-Match (RFC 9110, 13.1.2).
func sameTag(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		if part = strings.TrimPrefix(strings.TrimSpace(part), "W/"); part == tag || part == "*" {
			return true
		}
	}
	return false
}

// takesGzip reads Accept-Encoding: a weight of nothing is a refusal (RFC 9110, 12.5.3).
func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(part, ";")
		if name = strings.TrimSpace(name); name != "*" && !strings.EqualFold(name, "gzip") {
			continue
		}
		q, weighted := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(parameters), " ", ""), "q=")
		return !weighted || strings.Trim(q, "0.") != ""
	}
	return false
}
