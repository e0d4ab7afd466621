package command

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
)

const rbacPath = "/settings/rbac"

// rbacDocument is the hub's answer about the RBAC policy that it keeps.
type rbacDocument struct {
	Version   int64             `json:"version"`
	ChangedBy string            `json:"changedBy,omitempty"`
	ChangedAt *time.Time        `json:"changedAt,omitempty"`
	Enforced  bool              `json:"enforced"`
	RBAC      map[string]string `json:"rbac"`
	Versions  []settingsVersion `json:"versions,omitempty"`
}

// changedRBAC is the hub's answer to a change.
type changedRBAC struct {
	Version  int64  `json:"version"`
	Result   string `json:"result"`
	Enforced bool   `json:"enforced"`
	// Warnings are of what is probably not meant.
	Warnings []struct {
		Field   string `json:"field"`
		Message string `json:"message"`
	} `json:"warnings,omitempty"`
}

func newRBAC(s *session) *cobra.Command {
	c := group("rbac", "The RBAC policy: who may do what",
		newRBACGet(s), newRBACSet(s), newRBACHistory(s))
	c.Long = `An RBAC policy in the format of Argo CD's argocd-rbac-cm ConfigMap. It says what
users may do who are logged in, besides what their account has; API tokens have their
grants: hawser token. A change holds at every replica within five seconds.`
	return c
}

func newRBACGet(s *session) *cobra.Command {
	var version int64
	c := &cobra.Command{
		Use: "get", Short: "The policy, as a file that can be set again", Args: exactArgs(),
		RunE: s.run(func(c *call) error {
			path := rbacPath
			if version > 0 {
				path += "?version=" + strconv.FormatInt(version, 10)
			}
			var got rbacDocument
			if err := c.get(path, &got); err != nil {
				return err
			}
			return c.one(got, "settings/rbac", func() error {
				if got.Version == 0 {
					c.note("nobody has set one")
				} else {
					c.note("version %d, set by %s %s ago", got.Version, got.ChangedBy, output.Age(c.now(), got.ChangedAt))
				}
				c.noteNotEnforced(got.Enforced)
				return output.Document(c.Out, output.YAML, map[string]any{"rbac": got.RBAC})
			})
		}),
	}
	c.Flags().Int64Var(&version, "version", 0, "an earlier version (see history)")
	return c
}

func (c *call) noteNotEnforced(enforced bool) {
	if !enforced {
		c.note("kept, not enforced: grants of API tokens say who may do what")
	}
}

func newRBACSet(s *session) *cobra.Command {
	var file string
	var ifVersion int64
	var body []byte
	c := &cobra.Command{
		Use: "set -f FILE", Short: "Replace the policy", Args: exactArgs(),
		Long: `Replace the policy by a file: an argocd-rbac-cm ConfigMap as it is, or what "get" printed.
What is probably not meant is warned of: lines about nothing that there is, roles that no
line is about. hawser auth can-i --as asks the policy in force about others, and
hawser-hub policy test one that is in a file.`,
		PreRunE: func(*cobra.Command, []string) (err error) { body, err = s.customizationsFile(file); return err },
		RunE: s.run(func(c *call) error {
			header := http.Header{}
			if ifVersion > 0 {
				header.Set("If-Match", strconv.Quote(strconv.FormatInt(ifVersion, 10)))
			}
			var got changedRBAC
			if err := c.api.DoWith(c.ctx, http.MethodPut, rbacPath, header, body, &got); err != nil {
				return err
			}
			for _, w := range got.Warnings {
				c.warn("%s: %s", output.Clean(w.Field), output.Clean(w.Message))
			}
			return c.one(got, "settings/rbac", func() error {
				c.noteNotEnforced(got.Enforced)
				_, err := fmt.Fprintf(c.Out, "RBAC policy %s, version %d\n", got.Result, got.Version)
				return err
			})
		}),
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "file, or - for standard input")
	c.Flags().Int64Var(&ifVersion, "if-version", 0, "only if this version is in force")
	return c
}

func newRBACHistory(s *session) *cobra.Command {
	versions := settingsVersions("settings/rbac/")
	c := &cobra.Command{
		Use: "history", Short: "The versions that are kept, the newest first", Args: exactArgs(),
		RunE: s.run(func(c *call) error {
			var got rbacDocument
			if err := c.get(rbacPath, &got); err != nil {
				return err
			}
			return versions.print(c, got.Versions, c.now())
		}),
	}
	versions.flags(s, c)
	return c
}

// settingsVersions prints versions of settings, whose names begin with prefix.
func settingsVersions(prefix string) listing[settingsVersion] {
	return listing[settingsVersion]{
		kind:    "SettingsVersionList",
		name:    func(v settingsVersion) string { return prefix + strconv.FormatInt(v.Version, 10) },
		columns: []output.Column{{Title: "VERSION"}, {Title: "SET AT"}, {Title: "BY"}},
		row: func(v settingsVersion) []string {
			return []string{strconv.FormatInt(v.Version, 10), v.ChangedAt.UTC().Format(time.RFC3339), v.ChangedBy}
		},
	}
}
