package render

import (
	"path"
	"strings"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func unsupported(what string) *fault.Error {
	return fault.New(fault.Unprocessable, "source_type_unsupported", "%s: this release renders plain YAML and JSON directories", what).
		WithFix("render it in your pipeline and commit the result, or wait for a release that can")
}

// supported refuses sources that say themselves that they are something else
// than a plain directory.
func supported(src model.Source) error {
	switch {
	case src.Chart != "":
		return unsupported("the source is a Helm chart from a chart repository").WithField("spec.source.chart")
	case strings.HasPrefix(src.RepoURL, "oci://"):
		return unsupported("the source is an OCI artifact").WithField("spec.source.repoURL")
	case src.Helm != nil:
		return unsupported("the source is a Helm chart").WithField("spec.source.helm")
	case src.Kustomize != nil:
		return unsupported("the source is a kustomization").WithField("spec.source.kustomize")
	case src.Plugin != nil:
		return unsupported("the source asks for a plugin").WithField("spec.source.plugin")
	case src.Directory != nil && src.Directory.Jsonnet != nil:
		return unsupported("the source has options for Jsonnet").WithField("spec.source.directory.jsonnet")
	}
	return nil
}

// toolFiles are what makes Argo CD take a directory for another kind of source.
var toolFiles = map[string]string{
	"Chart.yaml":         "a Helm chart",
	"kustomization.yaml": "a kustomization",
	"kustomization.yml":  "a kustomization",
	"Kustomization":      "a kustomization",
}

// onlyPlain refuses a directory whose files say that it is something else,
// unless the source says in so many words that it is a plain one.
func onlyPlain(src model.Source, job *workerv1.RenderJob, files []listed, sel *selection) error {
	for _, f := range files {
		dir, name := path.Split(f.path)
		if what, ok := toolFiles[name]; ok && src.Directory == nil && strings.Trim(dir, "/") == job.GetPath() {
			return unsupported("the directory is " + what + " (it has " + name + ")").WithField("spec.source.path").
				WithFix("write spec.source.directory: {} to take its files as plain manifests")
		}
		if strings.HasSuffix(name, ".jsonnet") && sel.takes(f.path) {
			return unsupported(clip(f.path, 150) + " is Jsonnet").WithField("spec.source.path").
				WithFix("exclude it with spec.source.directory.exclude")
		}
	}
	return nil
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "…"
}
