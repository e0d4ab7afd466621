// Package line tests both ends of the wire together: hub/gateway and agent/link
// over real TLS on loopback, with a store in memory that runs the hub's real
// decisions (hub/fleet), and through the testbed's broken networks and proxies.
// It has tests only.
package line
