package command

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/cli/importer"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newExport(s *session) *cobra.Command {
	var dir, format, project string
	var kinds []string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write what the hub has as manifests, without secrets",
		Long: `Write what the hub has as manifests that hawser apply -f and Argo CD take: projects,
applications and application sets. Repositories and settings (customizations, the RBAC
policy, GnuPG keys) are written as Argo CD's Secrets and ConfigMaps, for hawser import
argocd; secrets are not exported, and a placeholder says where they go.

Without -f all is printed; by default without repositories and settings, which
hawser apply does not take (--kind names them). With -f DIR each kind becomes a file, and
what hawser apply does not take goes into the directory config below it.

What Argo CD has no words for (denials, quotas, clusters by label, Jinja, observe mode) is
left out of --format argocd, and said field by field on standard error.`,
		Args: exactArgs(),
		PreRunE: func(*cobra.Command, []string) error {
			if format != importer.FormatArgoCD && format != importer.FormatHawser {
				return fault.New(fault.Invalid, "usage", "--format %q is neither argocd nor hawser", format)
			}
			for _, k := range kinds {
				if !slices.Contains(importer.Kinds, k) {
					return fault.New(fault.Invalid, "usage", "--kind %q is unknown", k).WithFound(k, strings.Join(importer.Kinds, ", "))
				}
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			if len(kinds) == 0 {
				if kinds = importer.Kinds; dir == "" {
					kinds = []string{"projects", "applicationsets", "applications"}
				}
			}
			e, err := c.exported(kinds, project)
			if err != nil {
				return err
			}
			manifests, losses := importer.Export(e, format)
			for _, l := range losses {
				c.warn("%s", l)
			}
			switch {
			case dir != "":
			case c.documents():
				items := []any{}
				for _, m := range manifests {
					items = append(items, m.Object)
				}
				return c.document(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
			case c.format == output.Name:
				for _, m := range manifests {
					if err := c.name(m.Kind + "/" + m.Name); err != nil {
						return err
					}
				}
				return nil
			}
			texts, err := exportTexts(manifests)
			if err != nil {
				return err
			}
			if dir == "" {
				return c.printTexts(kinds, texts)
			}
			return c.writeTexts(dir, texts)
		}),
	}
	f := c.Flags()
	f.StringVarP(&dir, "filename", "f", "", "directory to write to (default: standard output)")
	f.StringVar(&format, "format", importer.FormatHawser, "hawser, or argocd: with Argo CD's API version and namespace")
	f.StringVarP(&project, "project", "p", "", "only what belongs to this project")
	f.StringSliceVar(&kinds, "kind", nil, "which: "+strings.Join(importer.Kinds, ", "))
	return c
}

// exported reads what the hub has.
func (c *call) exported(kinds []string, project string) (e importer.Exported, err error) {
	of := func(p string) bool { return project == "" || p == project }
	for _, kind := range kinds {
		switch kind {
		case "projects":
			err = everyPage(c, "/projects", func(p model.AppProject) {
				if of(p.Metadata.Name) {
					e.Projects = append(e.Projects, p)
				}
			})
		case "repositories":
			err = everyPage(c, "/repositories", func(r model.Repository) {
				if of(r.Project) {
					e.Repositories = append(e.Repositories, r)
				}
			})
			if err == nil {
				err = everyPage(c, "/repository-templates", func(t model.RepositoryTemplate) {
					if of(t.Project) {
						e.Templates = append(e.Templates, t)
					}
				})
			}
		case "settings":
			if project == "" {
				err = c.exportedSettings(&e)
			}
		case "applicationsets":
			err = everyPage(c, "/applicationsets", func(x model.ApplicationSet) {
				if p, _ := x.Project(); of(p) {
					e.ApplicationSets = append(e.ApplicationSets, x)
				}
			})
		case "applications":
			var names []string
			err = everyPage(c, "/applications", func(x struct{ Name, Project string }) {
				if of(x.Project) {
					names = append(names, x.Name)
				}
			})
			if err != nil {
				break
			}
			slices.Sort(names)
			var views []model.AppView
			views, err = c.views(slices.Compact(names))
			for _, v := range views {
				if v.Application != nil {
					e.Applications = append(e.Applications, *v.Application)
				}
			}
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

// exportedSettings reads what belongs to no project.
func (c *call) exportedSettings(e *importer.Exported) error {
	var now customizations
	if err := c.get(customizationsPath, &now); err != nil {
		return err
	}
	e.Customizations = now.Customizations
	var rbac rbacDocument
	if err := c.get(rbacPath, &rbac); err != nil {
		return err
	}
	e.RBAC = rbac.RBAC
	var ids []string
	if err := everyPage(c, "/gpg-keys", func(k gpgKey) { ids = append(ids, k.ID) }); err != nil {
		return err
	}
	for _, id := range ids { // a list does not have the keys themselves
		var k gpgKey
		if err := c.get("/gpg-keys/"+url.PathEscape(id), &k); err != nil {
			return err
		}
		e.GPGKeys = append(e.GPGKeys, importer.GPGKey{ID: k.ID, Armored: k.Armored})
	}
	return nil
}

// everyPage calls each for everything that the hub lists at path.
func everyPage[T any](c *call, path string, each func(T)) error {
	q := url.Values{"limit": {fmt.Sprint(pageSize)}}
	for {
		var page list[T]
		if err := c.get(path+"?"+q.Encode(), &page); err != nil {
			return err
		}
		for _, x := range page.Items {
			each(x)
		}
		if page.NextCursor == "" || page.NextCursor == q.Get("cursor") {
			return nil
		}
		q.Set("cursor", page.NextCursor)
	}
}

// exportTexts writes YAML by kind, objects in order of their names.
func exportTexts(manifests []importer.Manifest) (map[string][]byte, error) {
	slices.SortStableFunc(manifests, func(x, y importer.Manifest) int { return strings.Compare(x.Name, y.Name) })
	out := map[string][]byte{}
	for _, m := range manifests {
		b, err := m.JSON()
		if err == nil {
			b, err = yaml.JSONToYAML(b)
		}
		if err != nil {
			return nil, err
		}
		if len(out[m.Kind]) > 0 {
			out[m.Kind] = append(out[m.Kind], "---\n"...)
		}
		out[m.Kind] = append(out[m.Kind], b...)
	}
	return out, nil
}

func (c *call) printTexts(kinds []string, texts map[string][]byte) error {
	var all bytes.Buffer
	for _, kind := range importer.Kinds {
		if !slices.Contains(kinds, kind) || len(texts[kind]) == 0 {
			continue
		}
		if all.Len() > 0 {
			all.WriteString("---\n")
		}
		all.Write(texts[kind])
	}
	_, err := c.Out.Write(all.Bytes())
	return err
}

func (c *call) writeTexts(dir string, texts map[string][]byte) error {
	for _, kind := range importer.Kinds {
		if len(texts[kind]) == 0 {
			continue
		}
		into := dir
		if kind == "repositories" || kind == "settings" {
			into = filepath.Join(dir, "config")
		}
		if err := os.MkdirAll(into, 0o755); err != nil {
			return fault.New(fault.Invalid, "file_unwritable", "%s", err)
		}
		path := filepath.Join(into, kind+".yaml")
		if err := os.WriteFile(path, texts[kind], 0o644); err != nil { //nolint:gosec // no secrets are in it
			return fault.New(fault.Invalid, "file_unwritable", "%s", err)
		}
		fmt.Fprintln(c.Out, output.Clean(path))
	}
	return nil
}
