// Package auth says who calls the API: API tokens, and the one-time login code
// that the first person of a new hub redeems for one.
//
// This release knows administrators only: every valid token may do everything.
// Roles, local users and single sign-on come later, and the decisions of
// projects (package policy) hold for administrators too.
//
// A token is shown once and stored as a SHA-256 hash; it lives 30 days unless
// another time, at most 365 days, is asked for. A login code is kept in memory
// as a hash, for one hour and one use, and exists only while no valid token
// does: a hub that is restarted before its code was used prints another.
// Failures are counted per address and limited.
//
// It is no HTTP middleware: hub/api has that, through an interface.
package auth
