package delivery

import (
	"context"
	"fmt"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// keySeparator stands between the render keys of several sources.
const keySeparator = "+"

// RenderSources renders every source of manifests and joins them. head tells
// what a source is resolved to, false as long as that is not known; then waiting
// is true and nothing is rendered. request holds all that does not differ from
// source to source; its PreviousKey is that of the whole.
func RenderSources(ctx context.Context, r Renderer, spec model.ApplicationSpec, head func(model.Source) (Head, bool), request RenderRequest) (out Rendered, waiting bool, err error) {
	var parts []At
	var fields []string // where each part is in the specification
	request.Refs = map[string]At{}
	for i, s := range spec.AllSources() {
		field := singleSource
		if len(spec.Sources) > 0 {
			field = fmt.Sprintf("spec.sources[%d]", i)
		}
		h, ok := head(s)
		switch {
		case !ok:
			waiting = true
			continue
		case h.Err != nil:
			return Rendered{}, false, placed(h.Err, field)
		}
		at := At{Source: s, Commit: h.Commit}
		if s.Ref != "" {
			request.Refs[s.Ref] = at
		}
		if s.HasManifests() {
			parts, fields = append(parts, at), append(fields, field)
		}
	}
	switch {
	case len(spec.ManifestSources()) == 0:
		// Nothing to read is not the same as nothing to run.
		return Rendered{}, false, fault.New(fault.Invalid, "application_without_source",
			"the application names no source of manifests").WithField("spec.source")
	case waiting:
		return Rendered{}, true, nil
	}
	previous := make([]string, len(parts))
	if keys := strings.Split(request.PreviousKey, keySeparator); len(keys) == len(parts) {
		previous = keys
	}
	out, err = renderParts(ctx, r, request, parts, fields, previous)
	return out, false, err
}

// renderParts renders each part; all unchanged is unchanged. When only some are,
// those are rendered too, which finds their results where they were kept.
func renderParts(ctx context.Context, r Renderer, request RenderRequest, parts []At, fields, previous []string) (Rendered, error) {
	results := make([]Rendered, len(parts))
	render := func(i int, previous string) (err error) {
		request.At, request.PreviousKey = parts[i], previous
		results[i], err = r.Render(ctx, request)
		return placed(err, fields[i])
	}
	unchanged := 0
	for i := range parts {
		if err := render(i, previous[i]); err != nil {
			return Rendered{}, err
		}
		if results[i].Unchanged {
			unchanged++
		}
	}
	if unchanged == len(parts) {
		return Rendered{Unchanged: true}, nil
	}
	for i := range parts {
		if results[i].Unchanged {
			if err := render(i, ""); err != nil {
				return Rendered{}, err
			}
		}
	}
	if len(results) == 1 {
		return results[0], nil
	}
	return join(results)
}

// singleSource is what renderers call the source that they render, because they
// see one at a time.
const singleSource = "spec.source"

// placed makes what an error says of spec.source be about the field that the
// source really has. Errors are shared, so it returns a copy.
func placed(err error, field string) error {
	if err == nil || field == singleSource {
		return err
	}
	move := func(text string) string {
		if rest, ok := strings.CutPrefix(text, singleSource); ok && (rest == "" || strings.ContainsAny(rest[:1], ".: ")) {
			return field + rest
		}
		return text
	}
	one := func(e *fault.Error) *fault.Error {
		c := *e
		c.Field, c.Message = move(e.Field), move(e.Message)
		// Only our own words are in here.
		c.Fix = strings.ReplaceAll(e.Fix, singleSource+".", field+".")
		return &c
	}
	switch e := err.(type) { //nolint:errorlint // what wraps an error has a text of its own
	case *fault.Error:
		return one(e)
	case fault.List:
		out := make(fault.List, len(e))
		for i := range e {
			out[i] = one(e[i])
		}
		return out
	}
	return err
}

// join concatenates the objects of several sources; of two with one identity
// the later source wins, as in Argo CD, and a warning says so.
func join(parts []Rendered) (out Rendered, err error) {
	at := map[model.ObjectKey]int{}
	var keys, revisions []string
	for _, p := range parts {
		for _, o := range p.Objects {
			i, ok := at[o.Key]
			if !ok {
				at[o.Key] = len(out.Objects)
				out.Objects = append(out.Objects, o)
				continue
			}
			out.Warnings = append(out.Warnings, model.Condition{
				Type: "RepeatedResourceWarning", Code: "repeated_resource",
				Message: fmt.Sprintf("%s %s comes from two sources; %s wins over %s", o.Key.Kind, o.Key.Name, o.Origin, out.Objects[i].Origin),
			})
			out.Objects[i] = o
		}
		keys = append(keys, p.Key)
		revisions = append(revisions, p.Revision.Commit)
		out.Warnings = append(out.Warnings, p.Warnings...)
		out.Revision = p.Revision
	}
	out.Revision.Sources = revisions
	out.Key = strings.Join(keys, keySeparator)
	out.Warnings = out.Warnings[:min(len(out.Warnings), maxWarnings)]
	manifest.SortForApply(out.Objects)
	out.Encoded, out.Digest, err = manifest.EncodeBundle(out.Objects)
	return out, err
}

// maxWarnings of one application.
const maxWarnings = 20

// GeneratePaths are the paths that the annotation of an Application lists.
func GeneratePaths(app model.Application) []string {
	listed, ok := app.Metadata.Annotations[model.AnnotationGeneratePaths]
	if !ok {
		listed = app.Metadata.Annotations[model.AnnotationGeneratePathsAlias]
	}
	var out []string
	for p := range strings.SplitSeq(listed, ";") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}
