// Package charts tests the Helm charts in charts/: that values are checked, what
// they render to (testdata/*.golden.yaml, -update), that a real API server whose
// namespaces enforce the restricted Pod Security Standard takes all of it without a
// warning, and that an agent with each profile's account does its work and cannot
// exceed it.
//
// It has no code but tests.
package charts
