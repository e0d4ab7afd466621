package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const testSecret = "canary-7f3a91"

// delivery is what a server of a provider sends after a push to team/app: the
// fields that its documentation names.
type delivery struct {
	provider *provider
	headers  map[string]string
	body     string
	// credential makes the header that proves the sender.
	credential func(secret, body string) map[string]string
	// repository as people write it, in the spellings that must match.
	spellings []string
	refs      []string
	changed   []string
}

func hexMAC(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func header(name, prefix string) func(secret, body string) map[string]string {
	return func(secret, body string) map[string]string {
		return map[string]string{name: prefix + hexMAC(secret, body)}
	}
}

const commits = `[{"id":"a1","message":"one","added":["apps/new.yaml"],"modified":["apps/web/values.yaml"],"removed":[]},
{"id":"b2","message":"two","added":[],"modified":["apps/web/values.yaml"],"removed":["old/x.yaml"]}]`

var changed = []string{"apps/new.yaml", "apps/web/values.yaml", "old/x.yaml"}

var deliveries = map[string]delivery{
	"GitHub": {
		provider: gitHub,
		headers:  map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "X-Hub-Signature": "sha1=00"},
		body: `{"ref":"refs/heads/main","before":"6113728f27ae82c7b1a177c8d03f9e96e0adf246","after":"59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5","created":false,"deleted":false,"forced":false,
"repository":{"id":1,"name":"app","full_name":"Team/App","private":true,"owner":{"login":"Team"},"html_url":"https://github.com/Team/App","url":"https://github.com/Team/App",
"git_url":"git://github.com/Team/App.git","ssh_url":"git@github.com:Team/App.git","clone_url":"https://github.com/Team/App.git","svn_url":"https://github.com/Team/App"},
"pusher":{"name":"jo"},"commits":` + commits + `,"head_commit":{"id":"b2"}}`,
		credential: header("X-Hub-Signature-256", "sha256="),
		spellings:  []string{"https://github.com/team/app", "https://github.com/team/app.git", "git@github.com:team/app.git", "ssh://git@github.com/team/app", "ssh://git@ssh.github.com:443/team/app.git"},
		refs:       []string{"refs/heads/main"}, changed: changed,
	},
	"GitLab": {
		provider: gitLab,
		headers:  map[string]string{"X-Gitlab-Event": "Push Hook", "X-Gitlab-Instance": "https://gitlab.example.com"},
		body: `{"object_kind":"push","event_name":"push","before":"95790bf891e76fee5e1747ab589903a6a1f80f22","after":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7","ref":"refs/heads/main","ref_protected":true,
"project_id":15,"project":{"id":15,"name":"App","web_url":"https://gitlab.example.com/team/sub/app","namespace":"sub","path_with_namespace":"team/sub/app","default_branch":"main",
"homepage":"https://gitlab.example.com/team/sub/app","url":"git@gitlab.example.com:team/sub/app.git","ssh_url":"git@gitlab.example.com:team/sub/app.git","http_url":"https://gitlab.example.com/team/sub/app.git",
"git_ssh_url":"git@gitlab.example.com:team/sub/app.git","git_http_url":"https://gitlab.example.com/team/sub/app.git"},
"repository":{"name":"App","url":"git@gitlab.example.com:team/sub/app.git","homepage":"https://gitlab.example.com/team/sub/app","git_http_url":"https://gitlab.example.com/team/sub/app.git"},
"commits":` + commits + `,"total_commits_count":2}`,
		credential: func(secret, _ string) map[string]string { return map[string]string{"X-Gitlab-Token": secret} },
		spellings:  []string{"https://gitlab.example.com/team/sub/app", "https://gitlab.example.com/team/sub/app.git", "git@gitlab.example.com:team/sub/app.git", "ssh://git@gitlab.example.com:2222/team/sub/app.git"},
		refs:       []string{"refs/heads/main"}, changed: changed,
	},
	"GitLab, signed": {
		provider: gitLab,
		headers:  map[string]string{"X-Gitlab-Event": "Tag Push Hook"},
		body: `{"object_kind":"tag_push","event_name":"tag_push","before":"0000000000000000000000000000000000000000","after":"82b3d5ae55f7080f1e6022629cdb57bfae7cccc7","ref":"refs/tags/v1.0.0",
"project":{"git_http_url":"https://gitlab.example.com/team/app.git","git_ssh_url":"git@gitlab.example.com:team/app.git"},"commits":[],"total_commits_count":0}`,
		credential: func(secret, body string) map[string]string {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte("id-1.1700000000." + body))
			return map[string]string{"Webhook-Id": "id-1", "Webhook-Timestamp": "1700000000", "Webhook-Signature": "v1,AAAA v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}
		},
		spellings: []string{"https://gitlab.example.com/team/app"},
		refs:      []string{"refs/tags/v1.0.0"},
	},
	"GitLab, system hook": {
		provider: gitLab,
		headers:  map[string]string{"X-Gitlab-Event": "System Hook"},
		body: `{"event_name":"repository_update","project_id":1,"project":{"name":"App","git_http_url":"https://gitlab.example.com/team/app.git"},
"changes":[{"before":"8205ea8d81ce0c6b90fbe8280d118cc9fdad6130","after":"4045ea7a3df38697b3730a20fb73c8bed8a3e69e","ref":"refs/heads/main"}],"refs":["refs/heads/main"]}`,
		credential: func(secret, _ string) map[string]string { return map[string]string{"X-Gitlab-Token": secret} },
		spellings:  []string{"git@gitlab.example.com:team/app"},
		refs:       []string{"refs/heads/main"},
	},
	"Gitea": {
		provider: gitea,
		headers:  map[string]string{"X-Gitea-Event": "push", "X-Gogs-Event": "push", "X-GitHub-Event": "push", "X-Gitea-Event-Type": "push", "X-Hub-Signature": "sha1=00"},
		body: `{"ref":"refs/heads/main","before":"28e1879d029cb852e4844d9c718537df08844e03","after":"bffeb74224043ba2feb48d137756c8a9331c449a","total_commits":2,
"repository":{"id":140,"name":"app","full_name":"team/app","html_url":"https://git.example.com:3000/team/app","ssh_url":"ssh://git@git.example.com:2222/team/app.git","clone_url":"https://git.example.com:3000/team/app.git"},
"commits":` + commits + `}`,
		credential: header("X-Gitea-Signature", ""),
		spellings:  []string{"https://git.example.com:3000/team/app", "ssh://git@git.example.com:2222/team/app.git", "git@git.example.com:team/app.git"},
		refs:       []string{"refs/heads/main"}, changed: changed,
	},
	"Forgejo": {
		provider: gitea,
		headers:  map[string]string{"X-Forgejo-Event": "push", "X-Gitea-Event": "push", "X-GitHub-Event": "push"},
		body: `{"ref":"refs/heads/main","before":"0000000000000000000000000000000000000000","after":"bffeb74224043ba2feb48d137756c8a9331c449a","total_commits":2,
"repository":{"clone_url":"https://codeberg.example/team/app.git","ssh_url":"ssh://git@codeberg.example/team/app.git"},"commits":` + commits + `}`,
		credential: header("X-Forgejo-Signature", ""),
		spellings:  []string{"https://codeberg.example/team/app"},
		refs:       []string{"refs/heads/main"},
	},
	"Gogs": {
		provider: gitea,
		headers:  map[string]string{"X-Gogs-Event": "push", "X-Gogs-Delivery": "f6266f16"},
		body: `{"ref":"refs/heads/main","before":"28e1879d029cb852e4844d9c718537df08844e03","after":"bffeb74224043ba2feb48d137756c8a9331c449a",
"repository":{"clone_url":"http://gogs.example:3000/team/app.git","ssh_url":"git@gogs.example:team/app.git","html_url":"http://gogs.example:3000/team/app"},"commits":[{"id":"a"}]}`,
		credential: header("X-Gogs-Signature", ""),
		spellings:  []string{"http://gogs.example:3000/team/app.git"},
		refs:       []string{"refs/heads/main"},
	},
	"Bitbucket Cloud": {
		provider: bitbucketCloud,
		headers:  map[string]string{"X-Event-Key": "repo:push", "X-Hook-UUID": "3d4a1d5c-1f6d-4f44-b7f4-1b7d45f5a7b2", "X-Request-UUID": "8c3ff58e", "X-Attempt-Number": "1"},
		body: `{"actor":{"type":"user"},"repository":{"type":"repository","name":"app","full_name":"team/app","links":{"self":{"href":"https://api.bitbucket.org/2.0/repositories/team/app"},
"html":{"href":"https://bitbucket.org/team/app"},"avatar":{"href":"https://bytebucket.org/x"}},"scm":"git"},
"push":{"changes":[{"new":{"type":"branch","name":"main","target":{"hash":"709d658dc5b6d6afcd46049c2f332ee3f515a67d"}},"old":{"type":"branch","name":"main"},"created":false,"forced":false,"closed":false,"truncated":false,"commits":[{"hash":"x"}]},
{"new":null,"old":{"type":"tag","name":"v1"},"closed":true}]}}`,
		credential: header("X-Hub-Signature", "sha256="),
		spellings:  []string{"https://bitbucket.org/team/app", "https://jo@bitbucket.org/team/app.git", "git@bitbucket.org:team/app.git"},
		refs:       []string{"refs/heads/main", "refs/tags/v1"},
	},
	"Bitbucket Data Center": {
		provider: bitbucketServer,
		headers:  map[string]string{"X-Event-Key": "repo:refs_changed", "X-Request-Id": "229b7f2d"},
		body: `{"eventKey":"repo:refs_changed","date":"2017-09-19T09:45:32+1000","actor":{"name":"admin"},"repository":{"slug":"app","id":84,"name":"app","hierarchyId":"x","scmId":"git","state":"AVAILABLE",
"project":{"key":"TEAM","id":84,"name":"project","public":false,"type":"NORMAL"},"links":{"clone":[{"href":"ssh://git@bb.example.com:7999/team/app.git","name":"ssh"},{"href":"https://bb.example.com/scm/team/app.git","name":"http"}],
"self":[{"href":"https://bb.example.com/projects/TEAM/repos/app/browse"}]}},
"changes":[{"ref":{"id":"refs/heads/main","displayId":"main","type":"BRANCH"},"refId":"refs/heads/main","fromHash":"ecddabb624f6f5ba43816f5926e580a5f680a932","toHash":"178864a7d521b6f5e720b386b2c2b0ef8563e0dc","type":"UPDATE"}]}`,
		credential: header("X-Hub-Signature", "sha256="),
		spellings:  []string{"https://bb.example.com/scm/team/app.git", "ssh://git@bb.example.com:7999/team/app.git", "https://bb.example.com/projects/TEAM/repos/app"},
		refs:       []string{"refs/heads/main"},
	},
	"Bitbucket Data Center, mirror without links": {
		provider: bitbucketServer,
		headers:  map[string]string{"X-Event-Key": "mirror:repo_synchronized"},
		body: `{"eventKey":"mirror:repo_synchronized","mirrorServer":{"id":"B0TB","name":"mirror"},"repository":{"slug":"app","project":{"key":"TEAM"}},
"changes":[{"ref":{"id":"refs/heads/main"}}],"refLimitExceeded":false}`,
		credential: header("X-Hub-Signature", "sha256="),
		spellings:  []string{"https://bb.example.com/bitbucket/scm/team/app.git", "ssh://git@bb.example.com:7999/team/app.git"},
		refs:       []string{"refs/heads/main"},
	},
	"Azure DevOps": {
		provider: azure,
		headers:  map[string]string{"X-Vss-Activityid": "f1b1a1a0", "X-Vss-Subscriptionid": "4a6cf4d8"},
		body: `{"id":"03c164c2","eventType":"git.push","publisherId":"tfs","resource":{"commits":[{"commitId":"33b55f7cb7e7e245323987634f960cf4a6e6bc74","comment":"x"}],
"refUpdates":[{"name":"refs/heads/main","oldObjectId":"aad331d8","newObjectId":"33b55f7c"}],
"repository":{"id":"278d5cd2","name":"App","url":"https://dev.azure.com/org/_apis/git/repositories/278d5cd2","project":{"name":"My Team"},"defaultBranch":"refs/heads/main","remoteUrl":"https://dev.azure.com/org/My%20Team/_git/App"},
"pushedBy":{"displayName":"Jo"},"pushId":14},"resourceVersion":"1.0"}`,
		credential: func(secret, _ string) map[string]string {
			return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("hawser:"+secret))}
		},
		spellings: []string{"https://dev.azure.com/org/My%20Team/_git/App", "https://org.visualstudio.com/DefaultCollection/My%20Team/_git/App", "git@ssh.dev.azure.com:v3/org/My%20Team/App", "org@vs-ssh.visualstudio.com:v3/org/My%20Team/App"},
		refs:      []string{"refs/heads/main"},
	},
}

