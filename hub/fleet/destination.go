package fleet

import (
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Means reports whether a destination means a cluster: by its name, or without one
// by a server URL among its aliases.
func Means(d model.Destination, cluster *model.Cluster) bool {
	if d.Name != "" {
		return d.Name == cluster.Name
	}
	return d.Server != "" && slices.ContainsFunc(cluster.Aliases, func(a string) bool { return SameServer(a, d.Server) })
}

// SameServer compares server URLs as people write them.
func SameServer(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}
