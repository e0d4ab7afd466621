// Package kill ends the agent with SIGKILL at every named point (shared/failpoint)
// of its work, starts it again, and checks from what others have recorded that
// nothing was lost, done twice, or done out of order.
//
// The test runs the real hub with its Postgres, a real control plane and agents
// that are built with failpoints. A case is a point and a seed: one application
// lives through a story of syncs with hooks and waves, drift, prunes, operations,
// an action and a cascade delete, in an order that the seed chooses, and its agent
// dies at the point once. For some seeds its line to the hub is cut meanwhile and
// somebody changes an object, or its finished hooks are swept away. Others do not
// die, and miss the answer to one request. What happened is a History:
// the API server's audit log with the bodies of all writes, the agent's journal as
// it was stored, and what the hub's API said. Check judges it. Check is pure, uses
// none of the code that it judges, and is itself tested with histories that it
// must refuse.
//
// The faults around the agent that are not its own death are in e2e/faults.
package kill
