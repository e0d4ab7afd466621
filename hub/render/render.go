package render

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Limits of one render.
type Limits struct {
	FileBytes      int64 // of one file
	TotalBytes     int64 // of all files of a source together
	Objects        int   // of a source
	Depth          int   // of nesting in a file
	AliasExpansion int64 // that YAML aliases of a file may add, in bytes
	OutputBytes    int64 // that a tool puts out, before it is parsed
}

// DefaultLimits are those of shared/manifest, 48 MiB of files in a source and 32
// MiB of output.
func DefaultLimits() Limits {
	d := manifest.DefaultLimits()
	return Limits{
		FileBytes: int64(d.MaxBytes), TotalBytes: 48 << 20, Objects: d.MaxObjects,
		Depth: d.MaxDepth, AliasExpansion: int64(d.MaxAliasExpansion), OutputBytes: 32 << 20,
	}
}

func (l Limits) orDefault() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ v, def *int64 }{
		{&l.FileBytes, &d.FileBytes}, {&l.TotalBytes, &d.TotalBytes}, {&l.AliasExpansion, &d.AliasExpansion}, {&l.OutputBytes, &d.OutputBytes},
	} {
		if *f.v <= 0 {
			*f.v = *f.def
		}
	}
	if l.Objects <= 0 {
		l.Objects = d.Objects
	}
	if l.Depth <= 0 {
		l.Depth = d.Depth
	}
	return l
}

// Options of a Renderer.
type Options struct {
	// WorkerCommand is the hub binary with its hidden subcommand worker-render.
	WorkerCommand []string
	// Workers is the number of render processes; 0 means one per core.
	Workers int
	// Deadline of one render; 0 means a minute.
	Deadline time.Duration
	// CPULimit is how much CPU time one render may use (Linux); 0 means 30
	// seconds, or Deadline if that is less.
	CPULimit time.Duration
	// MemoryLimit of a worker's data in bytes; 0 means 1 GiB.
	MemoryLimit int64
	// Limits; a zero field means that of DefaultLimits.
	Limits Limits
	// Results keeps results; nil means that none are kept, so that what was rendered
	// before is rendered again when its objects are needed.
	Results Cache
	// Traces is where hubs tell each other what they have rendered; nil for a hub
	// that is alone.
	Traces Cache
	// TraceBytes bounds the memory for traces; 0 means 32 MiB.
	TraceBytes int64
	// Plugins runs config management plugins; nil means that there are none.
	Plugins Plugins
	Log     *slog.Logger
}

// Request asks for the objects of one source.
type Request struct {
	// App, AppName, Project and Namespace (of the destination) say for whom.
	// Sources that do not depend on them share one result.
	App       model.AppUID
	AppName   string
	Project   string
	Namespace string
	Source    model.Source
	Snapshot  Snapshot
	// Refs open the trees of the sources that "$name/…" may refer to.
	Refs map[string]func(ctx context.Context) (Snapshot, error)
	// Fetch gets charts, bases and files from elsewhere; nil means that nothing
	// may be fetched.
	Fetch Fetcher
	// Cluster tells the Kubernetes version and the APIs of the destination; nil
	// or empty values mean that they are unknown. It is called when templates
	// want to know.
	Cluster func() (kubeVersion string, apis []string)
	// GeneratePaths are the paths whose changes matter, relative to the
	// directory of the source, or from the root with a leading "/"; globs are
	// allowed. When nothing changed there since the render that PreviousKey
	// names, changes elsewhere in the repository do not count.
	GeneratePaths []string
	// PreviousKey is the Key of an earlier result, or "". When it is still the
	// key, the result is Unchanged.
	PreviousKey string
}

// Result of a render.
type Result struct {
	// Unchanged: PreviousKey still stands for this source; there are no
	// objects, no bundle and no warnings here.
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
	// Warnings are for people; the render is good all the same.
	Warnings []workspace.Warning
	// Tool that rendered: Directory, Helm, Kustomize, Jinja or Plugin.
	Tool string
}

