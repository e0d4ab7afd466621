// Package explain is the agent's judgement on files, without a cluster: what
// health an object has, what can be done with it, what differs between two
// objects, and what a sync would do in which order. It is for people who write
// health scripts, actions, ignore rules and hooks, and for their CI.
//
// It has no rules of its own: agent/health, agent/lua, agent/action, agent/diff
// and agent/sync decide, as they do in a cluster. agent/cmd/hawser-agent calls
// Command. Nothing here reaches a network.
//
// Every command prints its answer on standard output, as text for people or,
// with -o json, for programs; errors and warnings go to standard error. The exit
// status is 0 for yes (healthy, equal, done), 1 for no, and 2 when there is no
// answer.
package explain
