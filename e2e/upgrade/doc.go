// Package upgrade runs the hub and the agents of the release before this one
// against this one's, on a real control plane: old agents with a new hub, a new
// agent with an old hub, a hub that is upgraded under its agents, and one that goes
// back. PREVIOUS names the commit of that release; it is built from the history of
// the repository.
package upgrade
