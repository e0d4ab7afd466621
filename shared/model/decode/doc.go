// Package decode reads Applications, AppProjects, ApplicationSets and the bodies
// of API requests from YAML or JSON, strictly: an unknown field, a duplicate key or a wrong type
// is an error that names the place and what was meant, and all problems of a
// document are told at once.
//
// It accepts what kubectl and Argo CD accept: several documents, Lists, exports
// with status and server-set metadata (both are dropped), YAML 1.1 booleans
// where a boolean is wanted, and numbers with a quote where a string is wanted
// only if they are quoted.
//
// Beyond the shape it checks what can be known from the document alone: names,
// repository URLs, paths, destinations, sync options, durations, patterns. What
// depends on other things (does the project exist, does it permit this) is
// decided by the caller.
//
// It is pure. The hub's API and the command line call it.
package decode
