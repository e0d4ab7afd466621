package source

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// nameServer answers questions for addresses, one answer after the other, the
// last one for ever.
func nameServer(t *testing.T, answers ...string) (address string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		buf := make([]byte, 1500)
		for n := 0; ; {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var q dnsmessage.Message
			if q.Unpack(buf[:size]) != nil || len(q.Questions) != 1 {
				continue
			}
			q.Response, q.Additionals = true, nil
			if q.Questions[0].Type == dnsmessage.TypeA {
				q.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
					Body:   &dnsmessage.AResource{A: netip.MustParseAddr(answers[min(n, len(answers)-1)]).As4()},
				}}
				n++
			}
			if out, err := q.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	})
	t.Cleanup(func() { _ = conn.Close(); running.Wait() })
	return conn.LocalAddr().String()
}

func TestNamesThatLeadToABlockedNetwork(t *testing.T) {
	blocked := silentServer(t)
	_, port, _ := net.SplitHostPort(blocked.address)
	for name, dns := range map[string]string{"at once": nameServer(t, "127.9.0.1"), "after the first answer": nameServer(t, "127.0.0.1", "127.9.0.1")} {
		t.Run(name, func(t *testing.T) {
			s := newSources(t, Options{Blocked: blocked.networks(), WorkerCommand: []string{dns}})
			var last error
			for range 3 {
				for _, url := range []string{"http://meta.evil:" + port + "/x", "ssh://git@meta.evil:" + port + "/x"} {
					last = s.Check(t.Context(), url, &fleet.Credential{Password: pick(strings.HasPrefix(url, "ssh"), "x", "")})
					if last == nil {
						t.Error("that was a repository")
					}
				}
			}
			if !fault.HasCode(last, "address_blocked") || !strings.Contains(last.Error(), `host "meta.evil" resolves to`) {
				t.Errorf("got %v", last)
			}
		})
	}
	meta := newSources(t, Options{WorkerCommand: []string{nameServer(t, "169.254.169.254")}})
	if err := meta.Check(t.Context(), "http://meta.evil/x", nil); !fault.HasCode(err, "address_blocked") || !strings.Contains(err.Error(), `host "meta.evil" resolves to a link-local address, which is blocked`) {
		t.Errorf("got %v", err)
	}
	blocked.sawNothing(t)
}

func pick(cond bool, a, b string) string {
	if cond {
		return a
	}
	return b
}

func TestRedirectsToABlockedNetwork(t *testing.T) {
	blocked := silentServer(t)
	for _, to := range []string{blocked.address, "meta.evil"} {
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+to+r.URL.RequestURI(), http.StatusMovedPermanently)
		}))
		defer front.Close()
		s := newSources(t, Options{Blocked: blocked.networks(), WorkerCommand: []string{nameServer(t, "127.9.0.1")}})
		if _, err := resolve(t.Context(), s, front.URL+"/app.git", "main"); !fault.HasCode(err, "address_blocked") {
			t.Errorf("%s: %v", to, err)
		}
	}
	blocked.sawNothing(t)
}

