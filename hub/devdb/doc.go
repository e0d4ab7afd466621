// Package devdb runs a private PostgreSQL for a hub that was given no database,
// and for tests: it finds the programs, makes the data directory, starts the
// server on a socket and a loopback port of its own, and adopts a server that a
// killed hub left running.
//
// It is not a Postgres manager: no backups, no upgrades between major versions,
// no replicas. Whoever runs more than one machine sets DATABASE_URL. hub/app
// calls Start; shared/testkit and e2e/testbed use it for tests.
package devdb
