package command

import (
	"strings"
	"testing"
)

const roleToken = `{"id":"rt-1","subject":"proj:pay:ci","project":"pay","role":"ci","name":"build","createdBy":"ann","createdAt":"2026-01-02T03:04:05Z","expiresAt":"2099-01-02T03:04:05Z"}`

func init() {
	more = append(more, map[string]answer{
		"POST /projects/shop/roles/ci/tokens": {201, `{"token":"hwr_NEW",` + roleToken[1:]}, "GET /projects/shop/roles/ci/tokens": {200, `{"items":[` + roleToken + `]` + asOf},
		"DELETE /projects/shop/roles/ci/tokens/rt-1": {204, ""},
	})
	commandCases = append(commandCases,
		commandCase{args: "project role create shop ci --description builds", err: "saved", asked: `"roles":[{"name":"ci","description":"builds"}]`},
		commandCase{args: "project role get shop ci", code: 3, err: `has no role "ci"`},
		commandCase{args: "project role delete shop ci", code: 3, err: `has no role "ci"`},
		commandCase{args: "project role add-policy shop ci -a sync --object *", code: 3, err: `has no role "ci"`},
		commandCase{args: "project role remove-policy shop ci -a sync --object *", code: 3, err: `has no role "ci"`},
		commandCase{args: "project role add-group shop ci devs", code: 3, err: `has no role "ci"`},
		commandCase{args: "project role remove-group shop ci devs", code: 3, err: `has no role "ci"`},
		commandCase{args: "project role create-token shop ci --ttl 720h", out: "hwr_NEW\n", err: "it is not shown again", asked: `POST /projects/shop/roles/ci/tokens {"ttl":"720h0m0s"}`},
		commandCase{args: "project role list-tokens shop ci", out: "build"},
		commandCase{args: "project role delete-token shop ci build", err: "token rt-1 of proj:pay:ci revoked", asked: "DELETE /projects/shop/roles/ci/tokens/rt-1"},
	)
}

func roleHub(t *testing.T) *testHub {
	return newHubOf(t, map[string]answer{
		"GET /projects/pay": {200, teamProject}, "POST /projects/pay/preview": {200, harmless}, "PUT /projects/pay": {200, teamProject},
		"POST /projects/pay/roles/ci/tokens": {201, `{"token":"hwr_NEW",` + roleToken[1:]}, "GET /projects/pay/roles/ci/tokens": {200, `{"items":[` + roleToken + `]` + asOf},
		"DELETE /projects/pay/roles/ci/tokens/rt-1": {204, ""},
	})
}

func TestRolesOfProjectsAreChanged(t *testing.T) {
	const before = `"policies":["p, proj:pay:ci, applications, sync, pay/*, allow"`
	for args, want := range map[string]string{ // what is written
		"create pay ops --description night":                                        `{"name":"ops","description":"night"}]`,
		"delete pay ci":                                                             `"syncWindows":[{`,
		"add-policy pay ci --action get --object web-*":                             before + `,"p, proj:pay:ci, applications, get, pay/web-*, allow"]`,
		"add-policy pay ci -a get --resource logs --object pay/*":                   before + `,"p, proj:pay:ci, logs, get, pay/*, allow"]`,
		"add-policy pay ci -a delete --object * --deny":                             before + `,"p, proj:pay:ci, applications, delete, pay/*, deny"]`,
		"remove-policy pay ci --resource applications --action sync --object pay/*": `"roles":[{"name":"ci","description":"builds","groups":["devs","ops"]}]`,
		"add-group pay ci team,with,commas":                                         `"groups":["devs","ops","team,with,commas"]`,
		"remove-group pay ci devs":                                                  `"groups":["ops"]`,
	} {
		t.Run(args, func(t *testing.T) {
			hub := roleHub(t)
			r := run(t, "", append([]string{"project", "role"}, strings.Fields(args)...)...)
			asked := hub.requests()
			if r.code != 0 || !strings.Contains(r.err, `project "pay" saved`) || !strings.Contains(asked, "PUT /projects/pay") || !strings.Contains(asked, want) {
				t.Errorf("%+v\nasked %s", r, asked)
			}
			if args == "delete pay ci" && strings.Contains(asked, `"roles"`) {
				t.Errorf("asked %s", asked)
			}
		})
	}
	for args, want := range map[string]string{
		"create pay ci":  `has a role "ci"`,
		"create pay a,b": "use letters, digits",
		"delete pay cj":  `did you mean "ci"?`,
		"add-policy pay ci --action sync --object pay/*": `project "pay" is so already`,
		"add-policy pay ci --action a,b --object *":      "role_policy_invalid",
		"add-policy pay ci --action get":                 `required flag(s) "object"`,
		"remove-policy pay ci --action get --object *":   "has no policy",
		"remove-group pay ci nix":                        "does not have the role",
		"create-token pay ci --ttl -1h":                  "less than nothing",
		"delete-token pay ci nix":                        "has no token",
	} {
		hub := roleHub(t)
		if r := run(t, "", append([]string{"project", "role"}, strings.Fields(args)...)...); !strings.Contains(r.err, want) || strings.Contains(hub.requests(), "PUT") || strings.Contains(hub.requests(), "DELETE") {
			t.Errorf("%s: %+v, asked %s", args, r, hub.requests())
		}
	}
}

func TestTokensOfRolesStandAlone(t *testing.T) {
	hub := roleHub(t)
	r := run(t, "", "project", "role", "create-token", "pay", "ci", "--ttl", "24h", "--name", "build")
	if r.code != 0 || r.out != "hwr_NEW\n" || !strings.Contains(r.err, "proj:pay:ci, good until 2099") || strings.Contains(r.err, "hwr_") {
		t.Errorf("%+v", r)
	}
	if asked := hub.requests(); !strings.Contains(asked, `POST /projects/pay/roles/ci/tokens {"name":"build","ttl":"24h0m0s"}`) {
		t.Errorf("asked %s", asked)
	}
	r = run(t, "", "project", "role", "list-tokens", "pay", "ci")
	if !strings.Contains(r.out, "rt-1") || !strings.Contains(r.out, "build") || !strings.Contains(r.out, "2099-01-02") {
		t.Errorf("%+v", r)
	}
	for _, which := range []string{"rt-1", "build", "token/rt-1"} {
		hub := roleHub(t)
		if r := run(t, "", "project", "role", "delete-token", "pay", "ci", which); r.code != 0 || !strings.Contains(r.err, "revoked") || !strings.Contains(hub.requests(), "DELETE /projects/pay/roles/ci/tokens/rt-1") {
			t.Errorf("%s: %+v", which, r)
		}
	}
	if r := run(t, "", "project", "role", "get", "pay", "ci"); !strings.Contains(r.out, "- p, proj:pay:ci, applications, sync, pay/*, allow") {
		t.Errorf("%+v", r)
	}
}
