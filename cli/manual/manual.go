// Package manual writes the reference of the command line, as markdown and as
// man pages, from the tree of commands itself.
//
// It is linked into hawser (hawser man) and into the program that make gen runs.
package manual

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// Markdown writes one page for each command and each topic of help into dir, and
// removes pages of those that are gone.
func Markdown(root *cobra.Command, topics map[string]string, dir string) error {
	quiet(root)
	pages := map[string][]byte{}
	for name, text := range topics {
		pages["hawser_help_"+name+".md"] = []byte("## hawser help " + name + "\n\n```\n" + text + "```\n")
	}
	if err := walk(root, func(c *cobra.Command) error {
		var b bytes.Buffer
		err := doc.GenMarkdownCustom(c, &b, func(link string) string { return link })
		pages[strings.ReplaceAll(c.CommandPath(), " ", "_")+".md"] = b.Bytes()
		return err
	}); err != nil {
		return err
	}
	return replace(dir, ".md", pages)
}

// Man writes one man page of section 1 for each command into dir. The date is
// that of the program, so that pages of one release are the same everywhere.
func Man(root *cobra.Command, dir, version string) error {
	quiet(root)
	pages := map[string][]byte{}
	date := time.Unix(0, 0).UTC()
	if err := walk(root, func(c *cobra.Command) error {
		var b bytes.Buffer
		err := doc.GenMan(c, &doc.GenManHeader{Section: "1", Source: "Hawser " + version, Manual: "Hawser", Date: &date}, &b)
		pages[strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"] = b.Bytes()
		return err
	}); err != nil {
		return err
	}
	return replace(dir, ".1", pages)
}

// quiet leaves out when the pages were written: they change only when the tree
// does.
func quiet(c *cobra.Command) {
	c.DisableAutoGenTag = true
	c.InitDefaultHelpCmd()
	if !c.HasParent() {
		c.InitDefaultCompletionCmd("completion")
	}
	c.InitDefaultHelpFlag()
	for _, sub := range c.Commands() {
		quiet(sub)
	}
}

func walk(c *cobra.Command, f func(*cobra.Command) error) error {
	if c.HasParent() && (!c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand()) {
		return nil
	}
	if err := f(c); err != nil {
		return err
	}
	for _, sub := range c.Commands() {
		if err := walk(sub, f); err != nil {
			return err
		}
	}
	return nil
}

// replace makes the files of dir with the ending be exactly pages.
func replace(dir, ending string, pages map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, "hawser*"+ending))
	if err != nil {
		return err
	}
	for _, path := range old {
		if _, ok := pages[filepath.Base(path)]; !ok {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	for name, content := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
