// Package hostile has an end of the line to the agents that does not keep to its
// rules: Agent, a client that can send any TLS record, HTTP/2 frame, gRPC message
// or yamux frame. Its tests against agents use listeners that are not the hub's
// (E07); what a taken hub may ask of a cluster is held back by agent/veto and
// tested there (E08).
//
// Its tests are the rows E01 to E13 of the attack list (docs/security.md). They
// run against the hub's own listener, gateway, ingest and store on a real
// Postgres, and against the agent's own link; honest ends are in e2e/line. Only
// tests import it.
package hostile
