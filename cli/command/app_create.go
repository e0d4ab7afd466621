package command

import (
	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppCreate(s *session) *cobra.Command {
	var (
		a                         model.Application
		source                    model.Source
		dir                       model.DirectoryOption
		server, cluster, policy   string
		prune, selfHeal, finalize bool
		syncOptions               []string
	)
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Create an application from flags; for everything else: hawser apply -f",
		Args:  exactArgs("NAME"),
		PreRunE: func(_ *cobra.Command, args []string) error {
			a.APIVersion, a.Kind, a.Metadata.Name = model.APIVersionHawser, model.KindApplication, args[0]
			a.Spec.Destination.Server, a.Spec.Destination.Name = server, cluster
			if dir != (model.DirectoryOption{}) {
				source.Directory = &dir
			}
			a.Spec.Source = &source
			switch policy {
			case "none", "":
				if prune || selfHeal {
					return fault.New(fault.Invalid, "usage", "--auto-prune and --self-heal need --sync-policy automated")
				}
			case "automated", "auto":
				a.Spec.SyncPolicy = &model.SyncPolicy{Automated: &model.AutomatedSync{Prune: prune, SelfHeal: selfHeal}}
			default:
				return fault.New(fault.Invalid, "usage", "--sync-policy %q is not known", policy).WithFix("use automated or none")
			}
			if len(syncOptions) > 0 {
				if a.Spec.SyncPolicy == nil {
					a.Spec.SyncPolicy = &model.SyncPolicy{}
				}
				a.Spec.SyncPolicy.SyncOptions = syncOptions
			}
			if finalize {
				a.Metadata.Finalizers = []string{model.FinalizerCascade}
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			return c.create(appPath(c.args[0]), a, "application %q created", c.args[0])
		}),
	}
	f := c.Flags()
	f.StringVar(&source.RepoURL, "repo", "", "repository URL")
	f.StringVar(&source.Path, "path", "", "directory in the repository")
	f.StringVar(&source.TargetRevision, "revision", "", "branch, tag or commit (default: HEAD)")
	f.StringVar(&server, "dest-server", "", "server URL of the destination, an alias of a cluster")
	f.StringVar(&cluster, "dest-name", "", "name of the destination cluster")
	f.StringVar(&a.Spec.Destination.Namespace, "dest-namespace", "", "namespace of objects that name none")
	f.StringVar(&a.Spec.Project, "project", model.DefaultProject, "project")
	f.StringVar(&policy, "sync-policy", "none", "automated or none")
	f.BoolVar(&prune, "auto-prune", false, "delete objects that leave Git, with automated sync")
	f.BoolVar(&selfHeal, "self-heal", false, "revert changes made in the cluster, with automated sync")
	f.BoolVar(&finalize, "set-finalizer", false, "delete the objects together with the application")
	f.StringArrayVar(&syncOptions, "sync-option", nil, "sync option such as CreateNamespace=true; may be repeated")
	f.BoolVar(&dir.Recurse, "directory-recurse", false, "read directories below the path")
	f.StringVar(&dir.Include, "directory-include", "", "glob of files to read")
	f.StringVar(&dir.Exclude, "directory-exclude", "", "glob of files to leave out")
	return c
}
