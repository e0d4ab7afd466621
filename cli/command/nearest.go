package command

import (
	"strings"

	"github.com/spf13/cobra"
)

// nearest is the name that a person most likely meant, "" when none is near. A
// name may differ in a third of its letters, or be begun only.
func nearest(typed string, names []string) string {
	best, least := "", len(typed)/3+2
	for _, name := range names {
		d := distance(strings.ToLower(typed), strings.ToLower(name))
		if len(typed) > 1 && strings.HasPrefix(name, typed) {
			d = min(d, 1)
		}
		if d < least && d < len(name) {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters have to be added, taken away, replaced or
// swapped with their neighbours (restricted Damerau-Levenshtein).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	before, last, now := rows[0], rows[1], rows[2]
	for i := 1; i <= len(x); i++ {
		now[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(y)]
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
