package webhook

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// files writes a directory.
func files(t *testing.T, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// all joins what a provider has.
func all(s *Secrets, p *provider) string { return string(bytes.Join(s.of(p), []byte("|"))) }

func TestSecretsInFiles(t *testing.T) {
	dir := files(t, map[string]string{
		"github": "one\n", "github.old": "two", "forgejo": " three \r\nfour\n\n", "any": "five", "bitbucket-cloud": "six", "bitbucket-server": "seven", "Azure-DevOps.txt": "hawser:eight",
	})
	// How Kubernetes mounts a Secret.
	if err := os.Mkdir(filepath.Join(dir, "..2026_01_01"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "..2026_01_01", "gitlab"), []byte("nine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..2026_01_01", filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..data/gitlab", filepath.Join(dir, "gitlab")); err != nil {
		t.Fatal(err)
	}
	s, err := LoadSecrets(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[*provider]string{
		gitHub: "one|two|five", gitea: "three|four|five", gitLab: "nine|five", bitbucketCloud: "six|five", bitbucketServer: "seven|five", azure: "hawser:eight|five",
	} {
		if got := all(s, p); got != want {
			t.Errorf("%s: %q, want %q", p.name, got, want)
		}
	}
	one, err := LoadSecrets(filepath.Join(dir, "forgejo"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := all(one, gitHub); got != "three|four" {
		t.Errorf("%q", got)
	}
	none, err := LoadSecrets("", nil)
	if err != nil || none != nil || all(none, gitHub) != "" {
		t.Errorf("%v %v", none, err)
	}
}

func TestSecretsThatCannotBeUsed(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		file  string
		code  string
	}{
		"no file":         {nil, "missing", "webhook_secret_unreadable"},
		"empty file":      {map[string]string{"s": " \n\t"}, "s", "webhook_secret_empty"},
		"empty directory": {nil, "", "webhook_secret_empty"},
		"empty in it":     {map[string]string{"github": "x", "gitlab": "\n"}, "", "webhook_secret_empty"},
		"unknown name":    {map[string]string{"githubb": "x"}, "", "webhook_secret_unknown"},
		"too large":       {map[string]string{"s": strings.Repeat("x", maxSecrets+1)}, "s", "webhook_secret_unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := LoadSecrets(filepath.Join(files(t, tt.files), tt.file), nil)
			if !fault.HasCode(err, tt.code) || s != nil {
				t.Errorf("%v %v", s, err)
			}
		})
	}
}

func TestSecretsAreReadAgain(t *testing.T) {
	dir := files(t, map[string]string{"github": "old"})
	var log bytes.Buffer
	s, err := LoadSecrets(dir, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := s.read
	s.now = func() time.Time { return now }
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "github"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old\nnew")
	if got := all(s, gitHub); got != "old" {
		t.Errorf("at once: %q", got)
	}
	now = now.Add(rereadSecrets)
	if got := all(s, gitHub); got != "old|new" {
		t.Errorf("later: %q", got)
	}
	// A mistake does not open the door.
	write("")
	now = now.Add(rereadSecrets)
	if got := all(s, gitHub); got != "old|new" || !strings.Contains(log.String(), "webhook secrets") {
		t.Errorf("%q, log %q", got, log.String())
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	now = now.Add(rereadSecrets)
	if got := all(s, gitHub); got != "old|new" || strings.Contains(log.String(), "old") {
		t.Errorf("%q, log %q", got, log.String())
	}
}
