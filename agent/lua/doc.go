// Package lua runs the Lua scripts that people bring: health checks and
// resource actions in Argo CD's layout and with its meaning, so that scripts
// written for Argo CD run as they are.
//
//   - LoadDir reads a directory laid out as Argo CD's resource_customizations;
//     Parse reads the keys of an argocd-cm ConfigMap. Scripts are compiled once,
//     and their mistakes are found then.
//   - Scripts.Health judges an object, Scripts.Discover lists the actions that
//     scripts offer for it, Scripts.Run says what one of them would do.
//
// It is not a judge for kinds without a script (agent/health), knows no action
// of our own (agent/action) and changes nothing: what a script returns is a
// value. agent/observe asks for health, agent/action for actions, agent/explain
// for both.
//
// Scripts are strangers. A run has no file, network, process, environment or
// coroutine, sees no other run, and reads the clock of the operation. It ends
// after 100 ms and after 32 MiB. gopher-lua counts no memory, so the compiler
// here rewrites what allocates (concatenation, table constructors, assignments
// to table fields, closures) into calls that are counted, and the libraries are
// our own: every one of their loops counts too. The values of Secrets are
// hidden from scripts.
//
// Objects become Lua tables level by level, when a script first looks at them:
// a health check that reads the status costs nothing for a large spec. Keys are
// in alphabetical order, so a run depends on nothing but its arguments.
package lua
