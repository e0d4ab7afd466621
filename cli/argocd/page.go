package argocd

import (
	"fmt"
	"strings"
)

// Table is the part of docs/argocd-cli.md about commands and flags, as Markdown.
func Table() string {
	var b strings.Builder
	write := func(path string, list []Flag) {
		var plain []string
		var rest strings.Builder
		for _, f := range list {
			name := "`--" + f.Name + "`"
			if f.Short != "" {
				name += " `-" + f.Short + "`"
			}
			switch {
			case f.Ignored != "":
				fmt.Fprintf(&rest, "| | %s | accepted, ignored with a warning: %s |\n", name, f.Ignored)
			case f.Unsupported != "":
				fmt.Fprintf(&rest, "| | %s | not supported; %s |\n", name, f.Unsupported)
			default:
				plain = append(plain, name)
			}
		}
		said := "same"
		if len(plain) == 0 {
			plain = []string{"–"}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n%s", path, strings.Join(plain, " "), said, rest.String())
	}
	b.WriteString("| command | flags | |\n|---|---|---|\n")
	write("(every command)", Globals)
	for _, c := range Commands() {
		path := strings.TrimSpace(c.Path + " " + c.Usage)
		if c.Unsupported != "" {
			fmt.Fprintf(&b, "| `%s` | | not supported; %s |\n", strings.ReplaceAll(path, "|", "\\|"), strings.ReplaceAll(c.Unsupported, "|", "\\|"))
			continue
		}
		write(strings.ReplaceAll(path, "|", "\\|"), c.Flags)
	}
	return b.String()
}
