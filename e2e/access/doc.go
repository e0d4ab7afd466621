// Package access shows with the real programs what the access streams promise
// when something goes wrong: a permission is taken back, the hub or the agent is
// killed, or a container writes as fast as it can. That they work at all is shown
// by e2e/scenarios.
package access
