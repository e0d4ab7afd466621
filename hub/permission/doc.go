// Package permission decides who may do what: an API token is an administrator's,
// or it has grants, each a role in the projects that a glob names.
//
// A Set is compiled once from a token. It answers the same question in two
// ways: Decide for one thing, and Projects for all things at once, so that a
// list is filtered by names of projects and never row by row with globs. A
// property test holds the two equal.
//
// Rules are an RBAC policy in Argo CD's form, compiled; Effective is what it says
// of one subject. hawser-hub policy asks them from files. CompileWith makes a Set
// that also allows what a policy does; its Scope has things as well as projects.
//
// The package is pure: it reads no database, keeps no state but what it was
// given, and knows no HTTP. hub/api asks it before every route, hub/inventory
// is given the names that it resolves. What a project itself allows
// (repositories, destinations, kinds) is decided by shared/policy, whoever asks.
package permission
