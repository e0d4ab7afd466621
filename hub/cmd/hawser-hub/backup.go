package main

import (
	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/hub/app"
)

func backup() *cobra.Command {
	var b app.Backup
	c := &cobra.Command{
		Use: "backup", Short: "Write the hub's database into a file", Args: cobra.NoArgs,
		Long: `Write the hub's database into a file, as it is at one moment, while hubs go on. It
needs the database and the vault key, as the hub does.

What the database has sealed stays sealed in the file, which is worth nothing without
the vault key: keep that too, in another place. The rest of the file is in the open.

  hawser-hub backup --file hub-$(date +%F).zip
  hawser-hub backup --file - | age -r … > hub.zip.age`,
		RunE: func(c *cobra.Command, _ []string) error {
			return b.Run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	b.Flags(c.Flags())
	return c
}

func restore() *cobra.Command {
	var r app.Restore
	c := &cobra.Command{
		Use: "restore FILE", Short: "Restore a backup into an empty database", Args: cobra.ExactArgs(1),
		Long: `Restore a backup into an empty database, all of it or nothing, and bring the schema
up to date. It needs the vault key of the hub that was backed up. Stop hubs on the
old database first.

The hub becomes a new incarnation: agents take its word from then on, and nothing of
the old one's. They go on as they are until it has caught up with them: nothing is
pruned or deleted until an administrator has looked and said so, with
hawser hub acknowledge-restore. People log in again; enrolment commands that were not
used are void; bulk commands that had not ended are cancelled. API tokens that were
revoked after the backup are valid again: the command names how many tokens there are.

  hawser-hub restore hub-2026-11-28.zip --database-url postgres://…
  hawser-hub restore hub-2026-11-28.zip --check`,
		RunE: func(c *cobra.Command, args []string) error {
			return r.Run(c.Context(), args[0], c.OutOrStdout())
		},
	}
	r.Flags(c.Flags())
	return c
}
