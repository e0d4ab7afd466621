// Package api is the hub's REST API under /api/v1, its event stream, the health
// endpoints and the place where the webhook is mounted.
//
// A handler translates, authorises, asks the project and calls the parts that
// are injected as small interfaces (deps.go); it decides nothing else. Bodies
// are decoded strictly (package decode), every failure is an RFC 9457 problem
// document with a stable code, and nothing in an answer names a path of the
// server, a Go type or a secret.
//
// Commands (sync, delete, terminate) are durable before they are answered 2xx,
// may carry an Idempotency-Key, and end exactly once. Applications carry an
// ETag for If-Match.
//
// Only hub/app imports it.
package api