func (d delivery) request(secret string) *http.Request {
	r := request(d.body, "application/json")
	for k, v := range d.headers {
		r.Header.Set(k, v)
	}
	if secret != "" {
		for k, v := range d.credential(secret, d.body) {
			r.Header.Set(k, v)
		}
	}
	return r
}

// handlerOf watches some repositories, one of them another's.
func handlerOf(secrets *Secrets, spellings []string, poked *[]string) http.Handler {
	return Handler(Options{
		Secrets: secrets,
		Known:   func() []string { return append([]string{"https://other.example/team/else"}, spellings...) },
		Poke:    func(u string) { *poked = append(*poked, u) },
	})
}

func TestAPushOfEveryProviderIsALookAtItsRepository(t *testing.T) {
	for name, d := range deliveries {
		t.Run(name, func(t *testing.T) {
			var poked []string
			h := handlerOf(forAll("an older secret", testSecret), d.spellings, &poked)
			code, body, _ := send(h, d.request(testSecret))
			if code != http.StatusAccepted || !slices.Equal(poked, d.spellings) {
				t.Errorf("%d %s, poked %v", code, body, poked)
			}
			if got := providerOf(d.request("").Header); got != d.provider {
				t.Errorf("taken for %s", got.name)
			}
			e, err := d.provider.read(d.provider, asObject([]byte(d.body)))
			if err != nil || !slices.Equal(e.Refs, d.refs) || !slices.Equal(e.Changed, d.changed) {
				t.Errorf("%+v %v", e, err)
			}
			if (e.Changed == nil) != (d.changed == nil) {
				t.Errorf("known files: %v", e.Changed)
			}
		})
	}
}

