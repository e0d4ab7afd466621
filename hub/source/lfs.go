package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// A pointer has these sizes at least and at most, in bytes.
	minPointer = 100
	maxPointer = 1024
	// maxBatch is how many files are asked for in one request.
	maxBatch = 100
	// maxBatchAnswer bounds the answer to it.
	maxBatchAnswer = 8 << 20
	// maxLargeDir is what large files of one repository may take on disk;
	// beyond it the oldest go.
	maxLargeDir = 4 << 30
	lfsType     = "application/vnd.git-lfs+json"
)

var largeID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// parsePointer reads a pointer to a large file, nil when content is none.
func parsePointer(content []byte) *workerv1.GitLargeFile {
	text, ok := strings.CutPrefix(string(content), "version https://git-lfs.github.com/spec/v1\n")
	if !ok {
		return nil
	}
	f := &workerv1.GitLargeFile{Size: -1}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch key {
		case "oid":
			f.Id, _ = strings.CutPrefix(value, "sha256:")
		case "size":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return nil
			}
			f.Size = n
		}
	}
	if !largeID.MatchString(f.Id) || f.Size < 0 {
		return nil
	}
	return f
}

// largePath is where a large file of a repository is.
func largePath(dir, id string) string {
	return filepath.Join(dir, "lfs", id[:2], id[2:])
}

// readLarge reads large files from disk, and says which are not there.
func (c *child) readLarge(req *workerv1.GitReadLarge) (*workerv1.GitLarge, error) {
	out := &workerv1.GitLarge{}
	var total int64
	for i, f := range req.GetFiles() {
		if !largeID.MatchString(f.GetId()) {
			return nil, fault.New(fault.Internal, "internal", "a large file has no SHA-256")
		}
		if total += f.GetSize(); f.GetSize() < 0 || total > req.GetMaxBytes() {
			return nil, errLargeFiles()
		}
		info, err := os.Stat(largePath(req.GetDirectory(), f.GetId()))
		if err != nil || info.Size() != f.GetSize() {
			out.Missing = append(out.Missing, int32(i))
		}
	}
	if len(out.Missing) > 0 {
		return out, nil
	}
	for _, f := range req.GetFiles() {
		data, err := os.ReadFile(largePath(req.GetDirectory(), f.GetId()))
		if err != nil {
			return nil, storeFault(err)
		}
		out.Contents = append(out.Contents, data)
	}
	return out, nil
}

// fetchLarge gets large files from the server of a repository. The repository's
// own settings (.lfsconfig) are not looked at: files come from where the
// repository is, or from where that server says.
func (c *child) fetchLarge(ctx context.Context, req *workerv1.GitFetchLarge) error {
	r := req.GetRemote()
	u, err := ParseURL(r.GetUrl(), r.GetAllowFile())
	if err != nil {
		return err
	}
	l := &largeFetch{dir: filepath.Join(req.GetDirectory(), "lfs"), repo: u, remote: r, left: r.GetMaxPackBytes()}
	if err := l.run(ctx, req.GetFiles()); err != nil {
		if onDisk(err) {
			return storeFault(err)
		}
		return upstream(u.String(), u.Host, err)
	}
	return nil
}

// largeFetch is one conversation with a server of large files.
type largeFetch struct {
	dir    string
	repo   URL
	remote *workerv1.Remote
	left   int64 // bytes that may still come

	server *url.URL
	header map[string]string // of the server, in place of the credential
	client *http.Client
}

