package arch

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A program in which templates can run calls methods by names that the linker does
// not know, so that none is left out: the agent is a sixth larger then. Package
// cobra has templates only for programs that set their own.
func TestTheAgentHasNoTemplates(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	tags := regexp.MustCompile(`(?m)^AGENTTAGS := (\S+)$`).FindSubmatch(makefile)
	if tags == nil {
		t.Fatal("the Makefile names no AGENTTAGS")
	}
	const format = `{{$p := .ImportPath}}{{range .Imports}}{{if or (eq . "html/template") (eq . "text/template")}}{{$p}}{{"\n"}}{{end}}{{end}}`
	cmd := exec.Command("go", "list", "-deps", "-tags", string(tags[1]), "-f", format, "./agent/cmd/hawser-agent")
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := strings.Fields(string(out))
	slices.Sort(found)
	if !slices.Equal(found, []string{"github.com/spf13/cobra"}) {
		t.Errorf("packages of the agent that import templates: %v", found)
	}
}
