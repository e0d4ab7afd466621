// Package install follows README.md's way into clusters, word for word: the blocks of
// its chapter "Install it" run in bash, with the real helm, kubectl and hawser, against
// real control planes.
//
// A control plane of the testbed has no machines. What its pods would run is run here
// (Pods): each container is a process with the arguments, the environment, the Secrets
// and the service account of its pod. It has no file system of its own, so that paths
// of mounts lead into a directory of the test, and no network of its own, so that ports
// are free ones of this machine, which a Service of type LoadBalancer leads to. Pod security, services and network policies are
// e2e/charts'.
package install
