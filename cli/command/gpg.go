package command

import (
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/signature"
)

func newGPG(s *session) *cobra.Command {
	return group("gpg", "GnuPG keys that projects may trust for signed commits and tags",
		newGPGAdd(s), newGPGList(s), newGPGGet(s), newGPGRemove(s))
}

// gpgKey is a key as the hub shows it.
type gpgKey struct {
	signature.Key
	AddedBy string    `json:"addedBy,omitempty"`
	AddedAt time.Time `json:"addedAt"`
}

var gpgColumns = []output.Column{
	{Title: "KEY ID"}, {Title: "TYPE"}, {Title: "OWNER"}, {Title: "EXPIRES"}, {Title: "STATE"}, {Title: "FINGERPRINT", Wide: true}, {Title: "ADDED BY", Wide: true},
}

func (k gpgKey) row(now time.Time) []string {
	expires, state := "never", "valid"
	if k.ExpiresAt != nil {
		expires = k.ExpiresAt.UTC().Format(time.DateOnly)
		if k.ExpiresAt.Before(now) {
			state = "expired"
		}
	}
	if k.Revoked {
		state = "revoked"
	}
	return []string{k.ID, k.SubType, k.Owner, expires, state, k.Fingerprint, k.AddedBy}
}

func newGPGAdd(s *session) *cobra.Command {
	var from string
	c := &cobra.Command{
		Use:   "add --from FILE",
		Short: "Add public keys, in ASCII armour or binary",
		Long: `Add public keys from a file, or from standard input with --from -. A key that the
hub has already is replaced, as to have a later end or a revocation. A project names
the keys that it trusts: see signatureKeys and sourceIntegrity.`,
		Args: exactArgs(),
		RunE: s.run(func(c *call) error {
			if from == "" {
				return fault.New(fault.Invalid, "flag_missing", "name the file with the keys").WithField("--from").WithFix("gpg --armor --export KEY | hawser gpg add --from -")
			}
			text, err := s.readDocuments([]string{from})
			if err != nil {
				return err
			}
			keys, err := signature.ParseKeys(text) // before anything is sent: it may be a secret key
			if err != nil {
				return err
			}
			in := struct {
				KeyData string `json:"keyData"`
			}{}
			for _, k := range keys {
				in.KeyData += k.Armored
			}
			var got list[gpgKey]
			if err := c.api.Do(c.ctx, http.MethodPost, "/gpg-keys", in, &got); err != nil {
				return err
			}
			for _, k := range got.Items {
				c.note("key %s of %s added", k.ID, k.Owner)
			}
			return nil
		}),
	}
	c.Flags().StringVar(&from, "from", "", "file with the keys, - for standard input")
	return c
}

func newGPGList(s *session) *cobra.Command {
	keys := listing[gpgKey]{
		kind:    "GPGKeyList",
		name:    func(k gpgKey) string { return "gpg/" + k.ID },
		columns: gpgColumns,
		row:     func(k gpgKey) []string { return k.row(time.Now()) },
	}
	return keys.command(s, &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "All keys", Args: exactArgs()}, "/gpg-keys", nil)
}

func newGPGGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get KEY-ID", Short: "One key, as it can be added again", Args: exactArgs("KEY-ID"),
		RunE: s.run(func(c *call) error {
			var got gpgKey
			if err := c.get("/gpg-keys/"+url.PathEscape(c.args[0]), &got); err != nil {
				return err
			}
			return c.one(got, "gpg/"+got.ID, func() error {
				c.note("key %s (%s) of %s, fingerprint %s", got.ID, got.SubType, got.Owner, got.Fingerprint)
				_, err := c.Out.Write([]byte(got.Armored))
				return err
			})
		}),
	}
}

func newGPGRemove(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "remove KEY-ID", Aliases: []string{"rm"}, Short: "Forget a key: what it has signed is not trusted any more", Args: exactArgs("KEY-ID"),
		RunE: s.run(func(c *call) error {
			return c.change(http.MethodDelete, "/gpg-keys/"+url.PathEscape(c.args[0]), nil, "key %s removed", c.args[0])
		}),
	}
}
