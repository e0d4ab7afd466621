// Package remote reads the ways in which a kustomization names something that
// is not in its own repository.
//
// It is text only: it fetches nothing, asks no project and knows no credential.
// hub/render/kustomize uses it to tell remote references from local ones, and
// the hub uses it to learn which repository, revision and directory a reference
// means before it decides whether to fetch them.
package remote
