package render

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"path"
	"strings"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// maxQuestions bounds what one worker may ask in one render.
	maxQuestions = 10_000
	// maxFetches bounds the charts, bases and files that one render fetches.
	maxFetches = 256
	// maxPath is longer than any path of a repository.
	maxPath = 4096
)

// errQuestion is for a question that only a broken worker asks.
var errQuestion = fault.New(fault.Internal, "internal", "the render worker asked for something that it may not have")

// answers answers the questions of one request: in full to a worker, and for
// identities only when an earlier trace is asked again. What it learned it
// keeps, so that several traces and a render cost little more than one. It is
// for one goroutine.
type answers struct {
	req     Request
	plugins Plugins
	limits  Limits
	dir     string // of the source

	trees   map[string]*tree
	files   map[string]download
	cluster *capabilities
	asked   map[string]identity // by question
	paths   *identity           // see generated
	read    int64               // bytes that the worker got
	// unsure: an answer depended on more than the questions, so nothing of this
	// render may be remembered.
	unsure bool
}

// identity stands for an answer: equal identities are equal answers, as far as
// the output of a render can depend on them.
type identity [sha256.Size]byte

// tree is an opened snapshot, or why there is none.
type tree struct {
	snapshot      Snapshot
	path, version string
	err           error
	known         map[string]entry // by path
}

type download struct {
	content []byte
	err     error
}

type capabilities struct {
	version string
	apis    []string
}

// entry is what is at a path of a snapshot.
type entry struct {
	hash string
	size int64
	mode uint32
}

func newAnswers(req Request, plugins Plugins, limits Limits, dir string) *answers {
	return &answers{
		req: req, plugins: plugins, limits: limits, dir: dir,
		trees: map[string]*tree{workspace.Main: {snapshot: req.Snapshot, known: map[string]entry{}}},
		files: map[string]download{}, asked: map[string]identity{},
	}
}

// reply is what a question comes to. The answer may cost more than what
// identifies it.
type reply struct {
	id     identity
	answer func(context.Context) (*workerv1.Answer, error)
}

// ask looks at a question. What is wrong with the content of a repository is an
// answer too. Errors are errQuestion, and trouble that may pass.
func (a *answers) ask(ctx context.Context, q *workerv1.Question) (reply, error) {
	r, err := a.look(ctx, q)
	if err != nil && fixed(err) {
		return problemReply(err), nil
	}
	return r, err
}

// fixed reports whether an error is a property of the inputs, so that the same
// inputs give it again.
func fixed(err error) bool {
	switch fault.As(err).Kind {
	case fault.Unprocessable, fault.Invalid, fault.Denied, fault.NotFound, fault.TooLarge:
		return true
	}
	return false
}

func problemReply(err error) reply {
	e := fault.As(err)
	return reply{identify("problem", string(e.Kind), e.Code, e.Field, e.Message), func(context.Context) (*workerv1.Answer, error) {
		return &workerv1.Answer{Problem: worker.Problem(err)}, nil
	}}
}

func identify(parts ...string) identity {
	var n summer
	for _, p := range parts {
		n.text(p)
	}
	return n.sum()
}

// summer collects what an identity covers, each part with its length.
type summer struct{ buf []byte }

func (n *summer) text(s string) {
	n.buf = binary.AppendUvarint(n.buf, uint64(len(s)))
	n.buf = append(n.buf, s...)
}

func (n *summer) flags(flags ...bool) {
	var b byte
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	n.buf = append(n.buf, b)
}

func (n *summer) number(v int64) { n.buf = binary.AppendVarint(n.buf, v) }

func (n *summer) sum() identity { return sha256.Sum256(n.buf) }

func (a *answers) look(ctx context.Context, q *workerv1.Question) (reply, error) {
	switch q := q.GetQuestion().(type) {
	case *workerv1.Question_Stat:
		return a.stat(ctx, q.Stat)
	case *workerv1.Question_List:
		return a.list(ctx, q.List)
	case *workerv1.Question_Read:
		return a.contents(ctx, q.Read)
	case *workerv1.Question_Overrides:
		return a.overrides(ctx, q.Overrides)
	case *workerv1.Question_Facts:
		return a.facts(ctx, q.Facts)
	case *workerv1.Question_Capabilities:
		return a.capabilities(q.Capabilities), nil
	case *workerv1.Question_Chart:
		return a.chart(ctx, q.Chart)
	case *workerv1.Question_Base:
		return a.base(ctx, q.Base)
	case *workerv1.Question_Download:
		return a.download(ctx, q.Download)
	case *workerv1.Question_Plugin:
		return a.plugin(ctx, q.Plugin)
	}
	return reply{}, errQuestion
}

