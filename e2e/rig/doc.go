// Package rig runs the real programs (hub, agents, command line) against real
// control planes and a real Git server from e2e/testbed. The demo, the scenarios
// and the benchmarks stand on it.
//
// It holds no logic of the product: it starts, kills and stops processes, and
// speaks to the hub through the command line and the public API only.
package rig
