package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// files writes files into a directory and returns it.
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

func TestCredentialsComeFromFiles(t *testing.T) {
	dir := files(t, map[string]string{"secret": "CANARY-1\n", "pem": "CANARY-2\n", "empty": "\n", "large": strings.Repeat("x", 65<<10)})
	secret, pem := filepath.Join(dir, "secret"), filepath.Join(dir, "pem")
	for _, verb := range []string{"repo add", "repo test", "repocreds add"} {
		for _, c := range []struct {
			flags []string
			sent  string
		}{
			{[]string{"--username", "u", "--password-file", secret}, `"username":"u","password":"CANARY-1"`},
			{[]string{"--bearer-token-file", secret, "--force-basic-auth"}, `"bearerToken":"CANARY-1","forceBasicAuth":true`},
			{[]string{"--ssh-key-file", pem, "--known-hosts-file", pem}, `"sshKey":"CANARY-2\n","knownHosts":"CANARY-2\n"`},
			{[]string{"--ssh-private-key-path", pem, "--known-hosts", pem}, `"sshKey":"CANARY-2\n","knownHosts":"CANARY-2\n"`},
			{[]string{"--ssh-key-file", pem, "--insecure-ignore-host-key"}, `"sshKey":"CANARY-2\n","insecureIgnoreHostKey":true`},
			{[]string{"--ca-file", pem, "--client-cert-file", pem, "--client-key-file", pem}, `"caBundle":"CANARY-2\n","clientCert":"CANARY-2\n","clientKey":"CANARY-2\n"`},
			{[]string{"--proxy", "http://p:3128", "--no-proxy", "h"}, `"proxy":"http://p:3128","noProxy":"h"`},
			{[]string{"--proxy-file", secret}, `"proxy":"CANARY-1"`},
			{[]string{"--github-app-id", "7", "--github-app-installation-id", "8", "--github-app-private-key-file", pem, "--github-app-base-url", "https://h/api/v3"},
				`"githubAppID":7,"githubAppInstallationID":8,"githubAppPrivateKey":"CANARY-2\n","githubAppBaseURL":"https://h/api/v3"`},
			{[]string{"--enable-submodules", "--enable-lfs"}, `"enableSubmodules":true,"enableLFS":true`},
			{[]string{"--pass-credentials", "--insecure-plain-http"}, `"passCredentials":true,"insecurePlainHTTP":true`},
		} {
			hub := newHubOf(t, everything())
			r := run(t, "", append(append(strings.Fields(verb), "https://git/x"), c.flags...)...)
			if r.code != 0 || !strings.Contains(hub.requests(), c.sent) {
				t.Errorf("%s %s: exit status %d, %s, asked %s", verb, c.flags, r.code, r.err, hub.requests())
			}
			if strings.Contains(r.out+r.err, "CANARY") {
				t.Errorf("%s: a secret was printed: %s%s", c.flags, r.out, r.err)
			}
		}
		for _, file := range []string{"empty", "large", "nix", "."} {
			hub := newHubOf(t, everything())
			r := run(t, "", append(strings.Fields(verb), "https://git/x", "--password-file", filepath.Join(dir, file))...)
			if r.code != 2 || !strings.Contains(r.err, "--password-file") || hub.requests() != "" {
				t.Errorf("%s: exit status %d, %s, asked %s", file, r.code, r.err, hub.requests())
			}
		}
	}
}