func TestEveryProviderIsCheckedBeforeItsBodyIsRead(t *testing.T) {
	for name, d := range deliveries {
		t.Run(name, func(t *testing.T) {
			secrets := &Secrets{now: forAll().now, byName: map[string][][]byte{d.provider.key: {[]byte(testSecret)}}}
			ask := func(r *http.Request) (int, string, http.Header) {
				var poked []string
				code, body, header := send(handlerOf(secrets, d.spellings, &poked), r)
				if code != http.StatusAccepted && len(poked) > 0 {
					t.Errorf("poked %v", poked)
				}
				if strings.Contains(body, testSecret) {
					t.Errorf("the secret is in %s", body)
				}
				return code, body, header
			}
			if code, body, _ := ask(d.request(testSecret)); code != http.StatusAccepted {
				t.Errorf("right: %d %s", code, body)
			}
			if code, body, header := ask(d.request("")); code != http.StatusUnauthorized || header.Get("WWW-Authenticate") == "" || !strings.Contains(body, d.provider.credential) {
				t.Errorf("unsigned: %d %s", code, body)
			}
			for _, wrong := range []string{"another", testSecret + "x", testSecret[1:], "\x00"} {
				if code, body, _ := ask(d.request(wrong)); code != http.StatusUnauthorized {
					t.Errorf("%q: %d %s", wrong, code, body)
				}
			}
			// Whatever is in the body, the signature comes first.
			r := d.request("")
			r.Body = http.NoBody
			if code, _, _ := ask(r); code != http.StatusUnauthorized {
				t.Errorf("empty and unsigned: %d", code)
			}
			r = d.request("another")
			r.Header.Set("Content-Type", "text/plain")
			if code, _, _ := ask(r); code != http.StatusUnauthorized {
				t.Errorf("no JSON: %d", code)
			}
			if d.provider != azure && d.credential("s", "a")["X-Gitlab-Token"] == "" {
				changed := d
				changed.body += " "
				r := changed.request("")
				for k, v := range d.credential(testSecret, d.body) {
					r.Header.Set(k, v)
				}
				if code, _, _ := ask(r); code != http.StatusUnauthorized {
					t.Errorf("a changed body: %d", code)
				}
			}
		})
	}
}