// contentTree names the tree whose content alone a question is about.
func contentTree(q *workerv1.Question) (name string, ok bool) {
	switch q := q.GetQuestion().(type) {
	case *workerv1.Question_Stat:
		return q.Stat.GetTree(), true
	case *workerv1.Question_List:
		return q.List.GetTree(), true
	case *workerv1.Question_Read:
		return q.Read.GetTree(), true
	case *workerv1.Question_Overrides:
		return workspace.Main, true
	}
	return "", false
}

// cleanQuestion reports whether a path is one that a worker may ask for.
func cleanQuestion(p string) bool {
	if p == "" {
		return true
	}
	return len(p) <= maxPath && path.Clean(p) == p && p != "." && p != ".." &&
		!strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "../") && !strings.Contains(p, "\x00")
}

// open returns a tree that the worker may ask about. Errors: errQuestion, and
// those of the tree.
func (a *answers) open(ctx context.Context, name string) (*tree, error) {
	t, ok := a.trees[name]
	if !ok {
		ref, isRef := strings.CutPrefix(name, workspace.RefTree(""))
		get := a.req.Refs[ref]
		if !isRef || get == nil {
			return nil, errQuestion
		}
		s, err := get(ctx)
		if err != nil && !fixed(err) {
			return nil, err
		}
		t = &tree{snapshot: s, err: err, known: map[string]entry{}}
		a.trees[name] = t
	}
	return t, t.err
}

func (a *answers) at(ctx context.Context, name, p string) (*tree, error) {
	if !cleanQuestion(p) {
		return nil, errQuestion
	}
	return a.open(ctx, name)
}

// entry looks at one path.
func (t *tree) entry(ctx context.Context, p string) (entry, error) {
	if e, ok := t.known[p]; ok {
		return e, nil
	}
	hash, size, mode, err := t.snapshot.Stat(ctx, p)
	if err != nil {
		return entry{}, err
	}
	e := entry{hash, size, mode}
	t.known[p] = e
	return e, nil
}

func (a *answers) stat(ctx context.Context, q *workerv1.Stat) (reply, error) {
	t, err := a.at(ctx, q.GetTree(), q.GetPath())
	if err != nil {
		return reply{}, err
	}
	e, err := t.entry(ctx, q.GetPath())
	if err != nil {
		return reply{}, err
	}
	var n summer
	n.flags(e.mode != 0, isDir(e.mode), e.mode == modeExecutable)
	if isFile(e.mode) {
		n.number(e.size)
	}
	real := q.GetPath()
	if l, ok := t.snapshot.(linked); ok && isDir(e.mode) {
		if real, err = l.Real(ctx, q.GetPath()); err != nil {
			return reply{}, err
		}
		if real != q.GetPath() {
			n.text(real)
		}
	}
	return reply{n.sum(), func(context.Context) (*workerv1.Answer, error) {
		if e.mode == 0 {
			return &workerv1.Answer{}, nil
		}
		return &workerv1.Answer{Stat: fileEntry(real, e, false)}, nil
	}}, nil
}

func fileEntry(p string, e entry, broken bool) *workerv1.FileEntry {
	f := &workerv1.FileEntry{Path: p, Broken: broken, Directory: isDir(e.mode), Executable: e.mode == modeExecutable}
	if !f.Directory {
		f.Size = e.size
	}
	return f
}

// list is identified by names and kinds: what a render reads has its own
// question, and sizes that it decides by are asked for with stat.
func (a *answers) list(ctx context.Context, q *workerv1.ListFiles) (reply, error) {
	t, err := a.at(ctx, q.GetTree(), q.GetPath())
	if err != nil {
		return reply{}, err
	}
	type listed struct {
		path   string
		entry  entry
		broken bool
	}
	var found []listed
	var n summer
	err = t.snapshot.List(ctx, q.GetPath(), q.GetRecurse(), func(p, hash string, size int64, mode uint32, broken bool) {
		e := entry{hash, size, mode}
		found = append(found, listed{p, e, broken})
		if !broken {
			t.known[p] = e
		}
		n.text(p)
		n.flags(isDir(mode), mode == modeExecutable, broken)
	})
	if err != nil {
		return reply{}, err
	}
	return reply{n.sum(), func(context.Context) (*workerv1.Answer, error) {
		out := &workerv1.FileList{Files: make([]*workerv1.FileEntry, len(found))}
		for i, f := range found {
			out.Files[i] = fileEntry(f.path, f.entry, f.broken)
		}
		return &workerv1.Answer{List: out}, nil
	}}, nil
}

