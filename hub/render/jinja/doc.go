// Package jinja renders Jinja2 templates, and the manifests beside them, into
// Kubernetes objects. docs/jinja.md says which Jinja2 that is.
//
// The engine is pongo2, whose language is Django's: other filters, no strict
// variables, and neither macros, calls nor expressions as Jinja2 has them. So
// this package reads the template itself (lex.go, expr.go, translate.go) and
// hands pongo2 a template that consists of tags of this package only (tags.go):
// pongo2 finds their structure and executes their nodes (nodes.go), and
// expressions are evaluated here (eval.go, filters.go, methods.go, tests.go).
// Every tag and filter of pongo2's own is banned, and it sees no text, no
// expression, no value and no file. What a template can reach is what the tables
// of this package have; a construct that they do not have is an error with file
// and line, never a silent difference.
//
// The package decides nothing about objects and reads nothing but through the
// workspace. hub/render calls it in a render worker, whose deadline and memory
// limit stand behind the limits here (machine.go).
package jinja