func TestURLsThatRunNothing(t *testing.T) {
	canary := filepath.Join(t.TempDir(), "canary")
	s := newSources(t, Options{})
	for url, code := range map[string]string{
		"ssh://-oProxyCommand=touch$IFS" + canary + "/x": "repo_url_invalid",
		"-oProxyCommand=touch":                           "repo_url_invalid",
		"--upload-pack=touch " + canary:                  "repo_url_invalid",
		"ext::touch " + canary:                           "repo_scheme_forbidden",
		"ext::touch%20" + canary:                         "repo_scheme_forbidden",
		"fd::17/foo":                                     "repo_scheme_forbidden",
		"file://" + t.TempDir():                          "repo_scheme_forbidden",
		"git://host/x":                                   "repo_scheme_forbidden",
		t.TempDir():                                      "repo_url_invalid",
		"https://u:CANARY@host/x":                        "repo_url_has_credentials",
		"git@host:'; touch " + canary + "'":              "repo_url_invalid",
		"http://2130706433/x":                            "repo_url_invalid",
		"http://0x7f.1/x":                                "repo_url_invalid",
		"http://0177.0.0.1/x":                            "repo_url_invalid",
		"http://[fe80::1%25eth0]/x":                      "address_blocked",
	} {
		for what, err := range map[string]error{"Check": s.Check(t.Context(), url, nil), "Resolve": one(s.Resolve(t.Context(), url, targetsOf(url, "main"))), "Probe": one(probe(t, s, url, nil)), "Base": one(s.Base(t.Context(), url, ""))} {
			if what == "Probe" && code == "address_blocked" && err == nil {
				continue // tells it in a step
			}
			if !fault.HasCode(err, code) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("%s %s: %v", what, url, err)
			}
		}
	}
	if _, err := os.Stat(canary); err == nil {
		t.Error("a command ran")
	}
	if st := s.pool.Stats(); st.Crashed > 0 {
		t.Errorf("%+v", st)
	}
}

func one[T any](_ T, err error) error { return err }

// evilGit is a server that answers what a test writes.
func evilGit(t *testing.T, refs func(w io.Writer), pack func(w io.Writer)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info/refs") {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = w.Write(packets("# service=git-upload-pack\n", ""))
			refs(w)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = w.Write(packets("NAK\n"))
		pack(w)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/x.git"
}

// head is an advertisement of one branch.
func head(id string) func(io.Writer) {
	return func(w io.Writer) {
		_, _ = w.Write(packets(id+" HEAD\x00side-band-64k shallow symref=HEAD:refs/heads/main agent=git\n", id+" refs/heads/main\n", ""))
	}
}

// sideband sends data as a pack.
func sideband(w io.Writer, data []byte) {
	for len(data) > 0 {
		n := min(len(data), 60000)
		_, _ = w.Write(appendPacket(nil, "\x01%s", data[:n]))
		data = data[n:]
	}
	_, _ = io.WriteString(w, flushPacket)
}

// rawObject is an object of a pack: type, stated size, and what is compressed.
type rawObject struct {
	typ     int
	size    int
	base    []byte // of a ref-delta
	content []byte
}

func packOf(objects ...rawObject) []byte {
	var b bytes.Buffer
	b.WriteString("PACK")
	_ = binary.Write(&b, binary.BigEndian, [2]uint32{2, uint32(len(objects))})
	for _, o := range objects {
		first, size := byte(o.typ<<4|o.size&15), o.size>>4
		for size > 0 {
			b.WriteByte(first | 0x80)
			first, size = byte(size&0x7f), size>>7
		}
		b.WriteByte(first)
		b.Write(o.base)
		z := zlib.NewWriter(&b)
		_, _ = z.Write(o.content)
		_ = z.Close()
	}
	sum := sha1.Sum(b.Bytes())
	return append(b.Bytes(), sum[:]...)
}

func objectID(kind string, content []byte) string {
	return fmt.Sprintf("%x", sha1.Sum(append(fmt.Appendf(nil, "%s %d\x00", kind, len(content)), content...)))
}

func rawCommit(tree string) []byte {
	return fmt.Appendf(nil, "tree %s\nauthor a <a@b> 1700000000 +0000\ncommitter a <a@b> 1700000000 +0000\n\nm\n", tree)
}

