package action

import (
	"os"
	"strings"
	"testing"
)

// TestThePageNamesEveryAction holds docs/scripts.md to the table.
func TestThePageNamesEveryAction(t *testing.T) {
	page, err := os.ReadFile("../../docs/scripts.md")
	if err != nil {
		t.Fatal(err)
	}
	for gk, list := range builtins {
		for _, b := range list {
			if !strings.Contains(string(page), "`"+b.name+"`") {
				t.Errorf("docs/scripts.md does not name %s of %s", b.name, gk)
			}
		}
	}
}
