// Package directory renders a directory of manifests: YAML with any number of
// documents and Lists, JSON, and files that evaluators of the caller turn into
// objects: Jsonnet, and Jinja2 templates.
//
// It only reads and chooses files; hub/render finds duplicates, orders the
// objects and makes the bundle. It is called in a render worker by hub/render
// and hub/render/jinja.
package directory
