// Package gateway is the hub's end of the line to the agents: the one port
// (Mux), enrolment and renewal, the control sessions, and the bundles that
// agents fetch.
//
// A session is a thin effect around rows. Whatever wakes it (Notify,
// NotifyOperation) only says where to look; what is sent is read from the
// store, so that a lost wake-up costs time and never an instruction. Who is
// speaking is taken from the client certificate and from nothing else.
//
// It decides nothing about applications (hub/fleet does, through the store's
// OpenSession) and keeps nothing: a gateway that is killed loses connections
// and no more. hub/app makes it; hub/api, delivery and ingest reach it through
// interfaces of theirs. The other end is agent/link.
package gateway
