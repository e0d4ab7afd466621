package command

import (
	"strings"

	"github.com/spf13/cobra"

	words "github.com/hawser-dev/hawser/shared/nearest"
)

// nearest is the name that a person most likely meant, "" when none is near. A
// name may differ in a third of its letters, or be begun only.
func nearest(typed string, names []string) string {
	best, least := "", len(typed)/3+2
	for _, name := range names {
		d := words.Distance(strings.ToLower(typed), strings.ToLower(name))
		if len(typed) > 1 && strings.HasPrefix(name, typed) {
			d = min(d, 1)
		}
		if d < least && d < len(name) {
			best, least = name, d
		}
	}
	return best
}

// otherWords are what people of other command lines say.
var otherWords = map[string]string{
	"rm": "delete", "remove": "delete", "show": "get", "status": "get", "describe": "get", "reconcile": "sync",
	"deploy": "sync", "undo": "rollback", "apps": "app", "application": "app", "applications": "app", "clusters": "cluster",
	"projects": "project", "proj": "project", "repos": "repo", "repository": "repo", "add": "create", "new": "create", "web": "open",
}

func nearestCommand(c *cobra.Command, typed string) string {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
			for _, alias := range sub.Aliases {
				if alias == typed {
					return sub.Name()
				}
			}
			if otherWords[typed] == sub.Name() {
				return sub.Name()
			}
		}
	}
	return nearest(typed, names)
}
