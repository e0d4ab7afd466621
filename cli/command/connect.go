package command

import (
	"time"

	"github.com/hawser-dev/hawser/cli/client"
)

// Connect makes a client of the hub that the flags --context and --hub would mean,
// for a command line with another grammar. It does not connect.
func Connect(s Streams, context, hub string) (*client.Client, error) {
	return (&session{Streams: s, context: context, host: hub, now: time.Now}).client()
}
