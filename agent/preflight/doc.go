// Package preflight looks, before an agent enrols, at everything that it needs: the
// way to the hub (DNS, TCP, proxy, TLS and pin, clock, token) and the cluster
// (version, rights, a place for its state). Each check is one function with one
// result, a value: what was found and where, and with a failure its code and what
// to do.
//
// Run changes nothing in the cluster and spends no token; with a token that could
// enrol, the hub is told what was found. It decides nothing: agent/app runs it at
// the start of an agent that is not enrolled, logs a line for each check and goes on,
// and `hawser-agent preflight` prints them. The way to the hub is agent/link's, which
// meets the same troubles again by itself; agent/app joins the two.
//
// The agent keeps its state in Secrets of its own namespace and writes no file, so
// the place for its state is there and no disk is asked for room.
package preflight
