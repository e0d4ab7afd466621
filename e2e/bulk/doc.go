// Package bulk has end-to-end tests of commands to many applications: a real hub
// with a real Postgres is killed in the middle of a job. No cluster is needed:
// commands are taken for one that is offline, or refused.
package bulk