func (a *answers) contents(ctx context.Context, q *workerv1.ReadFiles) (reply, error) {
	t, err := a.open(ctx, q.GetTree())
	if err != nil {
		return reply{}, err
	}
	var n summer
	var total int64
	hashes := make([]string, len(q.GetPaths()))
	for i, p := range q.GetPaths() {
		if !cleanQuestion(p) {
			return reply{}, errQuestion
		}
		e, err := t.entry(ctx, p)
		if err != nil {
			return reply{}, err
		}
		if !isFile(e.mode) {
			what := "does not exist"
			if isDir(e.mode) {
				what = "is a directory and not a file"
			}
			return reply{}, fault.New(fault.Unprocessable, "file_not_found", "%s %s", workspace.Clip(p, 200), what)
		}
		hashes[i] = e.hash
		n.text(e.hash)
		total += e.size
	}
	return reply{n.sum(), func(ctx context.Context) (*workerv1.Answer, error) {
		return a.send(ctx, t, hashes, total)
	}}, nil
}

// send reads contents as long as the worker has not got more than a source may
// have.
func (a *answers) send(ctx context.Context, t *tree, hashes []string, total int64) (*workerv1.Answer, error) {
	if err := a.spend(total); err != nil {
		return nil, err
	}
	contents, err := t.snapshot.Contents(ctx, hashes)
	if err != nil {
		return nil, err
	}
	return &workerv1.Answer{Contents: &workerv1.FileContents{Contents: contents}}, nil
}

// readings is how often a tool may read all that a source may have: overlays
// share a base, and a tool that may vary runs twice.
const readings = 8

// spend counts what goes to the worker. The limit of the source is the
// workspace's to watch; one answer beyond it is refused in words, and a worker
// that goes on and on is broken.
func (a *answers) spend(n int64) error {
	if n > a.limits.TotalBytes {
		a.unsure = true
		return fault.New(fault.Unprocessable, "too_large", "the files of the source have more than %d MiB together", a.limits.TotalBytes>>20)
	}
	if a.read += n; a.read > readings*a.limits.TotalBytes {
		return errQuestion
	}
	return nil
}

// overrideNames are the files that change a source in its directory, in the
// order in which they do.
func overrideNames(app string) []string {
	names := []string{".argocd-source.yaml"}
	if app != "" && !strings.ContainsAny(app, "/\x00") {
		names = append(names, ".argocd-source-"+app+".yaml")
	}
	return names
}

func (a *answers) overrides(ctx context.Context, q *workerv1.Overrides) (reply, error) {
	t, err := a.at(ctx, workspace.Main, q.GetPath())
	if err != nil {
		return reply{}, err
	}
	var n summer
	var total int64
	var hashes []string
	places := make([]int, 2) // in hashes, counted from 1
	for i, name := range overrideNames(a.req.AppName) {
		e, err := t.entry(ctx, path.Join(q.GetPath(), name))
		if err != nil {
			return reply{}, err
		}
		if !isFile(e.mode) || e.size == 0 {
			n.text("")
			continue
		}
		n.text(e.hash)
		if e.size > a.limits.FileBytes {
			return reply{}, fault.New(fault.Unprocessable, "too_large", "%s: the file has %d bytes; the limit is %d", path.Join(q.GetPath(), name), e.size, a.limits.FileBytes)
		}
		total += e.size
		hashes = append(hashes, e.hash)
		places[i] = len(hashes)
	}
	return reply{n.sum(), func(ctx context.Context) (*workerv1.Answer, error) {
		out := make([][]byte, len(places))
		if len(hashes) > 0 {
			answer, err := a.send(ctx, t, hashes, total)
			if err != nil {
				return nil, err
			}
			for i, place := range places {
				if place > 0 {
					out[i] = answer.GetContents().GetContents()[place-1]
				}
			}
		}
		return &workerv1.Answer{Contents: &workerv1.FileContents{Contents: out}}, nil
	}}, nil
}

func (a *answers) capabilities(q *workerv1.Capabilities) reply {
	c := a.clusterFacts()
	out := &workerv1.ClusterCapabilities{}
	var n summer
	n.flags(q.GetKubeVersion(), q.GetApis())
	if q.GetKubeVersion() {
		out.KubeVersion = c.version
		n.text(c.version)
	}
	if q.GetApis() {
		out.Apis = c.apis
		for _, api := range c.apis {
			n.text(api)
		}
	}
	return reply{n.sum(), func(context.Context) (*workerv1.Answer, error) {
		return &workerv1.Answer{Capabilities: out}, nil
	}}
}

func (a *answers) clusterFacts() *capabilities {
	if a.cluster == nil {
		a.cluster = &capabilities{}
		if a.req.Cluster != nil {
			a.cluster.version, a.cluster.apis = a.req.Cluster()
		}
	}
	return a.cluster
}
