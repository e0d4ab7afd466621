// Command hawser-apigen writes what is generated from the API's table of routes
// (hub/api/routes.go): the OpenAPI document, the Go client of the command line
// and the TypeScript client of the console. Names, types and comments are those
// of the Go source; nothing is written twice by hand.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hawser-dev/hawser/hub/api"
)

func main() {
	root := flag.String("root", ".", "root of the repository, whose source is read and written")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "hawser-apigen:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	files, err := generate(root, api.Routes())
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate makes all files, by their path below the root.
func generate(root string, routes []api.Route) (map[string][]byte, error) {
	src := newSource(root)
	document, err := openAPI(routes, src)
	if err != nil {
		return nil, err
	}
	goClient, err := goClient(routes, src)
	if err != nil {
		return nil, err
	}
	types, client, err := typeScript(routes, src)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"hub/api/openapi.json":          document,
		"cli/client/api/api.gen.go":     goClient,
		"hub/console/src/api/types.ts":  types,
		"hub/console/src/api/client.ts": client,
	}, nil
}
