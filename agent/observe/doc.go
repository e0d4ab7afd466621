// Package observe is the agent's eyes: it knows how kinds are served, watches
// the kinds that applications manage, and keeps one trimmed live.Record per
// object in memory.
//
// It decides nothing and writes nothing to the cluster. What it cannot see it
// calls Unknown: a kind whose discovery failed, that is not watched yet, or
// whose watch is broken never answers Absent. One kind that cannot be watched
// makes only itself unknown.
//
// agent/app constructs one Observer and runs it; agent/reconcile and
// agent/report read it through small interfaces of their own.
package observe
