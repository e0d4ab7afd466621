// Package hostile has both ends of the line to the agents as they are in bad
// hands: Agent, a client that can send any TLS record, HTTP/2 frame, gRPC message
// or yamux frame, and Hub, which has the keys of a hub and none of its rules.
//
// Its tests are the rows E01 to E13 of the attack list (docs/security.md). Those of
// agents run against the hub's own listener, gateway, ingest and store on a real
// Postgres; those of hubs against the agent's own link (E07), and against a real
// hawser-agent on a real control plane, whose API server records what was asked of
// it (E08). Honest ends are in e2e/line. Only tests import it.
package hostile
