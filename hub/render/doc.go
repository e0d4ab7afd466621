// Package render turns a source at a commit into Kubernetes objects. This
// release renders plain directories of YAML and JSON; other kinds of sources
// are refused with an honest message.
//
// Rendering happens in a pool of long-lived worker processes (WorkerMain, run by
// hub/worker) without files, network or environment: a worker asks the hub over
// its pipe for what it needs, and the hub answers from an immutable snapshot of
// the commit. A worker that takes too long or too much memory is killed, and
// harms nobody else's render.
//
// The key of a render stands for everything that it depends on: the options,
// the selected files and their contents, and the version of this package's
// output. Equal keys need no render; results are also shared between
// applications that render the same files.
//
// The package does not read Git (hub/source does, behind the Snapshot
// interface) and does not decide what becomes of the objects: an empty result is
// a result, and hub/delivery and the agent's prune guard deal with it.
package render
