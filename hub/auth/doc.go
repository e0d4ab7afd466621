// Package auth says who calls the API: API tokens, sessions of people who are
// logged in, and the one-time login code of a hub that nobody can administer yet.
//
// A token is shown once and stored as a SHA-256 hash; it lives 30 days unless
// another time, at most 365 days, is asked for. One that a local user issued works
// while that user may log in.
//
// A token of a project's role is the same with another prefix. It belongs to the
// role: it may what the role may at that time, and is gone with it, also when a role
// of that name is made again.
//
// A token for one cluster (prefix hwk_) is made for a token or session, lives 10
// minutes at most, and takes its bearer to that cluster's API server and nowhere
// else. It is stored nowhere: it has the hub's signature, and counts while what it
// was made for does.
//
// A local user has a name and a password, of which an argon2id hash with its
// parameters is stored; nobody has one by default. A session is a random secret,
// stored as a hash, with its data in the database: it ends after 30 minutes without
// use, after 12 hours, at logout, and with every change of its user. What is taken
// back is void at once at the hub where that is done, and within 2 seconds at
// others: so long they remember what they read.
//
// The login code is stored sealed until it is used, by one caller, or a day has
// gone by; a hub that is restarted prints the same. It exists only while there is
// no administrator.
//
// Logins are counted in the database before they are judged, per user and per
// address (per /64 of IPv6), so that a restart forgets nothing, and names that
// nobody has are counted in a fixed number of buckets, so that nothing can be
// displaced. An unknown name, a wrong password and a disabled user are answered
// alike, after the same work. Guesses at tokens and codes, which have 190 random
// bits, are counted in memory.
//
// It is no HTTP middleware: hub/api has that, through an interface. What somebody
// may do is package permission's.
package auth
