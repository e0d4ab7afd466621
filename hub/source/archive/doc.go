// Package archive takes apart tar files that strangers made: charts and OCI
// artifacts. It is the only place that reads one.
//
// It writes nothing: Extract hands each file to a function of its caller, with a
// path that is relative, clean, and inside the root whatever the archive says.
// Directories are not handed on, because a tree has them by its files. Regular
// files and symbolic links that stay inside are all that comes through; hard
// links, devices, pipes and sparse files are refused, and so is a name that
// comes twice. Sizes and numbers are bounded while reading, so that an archive
// that unpacks to much more than it is costs no more than the limit.
//
// The package knows nothing of networks or stores; hub/source calls it in its
// child process.
package archive
