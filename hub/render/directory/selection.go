package directory

import (
	"path"
	"regexp"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// selection says which files of a directory are manifests.
type selection struct {
	dir              string // with a slash at its end, "" for the root
	include, exclude *regexp.Regexp
	anyExtension     bool
	jinja            bool            // templates are taken
	values           map[string]bool // paths that are not
}

func newSelection(dir string, d *model.DirectoryOption, tools Tools) (*selection, error) {
	s := &selection{jinja: tools.Jinja != nil, values: tools.Values}
	if dir != "" {
		s.dir = dir + "/"
	}
	if d == nil {
		return s, nil
	}
	s.anyExtension = d.DisableExtensionFilter
	var err error
	if d.Include != "" {
		if s.include, err = compileGlob(d.Include, "spec.source.directory.include"); err != nil {
			return nil, err
		}
	}
	if d.Exclude != "" {
		if s.exclude, err = compileGlob(d.Exclude, "spec.source.directory.exclude"); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// takes reports whether the file is a manifest or makes some. Patterns see its
// path relative to the directory of the source.
func (s *selection) takes(p string) bool {
	name := path.Base(p)
	switch {
	case isOverride(name) || s.values[p]:
		return false
	case strings.HasSuffix(name, templateExtension) && s.jinja:
		if strings.HasPrefix(name, "_") {
			return false
		}
	case !s.anyExtension && !hasManifestExtension(p):
		return false
	}
	return s.matches(p)
}

// matches applies only the patterns.
func (s *selection) matches(p string) bool {
	rel := strings.TrimPrefix(p, s.dir)
	if s.exclude != nil && s.exclude.MatchString(rel) {
		return false
	}
	return s.include == nil || s.include.MatchString(rel)
}

// isOverride: files that change the source are no manifests.
func isOverride(name string) bool {
	return name == ".argocd-source.yaml" || strings.HasPrefix(name, ".argocd-source-") && strings.HasSuffix(name, ".yaml")
}

const (
	jsonnetExtension  = ".jsonnet"
	templateExtension = ".j2"
)

func hasManifestExtension(p string) bool {
	for _, ext := range []string{".yaml", ".yml", ".json", jsonnetExtension} {
		if strings.HasSuffix(p, ext) {
			return true
		}
	}
	return false
}
