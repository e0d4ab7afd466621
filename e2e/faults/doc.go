// Package faults puts real agents into trouble and looks what they do: an API
// server that refuses a part of the requests, admission webhooks that deny, hang
// or undo, kinds that vanish, a frozen twin, a line that is cut, objects that are
// replaced under its hands, thousands of objects and huge ones, and a journal that
// cannot be written.
//
// Every test is named after what must hold, and the API server's audit log is the
// witness: what an agent says of itself is not asked. The agent's own death is in
// e2e/kill, single parts against made-up servers are tested beside them
// (agent/observe, agent/sync, agent/journal), and faults of the hub, Git and
// Postgres are in e2e/scenarios.
package faults
