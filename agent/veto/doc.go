// Package veto is the cluster's own policy, which the hub cannot change: what
// nobody may do through this agent, whatever the hub, Git or a project says.
//
// The policy is the key policy.yaml of the ConfigMap hawser-veto in the agent's
// own namespace; docs/veto.md is its reference. Nothing is ever deployed into
// that namespace, which is itself the first rule here. No ConfigMap is no veto.
// One that cannot be understood vetoes everything.
//
// Parse and Decide are pure. Keeper holds the policy in force, fed by whoever
// watches the ConfigMap (agent/configmap, joined in agent/app), and answers from
// memory; its Applier puts the question before every write of agent/sync, and
// agent/access and agent/action ask Allow. Ledger counts deletes for the limits
// of the policy, and keeps the count in the cluster so that a restart does not
// begin a new one.
//
// It is not the project's policy (shared/policy), which the hub sends and the
// agent asks again, and not the API server's authorisation, which stands behind
// both. It does not hide what the agent observes and reports.
package veto
