package store

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed queries/*.sql
var queryFiles embed.FS

var statements = loadQueries()

// q is the statement under a name. An unknown name is a mistake in this
// package, which its tests find.
func q(name string) string {
	s, ok := statements[name]
	if !ok {
		panic("store: no statement named " + name)
	}
	return s
}

// loadQueries reads the files: a statement begins after "-- name: X" and ends
// before the next name or with the file.
func loadQueries() map[string]string {
	out := map[string]string{}
	entries, err := queryFiles.ReadDir("queries")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		b, err := queryFiles.ReadFile("queries/" + e.Name())
		if err != nil {
			panic(err)
		}
		for i, block := range strings.Split("\n"+string(b), "\n-- name: ") {
			if i == 0 {
				continue
			}
			name, sql, _ := strings.Cut(block, "\n")
			name = strings.TrimSpace(name)
			if _, twice := out[name]; twice {
				panic(fmt.Sprintf("store: two statements named %s", name))
			}
			// The name travels along, so that it is seen in pg_stat_activity.
			out[name] = "-- " + name + "\n" + strings.TrimSpace(sql)
		}
	}
	return out
}

// narrowed is a statement with another condition. A condition that is an "or" with
// "all" must be planned anew for each execution, which takes longer than to read
// one row by its key.
func narrowed(name, where string) string {
	before, after, found := strings.Cut(q(name), "\nWHERE ")
	if !found {
		panic("store: the statement " + name + " has no condition")
	}
	if _, order, ok := strings.Cut(after, "\nORDER BY "); ok {
		where += "\nORDER BY " + order
	}
	return before + "\nWHERE " + where
}

var (
	appViewsByName    = narrowed("AppViews", "a.name = ANY ($1::text[])")
	appViewByName     = narrowed("AppViews", "a.name = $1")
	appDetailByName   = narrowed("AppDetails", "a.name = $1")
	deploymentsByName = narrowed("DeploymentsOf", "app_uid = (SELECT uid FROM apps WHERE name = $1)")
	appViewsByUID     = narrowed("AppViews", "a.uid = ANY ($1::text[])")
	applicationByName = narrowed("Applications", "a.name = $1")
	clusterByNameOrID = narrowed("Clusters", "c.id = $1 OR c.name = $1")
)
