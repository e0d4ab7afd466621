// Command testrun reads what `go test -json` writes and prints what a person
// wants to see of it: a line for each package, all that failed tests said, and
// every test that skipped itself with its reason, which `go test` keeps to itself.
//
//	go test -json ./... | testrun
//
// Its exit status is 0 whatever it read; that of go test counts.
package main
