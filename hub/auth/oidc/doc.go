// Package oidc has identity providers vouch for people: OpenID Connect, with the
// authorization code flow and PKCE in a browser, and the device flow for a command
// line without one.
//
// The hub is the only client of a provider. A command line logs in through the hub:
// it has no secret of a client, needs no redirect URI at the provider, and gets a
// session as everybody else.
//
// Decisions are pure: settings.go says which settings are good, token.go what may be
// parsed at all, claims.go whether claims are about this login and who they are
// about, place.go where a browser may be sent. Effects are apart: remote.go speaks
// to a provider, keys.go has its keys, flow.go carries logins from their beginning
// to their end.
//
// Everything of a provider goes over TLS whose certificate is verified; no setting
// changes that. What is answered is limited in size and time. Keys are asked for at
// most once in 30 seconds, whatever tokens name, and those that are known go on
// working while the provider is away.
//
// It is no HTTP handler: hub/api has the routes, hub/auth begins the sessions, and
// hub/app makes the Service. It does not judge what somebody may do.
package oidc