// Renderer renders. It is safe for concurrent use.
type Renderer struct {
	opts    Options
	pool    *worker.Pool
	traces  *traces
	results *results
	flights flights
}

// New makes a Renderer; Close ends its processes.
func New(opts Options) (*Renderer, error) {
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.Deadline <= 0 {
		opts.Deadline = time.Minute
	}
	if opts.CPULimit <= 0 {
		opts.CPULimit = min(30*time.Second, opts.Deadline)
	}
	if opts.MemoryLimit <= 0 {
		opts.MemoryLimit = 1 << 30
	}
	if opts.Results == nil {
		opts.Results = nothing{}
	}
	if opts.Traces == nil {
		opts.Traces = nothing{}
	}
	if opts.TraceBytes <= 0 {
		opts.TraceBytes = 32 << 20
	}
	opts.Limits = opts.Limits.orDefault()
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Renderer{
		opts: opts,
		pool: worker.NewPool(worker.Options{
			Name: "render", Command: opts.WorkerCommand, Max: opts.Workers,
			// A collector that starts in time keeps a worker below its limit.
			Env:         []string{"GOMAXPROCS=1", "GOGC=200", "GOTRACEBACK=single", fmt.Sprintf("GOMEMLIMIT=%d", opts.MemoryLimit*3/4)},
			MemoryLimit: opts.MemoryLimit, RecycleRSS: min(256<<20, opts.MemoryLimit/2), CPULimit: opts.CPULimit,
			// A bundle is smaller than what the tool put out.
			MaxFrame: int(min(2*opts.Limits.OutputBytes+32<<20, worker.MaxFrame)),
			Sandbox:  &worker.Profile{}, Log: opts.Log,
		}),
		traces:  newTraces(opts.TraceBytes),
		results: &results{opts.Log, opts.Results},
	}, nil
}

// Workers are the processes that render: how many there may be at once, and how
// many are at work now. It does not block.
func (r *Renderer) Workers() (most, busy int) { return r.opts.Workers, r.pool.Busy() }

// Err says why nothing can be rendered now, nil when it can as far as is known.
func (r *Renderer) Err() error { return r.pool.Err() }

// Close stops renders that are running and returns when all processes have
// ended.
func (r *Renderer) Close() { r.pool.Close() }

// Render renders one source. It blocks until it is done, failed or past its
// deadline. Errors that the inputs cause have the codes of the tools; besides
// them path_escapes_repo, path_not_found, symlink_out_of_bounds,
// source_type_ambiguous, duplicate_object, too_large, render_failed (a bug),
// render_timeout, render_crashed, and those of Snapshot, Refs and Fetch. Several
// problems of manifests come as a fault.List.
func (r *Renderer) Render(ctx context.Context, req Request) (Result, error) {
	job, err := r.job(req)
	if err != nil {
		return Result{}, err
	}
	options, err := optionsDigest(job)
	if err != nil {
		return Result{}, err
	}
	src, err := sourceOf(job)
	if err != nil {
		return Result{}, err
	}
	w := work{
		Renderer: r, req: req, job: job, options: options,
		answers: newAnswers(req, r.opts.Plugins, r.opts.Limits, src.Path),
		// What an application rendered last says most about it; others that
		// render the same source come next.
		buckets: []string{"source " + digest(options, req.Source.RepoURL)},
	}
	if req.App != "" {
		w.buckets = append([]string{"app " + digest(options, string(req.App))}, w.buckets...)
	}
	return w.do(ctx)
}

// work is one call of Render.
type work struct {
	*Renderer
	req     Request
	job     *workerv1.RenderJob
	options string
	answers *answers
	buckets []string // of traces
}

func (w *work) do(ctx context.Context) (Result, error) {
	for waited := false; ; waited = true {
		res, done, err := w.remembered(ctx)
		if done || err != nil {
			return res, err
		}
		root := w.req.Snapshot.Root()
		if waited || root == "" {
			// The render that was waited for depends on other facts than ours;
			// waiting for the next one as well would make a queue of all.
			out, t, err := w.run(ctx, w.answers, w.job, w.options)
			return w.settle(ctx, out, t, err)
		}
		key := digest(w.options, w.req.Source.RepoURL, root)
		fl, first := w.flights.join(key)
		if first {
			return w.lead(ctx, key, fl)
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			return Result{}, context.Cause(ctx)
		}
		if res, done, err := w.follow(ctx, fl); done {
			return res, err
		}
	}
}

