// Package kubecall says what a request of kubectl may be that goes through the
// hub to the API server of a cluster: its path and query in one spelling, what it
// is about, its headers, and the statement with which the hub names whose it is.
//
// The hub and the agent both ask it, the agent because it trusts no hub and the
// hub because it trusts no agent. What it lets pass is forwarded as the bytes that
// were judged; nothing is cleaned or decoded in between. It is pure: it opens
// nothing and decides nothing about who may do what, which hub/permission, the
// cluster's veto policy and the API server's own authorisation do.
package kubecall
