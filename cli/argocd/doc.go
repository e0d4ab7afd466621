// Package argocd is the command line under the name argocd: Argo CD's commands and
// flags, over a hub. Commands that do something are hawser's, with their flags
// translated; commands that show something print Argo CD's columns and objects.
//
// One table (Commands) says of each flag whether it is the same, is accepted and has
// no effect, or is not supported and what stands in its place. The parser and the
// page docs/argocd-cli.md are made of it, so that neither promises what the other
// does not do.
package argocd
