package render

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/hawser-dev/hawser/hub/worker"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// WorkerMain is the render worker process: it does RenderJobs that come on in
// until in ends. The hub binary calls it for its hidden subcommand
// worker-render.
func WorkerMain(in, out *os.File) error {
	debug.SetMaxStack(64 << 20)
	return worker.Serve(in, out, handle)
}

// errTalk marks trouble with the pipe, which ends the worker.
type errTalk struct{ error }

func (e errTalk) Unwrap() error { return e.error }

func handle(c *worker.Conn) error {
	var job workerv1.RenderJob
	if err := c.Receive(&job); err != nil {
		return err
	}
	result, err := plain(&conversation{c}, &job)
	var talk errTalk
	if errors.As(err, &talk) {
		return talk.error
	}
	if err != nil {
		return c.Send(&workerv1.RenderMessage{Message: &workerv1.RenderMessage_Problem{Problem: worker.Problem(err)}})
	}
	return c.Send(&workerv1.RenderMessage{Message: &workerv1.RenderMessage_Result{Result: result}})
}

// files is what a render sees of the repository.
type files interface {
	list(path string, recurse bool) ([]*workerv1.FileEntry, error)
	read(paths []string) ([][]byte, error)
}

// conversation asks the hub.
type conversation struct{ c *worker.Conn }

func (v *conversation) ask(m *workerv1.RenderMessage) (*workerv1.RenderReply, error) {
	if err := v.c.Send(m); err != nil {
		return nil, errTalk{err}
	}
	var reply workerv1.RenderReply
	if err := v.c.Receive(&reply); err != nil {
		return nil, errTalk{err}
	}
	return &reply, nil
}

func (v *conversation) list(path string, recurse bool) ([]*workerv1.FileEntry, error) {
	reply, err := v.ask(&workerv1.RenderMessage{Message: &workerv1.RenderMessage_List{List: &workerv1.ListFiles{Path: path, Recurse: recurse}}})
	return reply.GetList().GetFiles(), err
}

func (v *conversation) read(paths []string) ([][]byte, error) {
	reply, err := v.ask(&workerv1.RenderMessage{Message: &workerv1.RenderMessage_Read{Read: &workerv1.ReadFiles{Paths: paths}}})
	if err != nil {
		return nil, err
	}
	contents := reply.GetContents().GetContents()
	if len(contents) != len(paths) {
		return nil, errTalk{fmt.Errorf("%d files came of %d", len(contents), len(paths))}
	}
	return contents, nil
}

const (
	// readBatch is how many bytes are asked for at a time.
	readBatch = 8 << 20
	// maxProblems is how many are collected before a render gives up.
	maxProblems = 20
	// skipMark in a file excludes it, as in Argo CD.
	skipMark = "+argocd:skip-file-rendering"
)

// plain renders a directory of YAML and JSON files.
func plain(fs files, job *workerv1.RenderJob) (*workerv1.RenderResult, error) {
	sel, err := newSelection(job)
	if err != nil {
		return nil, err
	}
	entries, err := fs.list(job.GetPath(), job.GetDirectory().GetRecurse())
	if err != nil {
		return nil, err
	}
	lim := job.GetLimits()
	p := parser{limits: manifest.Limits{
		MaxBytes: int(lim.GetFileBytes()), MaxObjects: int(lim.GetObjects()), MaxDepth: int(lim.GetDepth()), MaxAliasExpansion: int(lim.GetAliasExpansion()),
	}}
	var batch []string
	var total, pending int64
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		contents, err := fs.read(batch)
		if err != nil {
			return err
		}
		for i, path := range batch {
			p.file(path, contents[i])
		}
		batch, pending = batch[:0], 0
		return nil
	}
	for _, e := range entries {
		if !sel.takes(e.GetPath()) {
			continue
		}
		if e.GetBroken() {
			p.problem(fault.New(fault.Unprocessable, "symlink_out_of_bounds", "%s is a symbolic link that leads to no file", clip(e.GetPath(), 200)))
			continue
		}
		if e.GetSize() > lim.GetFileBytes() {
			p.problem(fault.New(fault.Unprocessable, "too_large", "%s: the file has %d bytes; the limit is %d", clip(e.GetPath(), 200), e.GetSize(), lim.GetFileBytes()))
			continue
		}
		if total += e.GetSize(); total > lim.GetTotalBytes() {
			return nil, fault.New(fault.Unprocessable, "too_large", "the files of the source have more than %d MiB together", lim.GetTotalBytes()>>20)
		}
		if pending += e.GetSize(); pending > readBatch || len(batch) >= 1000 {
			if err := flush(); err != nil {
				return nil, err
			}
			pending = e.GetSize()
		}
		batch = append(batch, e.GetPath())
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return p.result()
}

// parser collects the objects and problems of files.
type parser struct {
	limits   manifest.Limits
	objects  []manifest.Object
	problems fault.List
}

func (p *parser) problem(e *fault.Error) {
	if len(p.problems) < maxProblems {
		p.problems = append(p.problems, e)
	}
}

func (p *parser) file(path string, data []byte) {
	if len(p.problems) >= maxProblems || bytes.Contains(data, []byte(skipMark)) {
		return
	}
	lim := p.limits
	lim.MaxObjects = max(1, p.limits.MaxObjects-len(p.objects))
	objects, err := manifest.Parse(path, data, lim)
	if err != nil {
		p.problem(fault.As(err))
		return
	}
	p.objects = append(p.objects, objects...)
}

func (p *parser) result() (*workerv1.RenderResult, error) {
	switch len(p.problems) {
	case 0:
	case 1:
		return nil, p.problems[0]
	default:
		return nil, p.problems
	}
	if n := len(p.objects); n > p.limits.MaxObjects {
		return nil, fault.New(fault.Unprocessable, "too_large", "the source has %d objects; the limit is %d", n, p.limits.MaxObjects)
	}
	if err := manifest.Duplicates(p.objects); err != nil {
		return nil, err
	}
	manifest.SortForApply(p.objects)
	encoded, digest, err := manifest.EncodeBundle(p.objects)
	if err != nil {
		return nil, err
	}
	out := &workerv1.RenderResult{Bundle: encoded, Digest: string(digest), Objects: int64(len(p.objects))}
	for _, o := range p.objects {
		out.Origins = append(out.Origins, o.Origin)
	}
	return out, nil
}