func TestASecretIsForItsProvider(t *testing.T) {
	secrets := &Secrets{now: forAll().now, byName: map[string][][]byte{"gitlab": {[]byte(testSecret)}}}
	for name, want := range map[string]int{"GitHub": http.StatusAccepted, "GitLab": http.StatusUnauthorized} {
		var poked []string
		d := deliveries[name]
		if code, body, _ := send(handlerOf(secrets, d.spellings, &poked), d.request("")); code != want {
			t.Errorf("%s: %d %s", name, code, body)
		}
	}
	want := []string{"Azure DevOps", "Bitbucket Cloud", "Bitbucket Data Center", "GitHub", "Gitea"}
	if got := secrets.Unsigned(); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if got := forAll(testSecret).Unsigned(); got != nil {
		t.Errorf("%v", got)
	}
	var none *Secrets
	if got := none.Unsigned(); len(got) != len(providers) {
		t.Errorf("%v", got)
	}
}

func TestAzureDevOpsTakesAUserToo(t *testing.T) {
	for secret, want := range map[string]bool{"hawser:pw": true, "pw": true, "other:pw": false, "hawser:": false, "hawser": false, ":pw": false} {
		h := http.Header{}
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("hawser:pw")))
		if got := azure.proven(h, nil, []byte(secret)); got != want {
			t.Errorf("%q: %v", secret, got)
		}
	}
}

