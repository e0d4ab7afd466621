package login

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/cli/command"
	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/e2e/hostile"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/auth/oidc/oidctest"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// within is how soon a change of the policy holds everywhere.
const within = 5 * time.Second

const projects = `{apiVersion: argoproj.io/v1alpha1, kind: AppProject, metadata: {name: shop},
 spec: {sourceRepos: ["*"], destinations: [{name: eu, namespace: "*"}]}}
---
{apiVersion: argoproj.io/v1alpha1, kind: AppProject, metadata: {name: bank},
 spec: {sourceRepos: ["*"], destinations: [{name: eu, namespace: "*"}], roles: [{name: teller, groups: [team-bank],
  policies: ["p, proj:bank:teller, applications, get, bank/*, allow", "p, proj:bank:teller, applications, sync, bank/*, allow"]}]}}
`

const policy = `{"rbac": {"policy.csv": "p, role:shop, applications, get, shop/*, allow\np, role:shop, applications, get, shop/secret, deny\ng, team-shop, role:shop\n"}}`

type world struct {
	*rig.Rig
	t        *testing.T
	ctx      context.Context
	provider *oidctest.Provider
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a hub, which -short leaves out")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	t.Cleanup(cancel)
	r, err := rig.Start(ctx, rig.Options{Bin: rig.Programs(t), NoGit: true, HubArgs: []string{"--database-url", ""}})
	must(t, err)
	w := &world{Rig: r, t: t, ctx: ctx, provider: oidctest.New()}
	t.Cleanup(func() {
		w.provider.Close()
		if t.Failed() {
			t.Logf("the hub's log:\n%s", testbed.Tail(r.Hub.LogPath(), 30))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	w.enrol("eu")
	w.admin(projects, "apply", "-f", "-", "--yes")
	var apps strings.Builder
	for _, app := range []string{"shop/web", "shop/secret", "bank/ledger", "default/other"} {
		project, name, _ := strings.Cut(app, "/")
		fmt.Fprintf(&apps, "---\n{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {name: %s}, spec: {project: %s, source: {repoURL: 'https://127.0.0.1:1/app.git', path: ., targetRevision: main}, destination: {name: eu, namespace: %s}}}\n",
			name, project, project)
	}
	w.admin(apps.String(), "apply", "-f", "-", "--yes")

	ca := filepath.Join(r.Dir, "provider.pem")
	must(t, os.WriteFile(ca, []byte(w.provider.CA), 0o600))
	w.admin(w.provider.Secret, "settings", "provider", "set", "corp", "--issuer", w.provider.URL, "--client-id", w.provider.ClientID, "--client-secret-stdin", "--ca-file", ca)
	var set struct {
		RedirectURI string `json:"redirectURI"`
	}
	must(t, json.Unmarshal(w.admin("", "settings", "provider", "get", "corp", "-o", "json"), &set))
	w.provider.Change(func(p *oidctest.Provider) { p.RedirectURI = set.RedirectURI })
	w.admin("", "settings", "provider", "test", "corp")
	return w
}

// admin runs the command line as the administrator of the first login.
func (w *world) admin(stdin string, args ...string) []byte {
	w.t.Helper()
	out, err := w.CLIInput(w.ctx, []byte(stdin), args...)
	must(w.t, err)
	return out
}

// enrol has an agent redeem a token, and not come back: applications only need that
// there is such a cluster.
func (w *world) enrol(name string) {
	w.t.Helper()
	var minted struct {
		Token string `json:"token"`
	}
	must(w.t, json.Unmarshal(w.admin("", "cluster", "enroll", name, "--no-wait", "-o", "json"), &minted))
	key, err := hostile.Key()
	must(w.t, err)
	csr, err := hostile.CSR(key, nil)
	must(w.t, err)
	cc, err := (&hostile.Agent{Address: w.Hub.Addr}).GRPC(model.EnrolServerName)
	must(w.t, err)
	defer cc.Close()
	_, err = agentv1.NewEnrolmentClient(cc).Enrol(w.ctx, &agentv1.EnrolRequest{Token: minted.Token, ClusterName: name, CsrPem: csr})
	must(w.t, err)
}

// person is somebody with a command line of his own.
type person struct {
	w       *world
	subject string
	config  string
}

func (w *world) person(subject string, groups ...string) *person {
	w.provider.Change(func(p *oidctest.Provider) {
		p.Claims = map[string]any{"sub": subject, "email": subject + "@example.org", "email_verified": true, "groups": groups}
	})
	return &person{w, subject, filepath.Join(w.Dir, subject+".yaml")}
}

func (p *person) hawser(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.w.ctx, filepath.Join(p.w.Bin, "hawser"), args...)
	cmd.Env = append(p.w.CLIEnv(), "HAWSER_CONFIG="+p.config)
	cmd.Dir = p.w.Dir
	return cmd
}

// run answers standard output and the exit status.
func (p *person) run(args ...string) (stdout string, code int) {
	p.w.t.Helper()
	var out, errs bytes.Buffer
	cmd := p.hawser(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.w.t.Fatal(err)
	}
	if err != nil {
		p.w.t.Logf("%s: hawser %s: %d: %s", p.subject, strings.Join(args, " "), exit.ExitCode(), strings.TrimSpace(errs.String()))
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// login logs in with how, and has a browser do what the command line prints.
func (p *person) login(how string, browse func(line string) bool) {
	t := p.w.t
	t.Helper()
	cmd := p.hawser("login", p.w.Hub.Addr, "--ca-hash", p.w.Hub.CAHash, how, "--provider", "corp")
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	var said []string
	browsed := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said = append(said, lines.Text())
		if !browsed {
			browsed = browse(lines.Text())
		}
	}
	if err := cmd.Wait(); err != nil || !browsed {
		t.Fatalf("login %s of %s: %v, browsed %v\n%s", how, p.subject, err, browsed, strings.Join(said, "\n"))
	}
}

var (
	address  = regexp.MustCompile(`https://\S+/auth/login\?\S+`)
	userCode = regexp.MustCompile(`type in the code (\S+)`)
)

// sso logs in with a browser on this machine.
func (p *person) sso() {
	p.w.t.Helper()
	p.login("--sso", func(line string) bool {
		at := address.FindString(line)
		if at == "" {
			return false
		}
		resp, err := oidctest.Browser(nil).Get(at)
		if err != nil {
			p.w.t.Errorf("the browser: %v", err)
			return true
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Request.URL.Hostname() != "127.0.0.1" || resp.Request.URL.Path != "/callback" {
			p.w.t.Errorf("the browser ends at %s with %s", resp.Request.URL.Path, resp.Status)
		}
		return true
	})
}

// device logs in with a code that is typed in elsewhere.
func (p *person) device() {
	p.w.t.Helper()
	p.login("--device", func(line string) bool {
		m := userCode.FindStringSubmatch(line)
		return m != nil && p.w.provider.Decide(m[1], true)
	})
}

// sees holds that these are the applications that somebody sees, in lists and one by
// one.
func (p *person) sees(want ...string) {
	p.w.t.Helper()
	out, code := p.run("app", "list", "-o", "name")
	got := strings.Fields(out)
	for i := range got {
		got[i] = strings.TrimPrefix(got[i], "app/")
	}
	slices.Sort(got)
	if code != 0 || !slices.Equal(got, want) {
		p.w.t.Errorf("%s sees %q (exit status %d), want %q", p.subject, got, code, want)
	}
	for _, name := range []string{"web", "secret", "ledger", "other"} {
		code := command.ExitNotFound
		if slices.Contains(want, name) {
			code = 0
		}
		if _, got := p.run("app", "get", name); got != code {
			p.w.t.Errorf("%s: app get %s exits with %d, want %d", p.subject, name, got, code)
		}
	}
}

// refusedSoon asks until it is refused; whatever is asked later than what is promised
// has to be.
func (p *person) refusedSoon(args ...string) {
	p.w.t.Helper()
	for changed := time.Now(); ; {
		late := time.Since(changed) > within
		_, code := p.run(args...)
		switch {
		case code == command.ExitNotFound:
			return
		case code != 0:
			p.w.t.Fatalf("%s: %q exits with %d", p.subject, args, code)
		case late:
			p.w.t.Fatalf("%s: %q is allowed %s after the change", p.subject, args, within)
		}
	}
}

func TestGroupsOfAProviderHaveWhatThePolicyGivesThem(t *testing.T) {
	w := start(t)
	w.admin(policy, "settings", "rbac", "set", "-f", "-")

	ann := w.person("ann", "everybody", "team-shop")
	ann.sso()
	if out, code := ann.run("auth", "whoami"); code != 0 || !strings.Contains(out, "ann@example.org") {
		t.Errorf("whoami: %q, exit status %d", out, code)
	}
	ann.sees("web")
	if _, code := ann.run("app", "sync", "web"); code != command.ExitDenied {
		t.Errorf("ann syncs: exit status %d", code)
	}
	// The project's role, by a group; without a browser on the machine.
	bob := w.person("bob", "team-bank")
	bob.device()
	bob.sees("ledger")
	if _, code := bob.run("auth", "can-i", "sync", "applications", "bank/ledger"); code != 0 {
		t.Errorf("bob may not sync: exit status %d", code)
	}
	if _, code := bob.run("auth", "can-i", "delete", "applications", "bank/ledger"); code != 1 {
		t.Errorf("bob may delete: exit status %d", code)
	}
	// In no group that a line names.
	carol := w.person("carol", "everybody", "role:admin", "team-shops", "TEAM-SHOP")
	carol.sso()
	carol.sees()
	if _, code := carol.run("settings", "rbac", "get"); code != command.ExitDenied {
		t.Errorf("carol reads the policy: exit status %d", code)
	}

	// The line of the group goes, and so does what it gave; nobody logs in again.
	w.admin(strings.ReplaceAll(policy, "g, team-shop, role:shop", "g, team-else, role:shop"), "settings", "rbac", "set", "-f", "-")
	ann.refusedSoon("app", "get", "web")
	ann.sees()
	bob.sees("ledger")
	w.admin(strings.ReplaceAll(projects, "team-bank", "team-vault"), "apply", "-f", "-", "--yes")
	bob.refusedSoon("app", "get", "ledger")
	bob.sees()

	// A provider that is not there any more vouches for nobody.
	w.admin("", "settings", "provider", "delete", "corp", "--yes")
	for deleted := time.Now(); ; {
		late := time.Since(deleted) > within
		_, code := ann.run("auth", "whoami")
		if code == command.ExitUnauthorized {
			break
		}
		if code != 0 || late {
			t.Fatalf("ann is logged in after the provider was deleted: exit status %d", code)
		}
	}
}

// A22: what people have is nothing at the agents' port.
func TestA22_SecretsOfPeopleAtTheAgentsPort(t *testing.T) {
	w := start(t)
	ann := w.person("ann")
	ann.sso()
	var issued struct {
		Token string `json:"token"`
	}
	must(t, json.Unmarshal(w.admin("", "token", "create", "ci", "--admin", "-o", "json"), &issued))
	now := time.Now()
	secrets := map[string]string{
		"session":   secretOf(t, ann.config),
		"API token": issued.Token,
		"ID token":  w.provider.Key.Sign(map[string]any{"iss": w.provider.URL, "aud": w.provider.ClientID, "sub": "ann", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}),
	}
	key, err := hostile.Key()
	must(t, err)
	csr, err := hostile.CSR(key, nil)
	must(t, err)
	for what, secret := range secrets {
		if len(secret) < 20 {
			t.Fatalf("%s: %q", what, secret)
		}
		cc, err := (&hostile.Agent{Address: w.Hub.Addr}).GRPC(model.EnrolServerName)
		must(t, err)
		_, err = agentv1.NewEnrolmentClient(cc).Enrol(w.ctx, &agentv1.EnrolRequest{Token: secret, ClusterName: "us", CsrPem: csr})
		cc.Close()
		if err = fault.FromGRPC(err); !fault.HasCode(err, "enrolment_token_malformed") {
			t.Errorf("the %s as an enrolment token: %v", what, err)
		}
		// In place of a certificate, in every way that it could be sent.
		cc, err = (&hostile.Agent{Address: w.Hub.Addr}).GRPC(model.AgentServerName)
		must(t, err)
		ctx := metadata.AppendToOutgoingContext(w.ctx, "authorization", "Bearer "+secret, "cookie", "__Host-hawser="+secret, "x-api-key", secret)
		stream, err := agentv1.NewControlClient(cc).Session(ctx)
		if err == nil {
			_ = stream.Send(hostile.Hello("ann")) // the answer says what is wrong
			_, err = stream.Recv()
		}
		cc.Close()
		if err = fault.FromGRPC(err); !fault.HasCode(err, "certificate_missing") {
			t.Errorf("the %s in place of a certificate: %v", what, err)
		}
	}
	if out := w.admin("", "cluster", "list", "-o", "name"); strings.TrimSpace(string(out)) != "cluster/eu" {
		t.Errorf("clusters: %q", out)
	}
}

// secretOf is the secret in a configuration of the command line.
func secretOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	var file config.File
	must(t, yaml.Unmarshal(b, &file))
	hub, ok := file.Context("")
	if !ok {
		t.Fatal("nobody is logged in")
	}
	return hub.Token
}
