// Package rbac tests docs/agent-rbac.yaml: an agent whose service account has
// exactly those rules does its whole job on a real API server, and what it is
// not granted ends with a message that says so.
//
// It is a package of its own because it needs a cluster whose agent is no
// administrator. It has no code but tests.
package rbac
