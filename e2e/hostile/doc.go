// Package hostile has the two ends of the line to the agents that do not keep
// to its rules: Agent, a client that can send any TLS record, HTTP/2 frame, gRPC
// message or yamux frame, and Hub, a server that agents can be pointed at and
// that says whatever a test wants.
//
// Its tests are the rows E01 to E13 of the attack list (docs/security.md). They
// run against the hub's own listener, gateway, ingest and store on a real
// Postgres, and against the agent's own link; honest ends are in e2e/line. Only
// tests import it.
package hostile
