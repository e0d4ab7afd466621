package login

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// question is one about a policy, with the answer that Argo CD's documentation gives.
type question struct {
	// who is user:NAME, in groups behind a space, or proj:PROJECT:ROLE.
	who, resource, action, object string
	yes                           bool
}

// What Argo CD documents of argocd-rbac-cm and project roles: globs that cross "/",
// quoted braces, roles of roles, several policy keys, deny over allow for one who is
// asked, the default role that nothing takes away, expressions that match anywhere,
// logs and exec as resources of their own, actions by group, kind and name.
var documented = []struct {
	name, policy string
	questions    []question
}{
	{"globs", `apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-rbac-cm}
data:
  policy.csv: |
    # of the team
    p, role:dev, applications, get, shop/*, allow
    p, role:dev, applications, sync, shop/*, allow
    p, role:dev, applications, sync, shop/prod-*, deny
    p, role:dev, applications, action/apps/Deployment/restart, shop/*, allow
    p, role:dev, applications, action/batch/*, shop/*, allow
    p, role:dev, logs, get, shop/*, allow
    g, team-dev, role:dev
    g, role:lead, role:dev
    g, team-lead, role:lead
    p, role:lead, clusters, update, eu, allow
    p, role:lead, repositories, *, https://git.example.org/*, allow
    p, role:lead, projects, get, *, allow
  policy.ops.csv: |
    p, role:ops, applications, *, */*, allow
    p, role:ops, exec, create, */*, allow
    p, role:ops, logs, *, */*, deny
    g, team-ops, role:ops
    p, zed, applications, get, "{shop,bank}/w?b", allow
    g, boss, role:admin
    g, reader, role:readonly
`, []question{
		{"user:a team-dev", "applications", "get", "shop/web", true},
		{"user:a team-dev", "applications", "get", "bank/ledger", false},
		{"user:a team-dev", "applications", "sync", "shop/web", true},
		{"user:a team-dev", "applications", "sync", "shop/prod-web", false},
		{"user:a team-dev", "applications", "delete", "shop/web", false},
		{"user:a team-dev", "applications", "action/apps/Deployment/restart", "shop/web", true},
		{"user:a team-dev", "applications", "action/apps/StatefulSet/restart", "shop/web", false},
		{"user:a team-dev", "applications", "action/batch/CronJob/create-job", "shop/web", true},
		{"user:a team-dev", "logs", "get", "shop/web", true},
		{"user:a team-dev", "exec", "create", "shop/web", false},
		{"user:a team-dev", "clusters", "update", "eu", false},
		{"user:a team-lead", "applications", "sync", "shop/web", true},
		{"user:a team-lead", "applications", "sync", "shop/prod-web", false},
		{"user:a team-lead", "clusters", "update", "eu", true},
		{"user:a team-lead", "repositories", "create", "https://git.example.org/x/y.git", true},
		{"user:a team-lead", "repositories", "create", "https://git.example.com/x.git", false},
		{"user:a team-lead", "projects", "get", "bank", true},
		{"user:a team-lead", "projects", "update", "bank", false},
		{"user:a team-ops", "applications", "delete", "bank/ledger", true},
		{"user:a team-ops", "exec", "create", "bank/ledger", true},
		{"user:a team-ops", "logs", "get", "bank/ledger", false},
		{"user:a team-dev team-ops", "logs", "get", "shop/web", true},
		{"user:a team-dev team-ops", "applications", "sync", "shop/prod-web", true},
		{"user:zed", "applications", "get", "bank/web", true},
		{"user:zed", "applications", "get", "bank/weeb", false},
		{"user:zed", "applications", "get", "vault/web", false},
		{"user:boss", "projects", "delete", "shop", true},
		{"user:boss", "exec", "create", "shop/web", true},
		{"user:reader", "applications", "get", "default/other", true},
		{"user:reader", "applications", "sync", "default/other", false},
		{"user:reader", "logs", "get", "default/other", true},
		{"user:a role:admin", "applications", "get", "shop/web", false},
		{"user:admin", "applications", "get", "shop/web", false},
		{"user:a", "applications", "get", "shop/web", false},
		{"proj:bank:teller", "applications", "sync", "bank/ledger", true},
		{"proj:bank:teller", "applications", "delete", "bank/ledger", false},
		{"proj:bank:teller", "applications", "get", "shop/web", false},
		{"proj:bank:teller", "projects", "update", "bank", false},
		{"user:a team-bank", "applications", "sync", "bank/ledger", true},
		{"user:a team-bank", "projects", "get", "bank", true},
		{"user:a team-bank", "logs", "get", "bank/ledger", false},
	}},
	{"expressions", `apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-rbac-cm}
data:
  policy.matchMode: regex
  policy.csv: |
    p, role:dev, ^applications$, ^(get|sync)$, "^shop/(web|api)-[0-9]{1,3}$", allow
    p, loose, applications, get, web, allow
    g, team-dev, role:dev
`, []question{
		{"user:a team-dev", "applications", "sync", "shop/api-12", true},
		{"user:a team-dev", "applications", "sync", "shop/api-1234", false},
		{"user:a team-dev", "applications", "delete", "shop/api-12", false},
		{"user:loose", "applications", "get", "bank/my-web-app", true},
		{"user:loose", "applications", "get", "bank/ledger", false},
		{"user:a team-bank", "applications", "sync", "bank/ledger", true},
	}},
	{"default role", `apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-rbac-cm}
data:
  policy.default: role:readonly
  scopes: "[groups]"
  policy.csv: |
    p, bad, applications, *, */*, deny
    p, half, applications, *, shop/*, allow
    p, half, applications, delete, shop/*, deny
`, []question{
		{"user:anybody", "applications", "get", "shop/web", true},
		{"user:anybody", "applications", "sync", "shop/web", false},
		{"user:bad", "applications", "get", "shop/web", true},
		{"user:half", "applications", "sync", "shop/web", true},
		{"user:half", "applications", "delete", "shop/web", false},
		{"proj:bank:teller", "applications", "get", "shop/web", false},
	}},
}

