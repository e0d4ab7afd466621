package jinja

import (
	"fmt"
	"path"
	"strings"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

const optionsField = "spec.source.jinja"

// environment are the variables that every template has: Argo CD's build
// environment by its names, and by ours. Values of the application with the same
// names win.
var environment = map[string]string{
	workspace.AppName:          workspace.AppName,
	workspace.AppNamespace:     workspace.AppNamespace,
	workspace.AppProject:       workspace.AppProject,
	workspace.AppRevision:      workspace.AppRevision,
	workspace.AppRevisionShort: workspace.AppRevisionShort, workspace.AppRevisionShort8: workspace.AppRevisionShort8,
	workspace.AppSourcePath:     workspace.AppSourcePath,
	workspace.AppSourceRepoURL:  workspace.AppSourceRepoURL,
	workspace.AppSourceRevision: workspace.AppSourceRevision,
	workspace.KubeVersion:       workspace.KubeVersion,
	workspace.KubeAPIVersions:   workspace.KubeAPIVersions,

	"HAWSER_APP_NAME":              workspace.AppName,
	"HAWSER_PROJECT":               workspace.AppProject,
	"HAWSER_REVISION":              workspace.AppRevision,
	"HAWSER_REVISION_SHORT":        workspace.AppRevisionShort,
	"HAWSER_SOURCE_PATH":           workspace.AppSourcePath,
	"HAWSER_REPO_URL":              workspace.AppSourceRepoURL,
	"HAWSER_TARGET_REVISION":       workspace.AppSourceRevision,
	workspace.DestinationNamespace: workspace.DestinationNamespace,
}

// valueFile is one of the value files, resolved.
type valueFile struct {
	url        string // of a download
	tree, path string
}

// resolve finds out what an entry of valueFiles means.
func resolve(w *workspace.Workspace, i int, entry string) (valueFile, error) {
	field := fmt.Sprintf("%s.valueFiles[%d]", optionsField, i)
	// "$ref/x" first: a source may be called like a variable of the build
	// environment.
	if tree, rest, ok := w.RefPath(entry); ok {
		p, err := workspace.Confine(field, "", rest)
		return valueFile{tree: tree, path: p}, err
	}
	name, err := w.Expand(entry)
	if err != nil {
		return valueFile{}, err
	}
	switch {
	case strings.HasPrefix(name, "https://"):
		return valueFile{url: name}, nil
	case strings.HasPrefix(name, "http://"):
		return valueFile{}, fault.New(fault.Invalid, "repo_insecure", "value files over plain http are refused; use https").WithField(field)
	}
	p, err := workspace.Confine(field, w.Dir, name)
	if err == nil && p == "" {
		err = fault.New(fault.Invalid, "values_invalid", "value file %q is the directory itself", workspace.Clip(entry, 100)).WithField(field)
	}
	return valueFile{tree: workspace.Main, path: p}, err
}

// load reads the variables of the application. files are the paths of value
// files in the tree of the source.
func load(w *workspace.Workspace) (values *dict, files map[string]bool, err error) {
	values, files = newDict(), map[string]bool{}
	options := w.Source.Jinja
	if options == nil {
		return values, files, nil
	}
	for i, entry := range options.ValueFiles {
		f, err := resolve(w, i, entry)
		if err != nil {
			return nil, nil, err
		}
		if f.tree == workspace.Main && f.url == "" {
			files[f.path] = true
		}
		text, found, err := read(w, f)
		if err != nil {
			return nil, nil, err
		}
		if !found {
			if options.IgnoreMissingValueFiles {
				continue
			}
			return nil, nil, fault.New(fault.Unprocessable, "jinja_values_not_found", "values file %q not found (%s); set ignoreMissingValueFiles to allow", workspace.Clip(entry, 100), workspace.Clip(f.path, 100)).
				WithField(fmt.Sprintf("%s.valueFiles[%d]", optionsField, i))
		}
		label := f.path
		if f.url != "" {
			label = path.Base(f.url)
		}
		if err := add(values, label, text, w.Limits.Manifest); err != nil {
			return nil, nil, err
		}
	}
	return values, files, inline(w, values, options)
}

func inline(w *workspace.Workspace, values *dict, options *model.JinjaSource) error {
	if len(options.ValuesObject) > 0 {
		return add(values, optionsField+".valuesObject", options.ValuesObject, w.Limits.Manifest)
	}
	return add(values, optionsField+".values", []byte(options.Values), w.Limits.Manifest)
}

func read(w *workspace.Workspace, f valueFile) (text []byte, found bool, err error) {
	if f.url != "" {
		text, err = w.Host.Download(f.url)
		return text, err == nil, err
	}
	if found, err = w.Exists(f.tree, f.path); !found || err != nil {
		return nil, false, err
	}
	text, err = w.Read(f.tree, f.path)
	return text, err == nil, err
}

// add merges a text of variables into those that are there: mappings are merged,
// anything else is replaced.
func add(values *dict, label string, text []byte, lim manifest.Limits) error {
	more, err := manifest.Values(label, text, lim)
	if err != nil {
		return err
	}
	merge(values, fromYAML(more).(*dict))
	return nil
}

func merge(into, from *dict) {
	for _, e := range from.entries {
		old, _ := into.get(e.key)
		before, isDict := old.(*dict)
		after, both := e.value.(*dict)
		if isDict && both {
			merge(before, after)
			continue
		}
		_ = into.set(e.key, e.value) // strings are keys
	}
}
