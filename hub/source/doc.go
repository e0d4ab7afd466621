// Package source reads Git repositories: it resolves revisions to commits,
// fetches what is missing, and hands out immutable snapshots of commits. A
// poller asks every watched repository once per interval, whoever asks.
//
// All contact with repositories, the network part and the parsing part, happens
// in child processes (WorkerMain, run by hub/worker) on bare object stores
// below one directory; there is never a work tree, a hook, a submodule or a git
// configuration. The protocol is Git's own version 0 over HTTP(S) and SSH;
// go-git reads and stores objects. History is fetched shallow: the first fetch
// of a revision brings one commit, later ones what was added since.
//
// "Cannot resolve" is an error, never "empty": whoever uses this package keeps
// its last good state. Credentials come from the hub's vault through a function,
// travel to the child over its pipe, and are in no message, log or file.
//
// It does not render (hub/render) and does not decide what is deployed
// (hub/delivery). hub/app joins them.
package source
