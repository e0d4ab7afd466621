// Package configmap watches single ConfigMaps of the agent's own namespace: what
// an administrator of the cluster tells the agent. One request lists the object
// and one stays open for its changes; nothing is polled.
//
// It does not know what they hold. agent/app makes a Watch for each and joins it
// to who reads it (agent/veto, agent/settings). What applications deploy is
// observed by agent/observe, which leaves the agent's namespace out.
package configmap
