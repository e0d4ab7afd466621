package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultBranch is the branch that HEAD of a new repository names.
const DefaultBranch = "main"

// Repos is a directory of bare repositories, which one or more servers serve.
type Repos struct {
	dir     string
	release func()

	mu      sync.Mutex
	baseURL string // of the first HTTP server, with a slash at the end
	repos   map[string]*Repo
}

// NewRepos keeps repositories in dir, or in a temporary directory when dir is
// empty, which Close removes.
func NewRepos(dir string) (*Repos, error) {
	r := &Repos{dir: dir, release: func() {}, repos: map[string]*Repo{}}
	var err error
	if dir == "" {
		r.dir, r.release, err = runDir("git")
	} else if err = os.MkdirAll(dir, 0o755); err == nil {
		r.dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("testbed: %w", err)
	}
	return r, nil
}

// Close removes the directory if it was a temporary one.
func (r *Repos) Close() { r.release() }

var repoName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)

// Create makes an empty repository. The name may have slashes, as in "team/app".
func (r *Repos) Create(ctx context.Context, name string) (*Repo, error) {
	if !repoName.MatchString(name) || strings.HasSuffix(name, ".git") {
		return nil, fmt.Errorf("testbed: repository name %q: letters, digits and ._- in parts divided by slashes, without .git at the end", name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.repos[name] != nil {
		return nil, fmt.Errorf("testbed: repository %s exists", name)
	}
	repo := &Repo{Name: name, repos: r, dir: filepath.Join(r.dir, filepath.FromSlash(name)+".git")}
	if _, err := repo.git(ctx, nil, "init", "--quiet", "--bare", "--initial-branch="+DefaultBranch, repo.dir); err != nil {
		return nil, err
	}
	// As the large hosts do: any commit that is reachable can be fetched by its id.
	for _, setting := range []string{"uploadpack.allowReachableSHA1InWant", "uploadpack.allowFilter"} {
		if _, err := repo.git(ctx, nil, "--git-dir="+repo.dir, "config", setting, "true"); err != nil {
			return nil, err
		}
	}
	r.repos[name] = repo
	return repo, nil
}

// Repo returns a repository by name, or nil.
func (r *Repos) Repo(name string) *Repo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.repos[name]
}

// Repo is a bare repository. Its methods may be called from several goroutines.
type Repo struct {
	Name  string
	repos *Repos
	dir   string
	mu    sync.Mutex // one change at a time
}

// Dir is the path of the bare repository, which the git command can clone too.
func (r *Repo) Dir() string { return r.dir }

// URL is the address at the HTTP server, without credentials; empty when no HTTP
// server serves the repository.
func (r *Repo) URL() string {
	r.repos.mu.Lock()
	defer r.repos.mu.Unlock()
	if r.repos.baseURL == "" {
		return ""
	}
	return r.repos.baseURL + r.Name + ".git"
}

// Change is a commit to make.
type Change struct {
	// Branch is DefaultBranch when empty. It is created when missing.
	Branch  string
	Message string
	// Files are written; nil content deletes a file or a whole directory. An empty
	// but not nil slice is an empty file.
	Files map[string][]byte
	// Links are symbolic links: path to target.
	Links map[string]string
	// Executable lists the Files to be marked executable.
	Executable []string
	// ReplaceAll deletes everything else.
	ReplaceAll bool
	// Parent is the commit to start from instead of the branch's head; the branch
	// is moved, as a forced push does. "none" starts a new history.
	Parent string
	// Sign returns the signature of a commit that is given as Git stores it; nil
	// does not sign.
	Sign func(object []byte) (signature string, err error)
}

// Commit changes files on the default branch and returns the id of the commit.
// nil content deletes a file.
func (r *Repo) Commit(ctx context.Context, message string, files map[string][]byte) (sha string, err error) {
	return r.Apply(ctx, Change{Message: message, Files: files})
}

// Apply makes a commit and moves its branch to it, in one step.
func (r *Repo) Apply(ctx context.Context, c Change) (sha string, err error) {
	if c.Branch == "" {
		c.Branch = DefaultBranch
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ref := "refs/heads/" + c.Branch
	parent := c.Parent
	switch parent {
	case "none":
		parent = ""
	case "":
		if parent, err = r.head(ctx, ref); err != nil {
			return "", err
		}
	}
	target := ref
	if c.Sign != nil {
		// The branch must not show the commit before it is signed.
		ref = "refs/unsigned/" + c.Branch
	}
	out, err := r.git(ctx, fastImport(ref, parent, c, time.Now()), "--git-dir="+r.dir,
		"fast-import", "--quiet", "--force", "--date-format=raw-permissive", "--cat-blob-fd=1")
	if err != nil {
		return "", fmt.Errorf("%w (repository %s)", err, r.Name)
	}
	sha = strings.TrimSpace(out)
	if len(sha) != 40 {
		return "", fmt.Errorf("testbed: git fast-import answered %q instead of a commit id", out)
	}
	if c.Sign == nil {
		return sha, nil
	}
	if sha, err = r.sign(ctx, sha, c.Sign); err != nil {
		return "", err
	}
	_, err = r.git(ctx, nil, "--git-dir="+r.dir, "update-ref", target, sha)
	return sha, errors.Join(err, r.forget(ctx, ref))
}

// sign stores a commit anew with a signature.
func (r *Repo) sign(ctx context.Context, sha string, sign func([]byte) (string, error)) (string, error) {
	raw, err := r.git(ctx, nil, "--git-dir="+r.dir, "cat-file", "commit", sha)
	if err != nil {
		return "", err
	}
	signature, err := sign([]byte(raw))
	if err != nil {
		return "", err
	}
	header, body, _ := strings.Cut(raw, "\n\n")
	signature = strings.ReplaceAll(strings.TrimSuffix(signature, "\n"), "\n", "\n ")
	out, err := r.git(ctx, []byte(header+"\ngpgsig "+signature+"\n\n"+body), "--git-dir="+r.dir, "hash-object", "-w", "-t", "commit", "--stdin")
	return strings.TrimSpace(out), err
}

func (r *Repo) forget(ctx context.Context, ref string) error {
	_, err := r.git(ctx, nil, "--git-dir="+r.dir, "update-ref", "-d", ref)
	return err
}

// fastImport writes the change as the stream that git fast-import reads: one
// process and one reference update for any number of files.
func fastImport(ref, parent string, c Change, now time.Time) []byte {
	var b bytes.Buffer
	data := func(content []byte) {
		fmt.Fprintf(&b, "data %d\n%s\n", len(content), content)
	}
	fmt.Fprintf(&b, "commit %s\nmark :1\n", ref)
	fmt.Fprintf(&b, "author Casey Example <casey@example.test> %d +0000\n", now.Unix())
	fmt.Fprintf(&b, "committer Casey Example <casey@example.test> %d +0000\n", now.Unix())
	data([]byte(c.Message))
	if parent != "" {
		fmt.Fprintf(&b, "from %s\n", parent)
	}
	if c.ReplaceAll || parent == "" {
		b.WriteString("deleteall\n")
	}
	// Deletions first: a directory may make room for a file of its name.
	for _, path := range sortedKeys(c.Files) {
		if c.Files[path] == nil {
			fmt.Fprintf(&b, "D %s\n", quotePath(path))
		}
	}
	for _, path := range sortedKeys(c.Files) {
		if content := c.Files[path]; content != nil {
			mode := "100644"
			if slices.Contains(c.Executable, path) {
				mode = "100755"
			}
			fmt.Fprintf(&b, "M %s inline %s\n", mode, quotePath(path))
			data(content)
		}
	}
	for _, path := range sortedKeys(c.Links) {
		fmt.Fprintf(&b, "M 120000 inline %s\n", quotePath(path))
		data([]byte(c.Links[path]))
	}
	b.WriteString("get-mark :1\ndone\n")
	return b.Bytes()
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// quotePath is the C-style quoting of fast-import, always allowed.
func quotePath(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// head is the commit of a reference, empty when the reference is missing.
func (r *Repo) head(ctx context.Context, ref string) (string, error) {
	out, err := r.git(ctx, nil, "--git-dir="+r.dir, "for-each-ref", "--format=%(objectname)", ref)
	return strings.TrimSpace(out), err
}

// Head is the commit of a branch; the empty name means DefaultBranch.
func (r *Repo) Head(ctx context.Context, branch string) (string, error) {
	if branch == "" {
		branch = DefaultBranch
	}
	sha, err := r.head(ctx, "refs/heads/"+branch)
	if err == nil && sha == "" {
		err = fmt.Errorf("testbed: repository %s has no branch %s", r.Name, branch)
	}
	return sha, err
}

// SetBranch points a branch at a commit, whatever it pointed at before: a new
// branch, or a forced push. An empty commit deletes the branch.
func (r *Repo) SetBranch(ctx context.Context, branch, sha string) error {
	return r.setRef(ctx, "refs/heads/"+branch, sha)
}

// SetTag points a lightweight tag at a commit. An empty commit deletes the tag.
func (r *Repo) SetTag(ctx context.Context, tag, sha string) error {
	return r.setRef(ctx, "refs/tags/"+tag, sha)
}

// AnnotatedTag makes or moves a tag that is an object of its own.
func (r *Repo) AnnotatedTag(ctx context.Context, tag, sha, message string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.git(ctx, nil, "--git-dir="+r.dir, "tag", "--annotate", "--force", "--message="+message, tag, sha)
	return err
}

func (r *Repo) setRef(ctx context.Context, ref, sha string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	args := []string{"--git-dir=" + r.dir, "update-ref", ref, sha}
	if sha == "" {
		args = []string{"--git-dir=" + r.dir, "update-ref", "-d", ref}
	}
	_, err := r.git(ctx, nil, args...)
	return err
}

func (r *Repo) git(ctx context.Context, stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = gitEnv()
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("testbed: the git command is needed and not on PATH: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("testbed: git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// gitEnv keeps the user's and the system's configuration away.
func gitEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + os.TempDir(),
		"LC_ALL=C",
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Casey Example", "GIT_AUTHOR_EMAIL=casey@example.test",
		"GIT_COMMITTER_NAME=Casey Example", "GIT_COMMITTER_EMAIL=casey@example.test",
	}
}

// Raw is the content of an object, as Git stores it.
func (r *Repo) Raw(ctx context.Context, typ, id string) ([]byte, error) {
	out, err := r.git(ctx, nil, "--git-dir="+r.dir, "cat-file", typ, id)
	return []byte(out), err
}

// Object stores an object as it is, valid or not, and returns its id.
func (r *Repo) Object(ctx context.Context, typ string, content []byte) (id string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out, err := r.git(ctx, content, "--git-dir="+r.dir, "hash-object", "-w", "--literally", "-t", typ, "--stdin")
	return strings.TrimSpace(out), err
}
