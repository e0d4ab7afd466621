// Package peers builds the commands that Hawser's renders are compared with and
// measured against, helm and kustomize, from their public Go modules.
//
// It is for tests and benchmarks only: nothing in the product runs a command.
package peers
