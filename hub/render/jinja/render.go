package jinja

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/hub/render/directory"
	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// Tool is the name of the tool in results.
const Tool = "Jinja"

// Render renders the templates (*.j2) of the source's directory with the
// variables of spec.source.jinja, and reads the manifests beside them. The
// options of spec.source.directory choose the files. jsonnet evaluates *.jsonnet.
//
// Errors: those of directory.Render; jinja_undefined, jinja_error,
// jinja_unsupported, jinja_tag_forbidden and template_path_forbidden with file
// and line; jinja_values_not_found, values_invalid, path_escapes_repo and
// repo_insecure for value files.
func Render(w *workspace.Workspace, jsonnet directory.Evaluate) (workspace.Output, error) {
	values, files, err := load(w)
	if err != nil {
		return workspace.Output{}, err
	}
	m, err := newMachine(w, values)
	if err != nil {
		return workspace.Output{}, err
	}
	r := &renderer{w: w, m: m}
	out, err := directory.Render(w, directory.Tools{Jsonnet: jsonnet, Jinja: r.file, Values: files})
	out.Tool = Tool
	return out, err
}

type renderer struct {
	w    *workspace.Workspace
	m    *machine
	size int64 // of all that was put out
}

// file renders one template and parses what it puts out.
func (r *renderer) file(_ *workspace.Workspace, p string) ([]manifest.Object, error) {
	u, err := r.m.unit(p)
	if err != nil {
		return nil, err
	}
	if u == nil {
		return nil, fault.New(fault.Unprocessable, "file_not_found", "%s does not exist", workspace.Clip(p, 200))
	}
	if strings.Contains(u.text, directory.SkipMark) {
		return nil, nil
	}
	text, lines, err := r.m.render(u, r.limit())
	if err != nil {
		return nil, err
	}
	r.size += int64(len(text))
	lim := r.w.Limits.Manifest
	lim.MaxBytes = max(len(text), 1)
	objects, err := manifest.Parse(p, []byte(text), lim)
	return objects, inTemplate(p, lines, err)
}

// limit is how many bytes a template may put out.
func (r *renderer) limit() int {
	limit := int64(manifest.DefaultLimits().MaxBytes)
	if l := r.w.Limits.Manifest.MaxBytes; l > 0 {
		limit = int64(l)
	}
	if total := r.w.Limits.OutputBytes; total > 0 {
		limit = min(limit, total-r.size)
	}
	return int(max(limit, 0))
}

// render runs a template and returns what it puts out, with the places that the
// lines came from. Each template has all of the limits.
func (m *machine) render(u *unit, limit int) (string, []place, error) {
	m.steps, m.made, m.stack, m.own = 0, 0, []string{u.path}, map[string]any{}
	m.out = &output{limit: limit, track: true}
	out := m.out
	if _, err := m.run(u, &scope{outside: true}); err != nil {
		return "", nil, err
	}
	return out.b.String(), out.lines, nil
}

var placeInOutput = regexp.MustCompile(`^:(\d+):\d+: `)

// inTemplate gives problems of the output the line of the template that it came
// from.
func inTemplate(p string, lines []place, err error) error {
	if err == nil {
		return nil
	}
	var list fault.List
	if !errors.As(err, &list) {
		list = fault.List{fault.As(err)}
	}
	out := make(fault.List, len(list))
	for i, e := range list {
		c := *e
		rest := strings.TrimPrefix(e.Message, p)
		if g := placeInOutput.FindStringSubmatch(rest); g != nil && len(rest) < len(e.Message) {
			if n, err := strconv.Atoi(g[1]); err == nil && n >= 1 && len(lines) > 0 {
				at := lines[min(n, len(lines))-1]
				c.Message = workspace.Clip(fmt.Sprintf("%s:%d: %s (line %d of what it renders to)", at.file, at.line, rest[len(g[0]):], n), maxMessage)
			}
		}
		out[i] = &c
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}
