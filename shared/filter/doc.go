// Package filter is the language in which lists are narrowed, the same for the
// API, the command line and the console: words, key:value terms, negation,
// "or" inside a term, globs and ages. docs/filters.md explains it to people.
//
// Parse turns a text into a Query of checked terms: every key and every word of
// a closed set exists, every age is one. What the terms are asked about is the
// caller's: a Schema says which keys a kind of thing has, and the caller looks
// the values up. The package is pure and does not know what an application is.
package filter