func TestRepoTestThatFails(t *testing.T) {
	failed := func(kind, code string) answer {
		problem := `{"kind":"` + kind + `","code":"` + code + `","detail":"the Git server refused the credential \"bot\" (401)","fix":"check the token"}`
		return answer{200, `{"step":{"name":"dns","ok":true,"milliseconds":1}}
{"step":{"name":"auth","ok":false,"milliseconds":20,"problem":` + problem + `}}
{"test":{"url":"https://git/x","type":"git","credential":"repository","ok":false,"steps":[],"problem":` + problem + `}}
`}
	}
	for _, c := range []struct {
		name   string
		answer answer
		code   int
		out    string
		err    string
	}{
		{"upstream", failed("upstream", "git_auth_failed"), 2, "✗ auth          20 ms\n", "refused the credential \"bot\" (401) (git_auth_failed)\n  fix: check the token"},
		{"denied", failed("denied", "x"), 5, "✗ auth", "(x)"},
		{"unavailable", failed("unavailable", "x"), 8, "✗ auth", "(x)"},
		{"not found", failed("not_found", "repository_not_found"), 3, "✗ auth", "(repository_not_found)"},
		{"bad request", problemAnswer(400, "invalid", "repo_url_invalid", "no"), 2, "", "(repo_url_invalid)"},
		{"cut off", answer{200, `{"step":{"name":"dns","ok":true,"milliseconds":1}}`}, 8, "✓ dns", "(answer_incomplete)"},
		{"something else", answer{200, "<html>"}, 2, "", "(answer_invalid)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			newHubOf(t, with(map[string]answer{"POST /repositories/test": c.answer}))
			run(t, "", "repo", "test", "https://git/x").check(t, c.code, c.out, c.err)
			if r := run(t, "", "repo", "test", "https://git/x"); strings.Count(r.out+r.err, "the Git server refused") > 1 {
				t.Errorf("said twice: %s%s", r.out, r.err)
			}
			r := run(t, "", "repo", "test", "https://git/x", "-o", "json")
			if r.code != c.code || !r.document() {
				t.Errorf("exit status %d, stdout %q", r.code, r.out)
			}
		})
	}
}

func TestAUsernameNeedsAPassword(t *testing.T) {
	for _, verb := range []string{"repo add", "repo add --skip-test", "repo test", "repocreds add"} {
		for _, c := range []struct {
			url, flag string
			refused   bool
		}{
			{"https://git/x", "", true},
			{"oci://git/x", "", true},
			{"https://git/x", "--force-basic-auth", false},
			{"ssh://git@git/x", "", false},
			{"git@git:x", "", false},
		} {
			hub := newHubOf(t, everything())
			r := run(t, "", append(strings.Fields(verb+" "+c.url+" "+c.flag), "--username", "deploy")...)
			said := r.code == 2 && strings.Contains(r.err, "--username needs --password-stdin or --password-file")
			if said != c.refused || (hub.requests() == "") != c.refused {
				t.Errorf("%s %+v: exit status %d, %s, asked %s", verb, c, r.code, r.err, hub.requests())
			}
		}
	}
}

func TestARepositoryThatFailsItsTestIsNotStored(t *testing.T) {
	for _, c := range []struct {
		answer answer
		said   bool
	}{
		{problemAnswer(424, "upstream", "git_unavailable", "no"), true},
		{problemAnswer(400, "invalid", "repo_url_invalid", "no"), false},
	} {
		newHubOf(t, with(map[string]answer{"POST /repositories": c.answer}))
		r := run(t, "", "repo", "add", "https://git/x")
		if strings.Contains(r.err, "nothing was stored; --skip-test registers it all the same") != c.said {
			t.Errorf("got %s", r.err)
		}
	}
}

func TestTemplatesOfOneURL(t *testing.T) {
	all := []model.RepositoryTemplate{{ID: "1", URL: "https://git/team"}, {ID: "2", URL: "https://git/team/", Project: "shop"}, {ID: "3", URL: "https://git/other"}}
	for _, c := range []struct {
		what, project string
		of            bool
		want, code    string
	}{
		{"https://git/other", "", false, "3", ""},
		{"https://git/team", "", true, "1", ""},
		{"https://git/team", "shop", true, "2", ""},
		{"2", "", false, "2", ""},
		{"https://git/team", "", false, "", "ambiguous"},
		{"https://git/team", "pay", true, "", "no credential template"},
		{"https://git", "", false, "", "no credential template"},
	} {
		got, err := chooseTemplate(all, c.what, c.project, c.of)
		if got.ID != c.want || (err == nil) != (c.code == "") {
			t.Errorf("%+v: %q %v", c, got.ID, err)
		}
	}
}
