// Package diff compares a desired object with its live counterpart, field by
// field, the way server-side apply means it: what applying the desired object
// would change is a difference, and nothing else is. Fields that others set or
// that the server filled in do not count; a field that this agent applied before
// and that is desired no longer does, because applying removes it.
//
// Three things tell what applying would do. A Schema knows the kinds: the
// built-in ones from a table made of the API server's own types (schemagen),
// custom resources from their definition or an OpenAPI document. managedFields
// know who owns what, and by their form how lists merge. Where neither tells what
// is filled in, Result.Doubts says so; what most likely differs all the same,
// because we applied it before or because a list has other elements, is a
// difference, and Result.Presumed counts it. Then the caller asks the API server by
// a dry run, whose answer CompareAnswer reads. What admission webhooks do only such
// an answer shows.
//
// Rules exclude fields (JSON pointers, jq, field managers): those of an
// application, and those of a fleet in the words of argocd-cm, SystemRules. A rule
// that fails makes a difference uncertain, and never equal. RespectInput makes the
// object to apply that leaves excluded fields alone.
//
// It is pure, but for what it keeps to be fast (types, compiled expressions) and
// the clock that bounds jq. Values of Secrets never leave it in clear.
//
// Callers: agent/sync when it plans, agent/reconcile when it judges drift,
// agent/explain on files.
package diff

//go:generate go run -C schemagen . -o ../builtin.txt
