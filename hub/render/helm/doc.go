// Package helm renders Helm charts as `helm template --include-crds` does, with
// the options that an Application has for them.
//
// A chart's files come from a workspace: the package has no files, no network
// and no clock of its own, and neither have the templates. What a chart depends
// on and does not carry in charts/ is fetched by the host. What a template looks
// up in a cluster is empty, and the user is told.
//
// Only the files, facts and capabilities that a chart's templates can use are
// asked for, because what was asked identifies the render: a change of a README
// renders nothing anew, and clusters with different APIs share a render whose
// templates do not look at APIs. See uses.go.
//
// Where neither the source nor the cluster tells a Kubernetes version, templates
// see DefaultKubeVersion.
//
// sdk.go alone calls the Helm library. Charts and documents that were parsed are
// kept by their content, within limits (cache.go), so that a render again costs
// little more than its templates. Render works in a render
// worker process: a template cannot be stopped, so a worker that takes too much
// time or memory is killed. hub/render calls Render for sources that are charts,
// and hub/render/kustomize calls Inflate for those of a kustomization.
//
// Hooks are not run here: their objects keep the annotations helm.sh/hook and
// helm.sh/hook-weight, which the agent reads as phases and waves.
package helm
