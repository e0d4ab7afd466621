// Package kube reads and patches objects of a cluster that the user's kubeconfig
// names, for moving from another tool: a few plain requests to its API server,
// without the machinery of a Kubernetes client.
//
// It decides nothing and prints nothing. Package command calls it. Credentials of
// the kubeconfig go to the API server that it names, and nowhere else.
package kube
