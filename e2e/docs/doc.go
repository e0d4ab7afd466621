// Package docs holds README.md and the pages of docs to what the programs do. Each
// block of code in them says by its language what it is, and is checked as that:
// commands are parsed by the programs that they call and, where a hub, a cluster and a
// registry's place can be had, run; YAML is read strictly as the type that it is. A
// block that nothing checks fails.
package docs
