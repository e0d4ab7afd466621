// Package model is Hawser's vocabulary: identifiers, the API types and the
// status facets, shared by hub, agent and command line.
//
// It holds values only: no I/O, no clock, and no import of another package of
// this module. Application and AppProject keep Argo CD's JSON shape field for
// field, so that users migrate by changing nothing.
package model
