package helm

import (
	"strings"

	"helm.sh/helm/v3/pkg/chart"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Render renders the chart in the source's directory with the options of
// spec.source.helm. The objects are those that `helm template --include-crds`
// prints, CRDs first and hooks last, with their place as Origin:
// "web/templates/deploy.yaml".
//
// Errors: those of the host for files, charts and downloads; chart_invalid,
// chart_not_found, chart_lock_out_of_sync, helm_values_not_found,
// helm_values_invalid, helm_parameter_invalid, helm_release_name_invalid,
// helm_kube_version_invalid, helm_kube_version_incompatible,
// helm_values_schema, helm_template_error, path_escapes_repo, too_large,
// yaml_alias_limit, and what manifest.Parse says.
func Render(w *workspace.Workspace) (workspace.Output, error) {
	options := w.Source.Helm
	if options == nil {
		options = &model.HelmSource{}
	}
	r := renderer{w: w, skipSchema: options.SkipSchemaValidation, field: "spec.source.helm"}
	root, err := r.load(workspace.Main, w.Dir)
	if err != nil {
		return workspace.Output{}, err
	}
	values, err := r.values(root.Name(), options)
	if err != nil {
		return workspace.Output{}, err
	}
	rel := release{name: options.ReleaseName, namespace: options.Namespace}
	if rel.name == "" {
		if rel.name, err = w.Fact(workspace.AppName); err != nil {
			return workspace.Output{}, err
		}
	}
	if rel.namespace == "" {
		if rel.namespace, err = w.Fact(workspace.DestinationNamespace); err != nil {
			return workspace.Output{}, err
		}
	}
	out, err := r.execute(root, values, rel, options.KubeVersion, options.APIVersions)
	if err != nil {
		return workspace.Output{}, err
	}
	var crds []document
	if !options.SkipCrds {
		crds = crdDocuments(out.chart)
	}
	objects, err := r.objects(crds, out.files, options.SkipTests)
	return workspace.Output{Tool: "Helm", Objects: objects}, err
}

// Chart is a chart to inflate for another tool.
type Chart struct {
	// Tree and Dir are where the chart is.
	Tree, Dir string
	// Where names the place that asks for the chart, for messages.
	Where                  string
	ReleaseName, Namespace string
	// Values are YAML mappings over the chart's own; later ones win.
	Values [][]byte
	// KubeVersion and APIVersions are those of the cluster when empty.
	KubeVersion                       string
	APIVersions                       []string
	IncludeCRDs, SkipHooks, SkipTests bool
}

// Inflate renders a chart and returns the YAML documents that `helm template`
// prints, in its order. Errors are those of Render.
func Inflate(w *workspace.Workspace, c Chart) ([]byte, error) {
	r := renderer{w: w, field: c.Where}
	root, err := r.load(c.Tree, c.Dir)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	for _, text := range c.Values {
		if values, err = r.overlay(values, c.Where, text); err != nil {
			return nil, err
		}
	}
	out, err := r.execute(root, values, release{name: c.ReleaseName, namespace: c.Namespace}, c.KubeVersion, c.APIVersions)
	if err != nil {
		return nil, err
	}
	var crds []document
	if c.IncludeCRDs {
		crds = crdDocuments(out.chart)
	}
	text, err := templateText(crds, out.files, !c.SkipHooks, !c.SkipTests)
	if err != nil {
		// Parsing says better what is wrong.
		if _, perr := r.objects(nil, out.files, c.SkipTests); perr != nil {
			return nil, perr
		}
		return nil, fault.Wrap(err, fault.Unprocessable, codeTemplate, "%s", tidy(err.Error()))
	}
	return text, nil
}

// renderer renders one chart.
type renderer struct {
	w          *workspace.Workspace
	skipSchema bool
	// field of the source that errors about options name.
	field string
	// texts are all that templates may come from besides the chart: value files,
	// inline values and parameters.
	texts []string
	// rest are files that have not been read because nobody may ask for them.
	rest []unread
}

// executed is a rendered chart.
type executed struct {
	chart *chart.Chart // with the subcharts that are enabled
	files map[string]string
}

// execute renders a chart, which it changes.
func (r *renderer) execute(root *chart.Chart, values map[string]any, rel release, kube string, apis []string) (executed, error) {
	quiet()
	if !validReleaseName(rel.name) {
		return executed{}, fault.New(fault.Invalid, "helm_release_name_invalid", "%q is no name of a Helm release: it has at most 53 characters, a-z, 0-9, \"-\" and \".\", and begins and ends with a letter or digit", workspace.Clip(rel.name, 80)).
			WithField(r.field+".releaseName").WithFix("set %s.releaseName", r.field)
	}
	if strings.EqualFold(root.Metadata.Type, "library") {
		return executed{}, fault.New(fault.Unprocessable, codeChart, "chart %q is a library: it has nothing of its own to install", clip(root.Name()))
	}
	if err := r.readRest(root); err != nil {
		return executed{}, err
	}
	if err := enableDependencies(root, values); err != nil {
		return executed{}, valuesFault(err)
	}
	top, err := renderValues(root, values, rel)
	if err != nil {
		return executed{}, valuesFault(err)
	}
	used := inspect(root, coalesced(top), r.texts)
	if used.varies {
		r.w.MayVary()
	}
	for _, name := range used.lookups {
		r.w.Warn("helm_lookup_empty", "%s: lookup finds nothing here, because charts are rendered without access to a cluster; what depends on it is as on a first install", workspace.Clip(name, 200))
	}
	version, apis, err := r.capabilities(used, root.Metadata.KubeVersion, kube, apis)
	if err != nil {
		return executed{}, err
	}
	setCapabilities(top, version, apis)
	if !r.skipSchema {
		if err := r.checkSchemas(root, coalesced(top), nil); err != nil {
			return executed{}, err
		}
	}
	if c := root.Metadata.KubeVersion; c != "" && !compatible(c, version.Version) {
		return executed{}, fault.New(fault.Unprocessable, "helm_kube_version_incompatible", "chart %q needs Kubernetes %s; this is for %s", clip(root.Name()), clip(c), version.Version).
			WithFix("use a version of the chart that supports this cluster, or set %s.kubeVersion", r.field)
	}
	files, err := execute(root, top)
	if err != nil {
		return executed{}, templateFault(err)
	}
	var size int64
	for _, text := range files {
		size += int64(len(text))
	}
	if limit := r.w.Limits.OutputBytes; limit > 0 && size > limit {
		return executed{}, fault.New(fault.Unprocessable, "too_large", "the templates of chart %q put out %d bytes; the limit is %d", clip(root.Name()), size, limit)
	}
	return executed{chart: root, files: files}, nil
}

// capabilities are those that the source sets, else the cluster's as far as
// templates look at them.
func (r *renderer) capabilities(used uses, constraint, kube string, apis []string) (kubeVersion, []string, error) {
	wantKube := kube == "" && (used.kube || constraint != "")
	wantAPIs := len(apis) == 0 && used.apis
	if wantKube || wantAPIs {
		c, err := r.w.Host.Capabilities(wantKube, wantAPIs)
		if err != nil {
			return kubeVersion{}, nil, err
		}
		if wantKube {
			kube = c.KubeVersion
		}
		if wantAPIs {
			apis = c.APIs
		}
	}
	if kube == "" {
		kube = DefaultKubeVersion
	}
	v, err := parseKubeVersion(kube)
	if err != nil {
		return v, nil, fault.New(fault.Invalid, "helm_kube_version_invalid", "%q is no version of Kubernetes: write it like 1.37.0", workspace.Clip(kube, 60)).
			WithField(r.field + ".kubeVersion")
	}
	return v, apis, nil
}

// objects parses documents.
func (r *renderer) objects(crds []document, files map[string]string, skipTests bool) ([]manifest.Object, error) {
	var plain, hooks []manifest.Object
	var problems fault.List
	for _, d := range append(crds, split(files)...) {
		objects, err := r.parse(d)
		if err != nil {
			if problems = append(problems, fault.As(err)); len(problems) == maxProblems {
				break
			}
			continue
		}
		keep, hook := true, false
		if !d.crd {
			keep, hook = r.hook(d, objects, skipTests)
		}
		switch {
		case !keep:
		case hook:
			hooks = append(hooks, objects...)
		default:
			plain = append(plain, objects...)
		}
		if limit := r.w.Limits.Manifest.MaxObjects; limit > 0 && len(plain)+len(hooks) > limit {
			return nil, fault.New(fault.Unprocessable, "too_large", "the chart has more than %d objects", limit)
		}
	}
	switch len(problems) {
	case 0:
		return append(plain, hooks...), nil
	case 1:
		return nil, problems[0]
	}
	return nil, problems
}

// maxProblems are told at a time.
const maxProblems = 20

// hook decides what becomes of a document whose object is a hook of Helm.
func (r *renderer) hook(d document, objects []manifest.Object, skipTests bool) (keep, hook bool) {
	if len(objects) != 1 || strings.Contains(objects[0].Origin, ".items[") {
		return true, false
	}
	words, ok := hookWords(objects[0])
	if !ok {
		return true, false
	}
	test := false
	for word := range strings.SplitSeq(words, ",") {
		word = strings.ToLower(strings.TrimSpace(word))
		event, known := hookEvents[word]
		if !known {
			r.w.Warn("helm_hook_unknown", "%s: %s %q is left out, as Helm does: %q is no hook", workspace.Clip(d.source, 150), objects[0].Key.Kind, objects[0].Key.Name, workspace.Clip(word, 40))
			return false, true
		}
		test = test || event == testEvent
	}
	return !test || !skipTests, true
}

// hookWords are the events of a hook; helm takes an object with an empty list for
// a hook of nothing.
func hookWords(o manifest.Object) (words string, ok bool) {
	meta, _ := o.Body["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	words, ok = annotations[hookAnnotation].(string)
	return words, ok
}