// lead renders while others wait.
func (w *work) lead(ctx context.Context, key string, fl *flight) (Result, error) {
	defer w.flights.leave(key, fl)
	fl.out, fl.trace, fl.err = w.run(ctx, w.answers, w.job, w.options)
	return w.settle(ctx, fl.out, fl.trace, fl.err)
}

// follow takes over what another call made, when that is what this one would
// make. done is false when it has to find out by itself.
func (w *work) follow(ctx context.Context, fl *flight) (res Result, done bool, err error) {
	if fl.trace == nil {
		// Somebody else's patience that ended, or a repository that only the
		// other needs, is not ours.
		return Result{}, false, nil
	}
	same, err := w.answers.matches(ctx, fl.trace)
	if err != nil || !same {
		return Result{}, err != nil, err
	}
	res, err = w.settle(ctx, fl.out, fl.trace, fl.err)
	return res, true, err
}

// remembered looks for an earlier render that this one would repeat. done is
// false when there is none, or its result is gone.
func (w *work) remembered(ctx context.Context) (res Result, done bool, err error) {
	tried := map[string]bool{}
	for _, t := range w.traces.of(w.buckets...) {
		tried[t.key] = true
		if res, same, done, err := w.repeats(ctx, t); same || err != nil {
			return res, done, err
		}
	}
	// Another hub may have rendered it.
	for _, b := range w.buckets {
		t, ok := w.told(ctx, b)
		if !ok || tried[t.key] {
			continue
		}
		tried[t.key] = true
		if res, same, done, err := w.repeats(ctx, t); same || err != nil {
			return res, done, err
		}
	}
	return Result{}, false, nil
}

// repeats reports whether this render would be that of a trace, and the result if
// it is still there.
func (w *work) repeats(ctx context.Context, t *trace) (res Result, same, done bool, err error) {
	if same, err := w.answers.matches(ctx, t); err != nil || !same {
		return Result{}, false, err != nil, err
	}
	w.traces.used(t, w.buckets...)
	if t.err != nil {
		return Result{}, true, true, t.err
	}
	if t.key == w.req.PreviousKey {
		return w.unchanged(t.key), true, true, nil
	}
	if out, objects, ok := w.results.get(ctx, t.key); ok {
		return w.result(out, objects), true, true, nil
	}
	return Result{}, true, false, nil
}

// settle remembers what a worker made and turns it into a result.
func (w *work) settle(ctx context.Context, out *rendered, t *trace, err error) (Result, error) {
	if t != nil && !t.fleeting {
		w.traces.put(t, w.buckets...)
	}
	if err != nil {
		return Result{}, err
	}
	// What may not be remembered is known by its outcome.
	key := outputVersion + ":once:" + digest(w.options, string(out.digest))
	if t != nil {
		key = t.key
	}
	objects, err := out.objects()
	if err != nil {
		return Result{}, err
	}
	kept := *out
	kept.key = key
	if t != nil {
		w.results.put(ctx, &kept)
		w.tell(ctx, t)
	}
	if key == w.req.PreviousKey {
		return w.unchanged(key), nil
	}
	return w.result(&kept, objects), nil
}

func (w *work) unchanged(key string) Result {
	return Result{Unchanged: true, Key: key, Revision: w.req.Snapshot.Revision()}
}

func (w *work) result(out *rendered, objects []manifest.Object) Result {
	return Result{
		Empty: len(objects) == 0, Objects: objects, Encoded: out.encoded, Digest: out.digest, Key: out.key,
		Revision: w.req.Snapshot.Revision(), Warnings: out.warnings, Tool: out.tool,
	}
}

// Jobs is the number of renders that worker processes were given so far. What an
// earlier render answers is not one.
func (r *Renderer) Jobs() int64 { return int64(r.pool.Stats().Jobs) }
