package directory

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

const (
	// readBatch and readFiles are how many bytes and files are asked for at a
	// time.
	readBatch = 8 << 20
	readFiles = 1000
	// maxProblems is how many are collected before a render gives up.
	maxProblems = 20
	// SkipMark in a file excludes it, as in Argo CD.
	SkipMark = "+argocd:skip-file-rendering"
)

// Evaluate makes objects of a file of the tree workspace.Main that is not itself
// a manifest. An error of kind fault.Unprocessable or fault.Invalid is a problem
// of that file and is reported with those of others.
type Evaluate func(w *workspace.Workspace, path string) ([]manifest.Object, error)

// Tools is what Render needs to know of files that are not manifests.
type Tools struct {
	// Jsonnet evaluates *.jsonnet.
	Jsonnet Evaluate
	// Jinja renders *.j2; nil leaves them alone. Files whose names begin with
	// "_" are for other templates and are not rendered themselves.
	Jinja Evaluate
	// Values are paths of files of variables, which are no manifests.
	Values map[string]bool
}

// Render reads the manifests of the source's directory. Options of
// spec.source.directory choose the files.
//
// Errors: those of the host for a directory that cannot be listed,
// expression_invalid (a glob), symlink_out_of_bounds, too_large, and what
// manifest.Parse and the tools say; several come as a fault.List of at most 20.
//
// A directory without a manifest is an empty result, with the warning
// no_manifests, which says what may be wrong. What becomes of emptiness is
// decided by whoever knows what was there before.
func Render(w *workspace.Workspace, tools Tools) (workspace.Output, error) {
	options := w.Source.Directory
	sel, err := newSelection(w.Dir, options, tools)
	if err != nil {
		return workspace.Output{}, err
	}
	entries, err := w.Host.List(workspace.Main, w.Dir, options != nil && options.Recurse)
	if err != nil {
		return workspace.Output{}, err
	}
	if tools.Jinja == nil {
		warnTemplates(w, sel, entries)
	}
	p := parser{w: w, limits: w.Limits.Manifest, tools: tools, templates: map[string]bool{}}
	for _, e := range entries {
		if !e.Dir && strings.HasSuffix(e.Path, templateExtension) {
			p.templates[path.Dir(e.Path)] = true
		}
	}
	found := false
	for _, e := range entries {
		if e.Dir || !sel.takes(e.Path) {
			continue
		}
		found = true
		if err := p.add(e); err != nil {
			return workspace.Output{}, err
		}
	}
	if !found {
		warnEmpty(w, sel, entries)
	}
	if err := p.flush(); err != nil {
		return workspace.Output{}, err
	}
	switch len(p.problems) {
	case 0:
	case 1:
		return workspace.Output{}, p.problems[0]
	default:
		return workspace.Output{}, p.problems
	}
	return workspace.Output{Tool: "Directory", Objects: p.objects}, nil
}

// warnEmpty explains why no file was taken.
func warnEmpty(w *workspace.Workspace, sel *selection, entries []workspace.Info) {
	where := "the root of the repository"
	if w.Dir != "" {
		where = workspace.Clip(w.Dir, 150)
	}
	bare := &selection{dir: sel.dir, anyExtension: sel.anyExtension, jinja: sel.jinja, values: sel.values}
	directories, excluded, templates := 0, 0, 0
	for _, entry := range entries {
		switch {
		case entry.Dir:
			directories++
		case bare.takes(entry.Path):
			excluded++
		case strings.HasSuffix(entry.Path, templateExtension):
			templates++
		}
	}
	why := "manifests are files named *.yaml, *.yml, *.json and *.jsonnet"
	switch {
	case excluded > 0:
		why = fmt.Sprintf("%d files are there, but spec.source.directory.include and exclude leave none of them", excluded)
	case templates > 0 && sel.jinja:
		why = "templates whose names begin with \"_\" are not rendered themselves"
	case templates > 0:
		why = "write spec.source.jinja: {} to render its Jinja2 templates"
	case directories > 0:
		why += "; to read directories below it too, set spec.source.directory.recurse"
	}
	w.Warn("no_manifests", "%s contains no manifest: %s", where, why)
}

// warnTemplates says that templates lie among the manifests and are not
// rendered.
func warnTemplates(w *workspace.Workspace, sel *selection, entries []workspace.Info) {
	count, first := 0, ""
	for _, e := range entries {
		if !e.Dir && strings.HasSuffix(e.Path, templateExtension) && sel.matches(e.Path) && !sel.anyExtension {
			if count++; count == 1 {
				first = e.Path
			}
		}
	}
	switch count {
	case 0:
	case 1:
		w.Warn("jinja_files_ignored", "%s is a Jinja2 template and is not rendered, because manifests lie beside it; write spec.source.jinja: {} to render both", workspace.Clip(first, 150))
	default:
		w.Warn("jinja_files_ignored", "%d Jinja2 templates, such as %s, are not rendered, because manifests lie beside them; write spec.source.jinja: {} to render both", count, workspace.Clip(first, 150))
	}
}

