// Package render turns a source at a revision into Kubernetes objects: Helm
// charts, kustomizations, Jinja2 templates, plain directories with Jsonnet, and
// whatever config management plugins make.
//
// Rendering happens in a pool of long-lived worker processes (WorkerMain, run by
// hub/worker) without files, network or environment. A worker asks the hub over
// its pipe for what it needs, one question at a time, and the hub answers from
// immutable snapshots. A worker that takes too long or too much memory is
// killed, and harms nobody else's render. The tools are packages below this one;
// they see a workspace.Workspace.
//
// The questions of a render and what identifies their answers are its trace. It
// is all that the render depends on, what was looked for and not found
// included, so the digest of options, trace and tool versions is the render's
// identity, its Key. Whether something changed is decided by asking the
// questions of an earlier trace again, for identities only: no worker is needed.
// Results are kept by Key, and so shared between applications that render the
// same.
//
// The package reads no repository (hub/source does, behind the Snapshot and
// Fetcher interfaces), decides no permission, and does not decide what becomes
// of the objects: an empty result is a result, and hub/delivery and the agent's
// prune guard deal with it. hub/app calls it for delivery and for the command
// hawser-hub render.
package render
