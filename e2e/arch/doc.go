// Package arch holds the project to its own structure: which package may import
// which, and that each says what it is. It has tests only.
package arch
