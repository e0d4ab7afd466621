package jsonnet

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	jsonnet "github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/ast"

	"github.com/hawser-dev/hawser/hub/render/directory"
	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

const optionsField = "spec.source.directory.jsonnet"

// maxStack is how many calls may be inside each other, as in Argo CD and the
// jsonnet command.
const maxStack = 500

// New returns the evaluator of one render. Nothing is asked of the host before a
// file is evaluated. Errors of the evaluator: jsonnet_error with file, line and
// column; path_escapes_repo (a library directory), symlink_out_of_bounds,
// too_large, those of manifest.Parse for the result, and those of the host.
func New() directory.Evaluate {
	var e *evaluator
	return func(w *workspace.Workspace, path string) ([]manifest.Object, error) {
		if e == nil {
			made, err := newEvaluator(w)
			if err != nil {
				return nil, err
			}
			e = made
		}
		return e.file(path)
	}
}

type evaluator struct {
	w        *workspace.Workspace
	vm       *jsonnet.VM
	importer *importer
	extVars  []string // names, for messages
}

func newEvaluator(w *workspace.Workspace) (*evaluator, error) {
	e := &evaluator{w: w, vm: jsonnet.MakeVM(), importer: newImporter(w)}
	e.vm.MaxStack = maxStack
	e.vm.SetTraceOut(io.Discard)
	e.vm.Importer(e.importer)
	if w.Source.Directory == nil || w.Source.Directory.Jsonnet == nil {
		return e, nil
	}
	options := w.Source.Directory.Jsonnet
	for i, lib := range options.Libs {
		dir, err := workspace.Confine(fmt.Sprintf("%s.libs[%d]", optionsField, i), "", lib)
		if err != nil {
			return nil, err
		}
		// The last one is looked in first, as with the option -J.
		e.importer.libs = append([]string{dir}, e.importer.libs...)
	}
	set := func(field string, vars []model.JsonnetVar, text, code func(name, value string)) error {
		for i, v := range vars {
			value, err := w.Expand(v.Value)
			if err != nil {
				return err
			}
			if v.Code {
				if _, err := jsonnet.SnippetToAST("value", value); err != nil {
					return fault.New(fault.Unprocessable, "jsonnet_error", "the value of %q is no Jsonnet: %s", workspace.Clip(v.Name, 60), workspace.Clip(oneLine(err.Error()), 150)).
						WithField(fmt.Sprintf("%s.%s[%d].value", optionsField, field, i)).WithFix("set code to false when it is meant to be a string")
				}
				code(v.Name, value)
			} else {
				text(v.Name, value)
			}
		}
		return nil
	}
	for _, v := range options.ExtVars {
		e.extVars = append(e.extVars, v.Name)
	}
	slices.Sort(e.extVars)
	if err := set("extVars", options.ExtVars, e.vm.ExtVar, e.vm.ExtCode); err != nil {
		return nil, err
	}
	return e, set("tlas", options.TLAs, e.vm.TLAVar, e.vm.TLACode)
}

// file evaluates one file. A list becomes the items of a List, so that problems
// and origins name their place in it.
func (e *evaluator) file(path string) ([]manifest.Object, error) {
	e.importer.failed = nil
	node, _, err := e.vm.ImportAST("", "/"+path)
	if err != nil {
		return nil, e.problem(path, err)
	}
	out, err := e.vm.Evaluate(node)
	if err != nil {
		return nil, e.problem(path, err)
	}
	if strings.HasPrefix(out, "[") {
		out = `{"apiVersion":"v1","kind":"List","items":` + out + "}"
	}
	if limit := e.w.Limits.OutputBytes; limit > 0 && int64(len(out)) > limit {
		return nil, fault.New(fault.Unprocessable, "too_large", "%s: the result has %d bytes; the limit is %d", workspace.Clip(path, 150), len(out), limit)
	}
	lim := e.w.Limits.Manifest
	lim.MaxBytes = len(out)
	return manifest.Parse(path, []byte(out), lim)
}

// problem phrases an error of the evaluator.
func (e *evaluator) problem(path string, err error) error {
	cause := e.importer.failed
	if cause != nil && cause.Kind != fault.Unprocessable && cause.Kind != fault.Invalid {
		return cause // trouble that is not the file's
	}
	where, what := path, err.Error()
	if err, ok := err.(jsonnet.RuntimeError); ok {
		what = err.Msg
		if loc, ok := place(err.StackTrace); ok {
			where = fmt.Sprintf("%s:%d:%d", loc.FileName, loc.Begin.Line, loc.Begin.Column)
		}
	}
	// What is wrong with the text of a file begins with its place.
	if m := placeInText.FindStringSubmatch(what); m != nil {
		where, what = fmt.Sprintf("%s:%s:%s", m[1], m[2], m[3]), what[len(m[0]):]
	}
	if strings.HasPrefix(what, "(CRASH)") {
		what = "the Jsonnet evaluator failed inside" // and its stack is nobody's
	}
	code := "jsonnet_error"
	if cause != nil {
		code, what = cause.Code, cause.Message
	}
	out := fault.New(fault.Unprocessable, code, "%s", workspace.Clip(workspace.Clip(strings.TrimPrefix(where, "/"), 150)+": "+oneLine(what), 300))
	switch {
	case strings.HasPrefix(what, "Undefined external variable"):
		if len(e.extVars) == 0 {
			return out.WithFix("give it in %s.extVars; none is given", optionsField)
		}
		return out.WithFix("give it in %s.extVars; given are: %s", optionsField, workspace.Clip(strings.Join(e.extVars, ", "), 150))
	case strings.HasPrefix(what, "Missing argument"), strings.HasPrefix(what, "function expected"):
		return out.WithFix("arguments of the file's function come from %s.tlas", optionsField)
	case strings.HasPrefix(what, "max stack frames exceeded"):
		return out.WithFix("most likely something contains or calls itself; at most %s calls may be inside each other", strconv.Itoa(maxStack))
	}
	return out
}

// placeInText is "/dir/file:3:5-6 " or "/dir/file:(3:5)-(4:1) ".
var placeInText = regexp.MustCompile(`^(/[^\n:]+):\(?(\d+):(\d+)\)?(?:-\(?[\d:]+\)?)? `)

// place is the innermost place that is in a file.
func place(frames []jsonnet.TraceFrame) (ast.LocationRange, bool) {
	for _, f := range frames {
		if f.Loc.FileName != "" && f.Loc.FileName != "<std>" && f.Loc.Begin.Line > 0 {
			return f.Loc, true
		}
	}
	return ast.LocationRange{}, false
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
