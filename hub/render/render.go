package render

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Snapshot is the commit that is rendered. Its methods may block on a Git
// process; they are called from one goroutine at a time.
type Snapshot interface {
	Revision() model.Revision
	// List visits the files of a directory, in order of their paths from the
	// root of the repository, with those below it when recurse is set. hash
	// identifies the content. target is where a symbolic link ends; a broken
	// link has no content. Errors: path_not_found, symlink_out_of_bounds.
	List(ctx context.Context, dir string, recurse bool, visit func(path, hash string, size int64, target string, broken bool)) error
	// Contents returns the contents that hashes identify.
	Contents(ctx context.Context, hashes []string) ([][]byte, error)
}

// Limits of one render.
type Limits struct {
	FileBytes      int64 // of one file
	TotalBytes     int64 // of all files of a source together
	Objects        int   // of a source
	Depth          int   // of nesting in a file
	AliasExpansion int64 // that YAML aliases of a file may add, in bytes
}

// DefaultLimits are those of shared/manifest, and 48 MiB of files in a source.
func DefaultLimits() Limits {
	d := manifest.DefaultLimits()
	return Limits{
		FileBytes: int64(d.MaxBytes), TotalBytes: 48 << 20, Objects: d.MaxObjects,
		Depth: d.MaxDepth, AliasExpansion: int64(d.MaxAliasExpansion),
	}
}

// Options of a Renderer.
type Options struct {
	// WorkerCommand is the hub binary with its hidden subcommand worker-render.
	WorkerCommand []string
	// Workers is the number of render processes; 0 means one per core.
	Workers int
	// Deadline of one render; 0 means a minute.
	Deadline time.Duration
	// MemoryLimit of a worker's data in bytes; 0 means 1 GiB.
	MemoryLimit int64
	// Limits; zero means DefaultLimits.
	Limits Limits
	// CacheBytes bounds the memory for results; 0 means 32 MiB.
	CacheBytes int64
	Log        *slog.Logger
}

// Request asks for the objects of one source.
type Request struct {
	// App, AppName, Project and Namespace say for whom; a plain directory does
	// not depend on them, so equal sources share one result.
	App       model.AppUID
	AppName   string
	Project   string
	Namespace string
	Source    model.Source
	Snapshot  Snapshot
	// PreviousKey is the Key of an earlier result, or "". When it is still the
	// key, the result is Unchanged.
	PreviousKey string
}

// Result of a render.
type Result struct {
	// Unchanged: PreviousKey still stands for this source; there are no
	// objects and no bundle here.
	Unchanged bool
	// Empty: the source has no object at all. That is no error here.
	Empty bool
	// Objects in the order of manifest.SortForApply; they are the caller's.
	Objects []manifest.Object
	// Encoded is the bundle of exactly these objects, shared: not to be changed.
	Encoded  []byte
	Digest   model.Digest
	Key      string
	Revision model.Revision
}

// Renderer renders. It is safe for concurrent use.
type Renderer struct {
	opts    Options
	pool    *worker.Pool
	results *resultCache
}

// outputVersion is part of every key: it rises when the same files give other
// objects than before.
const outputVersion = "plain-1"

