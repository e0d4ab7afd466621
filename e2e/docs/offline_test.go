package docs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is a document that says in its first line which file it is.
var named = regexp.MustCompile(`^# (\S+\.yaml)\n`)

// TestOfflineRenders runs the examples of `hawser-hub render` in order, each in a
// directory with the files that the page has shown up to then. What the page says that
// they print is what they print.
func TestOfflineRenders(t *testing.T) {
	for page, files := range map[string]struct {
		names   []string // of documents without a name of their own, in order
		renders int
	}{
		"docs/plugins.md": {[]string{"plugin.yaml", "web/config.yaml", "app.yaml"}, 1},
		"docs/sources.md": {nil, 1},
	} {
		t.Run(page, func(t *testing.T) {
			dir := t.TempDir()
			renders := 0
			for _, b := range blocks(page, pages(t)[page], func(int, string) {}) {
				switch {
				case b.lang == "yaml":
					for _, text := range documents.Split(b.text, -1) {
						name := ""
						if m := named.FindStringSubmatch(text); m != nil {
							name = m[1]
						} else if len(files.names) > 0 {
							name, files.names = files.names[0], files.names[1:]
						} else {
							continue
						}
						path := filepath.Join(dir, filepath.FromSlash(name))
						if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
							t.Fatal(err)
						}
						if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
							t.Fatal(err)
						}
					}
				case b.lang == "console" && strings.HasPrefix(b.text, "$ hawser-hub render --app app.yaml --repo ."):
					command := commandsOf(b.text)
					want := strings.TrimPrefix(b.text, "$ "+command)
					if want == "" || strings.HasPrefix(want, "$ ") || strings.Contains(b.text, "@v9") {
						continue // what it prints is not shown, or needs the history of a repository
					}
					renders++
					cmd := exec.CommandContext(t.Context(), "bash", "-ec", command)
					cmd.Dir = dir
					cmd.Env = append(os.Environ(), "PATH="+programs(t)+":"+os.Getenv("PATH"))
					var complaints bytes.Buffer
					cmd.Stderr = &complaints
					got, err := cmd.Output()
					if err != nil || string(got) != want {
						t.Errorf("%s:%d: %v\n%s\nprints\n%s\nthe page says\n%s", page, b.line, err, complaints.Bytes(), got, want)
					}
				}
			}
			if renders != files.renders {
				t.Errorf("%d examples were run, not %d", renders, files.renders)
			}
		})
	}
}
