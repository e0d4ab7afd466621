// Package testbed starts the real things that tests, the demo and the
// benchmarks run against: Kubernetes control planes (etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and kwok nodes whose pods run), Git
// servers over HTTP and SSH, a private PostgreSQL, a TCP proxy that misbehaves
// on request, an HTTP CONNECT proxy, and a server that answers for the kubelets.
//
// It is not a fake: every API server, Git exchange and database answer comes
// from the program a user has. Only the kubelet is simulated (by kwok, and by
// Kubelet for logs and commands), so pods become Running without a container
// runtime.
//
// Everything listens on 127.0.0.1 on ports below the range that the kernel
// hands to outgoing connections, so that a server that is stopped can come back
// on the port it had. Several test binaries may use the package at once: the
// build is guarded by a file lock, every instance has its own directory, and a
// lost race for a port is tried again.
//
// Child processes die with the process that started them, also when that one
// is killed. The functions take a context for the start only; what they return
// lives until its Stop or Close is called. The core API knows nothing of
// package testing; the Need functions at the end adapt it.
//
// Callers: e2e scenarios, e2e/demo, e2e/bench, and package tests that need a
// real API server or Git server. Product packages never import it.
package testbed