// New makes a Renderer; Close ends its processes.
func New(opts Options) (*Renderer, error) {
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.Deadline <= 0 {
		opts.Deadline = time.Minute
	}
	if opts.MemoryLimit <= 0 {
		opts.MemoryLimit = 1 << 30
	}
	if opts.CacheBytes <= 0 {
		opts.CacheBytes = 32 << 20
	}
	if opts.Limits == (Limits{}) {
		opts.Limits = DefaultLimits()
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Renderer{
		opts: opts,
		pool: worker.NewPool(worker.Options{
			Name: "render", Command: opts.WorkerCommand, Max: opts.Workers,
			// A collector that starts in time keeps a worker below its limit.
			Env:         []string{"GOMAXPROCS=1", "GOTRACEBACK=single", fmt.Sprintf("GOMEMLIMIT=%d", opts.MemoryLimit*3/4)},
			MemoryLimit: opts.MemoryLimit, RecycleRSS: min(256<<20, opts.MemoryLimit/2), Log: opts.Log,
		}),
		results: newResultCache(opts.CacheBytes),
	}, nil
}

// Close stops renders that are running and returns when all processes have
// ended.
func (r *Renderer) Close() { r.pool.Close() }

// Render renders one source. It blocks until it is done, failed or past its
// deadline. Errors: source_type_unsupported, path_escapes_repo, path_not_found,
// symlink_out_of_bounds, expression_invalid (a glob), the codes of
// manifest.Parse and manifest.Duplicates, too_large, render_timeout,
// render_crashed. Several problems of manifests come as a fault.List.
func (r *Renderer) Render(ctx context.Context, req Request) (Result, error) {
	job, err := r.job(req.Source)
	if err != nil {
		return Result{}, err
	}
	listing, err := listFiles(ctx, req.Snapshot, job)
	if err != nil {
		return Result{}, err
	}
	sel, err := newSelection(job)
	if err != nil {
		return Result{}, err
	}
	if err := onlyPlain(req.Source, job, listing, sel); err != nil {
		return Result{}, err
	}
	result := Result{Key: key(job, listing, sel), Revision: req.Snapshot.Revision()}
	if req.PreviousKey != "" && req.PreviousKey == result.Key {
		result.Unchanged = true
		return result, nil
	}
	done, err := r.results.do(ctx, result.Key, func() (*rendered, error) {
		started := time.Now()
		out, err := r.run(ctx, req.Snapshot, job, listing)
		if took := time.Since(started); took > 5*time.Second {
			r.opts.Log.Warn("a render was slow", "application", req.AppName, "project", req.Project, "took", took)
		}
		return out, err
	})
	if err != nil {
		return Result{}, err
	}
	objects, err := done.objects()
	if err != nil {
		return Result{}, err
	}
	result.Objects, result.Encoded, result.Digest = objects, done.encoded, done.digest
	result.Empty = len(objects) == 0
	return result, nil
}

// job is the request to a worker, after checks that need no file.
func (r *Renderer) job(src model.Source) (*workerv1.RenderJob, error) {
	if err := supported(src); err != nil {
		return nil, err
	}
	dir, err := cleanPath(src.Path)
	if err != nil {
		return nil, err
	}
	l := r.opts.Limits
	job := &workerv1.RenderJob{Path: dir, Directory: &workerv1.PlainDirectory{}, Limits: &workerv1.RenderLimits{
		FileBytes: l.FileBytes, TotalBytes: l.TotalBytes, Objects: int64(l.Objects), Depth: int64(l.Depth), AliasExpansion: l.AliasExpansion,
	}}
	if d := src.Directory; d != nil {
		job.Directory.Recurse, job.Directory.Include, job.Directory.Exclude = d.Recurse, d.Include, d.Exclude
		job.Directory.DisableExtensionFilter = d.DisableExtensionFilter
	}
	return job, nil
}

// cleanPath checks the path of a source; "" is the root.
func cleanPath(p string) (string, error) {
	clean := path.Clean("/" + p)
	rel := path.Clean(p)
	if strings.ContainsAny(p, "\x00\\") || strings.HasPrefix(p, "/") || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", fault.New(fault.Invalid, "path_escapes_repo", "path %.100q may not leave the repository: write it relative to the root, without \"..\" and \"\\\"", p).
			WithField("spec.source.path")
	}
	return strings.TrimPrefix(clean, "/"), nil
}

// listed is one file of the snapshot.
type listed struct {
	path, hash, target string
	size               int64
	broken             bool
}

func listFiles(ctx context.Context, s Snapshot, job *workerv1.RenderJob) ([]listed, error) {
	var files []listed
	err := s.List(ctx, job.GetPath(), job.GetDirectory().GetRecurse(), func(path, hash string, size int64, target string, broken bool) {
		files = append(files, listed{path, hash, target, size, broken})
	})
	return files, err
}

