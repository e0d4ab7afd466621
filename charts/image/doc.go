// Package image makes OCI images of the hub and the agent without Docker: a layout
// on disk (OCI Image Layout 1.1) with an index, one image for each architecture,
// and for each of them its bill of materials (SPDX 2.3) as a referrer.
//
// An image is one static program, the certificates of the public authorities, a
// user without rights and two directories. There is no shell, no package manager and
// no C library in it. What an image is made of is given whole: binary, version, time.
// Nothing is read from the machine that builds, so two builds of one commit have one
// digest.
//
// `make image` calls cmd/build-image. Who prefers Docker has Dockerfile.hub and
// Dockerfile.agent beside this file; they make images of the same contents, with
// other digests.
package image
