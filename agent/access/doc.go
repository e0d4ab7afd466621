// Package access answers what the hub asks while somebody looks: a live object,
// events, logs of pods, a command in a container, the actions that an object
// offers. It runs at the agent's end of the access tunnel.
//
// It trusts the hub with nothing. Only objects that an application owns can be
// reached, by what the agent itself holds and has observed: an object of the
// application's inventory that carries its tracking id, or what such an object
// owns. A name that the hub sends is compared with the names of these objects
// and never becomes part of a request by itself; there is no way to pass a URL
// on. Values of Secrets are redacted before they leave. Commands in containers
// are off unless the agent was started with them, and the cluster's own policy
// (agent/veto) can refuse everything.
//
// It decides nothing about applications, writes nothing to the cluster and keeps
// nothing. Its requests go over connections of their own, so that a flood of
// logs does not hold up what the agent watches. agent/app makes it and gives it
// the tunnel of agent/link.
package access