func TestServersThatSendTooMuch(t *testing.T) {
	forever := func(line []byte) func(io.Writer) {
		return func(w io.Writer) {
			for {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}
	}
	lots := bytes.Repeat(packets(idA+" refs/heads/"+strings.Repeat("x", 200)+"\n"), 100)
	s := newSources(t, Options{MaxPackBytes: 4 << 20, Timeout: 30 * time.Second})
	for name, tt := range map[string]struct {
		url  string
		code string
	}{
		"references without end": {evilGit(t, forever(lots), nil), "repository_too_large"},
		"progress without end":   {evilGit(t, head(idA), forever(bytes.Repeat(packets("\x02"+strings.Repeat("x", 1000)), 50))), "repository_too_large"},
		"acks without end":       {evilGit(t, head(idA), forever(bytes.Repeat(packets("ACK "+idA+" continue\n"), 50))), "repository_too_large"},
		"a pack without end":     {evilGit(t, head(idA), forever(packets("\x01"+strings.Repeat("x", 60000)))), "git_not_git"},
		"a file of zeros": {evilGit(t, head(idA), func(w io.Writer) {
			sideband(w, packOf(rawObject{typ: 3, size: 1 << 31, content: make([]byte, 64<<20)}))
		}), "repository_too_large"},
		"many files of zeros": {evilGit(t, head(idA), func(w io.Writer) {
			zeros := rawObject{typ: 3, size: 8 << 20, content: make([]byte, 8<<20)}
			sideband(w, packOf(zeros, zeros, zeros, zeros))
		}), "repository_too_large"},
		"a difference of zeros": {evilGit(t, head(idA), func(w io.Writer) {
			sideband(w, packOf(rawObject{typ: 3, size: 1 << 20, content: make([]byte, 1<<20)},
				rawObject{typ: 7, size: 7 + 100*4, base: mustHex(objectID("blob", make([]byte, 1<<20))), content: zeroDelta(1<<20, 1<<40)}))
		}), "repository_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := resolve(t.Context(), s, tt.url, "main")
			if err == nil || tt.code != "" && !fault.HasCode(err, tt.code) {
				t.Errorf("got %v", err)
			}
			t.Logf("%v after %s", err, time.Since(start))
			if fault.HasCode(err, "worker_crashed") || fault.HasCode(err, "internal") {
				t.Errorf("got %v", err)
			}
		})
	}
	if st := s.pool.Stats(); st.Crashed > 0 {
		t.Errorf("%+v", st)
	}
}

// zeroDelta claims to make an object of size out of a base.
func zeroDelta(base, size uint64) []byte {
	out := binary.AppendUvarint(binary.AppendUvarint(nil, base), size)
	for len(out) < 7+100*4 {
		out = append(out, 0xf0, 0xff, 0xff, 0xff)
	}
	return out[:7+100*4]
}