// parser collects the objects and problems of files.
type parser struct {
	w      *workspace.Workspace
	limits manifest.Limits
	tools  Tools
	batch  []string
	// templates are directories that hold some.
	templates map[string]bool
	pending   int64 // bytes of the batch
	objects   []manifest.Object
	problems  fault.List
}

func (p *parser) problem(err error) {
	var list fault.List
	if !errors.As(err, &list) {
		list = fault.List{fault.As(err)}
	}
	for _, e := range list {
		if len(p.problems) < maxProblems {
			p.problems = append(p.problems, e)
		}
	}
}

// add puts a file into the batch, which is read when it is full.
func (p *parser) add(e workspace.Info) error {
	if len(p.problems) >= maxProblems {
		return nil
	}
	if e.Broken {
		p.problem(fault.New(fault.Unprocessable, "symlink_out_of_bounds", "%s is a symbolic link that leads to no file", workspace.Clip(e.Path, 200)))
		return nil
	}
	if limit := int64(p.limits.MaxBytes); e.Size > limit {
		// Sizes in a listing are no part of what a render depends on; asking
		// for this one makes it so.
		if _, err := p.w.Host.Stat(workspace.Main, e.Path); err != nil {
			return err
		}
		p.problem(fault.New(fault.Unprocessable, "too_large", "%s: the file has %d bytes; the limit is %d", workspace.Clip(e.Path, 200), e.Size, limit))
		return nil
	}
	if evaluate := p.tools.of(e.Path); evaluate != nil {
		if err := p.flush(); err != nil {
			return err
		}
		objects, err := evaluate(p.w, e.Path)
		if err != nil {
			if passing(err) {
				return err
			}
			p.problem(err)
			return nil
		}
		p.objects = append(p.objects, objects...)
		return p.count()
	}
	if p.pending += e.Size; p.pending > readBatch || len(p.batch) >= readFiles {
		if err := p.flush(); err != nil {
			return err
		}
		p.pending = e.Size
	}
	p.batch = append(p.batch, e.Path)
	return nil
}

// of is what evaluates a file, nil for a manifest.
func (t Tools) of(file string) Evaluate {
	switch {
	case strings.HasSuffix(file, jsonnetExtension):
		return t.Jsonnet
	case strings.HasSuffix(file, templateExtension):
		return t.Jinja
	}
	return nil
}

// passing: trouble that is not the file's, and so ends the render.
func passing(err error) bool {
	kind := fault.As(err).Kind
	return kind != fault.Unprocessable && kind != fault.Invalid
}

func (p *parser) flush() error {
	if len(p.batch) == 0 {
		return nil
	}
	contents, err := p.w.ReadAll(workspace.Main, p.batch)
	if err != nil {
		return err
	}
	for i, file := range p.batch {
		if err := p.file(file, contents[i]); err != nil {
			return err
		}
	}
	p.batch, p.pending = p.batch[:0], 0
	return nil
}

// variables reports whether a file is one mapping that says nothing of what a
// manifest has to say.
func (p *parser) variables(file string, data []byte) bool {
	m, err := manifest.Values(file, data, p.limits)
	return err == nil && m.Values["apiVersion"] == nil && m.Values["kind"] == nil
}

func (p *parser) file(file string, data []byte) error {
	if len(p.problems) >= maxProblems || bytes.Contains(data, []byte(SkipMark)) {
		return nil
	}
	lim := p.limits
	if lim.MaxObjects > 0 {
		lim.MaxObjects = max(1, lim.MaxObjects-len(p.objects))
	}
	objects, err := manifest.Parse(file, data, lim)
	if err != nil {
		if fault.HasCode(err, "manifest_incomplete") && p.templates[path.Dir(file)] && p.variables(file, data) {
			err = fault.As(err).WithFix("if this holds variables, name it in spec.source.jinja.valueFiles")
		}
		p.problem(err)
		return nil
	}
	p.objects = append(p.objects, objects...)
	return p.count()
}

func (p *parser) count() error {
	if n := len(p.objects); p.limits.MaxObjects > 0 && n > p.limits.MaxObjects {
		return fault.New(fault.Unprocessable, "too_large", "the source has %d objects or more; the limit is %d", n, p.limits.MaxObjects)
	}
	return nil
}
