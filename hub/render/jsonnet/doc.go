// Package jsonnet evaluates Jsonnet files into Kubernetes objects, as Argo CD
// does: external variables, top-level arguments and library directories of
// spec.source.directory.jsonnet, and an object or a list of objects as result.
//
// The evaluator sees only the tree of its source, through the workspace: no
// other file, no network, no native functions, no environment. It does not
// choose files; hub/render/directory does, and calls it in a render worker,
// whose deadline and memory end an evaluation that does not end.
package jsonnet