func TestPacksThatAreBroken(t *testing.T) {
	tree := []byte("100644 a\x00" + strings.Repeat("a", 20))
	commit := rawCommit(objectID("tree", tree))
	id := objectID("commit", commit)
	good := rawObject{typ: 1, size: len(commit), content: commit}
	whole := packOf(good, rawObject{typ: 2, size: len(tree), content: tree})
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 0xff
	s := newSources(t, Options{})
	for name, pack := range map[string][]byte{
		"cut":                 whole[:len(whole)-30],
		"flipped":             flipped,
		"wrong checksum":      append(whole[:len(whole)-20:len(whole)-20], make([]byte, 20)...),
		"wrong size":          packOf(rawObject{typ: 1, size: len(commit) - 1, content: commit}),
		"larger size":         packOf(rawObject{typ: 1, size: len(commit) + 100, content: commit}),
		"unknown type":        packOf(rawObject{typ: 5, size: 1, content: []byte("x")}),
		"delta without base":  packOf(good, rawObject{typ: 7, size: 4, base: bytes.Repeat([]byte{7}, 20), content: []byte{1, 1, 1, 'x'}}),
		"delta of nonsense":   packOf(good, rawObject{typ: 7, size: 4, base: mustHex(id), content: []byte{0xff, 0xff, 0xff, 0xff, 0x7f}}),
		"another object":      packOf(rawObject{typ: 3, size: 1, content: []byte("x")}),
		"fewer than it says":  append(append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x09"), whole[12:]...), 0),
		"more than it says":   append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), whole[12:]...),
		"a count of billions": append([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"), whole[12:]...),
		"nothing":             {},
		"no pack":             []byte("hello"),
		"without the tree":    packOf(good),
	} {
		t.Run(name, func(t *testing.T) {
			url := evilGit(t, head(id), func(w io.Writer) { sideband(w, pack) })
			out, err := resolve(t.Context(), s, url, "main")
			if err == nil && out["main"].Err == nil {
				_, err = listFiles(t.Context(), snapshot(t, s, url, id), "", true)
			}
			if err == nil && out["main"].Err == nil {
				t.Fatal("it was taken")
			}
			if fault.HasCode(err, "worker_crashed") || fault.HasCode(err, "internal") {
				t.Errorf("got %v", err)
			}
		})
	}
	if st := s.pool.Stats(); st.Crashed > 0 {
		t.Errorf("%+v", st)
	}
}

func mustHex(id string) []byte {
	out := make([]byte, 20)
	if _, err := fmt.Sscanf(id, "%x", &out); err != nil {
		panic(err)
	}
	return out
}

func TestTreesWithNamesThatLeadElsewhere(t *testing.T) {
	blob := []byte("x")
	blobID := mustHex(objectID("blob", blob))
	for _, name := range []string{"..", ".", "", ".git", ".GIT", ".Git", "git~1", "GIT~1", ".git\u200c", ".g\u200dit", ".git ", ".git.", ".git...", ".git::$INDEX_ALLOCATION", "a/b", "../x", "/etc", `.git\config`, strings.Repeat("n", 4096)} {
		t.Run(fmt.Sprintf("%.30q", name), func(t *testing.T) {
			tree := append([]byte("100644 "+name+"\x00"), blobID...)
			inner := append([]byte("40000 sub\x00"), mustHex(objectID("tree", tree))...)
			commit := rawCommit(objectID("tree", inner))
			id := objectID("commit", commit)
			url := evilGit(t, head(id), func(w io.Writer) {
				sideband(w, packOf(rawObject{typ: 1, size: len(commit), content: commit}, rawObject{typ: 2, size: len(inner), content: inner},
					rawObject{typ: 2, size: len(tree), content: tree}, rawObject{typ: 3, size: 1, content: blob}))
			})
			s := newSources(t, Options{})
			snap := snapshot(t, s, url, id)
			for _, err := range []error{one(listFiles(t.Context(), snap, "", true)), one(listFiles(t.Context(), snap, "sub", false))} {
				if !fault.HasCode(err, "tree_invalid") || !fault.Is(err, fault.Unprocessable) || len(fault.As(err).Message) > 300 {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func TestNamesThatAreFine(t *testing.T) {
	for _, name := range []string{".gitignore", ".github", ".gitmodules", "git", "a..b", "...", "CON", "ünï", "a b", ".git-x", "git~2", "x.git"} {
		if !validName(name) {
			t.Errorf("%q is refused", name)
		}
	}
}

func TestAHugeListOfReferencesIsRead(t *testing.T) {
	server := gitServer(t, testbed.GitOptions{})
	repo, sha := createRepo(t, server, "app", map[string]string{"a": "1"})
	var b strings.Builder
	b.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range 20_000 {
		fmt.Fprintf(&b, "%s refs/heads/feature/%06d\n", sha, i)
	}
	if err := os.WriteFile(filepath.Join(repo.Dir(), "packed-refs"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSources(t, Options{})
	start := time.Now()
	if got := mustResolve(t, s, repo.URL(), "feature/019999"); got != sha {
		t.Errorf("got %s", got)
	}
	if r := resolveOne(t, s, repo.URL(), "feature/01999"); !fault.HasCode(r.Err, "revision_not_found") || !strings.Contains(r.Err.Error(), "closest") || len(fault.As(r.Err).Message) > 300 {
		t.Errorf("got %v", r.Err)
	}
	t.Logf("%s", time.Since(start))
}

func TestAResolveThatNobodyWaitsForEnds(t *testing.T) {
	release := make(chan struct{})
	url := evilGit(t, func(io.Writer) { <-release }, nil)
	defer close(release)
	s := newSources(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := resolve(ctx, s, url, "main"); err == nil {
		t.Error("there was an answer")
	}
}
