// Package settings holds the resource customizations in force in this cluster:
// what the hub says to all clusters, kept durably so that it survives a restart
// without the hub, and what the cluster says for itself (a directory given at
// the start, and the ConfigMap hawser-customizations of the agent's own
// namespace), which wins key by key.
//
// The Keeper merges them and hands the result to those who use it (agent/lua,
// agent/diff, joined in agent/app) whenever it changed. It does not know what
// the texts mean; who uses them answers what is wrong with them, which becomes a
// condition of the cluster. agent/link hands over what the hub sends,
// agent/configmap what the cluster says.
package settings
