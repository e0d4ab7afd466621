// Package action knows what can be done with an object besides syncing it:
// restart, pause, resume, scale, suspend, create-job, and so on, for the kinds
// of Kubernetes and for custom kinds that many use; and what people's own
// scripts offer (agent/lua).
//
// It is pure: an object as decoded JSON goes in, and the objects as they should
// be afterwards come out. Nothing is written here: agent/reconcile does that,
// as an operation of its own. agent/access lists actions for people, and
// agent/explain runs them on files.
//
// What an action answers depends on the object, the parameters, the id of the
// operation and its time, and on nothing else. So an action that was
// interrupted asks for the same when it runs again, and an object that it makes
// has the same name: it is made once.
package action