func (l *largeFetch) run(ctx context.Context, files []*workerv1.GitLargeFile) error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	if err := l.tidy(); err != nil {
		return err
	}
	if err := l.locate(ctx); err != nil {
		return err
	}
	t, err := transport(l.remote, l.server)
	if err != nil {
		return err
	}
	l.client = &http.Client{Transport: t, CheckRedirect: checkRedirect}
	for chunk := range slices.Chunk(files, maxBatch) {
		if err := l.batch(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// tidy removes what a killed process left, and old files when there are too
// many.
func (l *largeFetch) tidy() error {
	type old struct {
		path string
		size int64
		at   time.Time
	}
	var all []old
	var total int64
	err := filepath.WalkDir(l.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if strings.HasPrefix(e.Name(), "tmp-") {
			return os.Remove(path)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		all = append(all, old{path, info.Size(), info.ModTime()})
		return nil
	})
	if err != nil || total <= maxLargeDir {
		return err
	}
	slices.SortFunc(all, func(a, b old) int { return a.at.Compare(b.at) })
	for _, f := range all {
		if total <= maxLargeDir/2 {
			break
		}
		if err := os.Remove(f.path); err != nil {
			return err
		}
		total -= f.size
	}
	return nil
}

// locate finds the server: below the repository, or where the SSH server says.
func (l *largeFetch) locate(ctx context.Context) error {
	switch l.repo.Scheme {
	case "https", "http":
		if l.repo.Scheme == "http" && secret(l.remote) && !l.remote.GetAllowHttpCredentials() {
			return errInsecure()
		}
		u, err := url.Parse(lfsURL(l.repo.String()))
		l.server = u
		return err
	case "ssh":
		o, err := optionsOf(l.remote, filepath.Dir(filepath.Dir(l.dir)))
		if err != nil {
			return err
		}
		s, err := newSSHRemote(l.repo, o)
		if err != nil {
			return err
		}
		defer s.close()
		text, err := s.(*sshRemote).run(ctx, "git-lfs-authenticate "+shellQuote(l.repo.Path)+" download")
		if err != nil {
			return err
		}
		l.server, l.header, err = largePlace(l.repo.String(), text, l.remote.GetAllowHttpCredentials())
		return err
	}
	return errNoLFS(l.repo.String(), "is a directory, and large files come from servers")
}

// largePlace reads what a server says over SSH: where its large files are, and the
// headers that let the hub in, which are never nil.
func largePlace(repo string, text []byte, plain bool) (*url.URL, map[string]string, error) {
	var answer struct {
		Href   string            `json:"href"`
		Header map[string]string `json:"header"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.Href == "" {
		return nil, nil, errNoLFS(repo, "does not say over SSH where its large files are")
	}
	u, err := url.Parse(answer.Href)
	if err != nil || u.Scheme != "https" && !(u.Scheme == "http" && plain) || u.Host == "" || u.User != nil {
		return nil, nil, errNoLFS(repo, "says over SSH that its large files are at something that is not https")
	}
	if answer.Header == nil {
		answer.Header = map[string]string{}
	}
	return u, answer.Header, nil
}

// lfsURL is where the large files of a repository are.
func lfsURL(repo string) string {
	repo = strings.TrimRight(repo, "/")
	if !strings.HasSuffix(repo, ".git") {
		repo += ".git"
	}
	return repo + "/info/lfs"
}

func errNoLFS(repo, format string, args ...any) error {
	return fault.New(fault.Upstream, "lfs_unavailable", "%s", clip(repo+" "+fmt.Sprintf(format, args...), 300))
}

// lfsAction is what a server says about one file.
type lfsAction struct {
	Oid     string `json:"oid"`
	Size    int64  `json:"size"`
	Actions struct {
		Download struct {
			Href   string            `json:"href"`
			Header map[string]string `json:"header"`
		} `json:"download"`
	} `json:"actions"`
	Error *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func (l *largeFetch) batch(ctx context.Context, files []*workerv1.GitLargeFile) error {
	type object struct {
		Oid  string `json:"oid"`
		Size int64  `json:"size"`
	}
	ask := struct {
		Operation string   `json:"operation"`
		Transfers []string `json:"transfers"`
		Objects   []object `json:"objects"`
		HashAlgo  string   `json:"hash_algo"`
	}{"download", []string{"basic"}, nil, "sha256"}
	for _, f := range files {
		ask.Objects = append(ask.Objects, object{f.GetId(), f.GetSize()})
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(l.server.String(), "/")+"/objects/batch", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", lfsType)
	req.Header.Set("Content-Type", lfsType)
	l.authorize(req)
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if err := l.check(resp); err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(&stallReader{r: resp.Body, close: resp.Body.Close, limit: stallLimit}, maxBatchAnswer))
	if err != nil {
		return err
	}
	var answer struct {
		Transfer string      `json:"transfer"`
		Objects  []lfsAction `json:"objects"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return errNoLFS(l.repo.String(), "answers with something that is not Git LFS")
	}
	if answer.Transfer != "" && answer.Transfer != "basic" {
		return errNoLFS(l.repo.String(), "wants to transfer large files by %q, which is not supported", printable(answer.Transfer))
	}
	for _, f := range files {
		i := slices.IndexFunc(answer.Objects, func(a lfsAction) bool { return a.Oid == f.GetId() })
		if i < 0 {
			return errNoLFS(l.repo.String(), "says nothing about the large file %s", f.GetId()[:12])
		}
		a := answer.Objects[i]
		if a.Error != nil {
			return fault.New(fault.Upstream, "lfs_object_missing", "%s does not have the large file %s (%d): %s", l.repo, f.GetId()[:12], a.Error.Code, printable(a.Error.Message)).
				WithFix("git lfs push --all, from a checkout that has it")
		}
		if err := l.download(ctx, f, a); err != nil {
			return err
		}
	}
	return nil
}

// authorize adds what lets the hub in at the server of large files.
func (l *largeFetch) authorize(req *http.Request) {
	req.Header.Set("User-Agent", "git-lfs/hawser")
	if l.header == nil {
		authorize(req, l.remote)
		return
	}
	setHeaders(req, l.header)
}

// setHeaders adds headers that a server asks for, but for those that steer the
// connection.
func setHeaders(req *http.Request, header map[string]string) {
	for k, v := range header {
		switch http.CanonicalHeaderKey(k) {
		case "Host", "Connection", "Transfer-Encoding", "Content-Length", "Upgrade", "Proxy-Authorization":
		default:
			req.Header.Set(k, v)
		}
	}
}

func (l *largeFetch) check(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if err == nil && (got == lfsType || got == "application/json") {
			return nil
		}
		return errNoLFS(l.repo.String(), "answers with something that is not Git LFS")
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fault.New(fault.Upstream, "git_auth_failed", "%s does not give out its large files with this credential (%d)", l.repo, code)
	case code == http.StatusNotFound || code == http.StatusNotImplemented:
		return errNoLFS(l.repo.String(), "does not offer Git LFS (%d), or the credential may not see it", code)
	default:
		return errNoLFS(l.repo.String(), "answered %d when it was asked for large files", code)
	}
}

func (l *largeFetch) download(ctx context.Context, f *workerv1.GitLargeFile, a lfsAction) error {
	name := f.GetId()[:12]
	where, err := l.server.Parse(a.Actions.Download.Href)
	if err != nil || a.Actions.Download.Href == "" || where.User != nil {
		return errNoLFS(l.repo.String(), "does not say where the large file %s is", name)
	}
	if where.Scheme != "https" && where.Scheme != l.server.Scheme {
		return errNoLFS(l.repo.String(), "says that the large file %s is at something that is not https", name)
	}
	if l.left -= f.GetSize(); l.left < 0 {
		return fault.New(fault.Unprocessable, "too_large", "the large files of %s that are asked for have more than %d MiB", l.repo, l.remote.GetMaxPackBytes()>>20)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "git-lfs/hawser")
	if len(a.Actions.Download.Header) > 0 {
		setHeaders(req, a.Actions.Download.Header)
	} else if sameServer(where, l.server) {
		l.authorize(req)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read as far as anybody wanted
	if resp.StatusCode != http.StatusOK {
		return errNoLFS(l.repo.String(), "answered %d for the large file %s", resp.StatusCode, name)
	}
	return l.keep(&stallReader{r: resp.Body, close: resp.Body.Close, limit: stallLimit}, f)
}

// keep stores what is exactly the file that the pointer means.
func (l *largeFetch) keep(r io.Reader, f *workerv1.GitLargeFile) (err error) {
	tmp, err := os.CreateTemp(l.dir, "tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name()) // tidy does it later otherwise
		}
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(tmp, sum), io.LimitReader(r, f.GetSize()+1))
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if n != f.GetSize() || hex.EncodeToString(sum.Sum(nil)) != f.GetId() {
		return fault.New(fault.Upstream, "lfs_object_corrupt", "%s sends other bytes for the large file %s than its pointer says; they are not used", l.repo, f.GetId()[:12])
	}
	to := largePath(filepath.Dir(l.dir), f.GetId())
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), to)
}
