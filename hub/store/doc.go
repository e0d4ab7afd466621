// Package store is the only package that knows Postgres: the hub's inventory,
// intents and observations.
//
// Each exported method is one transaction or one statement. What a method
// decides, it asks hub/fleet, with the rows that matter locked; what it writes
// on behalf of an agent session is fenced by the session's epoch in the WHERE
// clause. The SQL is in queries/*.sql, one statement under each name.
//
// Locks are always taken in the order hub, cluster, session, applications by
// uid, operations by id; so two transactions never wait for each other.
//
// Errors are fault errors. A database that does not answer is Unavailable with
// code db_unavailable: a transaction was then not done. When the connection
// broke while a transaction was committed, the code is commit_unknown. Writes of
// a single statement may have been done in either case; they can be repeated.
//
// It is not a cache, and it starts no goroutine besides those of the connection
// pool. hub/app opens it; api, gateway, ingest and delivery use it through
// interfaces of their own.
package store
