// Package helmrepo speaks to chart repositories over HTTP: a file index.yaml and
// the archives that it names.
//
// An index may have 50 MB and more. It goes to a file and is never read as a
// whole: Find takes the lines of one chart out of it. Which version is asked for
// is decided here; what becomes of an archive is not (hub/source/archive). The
// package runs in the child process of hub/source and keeps nothing.
package helmrepo
