package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
)

// impact is the hub's answer about what a change means for applications.
type impact struct {
	Applications int `json:"applications"`
	Invalid      []struct {
		Name      string         `json:"name"`
		Project   string         `json:"project"`
		Cluster   string         `json:"cluster"`
		Namespace string         `json:"namespace,omitempty"`
		Refusal   policy.Refusal `json:"refusal"`
		ID        string         `json:"id,omitempty"`
	} `json:"invalid"`
	InvalidCount int      `json:"invalidCount"`
	Valid        []string `json:"valid"`
	ValidCount   int      `json:"validCount"`
	Unknown      int      `json:"unknown,omitempty"`
}

// lines returns a function that writes lines of text that came from elsewhere.
func lines(w io.Writer) func(format string, args ...any) {
	return func(format string, args ...any) { fmt.Fprintln(w, output.Clean(fmt.Sprintf(format, args...))) }
}

// print tells people all of it. all also says that nothing becomes invalid.
func (p impact) print(w io.Writer, all bool) {
	line := lines(w)
	if p.InvalidCount > 0 {
		line("%d of %d applications become invalid:", p.InvalidCount, p.Applications)
		for _, x := range p.Invalid {
			line("  ✕ %s on %s/%s: %s", x.Name, x.Cluster, x.Namespace, strings.TrimSuffix(x.Refusal.Message+" ("+cmp.Or(x.ID, x.Refusal.Code)+")", " ()"))
		}
		if more := p.InvalidCount - len(p.Invalid); more > 0 {
			line("  … and %d more", more)
		}
	}
	if p.ValidCount > 0 {
		line("%d applications become valid: %s", p.ValidCount, strings.Join(p.Valid, ", "))
	}
	if all && p.InvalidCount == 0 {
		line("no application of %d becomes invalid", p.Applications)
	}
	if p.Unknown > 0 && (all || p.InvalidCount > 0) {
		line("of %d applications nothing was rendered yet; their objects are not judged", p.Unknown)
	}
}

// consentToInvalid is what a person is asked before that many applications become
// invalid.
func consentToInvalid(count int) consent {
	return consent{
		text: "Save it all the same? Their agents change nothing more for them.", cancelled: "nothing was saved",
		alone: fault.New(fault.Precondition, "project_invalidates", "%d applications become invalid by this, and nobody is there to ask; nothing was saved", count).
			WithFix("add --yes to save it all the same, or --dry-run to look only"),
	}
}