// The key of a signing token is what its text encodes.
func TestGitLabSigningTokens(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("i.1.{}"))
	h := http.Header{}
	h.Set("Webhook-Id", "i")
	h.Set("Webhook-Timestamp", "1")
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	if !gitLab.proven(h, []byte("{}"), []byte("whsec_"+base64.StdEncoding.EncodeToString(key))) {
		t.Error("the right signature is refused")
	}
	h.Set("Webhook-Timestamp", "2")
	if gitLab.proven(h, []byte("{}"), []byte("whsec_"+base64.StdEncoding.EncodeToString(key))) {
		t.Error("another time is taken")
	}
}

func TestWhatIsNoPushHasNoEffect(t *testing.T) {
	for name, tt := range map[string]struct {
		headers []string
		body    string
		code    int
		ignored bool
	}{
		"GitHub ping":               {[]string{"X-GitHub-Event", "ping"}, `{"zen":"x"}`, 200, false},
		"GitHub issues":             {[]string{"X-GitHub-Event", "issues"}, `{}`, 202, true},
		"GitLab merge request":      {[]string{"X-Gitlab-Event", "Merge Request Hook"}, `{}`, 202, true},
		"GitLab user created":       {[]string{"X-Gitlab-Event", "System Hook"}, `{"event_name":"user_create"}`, 202, true},
		"Gitea ping":                {[]string{"X-Gitea-Event", "ping"}, `{}`, 200, false},
		"Gitea issues":              {[]string{"X-Gitea-Event", "issues", "X-GitHub-Event", "push"}, `{}`, 202, true},
		"Bitbucket Cloud fork":      {[]string{"X-Event-Key", "repo:fork", "X-Hook-UUID", "u"}, `{}`, 202, true},
		"Bitbucket ping":            {[]string{"X-Event-Key", "diagnostics:ping"}, `{"test":true}`, 200, false},
		"Bitbucket test of a push":  {[]string{"X-Event-Key", "repo:refs_changed"}, `{"test":true}`, 202, true},
		"Bitbucket pull request":    {[]string{"X-Event-Key", "pr:opened"}, `{}`, 202, true},
		"Azure DevOps pull request": {[]string{"X-Vss-Activityid", "u"}, `{"eventType":"git.pullrequest.created"}`, 202, true},
		"Azure DevOps work item":    {[]string{"X-Vss-Activityid", "u"}, `{"eventType":"workitem.created","resource":null}`, 202, true},
		"something new":             {[]string{"X-GitHub-Event", "quantum_push"}, `[]`, 202, true},
	} {
		t.Run(name, func(t *testing.T) {
			var poked []string
			code, body, _ := send(newHandler("", &poked), request(tt.body, "application/json", tt.headers...))
			if code != tt.code || strings.Contains(body, "ignored") != tt.ignored || len(poked) > 0 {
				t.Errorf("%d %s, poked %v", code, body, poked)
			}
		})
	}
}

