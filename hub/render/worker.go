package render

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// WorkerMain is the render worker process: it does RenderJobs that come on in
// until in ends. The hub binary calls it for its hidden subcommand
// worker-render.
func WorkerMain(in, out *os.File) error { return serveWorker(in, out, tools) }

func serveWorker(in, out *os.File, tools toolset) error {
	if _, err := worker.Sandbox(); err != nil {
		return err
	}
	// A template that recurses without end runs out of stack soon, and takes
	// only this process with it.
	debug.SetMaxStack(64 << 20)
	return worker.Serve(in, out, func(c *worker.Conn) error { return handle(c, tools) })
}

// handle does one job. The error is trouble with the pipe, which ends the
// worker.
func handle(c *worker.Conn, tools toolset) error {
	var job workerv1.RenderJob
	if err := c.Receive(&job); err != nil {
		return err
	}
	talk := &conversation{conn: c}
	result, err := perform(&job, talk, tools)
	switch {
	case talk.broken != nil:
		return talk.broken
	case err != nil:
		return c.Send(&workerv1.RenderMessage{Message: &workerv1.RenderMessage_Problem{Problem: worker.Problem(err)}})
	}
	return c.Send(&workerv1.RenderMessage{Message: &workerv1.RenderMessage_Result{Result: result}})
}

// host is a workspace.Host that knows of overrides too.
type host interface {
	workspace.Host
	// Overrides returns the contents of the files that change the source in its
	// directory, in the order of overrideNames, empty where there is none.
	Overrides(path string) ([][]byte, error)
}

// perform renders one job: options of the repository, choice of the tool, the
// tool, and the bundle.
func perform(job *workerv1.RenderJob, h host, tools toolset) (result *workerv1.RenderResult, err error) {
	src, err := sourceOf(job)
	if err != nil {
		return nil, err
	}
	if src, err = override(src, h); err != nil {
		return nil, err
	}
	fresh := func() *workspace.Workspace { return newWorkspace(job, src, h) }
	first := fresh()
	choice, err := detect(first)
	if err != nil {
		return nil, err
	}
	tool := tools[choice.tool]
	out, err := attempt(tool, choice, first)
	if err != nil {
		return nil, err
	}
	objects, err := settleObjects(first, tool, choice, out.Objects)
	if err != nil {
		return nil, err
	}
	if tool.twice || first.Varies() {
		second := fresh()
		if out, err := attempt(tool, choice, second); err != nil {
			warnVaries(first, []string{"the second time it failed: " + fault.As(err).Message})
		} else if again, err := settleObjects(second, tool, choice, out.Objects); err == nil {
			warnVaries(first, differences(objects, again))
		}
	}
	return encode(first, choice.tool, objects)
}

func newWorkspace(job *workerv1.RenderJob, src model.Source, h workspace.Host) *workspace.Workspace {
	l := job.GetLimits()
	return &workspace.Workspace{
		Host: h, Source: src, Dir: src.Path, Refs: job.GetRefs(),
		Limits: workspace.Limits{
			Manifest: manifest.Limits{
				MaxBytes: int(l.GetFileBytes()), MaxObjects: int(l.GetObjects()), MaxDepth: int(l.GetDepth()), MaxAliasExpansion: int(l.GetAliasExpansion()),
			},
			TotalBytes: l.GetTotalBytes(), OutputBytes: l.GetOutputBytes(),
		},
	}
}

// codePanic is the code of a tool's bug.
const codePanic = "render_failed"

// attempt runs a tool. A panic of it is a bug of the tool or of ours, and costs
// this render and the process, which the hub does not use again.
func attempt(t tool, c choice, w *workspace.Workspace) (out workspace.Output, err error) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "panic in %s: %v\n%s\n", c.tool, p, debug.Stack())
			err = fault.New(fault.Unprocessable, codePanic, "%s could not render this source: the tool failed inside", c.tool).
				WithFix("this is a bug: please report it with the files that caused it")
		}
	}()
	if t.render == nil {
		return out, fault.New(fault.Unprocessable, "source_type_unsupported", "this hub has no %s", c.tool)
	}
	return t.render(w, c)
}

// settleObjects applies the limit on objects and decides about repeated ones.
// Two files that define one object are a mistake; of what a tool puts out twice
// the last counts, as if it were applied in that order.
func settleObjects(w *workspace.Workspace, t tool, c choice, objects []manifest.Object) ([]manifest.Object, error) {
	if n, limit := len(objects), w.Limits.Manifest.MaxObjects; limit > 0 && n > limit {
		return nil, fault.New(fault.Unprocessable, "too_large", "the source has %d objects; the limit is %d", n, limit)
	}
	if !t.repeats {
		return objects, manifest.Duplicates(objects)
	}
	last := make(map[model.ObjectKey]int, len(objects))
	kept := make([]manifest.Object, 0, len(objects))
	for _, o := range objects {
		i, repeated := last[o.Key]
		if !repeated {
			last[o.Key] = len(kept)
			kept = append(kept, o)
			continue
		}
		w.Warn("repeated_resource", "%s puts out %s twice: %s wins over %s", c.tool, o.Key, o.Origin, kept[i].Origin)
		kept[i] = o
	}
	return kept, nil
}

func encode(w *workspace.Workspace, toolName string, objects []manifest.Object) (*workerv1.RenderResult, error) {
	manifest.SortForApply(objects)
	encoded, digest, err := manifest.EncodeBundle(objects)
	if err != nil {
		return nil, err
	}
	out := &workerv1.RenderResult{Bundle: encoded, Digest: string(digest), Objects: int64(len(objects)), Tool: toolName}
	for _, o := range objects {
		out.Origins = append(out.Origins, strings.ToValidUTF8(o.Origin, "\ufffd"))
	}
	for _, warning := range w.Warnings() {
		out.Warnings = append(out.Warnings, &workerv1.RenderWarning{Code: warning.Code, Message: strings.ToValidUTF8(warning.Message, "\ufffd")})
	}
	return out, nil
}
