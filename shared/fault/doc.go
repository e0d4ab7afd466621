// Package fault is the closed set of error kinds, and the one mapping of each
// to an HTTP status, a gRPC code, an exit code of the command line and a retry
// policy.
//
// An Error says what is wrong, where, what was found, what is allowed and what
// to do. Its message carries no secret, no path of the server and no Go type
// name; the cause is kept for logs and errors.Is.
package fault
