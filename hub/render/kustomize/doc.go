// Package kustomize builds a kustomization in a render worker, with the
// libraries that the kustomize command consists of.
//
// Its output equals that of `kustomize build` with its default options, after
// the `kustomize edit` commands that Argo CD runs for the options of an
// Application. It differs in where things come from, and in what it refuses:
//
//   - Files come from a workspace.Workspace and from nowhere else. The library
//     sees a file system in which each tree is mounted below one directory, and
//     nothing exists outside of them.
//   - The library can run git, fetch URLs and start helm. Before a build, plan
//     visits every kustomization that the build will visit and replaces each
//     remote reference by what the host fetched for it, and each Helm chart by
//     the manifests that hub/render/helm makes of it. The library gets to see
//     no reference that it would fetch.
//   - Functions in containers, executables, Starlark and Go plugins are refused
//     (kustomize_plugin_forbidden); the built-in generators and transformers
//     work.
//   - Directories that symbolic links lead to are where they really are, as for
//     the command; a linked file may lie anywhere in the repository.
//   - The OpenAPI schema of the library is global to the process. Builds run
//     one at a time, and one that brings its own schema leaves none behind.
//
// The render worker calls Render; nothing else in the hub does. It is not for
// editing repositories, and it writes nothing.
package kustomize
