// Package kubectl shows with the real kubectl that it works through the hub with a
// cluster that only its agent reaches, what it may not do there, and that what is
// open ends with the permission. The agent has the account of docs/agent-rbac.yaml;
// what its user may is what the cluster's own RBAC says of the user.
package kubectl
