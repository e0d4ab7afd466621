// Package fleetsim is a fleet in one process: any number of agents, each with its own
// key and certificate from the hub's real enrolment and its own connection over TLS
// from an address of its own, and behind each a cluster in memory.
//
// What runs is the agent's: link, report, journal, settings and reconcile, connected
// as agent/app connects them. What is made up is the cluster: objects with uid,
// resourceVersion, generation and managedFields, merged by the API server's own code
// without schemas (a list is one value); a controller of Deployments, but no
// ReplicaSets and pods; Secrets for the journal with the conflicts of an API server;
// no admission, no finalizers, no hooks, no custom resources.
//
// What these agents lack of real ones: the Lease (each is the only one of its
// cluster), access tunnels, actions, vetoes and the look for orphaned objects. None
// of it says anything to the hub unless it is asked to. What they share because they
// are one process: buffers of the journal's compression, texts that occur in many
// objects, the runtime. Neither is at the hub, where things are measured.
//
// A seed decides what the clusters are like and what Churn does to which of them, not
// how long anything takes.
//
// e2e/bench measures with it (make bench-fleet), and make dev FLEET=1000 opens a hub
// with such a fleet for people.
package fleetsim
