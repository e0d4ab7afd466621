// Package ociregistry reads from OCI registries what Hawser takes as a source:
// Helm charts, and artifacts with one layer that is a tar file.
//
// It asks for tags, manifests and one layer, and never pushes. What comes is
// compared with its digest. The credential goes to the registry and to the token
// server that the registry names, if that is of the same site; not to others,
// unless the repository says so. Dialing is the transport's business, unpacking
// that of hub/source/archive. The package runs in the child process of
// hub/source and keeps nothing.
package ociregistry
