package webhook

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Secrets are what webhooks prove their senders with, for each provider any
// number of them, so that one can be replaced without a gap. It is safe for
// concurrent use; a nil *Secrets has none.
type Secrets struct {
	path string
	log  *slog.Logger
	now  func() time.Time

	mu     sync.Mutex
	byName map[string][][]byte // "" is for every provider
	read   time.Time
}

// rereadSecrets is how old what was read may become. Files that Kubernetes
// mounts are replaced while the hub runs.
const rereadSecrets = 15 * time.Second

const maxSecrets = 64 << 10

// aliases of providers in names of files.
var aliases = map[string]string{"forgejo": "gitea", "gogs": "gitea", "bitbucket-data-center": "bitbucket-server", "azure": "azure-devops", "any": ""}

// LoadSecrets reads a file or a directory. Every line of a file is a secret. In
// a directory, files are named after their providers: github, gitlab, gitea (or
// forgejo, gogs), bitbucket-cloud, bitbucket-server, azure-devops, or any, with
// anything after a dot (github.old). One file is for all providers. Files are
// read again while the hub runs; log (which may be nil) is told when they cannot
// be, and what was read before stays. With path "" there are no secrets.
//
// Errors: webhook_secret_unreadable, webhook_secret_empty,
// webhook_secret_unknown (a file that is named after no provider).
func LoadSecrets(path string, log *slog.Logger) (*Secrets, error) {
	if path == "" {
		return nil, nil
	}
	s := &Secrets{path: path, log: log, now: time.Now}
	byName, err := readSecrets(path)
	if err != nil {
		return nil, err
	}
	s.byName, s.read = byName, s.now()
	return s, nil
}

func readSecrets(path string) (map[string][][]byte, error) {
	out := map[string][][]byte{}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "webhook_secret_unreadable", "the webhook secret cannot be read")
	}
	if !info.IsDir() {
		return out, addSecrets(out, "", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "webhook_secret_unreadable", "the directory of webhook secrets cannot be read")
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // how Kubernetes keeps its versions
			continue
		}
		name, _, _ := strings.Cut(strings.ToLower(e.Name()), ".")
		if other, ok := aliases[name]; ok {
			name = other
		} else if !slices.ContainsFunc(providers, func(p *provider) bool { return p.key == name }) {
			return nil, fault.New(fault.Invalid, "webhook_secret_unknown", "%q is the name of no provider", e.Name()).
				WithFix("name files of webhook secrets github, gitlab, gitea, bitbucket-cloud, bitbucket-server, azure-devops or any")
		}
		if err := addSecrets(out, name, filepath.Join(path, e.Name())); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, errNoSecret(path)
	}
	return out, nil
}

func addSecrets(out map[string][][]byte, name, path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxSecrets {
		err = errors.New("the file is too large")
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "webhook_secret_unreadable", "the webhook secret in %s cannot be read", filepath.Base(path))
	}
	before := len(out[name])
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			out[name] = append(out[name], line)
		}
	}
	if len(out[name]) == before {
		return errNoSecret(path)
	}
	return nil
}

func errNoSecret(path string) error {
	return fault.New(fault.Invalid, "webhook_secret_empty", "there is no webhook secret in %s", filepath.Base(path)).
		WithFix("write the secret into it, or leave --webhook-secret-file out to take unsigned webhooks")
}

// of a provider; empty when anybody may send its events. Files that cannot be
// read any more change nothing: a mistake must not open the door.
func (s *Secrets) of(p *provider) [][]byte {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.now(); now.Sub(s.read) >= rereadSecrets {
		s.read = now
		byName, err := readSecrets(s.path)
		if err == nil {
			s.byName = byName
		} else if s.log != nil {
			s.log.Warn("webhook secrets cannot be read again; those from before stay", "error", err)
		}
	}
	return append(slices.Clip(s.byName[p.key]), s.byName[""]...)
}

// Unsigned names the providers whose events are taken from anybody.
func (s *Secrets) Unsigned() []string {
	var out []string
	for _, p := range providers {
		if len(s.of(p)) == 0 {
			out = append(out, p.name)
		}
	}
	slices.Sort(out)
	return out
}
