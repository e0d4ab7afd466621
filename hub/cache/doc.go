// Package cache keeps what can be made again, so that it need not be: in this
// process (Memory), in a Redis that all hubs of one database share (Redis), or in
// both (Layered). All are one Store, and one test suite runs on all of them.
//
// A Redis is a stranger. What goes there is sealed and named so that nothing can
// be read in it, and a value that is not exactly what was put under its name, by a
// hub of the same database and before its time ran out, is a miss and is reported
// (cache_tampered). What a Redis can still do is to answer with an older value that
// has not run out; so a value here is either the same for its name for ever (a
// render, by the digest of all it depends on; a tree or a page of a list, by the
// state that it shows), or its name has an Epoch of the database in it. Nothing is ever decided by a value being absent.
//
// No method returns an error: a cache that is slow, full, wrong or gone is one that
// has nothing. Calls end after some milliseconds, and after a few that failed none
// are made for a while.
//
// It is not a queue, a lock or a place for what must not be lost. hub/app makes the
// stores and hands them to hub/render, hub/api, hub/inventory and hub/auth, which
// know it by small interfaces of their own.
package cache
