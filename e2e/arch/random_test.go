package arch

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// secretive are packages, with all below them, that make or judge secrets: tokens,
// sessions, states, keys, certificates. What they draw must not be guessed.
var secretive = []string{"hub/auth", "hub/vault", "hub/gateway", "hub/api", "hub/audit", "hub/webhook", "agent/link", "cli/command", "cli/keyring", "cli/config", "cli/client", "shared/audit"}

// waiting are files that spread attempts over time, and draw nothing else.
var waiting = []string{"agent/link/backoff.go"}

func TestA18_SecretsAreNotDrawnFromMathRand(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range load(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		for _, s := range secretive {
			if path != s && !strings.HasPrefix(path, s+"/") {
				continue
			}
			seen[s] = true
			for _, name := range p.GoFiles {
				file := path + "/" + name
				f, err := parser.ParseFile(token.NewFileSet(), "../../"+file, nil, parser.ImportsOnly)
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range f.Imports {
					if strings.HasPrefix(i.Path.Value, `"math/rand`) && !slices.Contains(waiting, file) {
						t.Errorf("%s imports %s; secrets come from crypto/rand", file, i.Path.Value)
					}
				}
			}
		}
	}
	for _, s := range secretive {
		if !seen[s] {
			t.Errorf("there is no package %s any more", s)
		}
	}
}
