// Package webhook takes push events from Git servers and turns them into "look
// at this repository now". A push only makes a look come sooner: nothing in its
// payload is believed or kept, so a forged or repeated one costs one ls-remote,
// of which there is a limited number for each repository (see pace.go).
//
// It reads the events of GitHub, GitLab, Gitea, Forgejo, Gogs, Bitbucket Cloud,
// Bitbucket Data Center and Azure DevOps at one address; headers tell them
// apart, and each has its file. Signatures and tokens are checked over the raw
// body before anything in it is looked at. The addresses in an event are matched
// with the repositories that are under watch, in all their spellings.
//
// An event names the repository, and that is all the hub needs: which
// applications a commit concerns is found by the trace of what their last render
// read (hub/render), which costs nothing for those that read nothing that
// changed. Refs and paths that an event names are for the log.
//
// It does not look itself: hub/app gives it the poller's Poke.
package webhook