// key stands for all that a render of a plain directory depends on. The paths
// are in it because messages and origins name them.
func key(job *workerv1.RenderJob, files []listed, sel *selection) string {
	h := sha256.New()
	d, l := job.GetDirectory(), job.GetLimits()
	fmt.Fprintf(h, "%s %q %v %q %q %v %v\n", outputVersion, job.GetPath(), d.GetRecurse(), d.GetInclude(), d.GetExclude(), d.GetDisableExtensionFilter(),
		[]int64{l.GetFileBytes(), l.GetTotalBytes(), l.GetObjects(), l.GetDepth(), l.GetAliasExpansion()})
	for _, f := range files {
		if sel.takes(f.path) {
			fmt.Fprintf(h, "%q %s %v\n", f.path, f.hash, f.broken)
		}
	}
	return outputVersion + ":" + hex.EncodeToString(h.Sum(nil))
}

// maxQuestions bounds what one worker may ask for in one render.
const maxQuestions = 10_000

// run has a worker render and answers its questions from the listing and the
// snapshot.
func (r *Renderer) run(ctx context.Context, s Snapshot, job *workerv1.RenderJob, files []listed) (*rendered, error) {
	var out *rendered
	err := r.pool.Do(ctx, r.opts.Deadline, func(c *worker.Conn) error {
		if err := c.Send(job); err != nil {
			return err
		}
		for range maxQuestions {
			var msg workerv1.RenderMessage
			if err := c.Receive(&msg); err != nil {
				return err
			}
			var reply *workerv1.RenderReply
			switch m := msg.GetMessage().(type) {
			case *workerv1.RenderMessage_Result:
				c.Finished()
				out = newRendered(m.Result)
				return nil
			case *workerv1.RenderMessage_Problem:
				c.Finished()
				return worker.Fault(m.Problem)
			case *workerv1.RenderMessage_List:
				if m.List.GetPath() != job.GetPath() || m.List.GetRecurse() != job.GetDirectory().GetRecurse() {
					return errQuestion
				}
				reply = listReply(files)
			case *workerv1.RenderMessage_Read:
				var err error
				if reply, err = readReply(ctx, s, files, m.Read.GetPaths(), job.GetLimits().GetTotalBytes()); err != nil {
					return err
				}
			default:
				return errQuestion
			}
			if err := c.Send(reply); err != nil {
				return err
			}
		}
		return errQuestion
	})
	switch {
	case err == nil:
		return out, nil
	case fault.HasCode(err, "worker_timeout"):
		return nil, fault.Wrap(err, fault.Unprocessable, "render_timeout", "rendering took longer than %s and was stopped", r.opts.Deadline)
	case fault.HasCode(err, "worker_crashed"):
		return nil, fault.Wrap(err, fault.Unprocessable, "render_crashed", "the render process ended unexpectedly; most likely the manifests need more than %d MiB of memory", r.opts.MemoryLimit>>20)
	}
	return nil, err
}

// errQuestion is an answer that only a broken worker gives.
var errQuestion = fault.New(fault.Internal, "internal", "the render worker asked for something that it may not have")

func listReply(files []listed) *workerv1.RenderReply {
	list := &workerv1.FileList{}
	for _, f := range files {
		list.Files = append(list.Files, &workerv1.FileEntry{Path: f.path, Size: f.size, Broken: f.broken})
	}
	return &workerv1.RenderReply{Reply: &workerv1.RenderReply_List{List: list}}
}

func readReply(ctx context.Context, s Snapshot, files []listed, paths []string, limit int64) (*workerv1.RenderReply, error) {
	byPath := make(map[string]listed, len(files))
	for _, f := range files {
		byPath[f.path] = f
	}
	hashes := make([]string, 0, len(paths))
	for _, p := range paths {
		f, ok := byPath[p]
		if !ok || f.broken {
			return nil, errQuestion
		}
		if limit -= f.size; limit < 0 {
			return nil, errQuestion
		}
		hashes = append(hashes, f.hash)
	}
	contents, err := s.Contents(ctx, hashes)
	if err != nil {
		return nil, err
	}
	return &workerv1.RenderReply{Reply: &workerv1.RenderReply_Contents{Contents: &workerv1.FileContents{Contents: contents}}}, nil
}