// What a policy in a file answers is what the hub answers that has it in force.
func TestAPolicyInAFileAnswersAsTheHubDoes(t *testing.T) {
	w := start(t)
	hub, err := w.API()
	must(t, err)
	project := filepath.Join(w.Dir, "projects.yaml")
	must(t, os.WriteFile(project, []byte(projects), 0o600))
	for _, p := range documented {
		file := filepath.Join(w.Dir, strings.ReplaceAll(p.name, " ", "-")+".yaml")
		must(t, os.WriteFile(file, []byte(p.policy), 0o600))
		w.admin("", "settings", "rbac", "set", "-f", file)
		for _, q := range p.questions {
			words := strings.Fields(q.who)
			args := []string{"policy", "test", "-f", file, "--project", project}
			in := map[string]any{"verb": q.action, "resource": q.resource, "object": q.object, "as": words[0]}
			if token, ok := strings.CutPrefix(words[0], "proj:"); ok {
				args = append(args, "--token", token)
			} else {
				args = append(args, "--user", strings.TrimPrefix(words[0], "user:"))
				for _, g := range words[1:] {
					args = append(args, "--group", g)
				}
				in["asGroups"] = words[1:]
			}
			out, err := exec.CommandContext(w.ctx, filepath.Join(w.Bin, "hawser-hub"), append(args, q.resource, q.action, q.object)...).CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
				t.Fatalf("%s: %v: %v\n%s", p.name, q, err, out)
			}
			var got struct {
				Allowed bool   `json:"allowed"`
				Rule    string `json:"rule"`
			}
			must(t, hub.Do(w.ctx, http.MethodPost, "/can-i", in, &got))
			if offline := err == nil; offline != q.yes || got.Allowed != q.yes {
				t.Errorf("%s: %v: the file says %v, the hub %v (%s)\n%s", p.name, q, offline, got.Allowed, got.Rule, out)
			}
		}
	}
}
