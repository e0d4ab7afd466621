package command

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/manual"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

// Tree is the tree of commands, to be read and not run.
func Tree() *cobra.Command {
	return newRoot(&session{Streams: Streams{Program: "hawser", Out: io.Discard, Err: io.Discard}, now: time.Now})
}

func newMan(s *session) *cobra.Command {
	c := &cobra.Command{
		Use: "man DIRECTORY", Short: "Write the man pages into a directory", Args: exactArgs("DIRECTORY"),
		RunE: s.offline(func(c *call) error {
			if err := manual.Man(Tree(), c.args[0], telemetry.Version); err != nil {
				return err
			}
			c.note("written into %s; read them with man -l %s/hawser.1", c.args[0], c.args[0])
			return nil
		}),
	}
	c.Annotations = map[string]string{offlineKey: "true"}
	return c
}
