package main

import (
	"context"
	"errors"
)

// identityBenchmarks are those of the packages that check who calls.
var identityBenchmarks = []struct {
	name, metric, what string
	goal               float64 // µs; 0: none
}{
	{"BenchmarkIdentity/floor", "hash", "floor: argon2id of a password with the parameters of the hub", 0},
	{"BenchmarkIdentity/login", "login", "login with a password, without the database", 0},
	{"BenchmarkIdentity/session", "session", "check of a session that was looked up in the last 2 s", 50},
	{"BenchmarkIdentity/token", "token", "check of an API token that was looked up in the last 2 s", 50},
	{"BenchmarkIdentityStore/floor", "round-trip", "floor: a round trip to Postgres", 0},
	{"BenchmarkIdentityStore/session", "session-cold", "first check of a session, in Postgres among 10,000", 0},
	{"BenchmarkIdentityStore/token", "token-cold", "first check of an API token, in Postgres among 10,000", 0},
}

// identity measures logins and checks of sessions and tokens, each with its floor in
// the same run.
func (b *bench) identity(ctx context.Context) error {
	found := map[string][]float64{}
	for _, pkg := range []string{"./hub/auth", "./hub/store"} {
		if err := b.goBenchmarks(ctx, pkg, "^BenchmarkIdentity(Store)?$", found); err != nil {
			return err
		}
	}
	for _, d := range identityBenchmarks {
		if len(found[d.name]) == 0 {
			return errors.New(d.name + " was not measured")
		}
		for _, ns := range found[d.name] {
			m := b.add("identity/"+d.metric, d.what, "µs", round(ns/1000))
			if d.goal > 0 {
				m.atMost("median", d.goal)
			}
		}
	}
	for i, ns := range found["BenchmarkIdentity/login"] {
		b.add("identity/login-to-hash", "a login against its hash alone", "x", round(ns/found["BenchmarkIdentity/floor"][i])).atMost("median", 1.2)
	}
	return nil
}
