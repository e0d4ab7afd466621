// Package lifecycle starts the parts of a program in order and stops them in
// reverse, and ends the program when one of them fails. hub/app and agent/app
// list their parts; the list is the program's architecture.
package lifecycle