func TestWhichFilesChangedIsSaidOnlyWhenItIsKnown(t *testing.T) {
	const whole = `{"ref":"refs/heads/main","before":"aa","after":"bb","total_commits":1,"total_commits_count":1,"repository":{"clone_url":"https://h/x/y","git_http_url":"https://h/x/y"},"commits":[{"added":[],"modified":["a"],"removed":[]}]}`
	for name, change := range map[string][2]string{
		"all there":         {"", ""},
		"new branch":        {`"before":"aa"`, `"before":"0000"`},
		"deleted":           {`"after":"bb"`, `"after":"0000"`},
		"no before":         {`"before":"aa",`, ``},
		"forced":            {`"ref"`, `"forced":true,"ref"`},
		"created":           {`"ref"`, `"created":true,"ref"`},
		"no commits":        {`[{"added":[],"modified":["a"],"removed":[]}]`, `[]`},
		"commits missing":   {`"commits"`, `"no"`},
		"list of numbers":   {`"removed":[]`, `"removed":[1]`},
		"one is not there":  {`,"removed":[]`, ``},
		"commit is a text":  {`{"added":[],"modified":["a"],"removed":[]}`, `"a"`},
		"commits cut short": {`"total_commits":1,"total_commits_count":1`, `"total_commits":2,"total_commits_count":2`},
	} {
		for _, p := range []*provider{gitHub, gitLab, gitea} {
			e, err := p.read(p, asObject([]byte(strings.Replace(whole, change[0], change[1], 1))))
			if err != nil {
				t.Fatal(err)
			}
			known := name == "all there" || name == "commits cut short" && p == gitHub
			if (e.Changed != nil) != known {
				t.Errorf("%s, %s: %v", p.name, name, e.Changed)
			}
		}
	}
	many := strings.Replace(whole, `[{"added"`, `[`+strings.Repeat(`{"added":[],"modified":["b"],"removed":[]},`, gitHubCommits)+`{"added"`, 1)
	if e, err := gitHub.read(gitHub, asObject([]byte(many))); err != nil || e.Changed != nil {
		t.Errorf("%v %v", e.Changed, err)
	}
}

// Payloads that a server never sends: every field once gone, and once of every
// other type.
func TestA43_OddPayloadsAreNoFaults(t *testing.T) {
	odd := []string{`null`, `true`, `-1`, `1e99`, `""`, `"boom"`, `[]`, `[null]`, `[[]]`, `[{}]`, `{}`, `{"href":[]}`, `{"clone":"boom"}`}
	for name, d := range deliveries {
		t.Run(name, func(t *testing.T) {
			var whole any
			if err := json.Unmarshal([]byte(d.body), &whole); err != nil {
				t.Fatal(err)
			}
			n := 0
			vary(whole, odd, func() {
				n++
				text, err := json.Marshal(whole)
				if err != nil {
					t.Fatal(err)
				}
				d.body = string(text)
				var poked []string
				code, body, _ := send(handlerOf(forAll(testSecret), d.spellings, &poked), d.request(testSecret))
				if code != http.StatusAccepted && code != http.StatusBadRequest || !json.Valid([]byte(body)) {
					t.Errorf("%d %s for %s", code, body, text)
				}
			})
			if n < 10*len(odd) {
				t.Errorf("only %d payloads", n)
			}
		})
	}
}

