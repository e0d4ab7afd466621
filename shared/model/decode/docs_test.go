package decode

import (
	"os"
	"strings"
	"testing"
)

// The examples of the page about projects are projects.
func TestExamplesOfTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../../docs/projects.md")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for i, block := range strings.Split(string(text), "```yaml\n")[1:] {
		example, _, _ := strings.Cut(block, "```")
		if _, err := Project([]byte(example)); err != nil {
			t.Errorf("example %d: %v", i+1, err)
		}
		tried++
	}
	if tried < 2 {
		t.Errorf("%d examples", tried)
	}
}
