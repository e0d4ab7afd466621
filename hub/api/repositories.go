package api

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/crypto/ssh"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// testTimeout of the connection test when a repository is added.
const testTimeout = 20 * time.Second

type repositoryRequest struct {
	URL        string `json:"url"`
	Project    string `json:"project,omitempty"`
	Username   string `json:"username,omitempty"`
	Password   string `json:"password,omitempty"`
	SSHKey     string `json:"sshKey,omitempty"`
	KnownHosts string `json:"knownHosts,omitempty"`
	CABundle   string `json:"caBundle,omitempty"`
	SkipTest   bool   `json:"skipTest,omitempty"`
}

func (a *api) listRepositories(c *gin.Context) {
	repos, err := a.store.Repositories(c.Request.Context())
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, newList(a, repos))
}

func (a *api) addRepository(c *gin.Context) {
	ctx := c.Request.Context()
	var in repositoryRequest
	if err := a.into(c, &in, false); err != nil {
		a.fail(c, err)
		return
	}
	in.URL = strings.TrimSpace(in.URL)
	if err := a.checkRepository(in); err != nil {
		a.fail(c, err)
		return
	}
	if in.Project != "" {
		if _, err := a.store.Project(ctx, in.Project); err != nil {
			a.fail(c, err)
			return
		}
	}
	cred := in.credential()
	if !in.SkipTest {
		testCtx, cancel := context.WithTimeout(ctx, testTimeout)
		err := a.opts.Sources.Test(testCtx, in.URL, cred)
		late := testCtx.Err() != nil
		cancel()
		if err != nil && late && ctx.Err() == nil && !fault.Is(err, fault.Upstream) {
			err = fault.Wrap(err, fault.Upstream, "git_unavailable", "the repository did not answer within %s", testTimeout)
		}
		if err != nil {
			a.fail(c, err)
			return
		}
	}
	repo := fleet.Repository{Credential: cred}
	repo.URL, repo.Project, repo.Username = in.URL, in.Project, in.Username
	repo.HasPassword, repo.HasSSHKey = in.Password != "", in.SSHKey != ""
	stored, err := a.store.UpsertRepository(ctx, repo)
	if err != nil {
		a.fail(c, err)
		return
	}
	a.opts.Sources.Poke(in.URL)
	a.opts.Publisher.Publish("repository", stored.ID, stored)
	c.JSON(http.StatusCreated, stored)
}

func (in repositoryRequest) credential() *fleet.Credential {
	c := fleet.Credential{Username: in.Username, Password: in.Password, SSHKey: in.SSHKey, KnownHosts: in.KnownHosts, CABundle: in.CABundle}
	if c == (fleet.Credential{}) {
		return nil
	}
	return &c
}

// checkRepository checks what can be known without connecting. No message
// repeats a secret.
func (a *api) checkRepository(in repositoryRequest) error {
	var problems fault.List
	add := func(e *fault.Error) {
		if e != nil {
			problems = append(problems, e)
		}
	}
	add(decode.RepoURL("url", in.URL, false, a.opts.AllowFileRepositories))
	insecure := strings.HasPrefix(strings.ToLower(in.URL), "http://")
	if insecure && (in.Username != "" || in.Password != "") && !a.opts.AllowHTTPCredentials {
		add(fault.New(fault.Invalid, "repo_insecure", "credentials over plain http are refused; use https or ssh").WithField("url"))
	}
	if err := text("username", in.Username, 0, 256); err != nil {
		add(fault.As(err))
	}
	if len(in.Password) > 64<<10 || strings.ContainsAny(in.Password, "\r\n\x00") {
		add(fault.New(fault.Invalid, "credential_invalid", "password contains a line break, or is longer than 64 KiB").WithField("password"))
	}
	if in.SSHKey != "" {
		if _, err := ssh.ParseRawPrivateKey([]byte(in.SSHKey)); err != nil {
			e := fault.New(fault.Invalid, "credential_invalid", "sshKey is not a private key in PEM or OpenSSH format").WithField("sshKey")
			if _, ok := err.(*ssh.PassphraseMissingError); ok { //nolint:errorlint // not wrapped
				e.Message = "sshKey is protected by a passphrase, which the hub could not be told"
				e.Fix = "use a key without a passphrase, as a deploy key"
			}
			add(e)
		}
	}
	if in.KnownHosts != "" && !goodKnownHosts(in.KnownHosts) {
		add(fault.New(fault.Invalid, "known_hosts_invalid", "knownHosts is not in the format of OpenSSH").WithField("knownHosts").
			WithFix("paste the output of ssh-keyscan HOST after checking it"))
	}
	if in.CABundle != "" && !goodCertificates(in.CABundle) {
		add(fault.New(fault.Invalid, "ca_bundle_invalid", "caBundle holds no certificate in PEM format").WithField("caBundle"))
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}

func goodKnownHosts(s string) bool {
	rest, found := []byte(s), false
	for len(rest) > 0 {
		_, _, _, _, next, err := ssh.ParseKnownHosts(rest)
		if err != nil {
			return found && len(strings.TrimSpace(string(rest))) == 0
		}
		rest, found = next, true
	}
	return found
}

func goodCertificates(s string) bool {
	rest, found := []byte(s), false
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return found
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
			return false
		}
		found = true
	}
}

func (a *api) deleteRepository(c *gin.Context) {
	id := c.Param("id")
	if err := a.store.DeleteRepository(c.Request.Context(), id); err != nil {
		a.fail(c, err)
		return
	}
	a.opts.Publisher.Publish("repository", id, gin.H{"id": id, "deleted": true})
	c.Status(http.StatusNoContent)
}

// repositoriesAllowed checks what depends on the hub's configuration.
func (a *api) repositoriesAllowed(app *model.Application) error {
	for i, s := range app.Spec.AllSources() {
		field := "spec.source.repoURL"
		if len(app.Spec.Sources) > 0 {
			field = indexed("spec.sources", i) + ".repoURL"
		}
		if e := decode.RepoURL(field, s.RepoURL, s.Chart != "", a.opts.AllowFileRepositories); e != nil {
			return e
		}
	}
	return nil
}
