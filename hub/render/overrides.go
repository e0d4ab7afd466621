package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"path"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// override applies the files of the source's directory that change the source,
// as Argo CD has them: first .argocd-source.yaml, then the one of the
// application, each as a JSON merge patch. Where the source is cannot be
// changed. An unknown field is an error.
func override(src model.Source, h host) (model.Source, error) {
	patches, err := h.Overrides(src.Path)
	if err != nil {
		return src, err
	}
	for i, text := range patches {
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		if src, err = patch(src, text); err != nil {
			return src, inFile(overrideName(src.Path, i, h), err)
		}
	}
	return src, nil
}

// overrideName is the path of the i-th file, for a message. Only then does the
// name of the application matter.
func overrideName(dir string, i int, h host) string {
	app := ""
	if i > 0 {
		if facts, err := h.Facts([]string{workspace.AppName}); err == nil {
			app = facts[workspace.AppName]
		}
	}
	names := overrideNames(app)
	return path.Join(dir, names[min(i, len(names)-1)])
}

// patch applies one file.
func patch(src model.Source, text []byte) (model.Source, error) {
	// Reading it as a source first finds what no source has, and bounds its
	// depth and aliases.
	var checked model.Source
	if err := decode.Into(text, &checked); err != nil {
		if fault.HasCode(err, "body_missing") {
			return src, nil // nothing but comments
		}
		return src, err
	}
	change, err := yaml.YAMLToJSON(text)
	if err != nil {
		return src, fault.Wrap(err, fault.Invalid, "yaml_invalid", "the file is no YAML")
	}
	before, err := json.Marshal(src)
	if err != nil {
		return src, err
	}
	after, err := jsonpatch.MergePatch(before, change)
	if err != nil {
		return src, fault.Wrap(err, fault.Invalid, "source_invalid", "the file cannot be merged into the source")
	}
	var merged model.Source
	if err := decode.Into(after, &merged); err != nil {
		return src, err
	}
	merged.RepoURL, merged.Path, merged.Chart = src.RepoURL, src.Path, src.Chart
	merged.TargetRevision, merged.TagPrefix = src.TargetRevision, src.TagPrefix
	merged.Ref, merged.Name = src.Ref, src.Name
	return merged, nil
}

// inFile makes problems of a text those of a file of the repository.
func inFile(name string, err error) error {
	var list fault.List
	if !errors.As(err, &list) {
		list = fault.List{fault.As(err)}
	}
	out := make(fault.List, len(list))
	for i, e := range list {
		c := *e
		c.Kind = fault.Unprocessable
		c.Message = workspace.Clip(name+": "+e.Message, 300)
		out[i] = &c
	}
	if len(out) == 1 {
		return out[0]
	}
	return out
}
