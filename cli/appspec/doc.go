// Package appspec turns flags into changes of an Application: where its manifests
// come from, where they go and how they are kept. The flags have Argo CD's names,
// so that the commands of both personalities of the command line register the same
// ones.
//
// It reads files that flags name, and nothing else. It knows no hub and prints
// nothing.
package appspec
