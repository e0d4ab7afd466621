// Package charts has the agent's Helm chart in the programs that render it. The
// charts themselves are beside this file; see README.md.
package charts

import (
	"embed"
	"strings"
)

// Agent is the directory hawser-agent with the agent's chart.
//
//go:embed all:hawser-agent
var Agent embed.FS

//go:embed VERSION
var version string

// Version of both charts, without a "v".
func Version() string { return strings.TrimSpace(version) }
