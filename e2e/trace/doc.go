// Package trace shows, with the real programs and a control plane, that one change
// is one trace across hub and agent, and that both tell Prometheus and the kubelet
// how they are. Its collector is in the test's own process.
package trace
