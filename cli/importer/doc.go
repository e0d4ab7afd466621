// Package importer decides what becomes of what an Argo CD keeps: Applications,
// AppProjects, ApplicationSets, the Secrets of repositories and clusters, and the
// ConfigMaps of its settings. Objects go in, a Plan comes out, and the Plan has a
// line for every field of every object: taken, translated, ignored with the
// reason, or needing attention with what to do.
//
// It is pure: it reads no file and no cluster, writes to no hub, and knows of the
// hub only what its Options say. Texts of secrets are in the requests of a Plan
// and never in its report. Package command reads the objects, and carries out the
// Plan with the hub's ordinary API.
package importer
