// Package orphan finds objects that no application owns, where a project asks for
// it with orphanedResources: top-level namespaced objects in the namespaces that
// its applications go to. What counts as one is Argo CD's.
//
// It never changes anything in the cluster, and nothing that it finds is part of
// what is compared, pruned or judged: it makes a warning, and nodes of the tree
// that stand apart. Nothing is watched for it until a project asks, and then only
// the metadata of the kinds that the project permits.
//
// Find decides; Watcher says when. agent/app runs the Watcher and adds what it
// has found to what agent/reconcile and agent/report say.
package orphan