// vary calls visit with every member and element of v gone and replaced, one at
// a time.
func vary(v any, odd []string, visit func()) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			was := v[k]
			delete(v, k)
			visit()
			for _, text := range odd {
				v[k] = json.RawMessage(text)
				visit()
			}
			v[k] = was
			vary(was, odd, visit)
		}
	case []any:
		for i, was := range v {
			for _, text := range odd {
				v[i] = json.RawMessage(text)
				visit()
			}
			v[i] = was
			vary(was, odd, visit)
		}
	}
}

// fuzzProvider sends bodies and headers with the telling ones of a provider.
func fuzzProvider(f *testing.F, p *provider) {
	for _, d := range deliveries {
		if d.provider == p {
			f.Add("application/json", "", []byte(d.body))
			f.Add("application/x-www-form-urlencoded", testSecret, []byte("payload="+d.body))
		}
	}
	for _, body := range []string{"", "null", "[]", "{", `{"repository":null}`, `{"repository":{"links":{"clone":"boom","html":[]}}}`, `{"resource":{"repository":{"remoteUrl":{}}}}`, `{"changes":[null]}`, `{"commits":[null,{}],"before":"a","after":"b","repository":{"clone_url":"x"}}`, strings.Repeat("[", 20000), "\xff\xfe"} {
		f.Add("application/json", "sha256=00", []byte(body))
	}
	f.Fuzz(func(t *testing.T, contentType, credential string, body []byte) {
		for name, d := range deliveries {
			if d.provider != p {
				continue
			}
			for _, secrets := range []*Secrets{nil, forAll(testSecret)} {
				h := Handler(Options{Secrets: secrets, Known: func() []string { return d.spellings }, Poke: func(string) {
					if secrets != nil {
						t.Fatalf("%s: poked without the secret", name)
					}
				}})
				r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
				for k, v := range d.headers {
					r.Header.Set(k, v)
				}
				r.Header["Content-Type"] = []string{contentType}
				r.Header[http.CanonicalHeaderKey(p.credential)] = []string{credential}
				if credential == testSecret || d.provider == azure && strings.HasPrefix(credential, "Basic ") {
					r.Header.Del(p.credential) // it could be right
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
					t.Fatalf("%s: %d %s", name, w.Code, w.Body)
				}
			}
		}
	})
}

func FuzzGitHub(f *testing.F)          { fuzzProvider(f, gitHub) }
func FuzzGitLab(f *testing.F)          { fuzzProvider(f, gitLab) }
func FuzzGitea(f *testing.F)           { fuzzProvider(f, gitea) }
func FuzzBitbucketCloud(f *testing.F)  { fuzzProvider(f, bitbucketCloud) }
func FuzzBitbucketServer(f *testing.F) { fuzzProvider(f, bitbucketServer) }
func FuzzAzure(f *testing.F)           { fuzzProvider(f, azure) }

func FuzzAddress(f *testing.F) {
	for _, d := range deliveries {
		for _, s := range d.spellings {
			f.Add(s)
		}
	}
	for _, s := range []string{"", "_git", "https://h/_git", "https://h/_git/_full", "https://dev.azure.com/_git/x", "h:scm", "https://h/scm/a/b/scm", "https://.visualstudio.com/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := canonical(s)
		if name != "" && name == "/" || strings.HasSuffix(name, "/") {
			t.Errorf("%q: %q", s, name)
		}
		if got := match(Event{Addresses: []string{s}}, []string{s}); name != "" && len(got) != 1 {
			t.Errorf("%q does not match itself", s)
		}
	})
}
