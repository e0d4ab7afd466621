// Package workspace is what a render sees of the world: the files of its
// sources, the facts about its application and cluster, and what it may have
// fetched for it. The tools (hub/render/helm, kustomize, jinja, jsonnet, …) work
// on a Workspace and on nothing else: they have no files, no network and no
// environment.
//
// Every answer comes from a Host: in a render worker the hub at the other end of
// the pipe, in tests Memory. The host keeps what was asked as the render's
// trace, so a tool asks only for what it uses.
//
// Everything here is for one goroutine.
package workspace
