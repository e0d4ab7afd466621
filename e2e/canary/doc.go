// Package canary plants secrets in everything that a real hub and a real agent are
// given: credentials, tokens, passwords, Secrets of Git and of a cluster. It has them
// do what they do, also where it fails, and then looks for the secrets (package search)
// in all that they wrote, answered and started: the files and rows of Postgres, logs,
// answers, events, metrics, arguments and environments, and files of the hub and the
// agent. Where a secret may be is a list in the test, with the reason.
package canary
