// Package login shows with the real programs that people log in with an identity
// provider, and see and may what the policy gives the groups that it vouches for. What
// a login checks, and how a policy decides, is shown where the hub does it.
package login
