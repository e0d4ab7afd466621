package source

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// lfsServer is a Git server that keeps large files too.
type lfsServer struct {
	git   *testbed.GitServer
	url   string
	files map[string][]byte // by SHA-256

	mu      sync.Mutex
	batches []int // how many files each asked for
	gets    int
	users   map[string]bool
	// answer replaces the answer to a batch, href that of a file.
	answer func(w http.ResponseWriter) bool
	href   func(id string) string
}

func newLFSServer(t *testing.T) (*lfsServer, keyPair) {
	t.Helper()
	l := &lfsServer{git: gitServer(t, testbed.GitOptions{}), files: map[string][]byte{}, users: map[string]bool{}}
	var pair keyPair
	l.url, pair = startTLS(t, l, "")
	return l, pair
}

// pointer keeps a file and returns what the repository has in its place.
func (l *lfsServer) pointer(content string) string {
	sum := sha256.Sum256([]byte(content))
	id := hex.EncodeToString(sum[:])
	l.files[id] = []byte(content)
	return pointerTo(id, len(content))
}

func pointerTo(id string, size int) string {
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", id, size)
}

func (l *lfsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.Path, "/lfs/") && !strings.HasPrefix(r.URL.Path, "/store/") {
		l.git.ServeHTTP(w, r)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	user, _, _ := r.BasicAuth()
	l.users[user] = true
	if id, ok := strings.CutPrefix(r.URL.Path, "/store/"); ok {
		l.gets++
		if r.Header.Get("X-Key") != "for "+id {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write(l.files[id])
		return
	}
	if r.URL.Path != "/app.git/info/lfs/objects/batch" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != lfsType {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if l.answer != nil && l.answer(w) {
		return
	}
	var ask struct{ Objects []struct{ Oid string } }
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	l.batches = append(l.batches, len(ask.Objects))
	var objects []map[string]any
	for _, o := range ask.Objects {
		content, ok := l.files[o.Oid]
		if !ok {
			objects = append(objects, map[string]any{"oid": o.Oid, "error": map[string]any{"code": 404, "message": "Object does not exist"}})
			continue
		}
		href := l.url + "/store/" + o.Oid
		if l.href != nil {
			href = l.href(o.Oid)
		}
		objects = append(objects, map[string]any{"oid": o.Oid, "size": len(content), "actions": map[string]any{
			"download": map[string]any{"href": href, "header": map[string]string{"X-Key": "for " + o.Oid, "Host": "evil"}},
		}})
	}
	w.Header().Set("Content-Type", lfsType)
	_ = json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": objects})
}

func TestLargeFiles(t *testing.T) {
	l, pair := newLFSServer(t)
	big := strings.Repeat("big ", 100_000)
	files := map[string]string{"big.bin": l.pointer(big), "small.yaml": "a: 1\n", "empty.bin": l.pointer("x"), "near.txt": "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n" + strings.Repeat("#", 100)}
	for i := range maxBatch + 5 {
		files[fmt.Sprintf("many/%03d", i)] = l.pointer(fmt.Sprint("file ", i))
	}
	_, head := createRepo(t, l.git, "app", files)
	url := l.url + "/app.git"
	cred := fleet.Credential{CABundle: pair.authority}
	plain := snapshot(t, newSources(t, always(cred)), url, head)
	if got := fileText(t, plain, "big.bin"); got != files["big.bin"] {
		t.Errorf("without asking for it the pointer is the file, not %.100q", got)
	}
	cred.EnableLFS, cred.Username, cred.Password = true, "robot", "CANARY"
	dir := t.TempDir()
	opts := always(cred)
	opts.Dir = dir
	s := newSources(t, opts)
	snap := snapshot(t, s, url, head)
	if snap.Root() == plain.Root() {
		t.Error("pointers and files are the same")
	}
	hash, size, mode, err := snap.Stat(t.Context(), "big.bin")
	if err != nil || size != int64(len(big)) || Mode(mode) != ModeRegular {
		t.Fatalf("%s %d %o %v", hash, size, mode, err)
	}
	if l.gets > 0 {
		t.Error("fetched before anybody read")
	}
	for path, want := range map[string]string{"big.bin": big, "small.yaml": "a: 1\n", "empty.bin": "x", "near.txt": files["near.txt"]} {
		if got := fileText(t, snap, path); got != want {
			t.Errorf("%s: %d bytes, want %d", path, len(got), len(want))
		}
	}
	l.mu.Lock()
	l.batches, l.gets = nil, 0
	l.mu.Unlock()
	many, err := listFiles(t.Context(), snap, "many", true)
	if err != nil {
		t.Fatal(err)
	}
	var hashes []string
	for _, f := range many {
		hashes = append(hashes, f.hash)
	}
	contents, err := snap.Contents(t.Context(), hashes)
	if err != nil || string(contents[7]) != "file 7" {
		t.Fatalf("%v", err)
	}
	if fmt.Sprint(l.batches) != fmt.Sprint([]int{maxBatch, 5}) || l.gets != maxBatch+5 {
		t.Errorf("batches %v and %d requests", l.batches, l.gets)
	}
	// Another hub process finds them on disk.
	again := snapshot(t, newSources(t, opts), url, head)
	if got := fileText(t, again, "many/007"); got != "file 7" || l.gets != maxBatch+5 {
		t.Errorf("%q after %d requests", got, l.gets)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*", "lfs", "tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("left on disk: %v %v", left, err)
	}
}

func TestLargeFilesOfOneRepositoryAreNotThoseOfAnother(t *testing.T) {
	l, pair := newLFSServer(t)
	secret := l.pointer("secret of app\n")
	_, head := createRepo(t, l.git, "app", map[string]string{"a": secret})
	_, thief := createRepo(t, l.git, "thief", map[string]string{"a": secret}) // whoever knows the hash
	s := newSources(t, always(fleet.Credential{CABundle: pair.authority, EnableLFS: true}))
	if got := fileText(t, snapshot(t, s, l.url+"/app.git", head), "a"); got != "secret of app\n" {
		t.Errorf("got %q", got)
	}
	if text, _, err := read(t.Context(), snapshot(t, s, l.url+"/thief.git", thief), "a"); !fault.HasCode(err, "lfs_unavailable") {
		t.Errorf("got %q %v", text, err)
	}
}

func TestLargeFilesThatAreRefused(t *testing.T) {
	blocked := silentServer(t)
	for name, tt := range map[string]struct {
		change     func(l *lfsServer, id string)
		size       int // of the pointer, 0: right
		code, text string
	}{
		"other bytes": {func(l *lfsServer, id string) { l.files[id] = []byte(strings.ToUpper(string(l.files[id]))) }, 0, "lfs_object_corrupt", "other bytes"},
		"more bytes":  {func(l *lfsServer, id string) { l.files[id] = append(l.files[id], l.files[id]...) }, 0, "lfs_object_corrupt", ""},
		"fewer bytes": {func(l *lfsServer, id string) { l.files[id] = l.files[id][:3] }, 0, "lfs_object_corrupt", ""},
		"missing":     {func(l *lfsServer, id string) { delete(l.files, id) }, 0, "lfs_object_missing", "Object does not exist"},
		"too large":   {func(*lfsServer, string) {}, 1 << 40, "too_large", "64 MiB"},
		"blocked": {func(l *lfsServer, _ string) {
			l.href = func(string) string { return "https://" + blocked.address + "/x" }
		}, 0, "address_blocked", ""},
		"metadata": {func(l *lfsServer, _ string) {
			l.href = func(string) string { return "https://169.254.169.254/x" }
		}, 0, "address_blocked", ""},
		"plain http": {func(l *lfsServer, _ string) {
			l.href = func(string) string { return "http://" + blocked.address + "/x" }
		}, 0, "lfs_unavailable", "not https"},
		"file": {func(l *lfsServer, _ string) { l.href = func(string) string { return "file:///etc/passwd" } }, 0, "lfs_unavailable", ""},
		"page": {func(l *lfsServer, _ string) {
			l.answer = func(w http.ResponseWriter) bool {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "<html>")
				return true
			}
		}, 0, "lfs_unavailable", "not Git LFS"},
		"login": {func(l *lfsServer, _ string) {
			l.answer = func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusUnauthorized); return true }
		}, 0, "git_auth_failed", ""},
		"silence": {func(l *lfsServer, _ string) {
			l.answer = func(w http.ResponseWriter) bool {
				w.Header().Set("Content-Type", lfsType)
				fmt.Fprint(w, `{"objects":[]}`)
				return true
			}
		}, 0, "lfs_unavailable", "says nothing about"},
		"endless": {func(l *lfsServer, _ string) {
			l.answer = func(w http.ResponseWriter) bool {
				w.Header().Set("Content-Type", lfsType)
				for range maxBatchAnswer/1000 + 10 {
					fmt.Fprint(w, strings.Repeat("[", 1000))
				}
				return true
			}
		}, 0, "lfs_unavailable", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, pair := newLFSServer(t)
			content := "content of a large file"
			text := l.pointer(content)
			f := parsePointer([]byte(text))
			if tt.size != 0 {
				text = pointerTo(f.GetId(), tt.size)
			}
			_, head := createRepo(t, l.git, "app", map[string]string{"a": text, "b": "b"})
			tt.change(l, f.GetId())
			opts := always(fleet.Credential{CABundle: pair.authority, EnableLFS: true})
			opts.Blocked = blocked.networks()
			snap := snapshot(t, newSources(t, opts), l.url+"/app.git", head)
			if got := fileText(t, snap, "b"); got != "b" {
				t.Errorf("got %q", got)
			}
			if got, _, err := read(t.Context(), snap, "a"); !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %q %v", got, err)
			}
		})
	}
	blocked.sawNothing(t)
}

func TestParsePointer(t *testing.T) {
	id := strings.Repeat("ab", 32)
	for text, want := range map[string]int64{
		pointerTo(id, 12): 12,
		"version https://git-lfs.github.com/spec/v1\next-0-foo sha256:" + id + "\noid sha256:" + id + "\nsize 5\n": 5,
		strings.TrimSuffix(pointerTo(id, 0), "\n"):       0,
		pointerTo(id, -1):                                -1,
		pointerTo(strings.ToUpper(id), 1):                -1,
		pointerTo("../../../../etc/passwd", 1):           -1,
		"x" + pointerTo(id, 1):                           -1,
		strings.Replace(pointerTo(id, 1), "v1", "v2", 1): -1,
	} {
		f := parsePointer([]byte(text))
		if want < 0 && f != nil || want >= 0 && (f == nil || f.GetSize() != want || f.GetId() != id) {
			t.Errorf("%q: %v", text, f)
		}
	}
}
