// Package app is the agent's construction: configuration, and every part made in
// start order and stopped in reverse. It holds no logic of the product; the
// adapters here only fit one package's interface to another's.
package app
