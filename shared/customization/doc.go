// Package customization knows the keys of an argocd-cm ConfigMap that say how
// resources are judged and compared: which of them Hawser uses, and what shape
// their texts must have.
//
// It is pure. It runs no script (agent/lua does) and evaluates no rule (agent/diff).
// The hub asks it before it stores what somebody sends for the whole fleet, an import
// before it sends that, and agent/settings about the ConfigMap of a cluster.
package customization
