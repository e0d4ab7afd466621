// Package source reads repositories of Git, Helm charts and OCI artifacts: it
// resolves what applications follow to commits and versions, fetches what is
// missing, and hands out immutable snapshots of files. A poller asks every
// watched repository once per interval, whoever asks.
//
// All contact with repositories, the network part and the parsing part, happens
// in child processes (WorkerMain, run by hub/worker) on bare object stores
// below one directory; there is never a work tree, a hook or a git
// configuration. The protocol is Git's own version 0 over HTTP(S) and SSH; packs
// are checked and indexed here, and go-git reads objects. History is fetched
// shallow: the first fetch of a revision brings one commit, later ones what was
// added since. Charts and artifacts are trees in such a store too. Submodules
// and Git LFS are shown where the repository's credential asks for them, and are
// fetched when something in them is looked at.
//
// "Cannot resolve" is an error, never "empty": whoever uses this package keeps
// its last good state. Every URL, redirect, submodule and large file passes the
// same checks: schemes, allowed hosts, and blocked networks at the moment of
// connecting. Credentials come from the hub's vault through a function, travel
// to the child over its pipe, stay with the host that they are for, and are in
// no message, log or file; known SSH hosts are in a file for the time of one
// connection.
//
// It does not render (hub/render), does not decide what is deployed
// (hub/delivery) and does not know projects: who may see a submodule is told to
// Snapshot.Within. hub/app joins them.
package source
